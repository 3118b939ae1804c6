"""Holes that a server on top of `imap4.IMAP4Server` must close, one test or more for each.

RFC: 2595 §3.1, §3.2 (STARTTLS, LOGINDISABLED), 3501 §11
"""

from __future__ import annotations

import hmac
import random
import time
from base64 import b64decode, b64encode
from typing import Any

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import CramMD5Credentials
from twisted.cred.portal import Portal
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.mail.imap4 import PLAINCredentials
from zope.interface import implementer

from mailpost.accounts.interfaces import ILoginMechanisms
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.storage.records import NewMessage
from tests.protocols.imap.harness import Client, Server

FAR = "192.0.2.1"
TLS: Any = object()


@pytest.fixture
def server() -> Server:
    return Server(tls=TLS)


# -- STARTTLS


def test_commands_behind_starttls_are_refused(server: Server) -> None:
    client = server.connect(FAR)
    client.sends(b"a STARTTLS\r\nb LOGIN joe secret\r\nc SELECT INBOX\r\n")
    answer = client.heard()
    assert answer.startswith(b"a BAD ")
    assert answer.count(b"\r\n") == 1
    assert client.transport.tls is None
    assert client.transport.disconnecting
    assert server.checker.asked == 0


def test_part_of_a_command_behind_starttls_is_refused(server: Server) -> None:
    client = server.connect(FAR)
    client.sends(b"a STARTTLS\r\nb LOG")
    assert client.heard().startswith(b"a BAD ")
    assert client.transport.tls is None


def test_starttls_begins_behind_its_answer(server: Server) -> None:
    client = server.connect(FAR)
    assert b"STARTTLS LOGINDISABLED] " in client.greeting
    assert b"AUTH=PLAIN" not in client.greeting
    assert client.says(b"a STARTTLS") == b"a OK Begin TLS negotiation now\r\n"
    assert client.transport.tls is TLS
    capabilities = client.says(b"b CAPABILITY")
    assert b"AUTH=PLAIN AUTH=LOGIN" in capabilities
    assert b"STARTTLS" not in capabilities
    assert client.says(b"c STARTTLS").startswith(b"c BAD ")
    assert b"d OK" in client.says(b"d LOGIN joe secret")


@pytest.mark.parametrize(
    "command",
    [b"LOGIN joe secret", b"AUTHENTICATE PLAIN", b"AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=", b"AUTHENTICATE LOGIN"],
)
def test_no_password_is_taken_without_tls(server: Server, command: bytes) -> None:
    assert server.connect(FAR).says(b"a " + command).startswith(b"a NO [PRIVACYREQUIRED] ")
    assert server.checker.asked == 0


def test_passwords_without_tls_are_a_setting() -> None:
    client = Server(ImapSettings(allow_plaintext_auth=True)).connect(FAR)
    assert b"LOGINDISABLED" not in client.greeting
    assert b"a OK" in client.says(b"a LOGIN joe secret")


# -- too much of everything


def test_an_endless_line_is_refused_and_not_kept(server: Server) -> None:
    client = server.connect(FAR)
    client.sends(b"a" * 10_000)
    assert b"BAD " in client.heard()
    for _ in range(300):
        client.sends(b"a" * 100_000)
    assert client.protocol.session._decoder.buffered < 100_001
    assert client.says(b"") == b""
    assert client.says(b"b NOOP") == b"b OK NOOP completed\r\n"


def test_a_long_line_is_fine_after_login(server: Server) -> None:
    client = server.selected(1)
    numbers = b",".join(b"%d" % n for n in range(1, 40_000, 4))
    assert len(numbers) > 50_000
    assert client.says(b"a UID FETCH " + numbers + b" FLAGS").endswith(b"a OK FETCH completed\r\n")


@pytest.mark.parametrize("plus", [b"", b"+"])
def test_big_literals_before_login_are_refused(server: Server, plus: bytes) -> None:
    client = server.connect()
    client.sends(b"a LOGIN {5000" + plus + b"}\r\n")
    if plus:
        client.sends(b"x" * 5000 + b" {5000+}\r\n" + b"y" * 5000 + b"\r\n")
    assert client.heard().startswith(b"a BAD ")
    assert client.says(b"b NOOP") == b"b OK NOOP completed\r\n"


