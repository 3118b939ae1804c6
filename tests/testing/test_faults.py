"""Every fault on every protocol where it makes sense, met by the clients of Python's own library."""

from __future__ import annotations

import imaplib
import poplib
import re
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailpost.faults.fault import Fault, FaultError
from mailpost.testing import MailServer
from mailpost.testing.reactorthread import reactor_thread

Factory = Callable[..., MailServer]
PROTOCOLS = ["imap", "pop3", "smtp", "submission", "lmtp"]
NAME = "ann@example.org"


class Client:
    """A client that says lines and reads them, for what libraries do not show."""

    def __init__(self, server: MailServer, protocol: str) -> None:
        self.socket = socket.create_connection(server.endpoints[protocol].address, timeout=10)
        self.file = self.socket.makefile("rb")
        self.protocol = protocol

    def says(self, line: str) -> bytes:
        """Send a line; the first one that comes back."""
        self.socket.sendall(line.encode() + b"\r\n")
        return self.file.readline()

    def silent(self) -> bool:
        """Whether nothing comes, and the connection is there all the same."""
        self.socket.settimeout(0.2)
        try:
            return bool(self.file.read(1)) and False
        except TimeoutError:
            return True


NOOP = {"imap": "a NOOP", "pop3": "CAPA", "smtp": "NOOP", "submission": "NOOP", "lmtp": "NOOP"}
VERB = {"imap": "NOOP", "pop3": "CAPA", "smtp": "NOOP", "submission": "NOOP", "lmtp": "NOOP"}
FINE = {"imap": b"a OK", "pop3": b"+OK", "smtp": b"250", "submission": b"250", "lmtp": b"250"}
REFUSALS = {"imap": "NO [LIMIT] No", "pop3": "-ERR No", "smtp": "451 4.3.0 No"}


def greeted(server: MailServer, protocol: str) -> Client:
    client = Client(server, protocol)
    assert client.file.readline()
    return client


def one(server: MailServer, **fault: Any) -> Any:
    return server.faults.add(**fault)


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_answer(mailpost: MailServer, protocol: str) -> None:
    text = REFUSALS.get(protocol, REFUSALS["smtp"])
    rule = one(mailpost, protocol=protocol, command=VERB[protocol], nth=2, answer=text)
    client = greeted(mailpost, protocol)
    answers = [client.says(NOOP[protocol])[:3]]
    if protocol == "pop3":
        while client.file.readline() != b".\r\n":
            pass
    answers.append(client.says(NOOP[protocol]))
    assert answers[0] == FINE[protocol][:3]
    assert answers[1].removeprefix(b"a ") == text.encode() + b"\r\n"
    assert rule.hits == 1


def test_result(mailpost: MailServer, protocol: str) -> None:
    text = REFUSALS.get(protocol, REFUSALS["smtp"])
    rule = one(mailpost, protocol=protocol, command=VERB[protocol], result=text)
    assert greeted(mailpost, protocol).says(NOOP[protocol]).removeprefix(b"a ") == text.encode() + b"\r\n"
    assert rule.hits == 1


def test_drop(mailpost: MailServer, protocol: str) -> None:
    rule = one(mailpost, protocol=protocol, command=VERB[protocol], drop_after=3)
    client = greeted(mailpost, protocol)
    assert client.says(NOOP[protocol]) == FINE[protocol][:3]
    assert client.file.read() == b""
    assert rule.hits == 1


def test_drop_at_once(mailpost: MailServer, protocol: str) -> None:
    one(mailpost, protocol=protocol, command=VERB[protocol], drop_after=0)
    assert greeted(mailpost, protocol).says(NOOP[protocol]) == b""


def test_drop_of_an_answer_that_is_shorter_is_none(mailpost: MailServer, protocol: str) -> None:
    rule = one(mailpost, protocol=protocol, command=VERB[protocol], drop_after=100_000)
    assert greeted(mailpost, protocol).says(NOOP[protocol]).startswith(FINE[protocol])
    assert rule.hits == 0


def test_stall(mailpost: MailServer, protocol: str) -> None:
    rule = one(mailpost, protocol=protocol, command=VERB[protocol], stall_after=3)
    client = greeted(mailpost, protocol)
    client.socket.sendall(f"{NOOP[protocol]}\r\n".encode())
    assert client.file.read(3) == FINE[protocol][:3]
    assert client.silent()
    assert rule.hits == 1


def test_never_answer(mailpost: MailServer, protocol: str) -> None:
    rule = one(mailpost, protocol=protocol, command=VERB[protocol], nth=1, never_answer=True)
    client = greeted(mailpost, protocol)
    client.socket.sendall(f"{NOOP[protocol]}\r\n".encode())
    assert client.silent()
    assert rule.hits == 1


