"""Mail goes out: a user's client, our submission, the queue, a smarthost. RFC: 6409, 3207, 4954, 3464"""

from __future__ import annotations

import contextlib
import email
import imaplib
import shutil
import smtplib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.acceptance.postfix import Postfix, missing
from tests.acceptance.server import Twistd, configured, free_port, mailpost
from tests.acceptance.smarthost import Provider
from tests.acceptance.test_postfix import _passes
from tests.corpus import messages, without_return_path
from tests.service.certificates import write_certificate

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
CONFIG = """\
submission = ["tcp:{port}:interface=127.0.0.1"]
[recipients]
domains = ["sender.example"]
[submission]
check_from = {check}
[smarthost]
host = "localhost"
port = {smarthost}
queue = "queue"
retry_after = ["{pause}s"]
{more}
"""
LOGIN = """\
user = "example"
password_file = "password"
"""
MOST = 200
"""Messages of the corpus that are sent."""


class Office:
    """A server at which ann and bob of sender.example send mail."""

    def __init__(self, folder: Path, smarthost: int, more: str, pause: int = 1, check: bool = True) -> None:
        folder.mkdir()
        self.folder = folder
        self.port = free_port()
        (folder / "password").write_text("se cret\n")
        extra = CONFIG.format(
            port=self.port, smarthost=smarthost, more=more, pause=pause, check="true" if check else "false"
        )
        self.server = configured(folder, users=("ann", "bob"), extra=extra)

    def client(self, user: str = "ann") -> smtplib.SMTP:
        client = smtplib.SMTP("127.0.0.1", self.port, timeout=60)
        client.login(user, "pass")
        return client

    def send(self, *recipients: str, octets: bytes = b"From: ann@sender.example\r\n\r\nhi\r\n", **more: str) -> None:
        with self.client() as client:
            assert client.sendmail("ann@sender.example", recipients, octets, **more) == {}  # type: ignore[arg-type]

    def mail(self, user: str, folder: str = "INBOX") -> list[bytes]:
        return mail_of(self.server.port, user, folder)

    def queue(self, *words: str) -> str:
        done = mailpost("queue", *words, "--config", str(self.folder / "mailpost.toml"))
        assert done.returncode == 0, done.stderr
        return done.stdout


def mail_of(port: int, user: str, folder: str) -> list[bytes]:
    """The messages of a folder."""
    with imaplib.IMAP4("127.0.0.1", port, timeout=30) as client:
        client.login(user, "pass")
        client.select(folder, readonly=True)
        return [item[1] for item in client.uid("FETCH", "1:*", "(BODY.PEEK[])")[1] if isinstance(item, tuple)]


def wait(until: Callable[[], bool], office: Office) -> None:
    """Wait for something."""
    end = time.monotonic() + 30
    while not until():
        assert time.monotonic() < end, office.server.log.read_text()[-5000:]
        time.sleep(0.02)


@pytest.fixture(scope="module", params=["starttls", "implicit"])
def sending(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Office, Provider]]:
    folder = tmp_path_factory.mktemp("sending")
    provider = Provider(folder, implicit=request.param == "implicit")
    more = f'tls = "{request.param}"\nca_file = "{provider.certificate}"\n{LOGIN}'
    office = Office(folder / "office", provider.port, more, check=False)
    provider.start()
    with office.server:
        yield office, provider
    provider.stop()


def test_every_octet_of_real_mail_goes_out(sending: tuple[Office, Provider]) -> None:
    office, provider = sending
    sent = [b"X-Sent: here\r\n" + octets for octets in map(without_return_path, messages()) if _passes(octets)][:MOST]
    assert len(sent) > 50
    before = len(provider.handler.taken)
    with office.client() as client:
        for octets in sent:
            client.sendmail("ann@sender.example", ["carl@example.net", "dora@example.net"], octets, ["BODY=8BITMIME"])
    wait(lambda: len(provider.handler.taken) >= before + len(sent), office)
    taken = provider.handler.taken[before:]
    assert sorted(_from_mark(each.content) for each in taken) == sorted(sent)  # type: ignore[arg-type]
    assert all(each.rcpt_tos == ["carl@example.net", "dora@example.net"] for each in taken)
    assert all(provider.handler.encrypted)
    assert office.queue("list") == "0 messages in the queue\n"
    assert sorted(map(_from_mark, office.mail("ann", "Sent"))) == sorted(sent)