@pytest.mark.parametrize("size", [b"-5", b"1_0", b"+5", b" 5", b"99999999999999999999999999"])
def test_sizes_of_literals_that_are_none(server: Server, size: bytes) -> None:
    client = server.connect()
    assert client.says(b"a LOGIN {" + size + b"}").startswith(b"a BAD ")
    assert client.says(b"b NOOP") == b"b OK NOOP completed\r\n"


def test_a_message_before_login_is_refused(server: Server) -> None:
    client = server.connect()
    assert client.says(b"a APPEND INBOX {1000000}").startswith(b"a BAD ")
    client.sends(b"b APPEND INBOX {100000+}\r\n")
    for _ in range(10):
        client.sends(b"x" * 10_000)
    assert client.says(b"").startswith(b"b BAD ")
    assert client.says(b"c NOOP") == b"c OK NOOP completed\r\n"


def test_sparse_sequence_sets_cost_little(server: Server) -> None:
    client = server.selected()
    account = server.store.account("joe")
    account.append("INBOX", [NewMessage(b"Subject: x\r\n\r\n")] * 3000)
    client.says(b"a NOOP")
    sparse = [n for n in range(1, 3000) if n % 2]
    random.Random(1).shuffle(sparse)
    began = time.process_time()
    answer = client.says(b"b FETCH " + b",".join(b"%d" % n for n in sparse) + b" UID")
    assert time.process_time() - began < 0.5
    assert answer.count(b"FETCH (") == len(sparse)


def test_a_flood_of_commands_is_not_taken_in(server: Server) -> None:
    server.checker.slow = True
    client = server.connect()
    client.sends(b"a LOGIN joe secret\r\n")
    sent = 0
    while client.transport.reading:
        client.sends(b"b NOOP\r\n" * 1000)
        sent += 1000
        assert sent < 20_000
    server.checker.waiting.pop()()
    assert client.transport.reading
    assert client.heard().count(b"b OK") == sent


def test_a_flood_does_not_keep_the_connection_open() -> None:
    server = Server(ImapSettings(failed_logins=1))
    server.checker.slow = True
    client = server.connect()
    client.sends(b"a LOGIN joe wrong\r\n")
    while client.transport.reading:
        client.sends(b"b NOOP\r\n" * 1000)
    server.checker.waiting.pop()()
    server.clock.advance(1)
    assert client.transport.reading, "TLS ends when the client has agreed, which must be read"
    client.sends(b"b NOOP\r\n" * 1000)
    assert client.heard().count(b"\r\n") == 2
    server.clock.advance(0)
    assert client.transport.lost


def test_who_does_not_read_is_not_served(server: Server) -> None:
    client = server.selected(1)
    client.transport.producer.pauseProducing()
    client.sends(b"a NOOP\r\n" * 2000)
    assert client.heard().count(b"a OK") == 1
    client.transport.producer.resumeProducing()
    assert client.heard().count(b"a OK") == 1999


def test_who_does_not_read_a_long_answer_holds_up_its_making(server: Server) -> None:
    client = server.selected()
    account = server.store.account("joe")
    account.append("INBOX", [NewMessage(b"Subject: x\r\n\r\n" + b"x" * 100_000)] * 20)
    client.says(b"a NOOP")
    client.transport.producer.pauseProducing()
    client.sends(b"b FETCH 1:* BODY.PEEK[]\r\n")
    assert len(client.heard()) < 600_000
    client.leaves()
    assert server.realm.inside == 0


def test_who_reads_nothing_for_long_is_cut() -> None:
    server = Server(ImapSettings(write_timeout=100.0))
    client = server.selected(1)
    client.transport.producer.pauseProducing()
    client.sends(b"a NOOP\r\n" * 10)
    server.clock.advance(101)
    assert client.transport.lost
    assert server.realm.inside == 0


# -- too many


def test_connections_of_one_address_are_bounded() -> None:
    server = Server(ImapSettings(connections_per_address=2))
    clients = [server.connect(FAR) for _ in range(3)]
    assert clients[2].greeting.startswith(b"* BYE [UNAVAILABLE] ")
    assert clients[2].transport.disconnecting
    clients[0].leaves()
    assert server.connect(FAR).greeting.startswith(b"* OK ")


