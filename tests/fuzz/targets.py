"""What is fuzzed, all in memory: sessions, commands and messages made of any octets, and what must hold of each."""

from __future__ import annotations

from tests.fuzz import imap, interception, mime, pop3
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
    "pop3": pop3.POP3,
    "interception": interception.INTERCEPTION,
}
