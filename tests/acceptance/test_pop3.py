"""POP3 clients fetch real mail, octet by octet, and delete it.

RFC: 1939, 2449, 2595
"""

from __future__ import annotations

import imaplib
import poplib
import shutil
import socket
import ssl
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from scramp import ScramClient

from tests.acceptance.server import SCRIPTS, Twistd, configured, free_port
from tests.corpus import messages
from tests.service.certificates import write_certificate

COUNT = 500


def letters(ordinary: bool) -> list[bytes]:
    """So many messages, each different; with `ordinary` only those that no client stumbles over."""
    found = [each for each in messages() if b"\0" not in each and (not ordinary or _is_ordinary(each))]
    assert found
    return [b"X-Number: %d\r\n" % number + found[number % len(found)] for number in range(COUNT)]


def _is_ordinary(octets: bytes) -> bool:
    header, _, body = octets.partition(b"\r\n\r\n")
    return (
        bool(body)
        and b"\r\nFrom: " in b"\r\n" + header
        and octets.isascii()
        and b"multipart/" not in octets
        and octets.replace(b"\r\n", b"").translate(None, b"\r\n") == octets.replace(b"\r\n", b"")
    )


def sent(octets: bytes) -> bytes:
    """What RETR sends of a message, dots unstuffed: its last line has an end."""
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def lines(octets: bytes) -> bytes:
    """A message whatever its line ends, and however many there are at its end."""
    return octets.replace(b"\r\n", b"\n").rstrip(b"\n")


class Mail:
    """A server with all of it in ann's INBOX, and two listeners of POP3."""

    def __init__(self, folder: Path, ordinary: bool) -> None:
        self.port, self.tls_port = free_port(), free_port()
        write_certificate(folder / "cert.pem", folder / "key.pem")
        listen = "".join(
            f'{name} = ["tcp:{port}:interface=127.0.0.1"]\n'
            for name, port in (("pop3", self.port), ("pop3s", self.tls_port))
        )
        tls = '[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n'
        self.server: Twistd = configured(folder, extra=listen + tls)
        self.certificate = folder / "cert.pem"
        self.letters = letters(ordinary)

    def fill(self) -> None:
        """Deliver, as other programs do; files whose first line ends in CRLF are taken octet by octet."""
        maildir = self.server.folder / "mail" / "ann"
        for each in ("cur", "new", "tmp"):
            (maildir / each).mkdir(parents=True)
        for number, octets in enumerate(self.letters):
            (maildir / "new" / f"{1_000_000_000 + number}.M{number}P1.host").write_bytes(octets)

    def imap(self) -> imaplib.IMAP4:
        imap = imaplib.IMAP4("127.0.0.1", self.server.port)
        imap.login("ann", "pass")
        return imap

    def left(self) -> int:
        imap = self.imap()
        count = int(imap.select("INBOX", readonly=True)[1][0] or b"0")
        imap.logout()
        return count

    @property
    def log(self) -> str:
        return self.server.log.read_text()


@pytest.fixture
def mail(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Mail]:
    mail = Mail(tmp_path, ordinary=getattr(request, "param", False))
    mail.fill()
    with mail.server:
        yield mail
        assert "Traceback" not in mail.log


def same(found: list[bytes], expected: list[bytes]) -> None:
    """The same messages, in whatever order; none lost, none doubled."""
    missing = Counter(expected) - Counter(found)
    added = Counter(found) - Counter(expected)
    assert not missing, f"{sum(missing.values())} lacking, such as {next(iter(missing))[:300]!r}"
    assert not added, f"{sum(added.values())} too many, such as {next(iter(added))[:300]!r}"