def test_no_greeting(mailpost: MailServer, protocol: str) -> None:
    rule = one(mailpost, protocol=protocol, command="GREETING", never_answer=True)
    assert Client(mailpost, protocol).silent()
    assert rule.hits == 1


def test_another_greeting(mailpost: MailServer, protocol: str) -> None:
    text = {"imap": "BYE Full", "pop3": "-ERR Full"}.get(protocol, "421 4.3.2 Full")
    one(mailpost, protocol=protocol, command="GREETING", answer=text)
    client = Client(mailpost, protocol)
    assert client.file.readline().removeprefix(b"* ") == text.encode() + b"\r\n"
    if protocol != "pop3":
        assert client.file.read() == b""


def test_bye(mailpost: MailServer, protocol: str) -> None:
    rule = one(mailpost, protocol=protocol, command=VERB[protocol], bye_after="1m")
    client = greeted(mailpost, protocol)
    client.says(NOOP[protocol])
    while protocol == "pop3" and client.file.readline() != b".\r\n":
        pass
    assert rule.hits == 0
    mailpost.advance(60)
    expected = {"imap": b"* BYE The server goes down\r\n", "pop3": b""}
    assert client.file.read() == expected.get(protocol, b"421 4.3.2 The server goes down\r\n")
    assert rule.hits == 1


def test_bye_at_once(mailpost: MailServer, protocol: str) -> None:
    one(mailpost, protocol=protocol, bye_after=0)
    expected = {"imap": b"* BYE The server goes down\r\n", "pop3": b""}
    assert Client(mailpost, protocol).file.read() == expected.get(protocol, b"421 4.3.2 The server goes down\r\n")


def test_insert(mailpost: MailServer, protocol: str) -> None:
    rule = one(mailpost, protocol=protocol, command=VERB[protocol], insert="* 23 EXISTS")
    client = greeted(mailpost, protocol)
    assert client.says(NOOP[protocol]) == b"* 23 EXISTS\r\n"
    assert client.file.readline().startswith(FINE[protocol])
    assert rule.hits == 1


def test_slow(mailpost: MailServer, protocol: str) -> None:
    rule = one(mailpost, protocol=protocol, command=VERB[protocol], delay="20s")
    client = greeted(mailpost, protocol)
    client.socket.sendall(f"{NOOP[protocol]}\r\n".encode())
    client.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.socket.recv(1)
    mailpost.advance(20)
    client.socket.settimeout(10)
    assert client.socket.recv(4).startswith(FINE[protocol])
    assert rule.hits == 1


def test_narrow(mailpost: MailServer, protocol: str) -> None:
    one(mailpost, protocol=protocol, bandwidth="4 kbit/s")
    began = time.monotonic()
    octets = len(Client(mailpost, protocol).file.readline())
    assert octets / 500 * 0.9 < time.monotonic() - began


@pytest.mark.parametrize("protocol", ["imap", "pop3", "submission"])
def test_certificate(mailpost: MailServer, protocol: str) -> None:
    for wrong, said in (
        ("expired", "expired"),
        ("not yet valid", "not yet valid"),
        ("wrong name", "mismatch"),
        ("untrusted", "certificate verify failed"),
    ):
        rule = one(mailpost, protocol=protocol, nth=1, certificate=wrong)
        for expected in (True, False):
            with socket.create_connection(mailpost.endpoints[f"{protocol}s"].address, timeout=10) as plain:
                try:
                    mailpost.ssl_context().wrap_socket(plain, server_hostname="127.0.0.1").close()
                except ssl.SSLCertVerificationError as error:
                    assert expected
                    assert said in str(error)
                else:
                    assert not expected
        assert rule.hits == 1
        rule.remove()


def test_certificates_behind_starttls(mailpost: MailServer) -> None:
    one(mailpost, certificate="expired")
    with pytest.raises(ssl.SSLError):
        imaplib.IMAP4(*mailpost.imap.address, timeout=10).starttls(mailpost.ssl_context())
    with pytest.raises(ssl.SSLError):
        poplib.POP3(*mailpost.pop3.address, timeout=10).stls(mailpost.ssl_context())
    with smtplib.SMTP(*mailpost.submission.address, timeout=10) as smtp, pytest.raises(ssl.SSLError):
        smtp.starttls(context=mailpost.ssl_context())
    assert [rule.hits for rule in mailpost.faults] == [3]
    assert str(mailpost.transcripts).count("fault at TLS: certificate='expired'") == 3


def logged_in(server: MailServer, count: int = 0) -> imaplib.IMAP4:
    ann = server.user(NAME)
    for number in range(1, count + 1):
        ann.inbox.put(f"From: bob@example.org\nSubject: Number {number}\n\n" + "Hello!\n" * 50)
    client = imaplib.IMAP4(*server.imap.address, timeout=10)
    client.login(ann.name, ann.password)
    client.select()
    return client