def test_connections_of_one_user_are_bounded() -> None:
    server = Server(ImapSettings(connections_per_user=1))
    first, second = server.logged_in(), server.connect()
    assert second.says(b"a LOGIN joe secret").startswith(b"a NO [LIMIT] ")
    first.leaves()
    assert b"b OK" in second.says(b"b LOGIN joe secret")


def test_senseless_commands_are_bounded() -> None:
    server = Server(ImapSettings(bad_commands=3))
    client = server.connect()
    assert b"* BYE" not in client.says(b"GET / HTTP/1.1") + client.says(b"Host: mail")
    assert client.says(b"a NOOP") == b"a OK NOOP completed\r\n"
    answers = client.says(b"b X") + client.says(b"c X") + client.says(b"d X")
    assert b"* BYE " in answers
    assert client.transport.disconnecting


def test_who_would_act_for_somebody_else_is_a_failed_login(server: Server) -> None:
    client = server.connect()
    noted: list[str] = []

    def note(event: LogEvent) -> None:
        noted.append(formatEvent(event))

    globalLogPublisher.addObserver(note)
    try:
        client.sends(b"a AUTHENTICATE PLAIN YW5uAGpvZQB3cm9uZw==\r\n")
        assert client.heard() == b"", "with a wrong password it is answered late, and not that it was right"
        server.clock.advance(1)
        assert client.heard().startswith(b"a NO [AUTHENTICATIONFAILED] ")
        client.sends(b"b AUTHENTICATE PLAIN YW5uAGpvZQBzZWNyZXQ=\r\n")
        server.clock.advance(1)
        assert client.heard().startswith(b"b NO [AUTHORIZATIONFAILED] ")
    finally:
        globalLogPublisher.removeObserver(note)
    assert [line for line in noted if "login of 'joe'" in line and "Nobody may act for somebody else" in line]
    assert client.protocol.session.authentication.failures == 2
    assert server.realm.inside == 0
    assert client.protocol.record.user == ""


def test_failed_logins_are_bounded_and_slow() -> None:
    server = Server(ImapSettings(failed_logins=3))
    client = server.connect()
    delays = []
    for _ in range(3):
        client.sends(b"a LOGIN joe wrong\r\n")
        seconds = 0.0
        while not (answer := client.heard()):
            server.clock.advance(0.25)
            seconds += 0.25
        assert answer.startswith(b"a NO [AUTHENTICATIONFAILED] ")
        delays.append(seconds)
    assert delays[0] < delays[1] < delays[2]
    assert answer.endswith(b"\r\n* BYE Too many failed logins\r\n")
    assert client.transport.disconnecting


# -- time


def test_who_does_not_log_in_must_go(server: Server) -> None:
    client = server.connect()
    client.sends(b"a LOG")
    server.clock.advance(59)
    client.sends(b"IN")
    server.clock.advance(2)
    assert client.heard().startswith(b"* BYE Autologout")
    server.clock.advance(0)
    assert client.transport.lost


def test_idle_users_must_go_after_half_an_hour(server: Server) -> None:
    client = server.selected(1)
    for _ in range(29):
        server.clock.advance(60)
    client.says(b"a NOOP")
    for _ in range(29):
        server.clock.advance(60)
    assert not client.transport.disconnecting
    server.clock.advance(120)
    assert client.heard().startswith(b"* BYE Autologout")
    server.clock.advance(0)
    assert server.realm.inside == 0


def test_a_slow_checker_is_not_the_clients_fault(server: Server) -> None:
    server.checker.slow = True
    client = server.connect()
    client.sends(b"a LOGIN joe secret\r\n")
    server.clock.advance(61)
    server.clock.advance(61)
    assert client.heard() == b'* OK [INPROGRESS ("a" NIL NIL)] Still at work\r\n'
    server.checker.waiting.pop()()
    assert b"a OK" in client.heard()


# -- nothing is left behind


def live_of(server: Server) -> Any:
    return server.store.account("joe").open("INBOX").live


def test_a_lost_connection_leaves_no_listener(server: Server) -> None:
    client = server.selected(1)
    cursors = len(live_of(server)._cursors)
    client.leaves()
    assert len(live_of(server)._cursors) == cursors - 1
    assert server.realm.inside == 0


def test_a_connection_lost_in_idle_leaves_nothing(server: Server) -> None:
    client = server.selected(1)
    assert client.says(b"a IDLE").startswith(b"+ ")
    client.leaves()
    assert not live_of(server)._cursors
    assert not server.clock.getDelayedCalls()


