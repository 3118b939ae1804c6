"""Mail servers that hand over mail by LMTP until the server dies, and remember what was acknowledged."""

from __future__ import annotations

import random
import smtplib
from collections import Counter
from collections.abc import Sequence

from tests.crash.ledger import Box, Letter, differences, digest
from tests.crash.workers import MailWorker

FOLDER = "Delivered"
"""Where all of it goes, by the detail of the address."""
MOST = 40
"""Messages of one mailer between two looks, so that the folder stays small enough to be read each time."""
_MARK = b"X-Mailer-Test: "


def as_sent(octets: bytes) -> str:
    """The digest of a message without what delivery put before it."""
    return digest(octets[octets.index(_MARK) :])


class Mailer(MailWorker):
    """One mail server."""

    def __init__(self, name: str, draw: random.Random) -> None:
        super().__init__(name, draw)
        self.accepted: list[Letter] = []
        """What was answered with 250 since the last look."""
        self.in_doubt: Letter | None = None
        """What was sent, or half of it, when the server died."""
        self.total = 0

    def _connected(self, port: int) -> smtplib.SMTP:
        return smtplib.LMTP("127.0.0.1", port, timeout=20)

    def _has_more(self) -> bool:
        return len(self.accepted) < MOST

    def _send(self, client: smtplib.SMTP) -> None:
        size = self._draw.choice((10, 300, 5_000, 400_000 if self._draw.random() < 0.1 else 20))
        size = 1_500_000 if self._draw.random() < 0.02 else size  # more than is kept in memory
        text = b"\r\n".join(b"%060d" % self._draw.getrandbits(64) for _ in range(size // 60 + 1))
        octets = b"%b%b %d\r\nSubject: mail\r\n\r\n%b\r\n" % (_MARK, self.name.encode(), next(self._count), text)
        letter = Letter(digest(octets), frozenset())
        self.in_doubt = letter
        client.sendmail("eve@example.net", [f"ann+{FOLDER}@example.org"], octets)
        self.in_doubt = None
        self.accepted.append(letter)
        self.total += 1


def look(before: Box, mailers: Sequence[Mailer], found: Box) -> list[str]:
    """What is wrong with the folder: all that was acknowledged is there once, what was under way once or not at all."""
    come = Counter(letter for uid, letter in found.letters.items() if uid not in before.letters)
    accepted = Counter(letter for mailer in mailers for letter in mailer.accepted)
    doubtful = Counter(mailer.in_doubt for mailer in mailers if mailer.in_doubt is not None)
    there = accepted + ((come - accepted) & doubtful)
    for mailer in mailers:
        mailer.accepted, mailer.in_doubt = [], None
    return differences({FOLDER: before}, {FOLDER: list(there.elements())}, {FOLDER: found})