def test_poplib(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poplib, "_MAXLINE", 1 << 20)  # its own is below what real lines have
    idling = mail.imap()
    idling.select("INBOX")
    context = ssl.create_default_context(cafile=str(mail.certificate))
    context.check_hostname = False
    client = poplib.POP3("127.0.0.1", mail.port, timeout=30)
    assert "STLS" in client.capa()
    client.stls(context)
    assert "STLS" not in client.capa()
    client.user("ann")
    client.pass_("pass")
    expected = mail.letters
    assert client.stat() == (COUNT, sum(map(len, expected)))
    assert [int(line.split()[1]) for line in client.list()[1]] == list(map(len, expected))
    uidls = [line.split()[1] for line in client.uidl()[1]]
    assert len(set(uidls)) == COUNT
    found = []
    for number in range(1, COUNT + 1):
        answer, text, _ = client.retr(number)
        assert answer == b"+OK %d octets" % len(expected[number - 1])
        found.append(b"\n".join(text))
        client.dele(number)
    same([lines(each) for each in found], [lines(each) for each in expected])
    with pytest.raises(poplib.error_proto, match="There is no message 501"):
        client.retr(COUNT + 1)
    client.quit()
    answer = idling.noop()
    assert answer[0] == "OK"
    assert len(idling.response("EXPUNGE")[1]) == COUNT
    assert mail.left() == 0


def test_poplib_over_tls_leaves_what_it_is_not_told_to_delete(mail: Mail) -> None:
    context = ssl.create_default_context(cafile=str(mail.certificate))
    context.check_hostname = False
    client = poplib.POP3_SSL("127.0.0.1", mail.tls_port, context=context, timeout=30)
    client.user("ann")
    client.pass_("pass")
    second = poplib.POP3("127.0.0.1", mail.port, timeout=30)
    second.user("ann")
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        second.pass_("pass")
    second.close()
    client.dele(1)
    client.close()
    assert mail.left() == COUNT


def test_nothing_slips_in_behind_stls(mail: Mail) -> None:
    """RFC: 2595 §2.4"""
    with socket.create_connection(("127.0.0.1", mail.port), timeout=30) as plain:
        file = plain.makefile("rb")
        assert file.readline().startswith(b"+OK")
        plain.sendall(b"STLS\r\nUSER ann\r\nPASS pass\r\n")
        assert file.readline().startswith(b"-ERR Nothing may be sent behind STLS")
        assert file.read() == b""
        file.close()


@pytest.mark.parametrize("initial", [True, False])
def test_scram(mail: Mail, initial: bool) -> None:
    """RFC: 5034 §4, 5802 §5, 9266 §2"""
    assert "SASL SCRAM-SHA-256 " in " ".join(f"{name} {' '.join(words)}" for name, words in _capa(mail.port).items())
    context = ssl.create_default_context(cafile=str(mail.certificate))
    context.check_hostname = False
    with socket.create_connection(("127.0.0.1", mail.port), timeout=30) as plain:
        _scram(plain, ScramClient(["SCRAM-SHA-256"], "ann", "pass"), initial)
    with (
        socket.create_connection(("127.0.0.1", mail.tls_port), timeout=30) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as encrypted,
    ):
        file = encrypted.makefile("rb")
        assert file.readline().startswith(b"+OK")
        encrypted.sendall(b"CAPA\r\n")
        assert b"SCRAM-SHA-256-PLUS" in b"".join(iter(file.readline, b".\r\n"))


def _capa(port: int) -> dict[str, list[str]]:
    client = poplib.POP3("127.0.0.1", port, timeout=30)
    try:
        return client.capa()
    finally:
        client.quit()