def test_a_connection_lost_during_login_logs_out(server: Server) -> None:
    server.checker.slow = True
    client = server.connect()
    client.sends(b"a LOGIN joe secret\r\n")
    client.leaves()
    server.checker.waiting.pop()()
    assert server.realm.logins == 1
    assert server.realm.inside == 0
    assert len(server.factory.connections) == 0


def test_a_connection_lost_in_authenticate_leaves_nothing(server: Server) -> None:
    client = server.connect()
    assert client.says(b"a AUTHENTICATE PLAIN") == b"+ \r\n"
    client.leaves()
    assert not server.clock.getDelayedCalls()


# -- odd octets


@pytest.mark.parametrize(
    "line",
    [
        b"\xe9 NOOP",
        b"a N\xc3\x96OP",
        b"+ NOOP",
        b"* NOOP",
        b"a\x00 NOOP",
        b"a NO\x00OP",
        b"a",
        b"",
        b" ",
        b"a  NOOP",
        b"a UID",
    ],
)
def test_lines_that_are_no_commands(server: Server, line: bytes) -> None:
    client = server.selected(1)
    answer = client.says(line)
    assert answer.split(b" ", 2)[1] == b"BAD"
    assert answer.count(b"\r\n") == 1
    assert all(octet < 128 for octet in answer)
    assert client.says(b"b NOOP") == b"b OK NOOP completed\r\n"


@pytest.mark.parametrize("name", [b"DO_NOOP", b"__CLASS__", b"MAILBOX", b"_NOOP"])
def test_names_of_attributes_are_no_commands(server: Server, name: bytes) -> None:
    assert server.logged_in().says(b"a " + name).startswith(b"a BAD ")


POISON = (
    b"Subject: \xe9t\xe9\r\nFrom: J\xf6rg <j@\xff>\r\n\r\n8-bit",
    b"Content-Type: text/plain; charset\r\n\r\nx",
    b"Content-Type: text/plain;\r\n\r\nx",
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\nno parts",
    b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\n--x--\r\n",
    b"Content-Type: message/rfc822\r\n\r\n",
    b"\x00\x01\x02\r\n\r\n\x00",
    b"",
    b'From: "\r\nTo: <<<>>>, a@b@c, :;,(\r\nDate: \xff\r\n\r\n',
)


@pytest.mark.parametrize("number", range(1, len(POISON) + 1))
def test_no_mail_ends_the_connection_of_who_reads_it(server: Server, number: int) -> None:
    account = server.store.account("joe")
    for octets in POISON:
        account.append("INBOX", [NewMessage(octets)])
    client = server.logged_in()
    client.says(b"a SELECT INBOX")
    for items in (
        b"(ENVELOPE BODYSTRUCTURE BODY)",
        b"(BODY[HEADER] BODY[HEADER.FIELDS (Subject From)] RFC822.HEADER)",
        b"(BODY[9] BODY[1.2.3] BODY[1.MIME] BODY[TEXT]<0.3>)",
    ):
        answer = client.says(b"b FETCH %d %b" % (number, items))
        assert answer.endswith(b"b OK FETCH completed\r\n"), answer
    assert client.says(b"c SEARCH TEXT x SUBJECT y").endswith(b"c OK SEARCH completed\r\n")


# -- signing in


def converse(client: Client, *lines: bytes) -> bytes:
    answer = b""
    for line in lines:
        answer = client.says(line)
    return answer


@pytest.mark.parametrize(
    "lines",
    [
        (b"a AUTHENTICATE PLAIN", b"AGpvZQBzZWNyZXQ="),
        (b"a AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=",),
        (b"a AUTHENTICATE PLAIN", b"am9lAGpvZQBzZWNyZXQ="),
        (b"a AUTHENTICATE LOGIN", b"am9l", b"c2VjcmV0"),
        (b"a AUTHENTICATE LOGIN am9l", b"c2VjcmV0"),
    ],
)
def test_mechanisms(server: Server, lines: tuple[bytes, ...]) -> None:
    assert converse(server.connect(), *lines).startswith(b"a OK [CAPABILITY ")
    assert server.realm.inside == 1


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        ((b"a AUTHENTICATE PLAIN", b"*"), b"a BAD AUTHENTICATE cancelled"),
        ((b"a AUTHENTICATE PLAIN", b"???"), b"a BAD "),
        ((b"a AUTHENTICATE PLAIN", b"AGpvZQ=="), b"a BAD "),
        ((b"a AUTHENTICATE PLAIN", b"x" * 9000), b"a BAD Line too long"),
        ((b"a AUTHENTICATE LOGIN", b"am9l", b"*"), b"a BAD AUTHENTICATE cancelled"),
        ((b"a AUTHENTICATE NTLM",), b"a NO "),
    ],
)
def test_mechanisms_that_come_to_nothing(server: Server, lines: tuple[bytes, ...], answer: bytes) -> None:
    client = server.connect()
    assert converse(client, *lines).startswith(answer)
    assert server.realm.inside == 0
    assert client.says(b"b NOOP") == b"b OK NOOP completed\r\n"