def test_uidvalidity_wherever_it_is_told(mailpost: MailServer) -> None:
    rule = one(mailpost, uidvalidity=7)
    client = logged_in(mailpost, 1)
    assert client.response("UIDVALIDITY")[1] == [b"7"]
    assert b"UIDVALIDITY 7" in client.status("INBOX", "(UIDVALIDITY)")[1][0]
    assert b"[APPENDUID 7 2]" in client.append("INBOX", None, None, b"Subject: x\r\n\r\n")[1][0]  # type: ignore[arg-type]
    assert b"[COPYUID 7 1 3]" in client.copy("1", "INBOX")[1][0]
    assert rule.hits == 4


def test_duplicate_uids_in_uid_fetch_of_bodies(mailpost: MailServer) -> None:
    rule = one(mailpost, command="UID FETCH", duplicate_uids=True)
    client = logged_in(mailpost, 3)
    found = [part[0] for part in client.uid("FETCH", "1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]
    assert [re.search(rb"UID (\d+)", each)[1] for each in found] == [b"1", b"1", b"3"]  # type: ignore[index]
    assert [each.split()[-1] for each in client.fetch("1:*", "(UID)")[1]] == [b"1)", b"2)", b"3)"]
    assert rule.hits == 1


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        (1, [b"* 1 FETCH", b"* 1 EXPUNGE", b"* 1 FETCH", b"* 2 FETCH"]),
        (2, [b"* 1 FETCH", b"* 2 EXPUNGE", b"* 2 FETCH"]),
        (3, [b"* 1 FETCH", b"* 3 EXPUNGE", b"* 2 FETCH"]),
    ],
)
def test_expunge_between_responses(mailpost: MailServer, gone: int, expected: list[bytes]) -> None:
    one(mailpost, command="FETCH", expunge=gone)
    logged_in(mailpost, 3).logout()
    ann = mailpost.user(NAME)
    client = greeted(mailpost, "imap")
    client.says(f"a LOGIN {ann.name} {ann.password}")
    client.socket.sendall(b"b SELECT INBOX\r\n")
    while not client.file.readline().startswith(b"b OK"):
        pass
    client.socket.sendall(b"c FETCH 1:3 (FLAGS)\r\n")
    lines = iter(client.file.readline, b"")
    assert [next(lines).split(b" (")[0].strip() for _ in expected] == expected
    assert next(lines).startswith(b"c OK")


def test_an_unfinished_literal_of_pop3(mailpost: MailServer) -> None:
    rule = one(mailpost, protocol="pop3", unfinished_literal=True, command="RETR")
    logged_in(mailpost, 1).logout()
    ann = mailpost.user(NAME)
    client = poplib.POP3(*mailpost.pop3.address, timeout=0.3)
    client.user(ann.name)
    client.pass_(ann.password)
    with pytest.raises(TimeoutError):
        client.retr(1)
    assert rule.hits == 1


def test_an_append_that_is_refused_before_or_behind_the_message(mailpost: MailServer) -> None:
    before = one(mailpost, command="APPEND", nth=1, answer="NO [OVERQUOTA] Full")
    behind = one(mailpost, command="APPEND", nth=2, result="NO [OVERQUOTA] Full")
    client = logged_in(mailpost)
    for expected in ("NO", "NO", "OK"):
        assert client.append("INBOX", None, None, b"Subject: x\r\n\r\n")[0] == expected  # type: ignore[arg-type]
    assert (before.hits, behind.hits) == (1, 1)
    assert len(mailpost.user(NAME).inbox.mails()) == 2, "that behind it is there all the same"


def test_masks(mailpost: MailServer) -> None:
    rule = one(mailpost, mask=["idle", "AUTH"])
    client = logged_in(mailpost)
    assert "IDLE" not in client.capabilities
    assert not [each for each in client.capabilities if each.startswith("AUTH")]
    assert "UIDPLUS" in client.capabilities
    assert rule.hits >= 2
    with smtplib.LMTP(*mailpost.lmtp.address, timeout=10) as lmtp:
        one(mailpost, mask=["CHUNKING"])
        lmtp.ehlo("x")
        assert not lmtp.has_extn("chunking")


