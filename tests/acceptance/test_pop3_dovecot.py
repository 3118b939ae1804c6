"""Dovecot's POP3 server and ours say the same of one tree: nobody downloads everything anew.

RFC: 1939 §5, §7
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance import dovecot
from tests.acceptance.server import configured, free_port
from tests.corpus import messages

_LACKING = dovecot.missing() or ("" if dovecot.HAS_POP3 else "dovecot-pop3d is not installed")

pytestmark = pytest.mark.skipif(bool(_LACKING), reason=_LACKING or "Dovecot can be run")

COUNT = 60


def letters() -> list[bytes]:
    """Messages of which both have the same idea: CRLF everywhere, no NUL, a blank line behind the header."""
    sound = [
        each
        for each in messages()
        if b"\r\n\r\n" in each
        and each.find(b"\r\n\r\n") > 0
        and b"\0" not in each
        and each.replace(b"\r\n", b"").translate(None, b"\r\n") == each.replace(b"\r\n", b"")
    ]
    return [b"X-Number: %d\r\n" % n + sound[n % len(sound)] for n in range(COUNT)]


class Client:
    """Octets as they come."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._file = self._socket.makefile("rb")
        assert self.line().startswith(b"+OK")
        assert self.says("USER ann").startswith(b"+OK")
        assert self.says("PASS pass").startswith(b"+OK")

    def line(self) -> bytes:
        return self._file.readline()

    def says(self, command: str) -> bytes:
        self._socket.sendall(command.encode() + b"\r\n")
        return self.line()

    def lines(self, command: str) -> list[bytes]:
        """What follows +OK, up to the line with a dot."""
        answer = self.says(command)
        assert answer.startswith(b"+OK"), answer
        found = []
        while (line := self.line()) != b".\r\n":
            assert line
            found.append(line)
        return found

    def close(self) -> None:
        self.says("QUIT")
        self._file.close()
        self._socket.close()


def told(port: int) -> dict[str, list[bytes]]:
    """All that a server says of the mailbox, by command."""
    client = Client(port)
    said = {"STAT": [client.says("STAT")], "LIST": client.lines("LIST"), "UIDL": client.lines("UIDL")}
    for number in range(1, COUNT + 1):
        for command in (f"LIST {number}", f"UIDL {number}"):
            said[command] = [client.says(command)]
        for command in (f"TOP {number} 0", f"TOP {number} 3", f"RETR {number}"):
            said[command] = client.lines(command)
    client.close()
    return said


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the mail user can enter."""
    made = Path(tempfile.mkdtemp(prefix="mailpost-pop3-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("first", ["dovecot", "mailpost"])
def test_both_say_the_same(place: Path, first: str) -> None:
    served = place / "mailpost"
    maildir = served / "mail" / "ann"
    for each in ("cur", "new", "tmp"):
        (maildir / each).mkdir(parents=True)
    for number, octets in enumerate(letters()):
        (maildir / "new" / f"{1_000_000_000 + number}.M{number}P1.host").write_bytes(octets.replace(b"\r\n", b"\n"))
    port = free_port()
    server = configured(served, extra=f'pop3 = ["tcp:{port}:interface=127.0.0.1"]\n')
    server.before = dovecot.AS_MAIL_USER
    for found in (served, *served.rglob("*")):
        shutil.chown(found, dovecot.MAIL_USER, dovecot.MAIL_USER)
    with dovecot.Dovecot(place / "dovecot", served / "mail") as peer:
        if first == "dovecot":
            before = told(peer.pop3_port)
            _settle(maildir / "dovecot-uidlist")
        with server:
            if first == "mailpost":
                told(port)
                time.sleep(2)
                before = told(peer.pop3_port)
                _settle(maildir / "dovecot-uidlist")
            time.sleep(1)
            theirs, ours = told(peer.pop3_port), told(port)
    assert ours == theirs
    uidls = ours["UIDL"]
    assert [line.split()[1] for line in uidls[6:8]] == [b"old.7-x", b"old.8-x"]
    assert uidls[:6] + uidls[8:] == before["UIDL"][:6] + before["UIDL"][8:]


def _settle(uidlist: Path) -> None:
    """Give two messages UIDLs of another server's, as a migration does."""
    lines = uidlist.read_text().splitlines(keepends=True)
    for number in (7, 8):
        uid, _, rest = lines[number].partition(" ")
        assert uid == str(number)
        lines[number] = f"{uid} Pold.{number}-x {rest}"
    uidlist.write_text("".join(lines))
