"""POP3: whole sessions of one client."""

from __future__ import annotations

from mailpost.protocols.pop3.settings import Pop3Settings
from tests.fuzz.target import Target
from tests.protocols.pop3.harness import Server
from tests.protocols.smtp.harness import Log


def session(octets: bytes) -> None:
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
    if octets[0] & 1:
        gone = 3 - len(server.left())
        assert gone == 0 or b"DELE" in octets.upper(), "nothing goes that was not asked for"


COMMANDS = (
    *(b"CAPA\r\n", b"USER joe\r\n", b"PASS secret\r\n", b"AUTH PLAIN\r\n", b"AGpvZQBzZWNyZXQ=\r\n", b"*\r\n"),
    *(b"STAT\r\n", b"LIST\r\n", b"UIDL 1\r\n", b"RETR 1\r\n", b"TOP 2 1\r\n", b"DELE 1\r\n", b"RSET\r\n"),
    *(b"STLS\r\n", b"UTF8\r\n", b"LANG *\r\n", b"QUIT\r\n", b"x" * 300),
)
POP3 = Target(session, [b"\0\0" + b"".join(COMMANDS[:3]), b"\1\0" + b"".join(COMMANDS[6:13]) + b"QUIT\r\n"], COMMANDS)