def test_which_commands_are_met(mailpost: MailServer) -> None:
    every = one(mailpost, command="NOOP", every=3, answer="NO every")
    since = one(mailpost, command="CHECK", since=2, answer="NO since")
    where = one(mailpost, command="NOOP", where=lambda _, command: b"x1" in command.octets, answer="NO where")
    user = one(mailpost, command="NOOP", user="somebody", answer="NO user")
    client = logged_in(mailpost)
    assert [client.noop()[0] for _ in range(7)] == ["OK", "OK", "NO", "OK", "OK", "NO", "OK"]
    assert [client.check()[0] for _ in range(3)] == ["OK", "NO", "NO"]
    assert (every.hits, since.hits, user.hits) == (2, 2, 0)
    assert where.hits == 0
    other = logged_in(mailpost)
    second = one(mailpost, command="NOOP", connection=2, answer="NO second")
    ann = one(mailpost, command="NOOP", user=NAME, nth=3, answer="NO ann")
    assert client.noop()[0] == "OK"
    assert other.noop()[1] == [b"every"]
    assert other.noop()[1] == [b"second"]
    assert (second.hits, ann.hits) == (1, 0), "of two that answer, the first one does"


def test_rules_come_and_go_on_connections_that_stand(mailpost_factory: Factory) -> None:
    server = mailpost_factory(faults=[])
    client = logged_in(server)
    rule = server.faults.add(Fault(command="NOOP", answer="NO No"))
    assert client.noop()[0] == "NO"
    server.faults.clear()
    assert client.noop()[0] == "OK"
    assert list(server.faults) == []
    assert rule.hits == 1
    assert repr(rule) == "<Rule command='NOOP', answer='NO No'; hits: 1>"


def test_nothing_is_wrapped_without_rules(mailpost: MailServer) -> None:
    client = logged_in(mailpost)
    assert "COMPRESS=DEFLATE" in client.capabilities
    rule = one(mailpost, command="NOOP", answer="NO No")
    assert client.noop()[0] == "OK", "it began before"
    assert logged_in(mailpost).noop()[0] == "NO"
    assert rule.hits == 1


@pytest.mark.mailpost(faults=[Fault(command="NOOP", answer="NO No")], hostname="a.test")
class TestMarker:
    def test_of_a_class(self, mailpost: MailServer) -> None:
        assert logged_in(mailpost).noop()[0] == "NO"

    @pytest.mark.mailpost(faults=[Fault(command="CHECK", answer="NO No")])
    def test_of_a_test(self, mailpost: MailServer) -> None:
        client = logged_in(mailpost)
        assert (client.noop()[0], client.check()[0]) == ("OK", "NO")
        assert b"a.test" in client.welcome


def dialogue(server: MailServer) -> list[str]:
    """What a client meets that begins anew when it must."""
    met = []
    for number in range(12):
        try:
            with smtplib.SMTP(*server.smtp.address, timeout=10) as client:
                client.sendmail("bob@example.org", [NAME], f"Subject: {number}\n\nHello!\n")
            met.append("fine")
        except (OSError, smtplib.SMTPException) as error:
            met.append(repr(error))
    return met


def test_chaos_is_the_same_for_a_seed(mailpost_factory: Factory) -> None:
    def chaos(seed: int) -> MailServer:
        return mailpost_factory(faults=[Fault(chaos=seed, chance=0.3)])

    first = chaos(5)
    met = dialogue(first)
    assert len(set(met)) > 2
    assert dialogue(chaos(5)) == met
    assert dialogue(chaos(6)) != met
    assert first.faults.seeds == [5]
    assert sum(rule.hits for rule in first.faults) == str(first.transcripts).count(": chaos 5: ")


def test_a_seed_is_made_up(mailpost_factory: Factory) -> None:
    (rule,) = mailpost_factory(faults=[{"chaos": True}]).faults
    assert 0 <= (rule.fault.chaos or 0) < 1_000_000
    assert f"chaos={rule.fault.chaos}" in str(rule.fault)


def test_a_program_gets_its_faults_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text('[[fault]]\ncommand = "NOOP"\nanswer = "NO No"\n\n[[fault]]\nchaos = 7\nchance = 0\n')
    command = [sys.executable, "-m", "mailpost.admin.main", "serve-tests", "--faults", str(file)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True)
    assert "fault        command='NOOP', answer='NO No'" in done.stdout
    assert "fault        chaos=7, chance=0" in done.stdout
    file.write_text('[[fault]]\ncommand = "NOOP"\nanser = "NO"\n')
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert f'{file}:3: fault: anser: unknown key; did you mean "answer"?' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_rule_that_makes_no_sense_is_told_of_at_once(mailpost_factory: Factory, tmp_path: Path) -> None:
    with pytest.raises(FaultError, match="comand: unknown key"):
        mailpost_factory(faults=[{"comand": "NOOP", "answer": "NO"}])
    with pytest.raises(FaultError, match="cannot be read"):
        mailpost_factory(faults=tmp_path / "none.toml")
    assert not reactor_thread().reactor.running, "there is no server that needs it"
