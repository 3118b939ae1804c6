"""An interceptor that passes everything on: what a client hears with it is what it hears without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailpost.protocols.interception.interceptor import Interceptor
from tests.fuzz import imap
from tests.fuzz.pop3 import COMMANDS
from tests.fuzz.target import Target
from tests.protocols.interception.test_transparency import (
    Late,
    cut,
    imap_server,
    lmtp_server,
    play,
    pop3_server,
    submission_server,
)
from tests.protocols.smtp.dialogues import PARTS
from tests.protocols.smtp.harness import Log

PROTOCOLS: list[tuple[str, Callable[[], Any], bytes]] = [
    ("imap", imap_server, b"l LOGIN joe secret\r\ns SELECT INBOX\r\n"),
    ("pop3", pop3_server, b"USER joe\r\nPASS secret\r\n"),
    ("lmtp", lmtp_server, b"LHLO x\r\n"),
    ("submission", submission_server, b"EHLO x\r\n" + PARTS[3]),
]
LATE, GREETED = 4, 8


def interception(octets: bytes) -> None:
    """The first octet says which protocol, and how; the second in what pieces the rest is sent."""
    if len(octets) < 3 or b"COMPRESS" in octets.upper():  # nobody can stand before what is compressed
        return
    how, size = octets[0], octets[1]
    protocol, server, greeting = PROTOCOLS[how % len(PROTOCOLS)]
    stream = (greeting if how & GREETED else b"") + octets[2:] + b"\r\n"
    pieces = cut(stream, [size] if size else [])
    with Log() as log:
        plain = play(server(), protocol, None, pieces)
        assert play(server(), protocol, Late() if how & LATE else Interceptor(), pieces) == plain
    assert not log.failures, log.failures


SEEDS = [
    *(bytes((0 | how, 0)) + each for each in imap.SESSIONS for how in (GREETED, GREETED | LATE)),
    *(bytes((1 | how, 9)) + b"STAT\r\nRETR 1\r\nTOP 4 3\r\nDELE 2\r\nQUIT\r\n" for how in (GREETED, GREETED | LATE)),
    *(
        bytes((which | GREETED, 0)) + b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\nx: y\r\n\r\n..\r\n.\r\nRSET\r\n"
        for which in (2, 3)
    ),
    bytes((2 | GREETED, 0)) + b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nBDAT 7\r\nx: y\r\n\rBDAT 3 LAST\r\n\nz\n",
]
INTERCEPTION = Target(interception, SEEDS, (*imap.WORDS, *COMMANDS, *PARTS))