def _from_mark(octets: bytes) -> bytes:
    return octets[octets.index(b"X-Sent: here\r\n") :]


def test_a_refusal_comes_back_as_a_bounce(sending: tuple[Office, Provider]) -> None:
    office, provider = sending
    before = len(office.mail("ann"))
    provider.handler.refuse.append("554 5.7.1 We do not like it")
    office.send("carl@example.net")
    wait(lambda: len(office.mail("ann")) > before, office)
    bounce = email.message_from_bytes(office.mail("ann")[-1])
    assert bounce.get_content_type() == "multipart/report"
    assert b"554 5.7.1 We do not like it" in office.mail("ann")[-1]


def test_utf8_addresses_go_out(sending: tuple[Office, Provider]) -> None:
    office, provider = sending
    with office.client() as client:
        client.ehlo()
        client.mail("ann@sender.example", ["SMTPUTF8", "BODY=8BITMIME"])
        client.command_encoding = "utf-8"
        assert client.rcpt("jörg@grün.example")[0] == 250
        assert client.data("From: ann@sender.example\r\nSubject: Grüße\r\n\r\n".encode())[0] == 250
    wait(lambda: any(each.rcpt_tos == ["jörg@grün.example"] for each in provider.handler.taken), office)
    assert provider.handler.taken[-1].smtp_utf8


def test_a_large_message_passes_through(sending: tuple[Office, Provider]) -> None:
    office, provider = sending
    octets = b"From: ann@sender.example\r\nX-Sent: here\r\n\r\n" + (b"." * 70 + b"\r\n") * 200_000
    before = len(provider.handler.taken)
    office.send("carl@example.net", octets=octets)
    wait(lambda: len(provider.handler.taken) > before, office)
    assert _from_mark(provider.handler.taken[-1].content) == _from_mark(octets)  # type: ignore[arg-type]


@contextlib.contextmanager
def an_office(folder: Path, provider: Provider, more: str, pause: int = 1) -> Iterator[Office]:
    office = Office(folder / "office", provider.port, more, pause)
    with office.server:
        yield office


def test_a_certificate_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    provider = Provider(tmp_path)
    write_certificate(tmp_path / "other.pem", tmp_path / "other.key")
    provider.start()
    try:
        with an_office(tmp_path, provider, f'ca_file = "{tmp_path / "other.pem"}"\n{LOGIN}') as office:
            office.send("carl@example.net")
            wait(lambda: "TLS with localhost fails" in office.queue("list"), office)
            assert "carl@example.net" in office.queue("list")
            assert provider.handler.taken == []
    finally:
        provider.stop()


def test_no_tls_no_mail(tmp_path: Path) -> None:
    provider = Provider(tmp_path, tls=False)
    provider.start()
    try:
        with an_office(tmp_path, provider, LOGIN) as office:
            office.send("carl@example.net")
            wait(lambda: "offers no STARTTLS" in office.queue("list"), office)
            assert provider.handler.taken == []
    finally:
        provider.stop()