@implementer(ILoginMechanisms)
class OnlyPlain:
    def mechanisms(self) -> frozenset[str]:
        return frozenset({"PLAIN", "SCRAM-SHA-256"})


def test_a_mechanism_is_announced_while_all_can_use_it() -> None:
    client = Server(mechanisms=OnlyPlain()).connect()
    assert b" AUTH=PLAIN]" in client.greeting
    assert client.says(b"a AUTHENTICATE LOGIN").startswith(b"a NO ")


def test_without_checkers_for_passwords_nothing_is_announced(server: Server) -> None:
    server.factory.portal = Portal(server.realm)
    client = server.connect()
    assert b"AUTH=" not in client.greeting
    client.sends(b"a LOGIN joe secret\r\n")
    server.clock.advance(1)
    assert client.heard().startswith(b"a NO [AUTHENTICATIONFAILED]")


def test_without_a_portal_nobody_can_log_in(server: Server) -> None:
    server.factory.portal = None  # type: ignore[assignment]
    server.factory.challengers = {b"CRAM-MD5": CramMD5Credentials}
    client = server.connect()
    assert client.says(b"a LOGIN joe secret").startswith(b"a NO [UNAVAILABLE]")
    client.says(b"b AUTHENTICATE CRAM-MD5")
    assert client.says(b64encode(b"joe 00")).startswith(b"b NO [UNAVAILABLE]")


def test_a_mechanism_of_twisted(server: Server) -> None:
    server.factory.portal = Portal(server.realm, [InMemoryUsernamePasswordDatabaseDontUse(joe=b"secret")])
    server.factory.challengers = {b"CRAM-MD5": CramMD5Credentials}
    client = server.connect(FAR)
    assert b" AUTH=CRAM-MD5]" in client.greeting
    for secret, answer in ((b"wrong", b"a NO [AUTHENTICATIONFAILED]"), (b"secret", b"a OK ")):
        challenge = b64decode(client.says(b"a AUTHENTICATE CRAM-MD5").removeprefix(b"+ "))
        digest = hmac.new(secret, challenge, "md5").hexdigest().encode()
        client.sends(b64encode(b"joe " + digest) + b"\r\n")
        server.clock.advance(1)
        assert client.heard().startswith(answer)


def test_a_mechanism_of_twisted_that_begins_with_the_client(server: Server) -> None:
    server.factory.challengers = {b"PLAIN": PLAINCredentials}
    client = server.connect()
    assert client.says(b"a AUTHENTICATE PLAIN AGpvZQ==").startswith(b"a BAD ")
    assert client.says(b"b AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=").startswith(b"b OK ")


def test_a_mechanism_without_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CramMD5Credentials, "moreChallenges", lambda self: True)
    server.factory.challengers = {b"CRAM-MD5": CramMD5Credentials}
    client = server.connect()
    answer = client.says(b"a AUTHENTICATE CRAM-MD5")
    for _ in range(20):
        if not answer.startswith(b"+ "):
            break
        answer = client.says(b64encode(b"joe 00"))
    assert answer.startswith(b"a BAD ")


def test_a_line_that_answers_a_challenge_is_no_command(server: Server) -> None:
    client = server.connect()
    client.sends(b"a AUTHENTICATE PLAIN\r\nAGpvZQBzZWNyZXQ=\r\nb SELECT INBOX\r\n")
    answer = client.heard()
    assert answer.startswith(b"+ \r\na OK ")
    assert b"b OK [READ-WRITE]" in answer
