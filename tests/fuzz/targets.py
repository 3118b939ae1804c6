"""What is fuzzed, all in memory: sessions, commands and messages made of any octets, and what must hold of each."""

from __future__ import annotations

from importlib.util import find_spec

from tests.fuzz import imap, mime
from tests.fuzz.target import Target
from tests.protocols.smtp import dialogues


def smtp(octets: bytes) -> None:
    """Two octets say which server and in what pieces; the rest is what the client sends."""
    if len(octets) > 2:
        how, size = octets[0], octets[1]
        users = bool(how & 1)
        greeting = (b"EHLO x\r\n" + dialogues.PARTS[3] if users else b"LHLO x\r\n") if how & 2 else b""
        dialogues.play(greeting + octets[2:], [size] if size else [], users=users, slow=bool(how & 4))


_MAIL = b"MAIL FROM:<a@b> SIZE=9\r\nRCPT TO:<ann>\r\nRCPT TO:<full>\r\n"
_SEEDS = [
    _MAIL + b"DATA\r\nSubject: x\r\n\r\n..\r\n.\r\nQUIT\r\n",
    _MAIL + b"BDAT 7\r\nx: y\r\n\rBDAT 3 LAST\r\n\nz\n",
    _MAIL + b"DATA\r\na\n.\r\nb\r.\r\nc\r\n.\r\nNOOP\r\n",
    b"STARTTLS\r\n" + _MAIL + b"RSET\r\nXCLIENT ADDR=192.0.2.1\r\nAUTH LOGIN\r\n*\r\n",
]
TARGETS = {
    "smtp": Target(smtp, [bytes((how, 0)) + seed for how in (2, 3, 6) for seed in _SEEDS], dialogues.PARTS),
    "imap-decoder": imap.DECODER,
    "imap-grammar": imap.GRAMMAR,
    "imap-session": imap.SESSION,
    "mime": mime.MIME,
}

if find_spec("tests.protocols.pop3") is not None:
    from mailpost.protocols.pop3.settings import Pop3Settings
    from tests.protocols.pop3.harness import Server
    from tests.protocols.smtp.harness import Log

    def pop3(octets: bytes) -> None:
        """Two octets say whether the client has logged in and in what pieces it sends; the rest is what it sends."""
        if len(octets) < 3:
            return
        with Log() as log:
            server = Server(Pop3Settings(bad_commands=50, failed_logins=50), tls=object())
            server.holds(b"Subject: 1\r\n\r\n.\r\nx", b".\r\n", b"Subject: 3\r\n\r\n" + b"y\r\n" * 40)
            client = server.logged_in() if octets[0] & 1 else server.connect()
            step = octets[1] or len(octets)
            for at in range(2, len(octets), step):
                client.sends(octets[at : at + step])
                server.clock.advance(0)
            for _ in range(100):
                server.clock.advance(1)
            client.leaves()
            server.clock.advance(1)
        assert not log.failures, log.failures
        assert server.realm.inside == 0
        if not octets[0] & 1:
            return
        gone = 3 - len(server.left())
        assert gone == 0 or b"DELE" in octets.upper(), "nothing goes that was not asked for"

    _COMMANDS = (
        *(b"CAPA\r\n", b"USER joe\r\n", b"PASS secret\r\n", b"AUTH PLAIN\r\n", b"AGpvZQBzZWNyZXQ=\r\n", b"*\r\n"),
        *(b"STAT\r\n", b"LIST\r\n", b"UIDL 1\r\n", b"RETR 1\r\n", b"TOP 2 1\r\n", b"DELE 1\r\n", b"RSET\r\n"),
        *(b"STLS\r\n", b"UTF8\r\n", b"LANG *\r\n", b"QUIT\r\n", b"x" * 300),
    )
    TARGETS["pop3"] = Target(
        pop3, [b"\0\0" + b"".join(_COMMANDS[:3]), b"\1\0" + b"".join(_COMMANDS[6:13]) + b"QUIT\r\n"], _COMMANDS
    )
