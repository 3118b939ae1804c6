"""What the tests of every topic use: a store with an account, messages, and a session that watches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import NO_FLAGS, Flags, intern_flags
from mailpost.storage.interfaces import IMailAccount, IMailpostMailbox, IMailStore
from mailpost.storage.live import Change, LiveMailbox
from mailpost.storage.offload import settled as ask
from mailpost.storage.records import Fetched, NewMessage

if TYPE_CHECKING:
    from unittest import TestCase  # Twisted's, mixed in by who uses this, has no types

    Base = TestCase
else:
    Base = object

T = TypeVar("T")

NOON = 1_000_036_800
"""2001-09-09 12:00:00 UTC."""

PLAIN = (
    b"From: Ann <ann@example.org>\r\nTo: Bob <bob@example.net>\r\nSubject: Lunch\r\n"
    b"Date: Sun, 09 Sep 2001 12:00:00 +0200\r\nMessage-ID: <1@example.org>\r\n\r\nAt noon?\r\n"
)
REPLY = (
    b"From: Bob <bob@example.net>\r\nTo: ann@example.org\r\nCc: Cleo <cleo@example.com>\r\nSubject: Re: Lunch\r\n"
    b"Date: Mon, 10 Sep 2001 01:00:00 -0500\r\nX-Colour: green\r\nIn-Reply-To: <1@example.org>\r\n\r\nAt one.\r\n"
)
ENCODED = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.de>\r\nSubject: =?iso-8859-1?q?Gr=FC=DFe?=\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nw5xiZXIgZGFzIE1lZXI=\r\n"
)
FOLDED = (
    b"Received: one\r\n\tand more\r\nsubject: folded\r\n over two lines\r\nReceived: two\r\n"
    b"X-Empty:\r\nSUBJECT: again\r\n\r\nbody\r\n"
)
ODD = {
    "empty": b"",
    "no line end": b"Subject: x",
    "header only": b"Subject: x\r\n",
    "blank line only": b"\r\n",
    "no header": b"\r\nbody\r\n",
    "octets": b"Subject: \xff\xfe\r\n\r\n" + bytes(range(14, 256)) * 3 + b"\r\n",
    "nul": b"Subject: nul\r\n\r\na\0b\r\n",
    "bare line feeds inside": b"Subject: mixed\r\n\r\none\ntwo\r\nthree\n",
    "bare carriage returns": b"Subject: cr\r\n\r\none\rtwo\r\r\nthree\r",
    "ends in cr": b"Subject: cr\r\n\r\n\r",
    "long line": b"Subject: long\r\n\r\n" + b"x" * 300_000 + b"\r\n",
    "line feeds only": b"Subject: unix\n\none\ntwo\n",
    "line feed first, then both": b"Subject: both\n\none\r\ntwo\n",
}
"""Messages that are hard on a store, by what is odd about them."""


class Watching:
    """A session, as a live mailbox sees it: it takes note, and reads when asked."""

    def __init__(self, live: LiveMailbox) -> None:
        self.woken = 0
        self.told_to_catch_up = 0
        self._read: list[Change] = []
        self.cursor = live.attach(self)

    def wake(self) -> None:
        """Something is in the journal."""
        self.woken += 1

    def catch_up(self) -> None:
        """The journal is getting long."""
        self.told_to_catch_up += 1
        self._read += self.cursor.read()

    def read(self) -> list[Change]:
        """The changes since the last time."""
        changes, self._read = [*self._read, *self.cursor.read()], []
        return changes


class Contract(ABC, Base):
    """The ground of the tests: to be mixed into `twisted.trial.unittest.TestCase`, with `make_store`."""

    store: IMailStore
    account: IMailAccount
    names_refused: frozenset[str] = frozenset()
    """Names of `folders.HARD_NAMES` (also below "below/") that the store refuses, since it keeps them for itself."""

    usage_is_counted = True
    """What INBOX holds counts as used; not so where its messages are a program's data, which takes no room here."""

    @abstractmethod
    def make_store(self) -> IMailStore | Awaitable[IMailStore]:
        """A new store without any account, for one test."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Open a store and an account in it."""
        self._opened: list[Any] = []
        self.store = await ask(self.make_store())
        # Trial cleans up before it tears down: this comes before whatever `make_store` wants cleaned up.
        self.addCleanup(lambda: Deferred.fromCoroutine(self.give_back()))
        self.account = await ask(self.store.account("ann"))

    async def give_back(self) -> None:
        """Release and close everything."""
        for mailbox in self._opened:
            mailbox.release()
        self._opened.clear()
        self.account.release()
        await ask(self.store.close())

    # -- doing

    async def opened(self, name: str = "INBOX") -> IMailpostMailbox:
        """An open mailbox that is released at the end of the test."""
        mailbox = await ask(self.account.open(name))
        self._opened.append(mailbox)
        return mailbox

    async def add(self, *messages: bytes, name: str = "INBOX", flags: Collection[str] = NO_FLAGS) -> list[int]:
        """Append these messages with these flags: their UIDs."""
        new = [NewMessage(octets, intern_flags(flags), NOON) for octets in messages]
        return list((await ask(self.account.append(name, new))).uids)

    async def numbered(self, count: int, name: str = "INBOX") -> list[int]:
        """Append so many little messages that differ."""
        return await self.add(*(b"Subject: %d\r\n\r\nnumber %d\r\n" % (n, n) for n in range(1, count + 1)), name=name)

    async def rows(self, mailbox: IMailpostMailbox, uids: Sequence[int], *attributes: Fetched) -> list[tuple[Any, ...]]:
        """All rows of a fetch."""
        batches: AsyncIterator[list[tuple[Any, ...]]] = mailbox.fetch(uids, attributes)
        return [row async for batch in batches for row in batch]

    def begun(self, answer: T | Awaitable[T]) -> Deferred[T]:
        """An answer that is under way while others are asked for."""
        return Deferred.fromCoroutine(ask(answer))

    # -- looking

    def names(self) -> list[str]:
        """Names of the folders that can be selected."""
        return [folder.name for folder in self.account.folders() if folder.selectable]

    def flags_of(self, mailbox: IMailpostMailbox) -> dict[int, Flags]:
        """UID -> flags of all messages."""
        return dict(zip(mailbox.live.uids, mailbox.live.flags, strict=True))

    def consistent(self, mailbox: IMailpostMailbox) -> None:
        """The columns are as `storage.live` promises."""
        live = mailbox.live
        self.assertEqual((len(live.flags), len(live.modseqs)), (len(live.uids), len(live.uids)))
        self.assertEqual(list(live.uids), sorted(set(live.uids)))
        self.assertLess(max(live.uids, default=0), live.uidnext)
        self.assertLessEqual(max(live.modseqs, default=0), live.highest_modseq)

    @contextmanager
    def refused(self, *kinds: ErrorKind) -> Iterator[None]:
        """The block raises a MailError of one of these kinds, with a text for a person."""
        try:
            yield
        except MailError as error:
            self.assertIn(error.kind, kinds)
            self.assertTrue(error.text)
        else:
            self.fail(f"nothing was refused with {kinds}")