def _scram(connection: socket.socket, scram: ScramClient, initial: bool) -> None:
    file = connection.makefile("rb")

    def says(text: bytes) -> bytes:
        connection.sendall(text + b"\r\n")
        return file.readline()

    def challenge(line: bytes) -> str:
        assert line.startswith(b"+ "), line
        return b64decode(line[2:]).decode()

    assert file.readline().startswith(b"+OK")
    first = b64encode(scram.get_client_first().encode())
    if initial:
        answer = says(b"AUTH SCRAM-SHA-256 " + first)
    else:
        assert says(b"AUTH SCRAM-SHA-256") == b"+ \r\n"
        answer = says(first)
    scram.set_server_first(challenge(answer))
    scram.set_server_final(challenge(says(b64encode(scram.get_client_final().encode()))))
    assert says(b"") == b"+OK %d messages\r\n" % COUNT
    assert says(b"QUIT") == b"+OK Bye\r\n"
    file.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(mail: Mail, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    curl = ["curl", "-sS", "--cacert", str(mail.certificate), "-u", "ann:pass", "--connect-to", "::127.0.0.1:"]
    url = f"pop3://localhost:{mail.port}/"
    subprocess.run([*curl, "--ssl-reqd", f"{url}[1-{COUNT}]", "-o", f"{out}/#1"], check=True, timeout=120)
    expected = [sent(each) for each in mail.letters]
    for number, octets in enumerate(expected, 1):
        assert (out / str(number)).read_bytes() == octets
    over_tls = [*curl, f"pop3s://localhost:{mail.tls_port}/1"]
    assert subprocess.run(over_tls, capture_output=True, check=True, timeout=30).stdout == expected[0]
    asked = [*curl, f"{url}[1-{COUNT}]", "--request", "DELE", "--list-only"]
    subprocess.run(asked, check=True, timeout=120, stdout=subprocess.DEVNULL)
    assert mail.left() == 0


@pytest.mark.parametrize("mail", [True], indirect=True, ids=["ordinary"])
@pytest.mark.skipif(shutil.which("fetchmail") is None, reason="fetchmail is not installed")
def test_fetchmail(mail: Mail, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    rc = tmp_path / "fetchmailrc"
    rc.write_text(
        f"set invisible\nset no syslog\nset idfile {tmp_path}/ids\nset pidfile {tmp_path}/pid\n"
        f'poll 127.0.0.1 protocol pop3 port {mail.port} uidl\n  user "ann" password "pass" is "root" here\n'
        f"  fetchall no keep no rewrite no stripcr sslproto ''\n  mda \"cat > $(mktemp -p {out})\"\n"
    )
    rc.chmod(0o600)
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["fetchmail", "-f", str(rc)], capture_output=True, text=True, env=home, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [fetched.read_bytes() for fetched in out.iterdir()]
    # fetchmail takes some header fields for its own, and adds a few.
    same([_body(each) for each in found], [_body(each) for each in mail.letters])
    assert mail.left() == 0


def _body(octets: bytes) -> bytes:
    """Which message it is, and its body."""
    text = octets.replace(b"\r\n", b"\n")
    number = next(line for line in text.split(b"\n") if line.startswith(b"X-Number: "))
    return number + b"\n" + text.partition(b"\n\n")[2].rstrip(b"\n")


@pytest.mark.parametrize("mail", [True], indirect=True, ids=["ordinary"])
@pytest.mark.skipif(not (SCRIPTS / "getmail").exists(), reason="getmail6 is not installed")
def test_getmail(mail: Mail, tmp_path: Path) -> None:
    out, settings = tmp_path / "out", tmp_path / "getmail"
    out.mkdir()
    settings.mkdir(mode=0o700)
    (settings / "getmailrc").write_text(
        f"[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = {mail.port}\nusername = ann\n"
        "password = pass\n[destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n"
        f"arguments = ('-c', 'cat > $(mktemp -p {out})')\n"
        "[options]\ndelete = true\ndelivered_to = false\nreceived = false\n"
    )
    done = subprocess.run(
        [sys.executable, SCRIPTS / "getmail", "--getmaildir", settings],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [fetched.read_bytes() for fetched in out.iterdir()]
    # getmail writes the header anew.
    same([_body(each) for each in found], [_body(each) for each in mail.letters])
    until = time.monotonic() + 10
    while mail.left() and time.monotonic() < until:
        time.sleep(0.1)
    assert mail.left() == 0