def test_what_waits_is_sent_when_asked_for_and_after_a_restart(tmp_path: Path) -> None:
    provider = Provider(tmp_path)
    office = Office(tmp_path / "office", provider.port, f'ca_file = "{provider.certificate}"\n{LOGIN}', pause=3600)
    with office.server:
        office.send("carl@example.net", "bob@sender.example")
        office.send("dora@example.net")
        assert len(office.mail("bob")) == 1
        wait(lambda: office.queue("list").count("cannot connect to localhost") == 2, office)
        gone = next(line.split()[0] for line in office.queue("list").splitlines() if line[0] != " ")
        assert "From: ann@sender.example" in office.queue("show", gone)
        assert office.queue("remove", gone) == "1 removed\n"
    provider.start()
    try:
        with office.server:
            time.sleep(1.5)
            assert provider.handler.taken == [], "it is not due yet"
            begun = time.monotonic()
            assert office.queue("retry", "--all") == "1 to be sent again now\n"
            wait(lambda: len(provider.handler.taken) == 1, office)
            assert time.monotonic() - begun < 5
            assert provider.handler.taken[0].rcpt_tos == ["dora@example.net"]
            wait(lambda: office.queue("list") == "0 messages in the queue\n", office)
    finally:
        provider.stop()


def test_clients_that_file_their_own_copy(sending: tuple[Office, Provider]) -> None:
    office, _ = sending
    octets = b"From: ann@sender.example\r\nMessage-ID: <own@laptop>\r\n\r\nhi\r\n"
    client = IMAPClient("127.0.0.1", office.server.port, ssl=False, use_uid=True, timeout=30)
    client.login("ann", "pass")
    for first in ("send", "append"):
        client.select_folder("Sent")
        for uid in client.search(["HEADER", "Message-ID", "<own@laptop>"]):
            client.delete_messages([uid])
        client.expunge()
        for step in ("send", "append") if first == "send" else ("append", "send"):
            if step == "send":
                office.send("bob@sender.example", octets=octets)
            else:
                client.append("Sent", octets, [b"\\Seen"])
        client.noop()
        (uid,) = client.search(["HEADER", "Message-ID", "<own@laptop>"])
        assert client.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"] == octets
    client.logout()


@pytest.mark.skipif(shutil.which("msmtp") is None, reason="msmtp is not installed")
def test_msmtp(sending: tuple[Office, Provider]) -> None:
    office, provider = sending
    before = len(provider.handler.taken)
    done = subprocess.run(
        [
            *("msmtp", "--host=127.0.0.1", f"--port={office.port}", "--auth=plain", "--user=ann"),
            *("--passwordeval=echo pass", "--tls=off", "--from=ann@sender.example", "--", "carl@example.net"),
        ],
        input=b"From: ann@sender.example\nBcc: x@example.net\nSubject: by msmtp\n\n.dot\n",
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    wait(lambda: len(provider.handler.taken) > before, office)
    content = provider.handler.taken[-1].content
    assert isinstance(content, bytes)
    assert b"Bcc" not in content
    assert content.endswith(b"\r\n\r\n.dot\r\n")


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_postfix_as_smarthost_and_mailpost_behind_it(tmp_path: Path) -> None:
    """ann sends from one mailpost to bob of another; Postfix is between them."""
    lmtp = free_port()
    (tmp_path / "there").mkdir()
    extra = f'lmtp = ["tcp:{lmtp}:interface=127.0.0.1"]\n[recipients]\ndomains = ["example.org"]\n'
    there: Twistd = configured(tmp_path / "there", users=("bob",), extra=extra)
    postfix = Postfix(f"inet:127.0.0.1:{lmtp}")
    office = Office(tmp_path / "office", postfix.port, 'tls = "opportunistic"')
    sent = [b"From: ann@sender.example\r\nX-Sent: here\r\n\r\n" + b"x" * number + b"\r\n.\r\n" for number in range(30)]
    with there, postfix, office.server:
        with office.client() as client:
            for octets in sent:
                client.sendmail("ann@sender.example", ["bob@example.org", "nobody@example.org"], octets)

        def arrived() -> list[bytes]:
            return mail_of(there.port, "bob", "INBOX")

        wait(lambda: len(arrived()) == len(sent), office)
        assert sorted(map(_from_mark, arrived())) == sorted(map(_from_mark, sent))
        wait(lambda: len(office.mail("ann")) == len(sent), office)
        assert (
            b"Final-Recipient: rfc822;nobody@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n"
            in office.mail("ann")[0]
        )
