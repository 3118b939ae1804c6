"""An open folder as Twisted's own `imap4.IMAP4Server` wants it: `IMailboxIMAP`.

One for each SELECT, with a view of the sequence numbers of its own. The stock server can announce new messages and
flags, but no expunge of another session: such messages keep their numbers, as ghosts that have no content, and are
returned with the next `expunge()`. The listener is held weakly, since the stock server forgets to take itself off.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakSet

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.mail.imap4 import IllegalQueryError, MailboxException, MessageSet, ReadOnlyMailbox
from twisted.mail.interfaces import ICloseableMailboxIMAP, IMailboxIMAP, ISearchableIMAPMailbox
from zope.interface import implementer

from mailpost.accounts.stockmessage import StockMessage
from mailpost.accounts.stocksearch import UnreadableQueryError, search_key
from mailpost.mail import flags as mailflags
from mailpost.mail.dates import parse_internaldate
from mailpost.mail.errors import MailError
from mailpost.mail.flags import SYSTEM_FLAGS, FlagChange, canonical, intern_flags
from mailpost.mail.lineends import to_crlf
from mailpost.mail.selected import SequenceView
from mailpost.mail.uidset import UidSet
from mailpost.storage.interfaces import IMailAccount, IMailpostMailbox
from mailpost.storage.live import ChangeKind, LiveMailbox
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute, NewMessage, Status

OCTETS_PER_FETCH = 64 << 20
"""The stock server asks messages for their content without waiting, so it is read before: up to this much."""

_CHANGES = {-1: FlagChange.REMOVE, 0: FlagChange.REPLACE, 1: FlagChange.ADD}


@implementer(IMailboxIMAP, ICloseableMailboxIMAP, ISearchableIMAPMailbox)
class StockMailbox:
    """An `IMailpostMailbox` for a stock server."""

    def __init__(self, account: IMailAccount, mailbox: IMailpostMailbox, writeable: bool, clock: IReactorTime) -> None:
        self._account = account
        self._clock = clock
        self._mailbox = mailbox
        self._live: LiveMailbox = mailbox.live
        self._writeable = writeable and not mailbox.read_only
        self._listeners: WeakSet[Any] = WeakSet()
        self._cursor = self._live.attach(self)
        self._view = SequenceView(self._live.uids)
        self._first_recent = self._live.claim_recent() if self._writeable else self._live.first_recent
        self._open = True
        self._woken = False

    # -- IMailboxIMAPInfo, IMailboxIMAP: what is known at once

    def getFlags(self) -> list[str]:
        """Flags that messages here may have."""
        used = set().union(*set(self._live.flags)) if self._live.flags else set()
        return [*SYSTEM_FLAGS, *sorted(used.difference(SYSTEM_FLAGS))]

    def getHierarchicalDelimiter(self) -> str:
        """The separator of folder names."""
        return str(self._account.separator)

    def getUIDValidity(self) -> int:
        """The folder's UIDVALIDITY."""
        return self._live.uidvalidity

    def getUIDNext(self) -> int:
        """The UID that the next message will have."""
        return self._live.uidnext

    def getUID(self, message: int) -> int:
        """The UID of a sequence number."""
        return self._view.uid(message)

    def getMessageCount(self) -> int:
        """Messages announced, ghosts included."""
        return self._view.exists

    def getRecentCount(self) -> int:
        """Messages that came since a read-write session last looked."""
        return sum(uid >= self._first_recent for uid in self._live.uids)

    def getUnseenCount(self) -> int:
        """Messages without \\Seen."""
        return sum(mailflags.SEEN not in value for value in self._live.flags)

    def isWriteable(self) -> bool:
        """Whether anything here can be changed."""
        return self._writeable

    def destroy(self) -> None:
        """Nothing is held that a deletion would have to free."""

    def addListener(self, listener: object) -> None:
        """Tell this listener of changes from now on."""
        self._listeners.add(listener)

    def removeListener(self, listener: object) -> None:
        """No longer tell it."""
        if listener not in self._listeners:
            raise ValueError("not a listener of this mailbox")
        self._listeners.discard(listener)

    # -- what takes time

    def requestStatus(self, names: Iterable[str]) -> Deferred[dict[str, int]]:
        """The counts asked for; the folder is closed again, since the stock server forgets to."""
        return Deferred.fromCoroutine(self._status([name.upper() for name in names]))

    async def _status(self, names: Sequence[str]) -> dict[str, int]:
        status: Status = await settled(self._account.status(self._mailbox.name))
        self.close()
        known = {name: getattr(status, name.lower()) for name in names if hasattr(Status, name.lower())}
        if len(known) < len(set(names)):
            raise MailboxException("unknown STATUS item")
        return known

    def addMessage(self, message: Any, flags: Iterable[str] = (), date: Any = None) -> Deferred[int]:
        """Add a message from a file."""
        return Deferred.fromCoroutine(self._add(message.read(), flags, date))

    async def _add(self, octets: bytes, flags: Iterable[str], date: Any) -> int:
        when = int(time.time()) if not date else parse_internaldate(date if isinstance(date, bytes) else date.encode())
        new = NewMessage(to_crlf(octets), intern_flags(map(canonical, flags)) - {mailflags.RECENT}, when)
        try:
            done = await settled(self._account.append(self._mailbox.name, [new]))
        except MailError as error:
            raise MailboxException(error.text) from error
        self._catch_up()
        return done.uids[0]

    def expunge(self) -> Deferred[list[int]]:
        """Remove what has \\Deleted; the sequence numbers, in the order to announce, ghosts included."""
        return Deferred.fromCoroutine(self._expunge())

    async def _expunge(self) -> list[int]:
        self._must_write()
        await settled(self._mailbox.expunge())
        self._catch_up()
        return list(self._view.take_expunges())

    def store(self, messages: MessageSet, flags: Sequence[str], mode: int, uid: bool) -> Deferred[dict[int, list[str]]]:
        """Change flags; the new flags by sequence number."""
        return Deferred.fromCoroutine(self._store(messages, flags, mode, uid))

    async def _store(self, messages: MessageSet, flags: Sequence[str], mode: int, uid: bool) -> dict[int, list[str]]:
        self._must_write()
        uids = self._resolve(messages, uid)
        named = intern_flags({canonical(flag) for flag in flags} - {mailflags.RECENT})
        try:
            await settled(self._mailbox.store(uids, _CHANGES[mode], named, origin=self))
        except MailError as error:
            raise MailboxException(error.text) from error
        here = [(uid, self._live.position(uid)) for uid in uids]
        return {self._view.seq(uid): sorted(self._live.flags[at]) for uid, at in here if at >= 0}

    def fetch(self, messages: MessageSet, uid: bool) -> Deferred[list[tuple[int, StockMessage]]]:
        """Messages by sequence number; content beyond OCTETS_PER_FETCH is refused when it is asked for."""
        return Deferred.fromCoroutine(self._fetch(self._resolve(messages, uid)))

    async def _fetch(self, uids: Sequence[int]) -> list[tuple[int, StockMessage]]:
        rows: dict[int, tuple[int, int]] = {}
        async for batch in self._mailbox.fetch(uids, (Attribute.SIZE, Attribute.INTERNALDATE)):
            rows.update((uid, (size, date)) for uid, size, date in batch)
        within, room = [], OCTETS_PER_FETCH
        for uid, (size, _) in rows.items():
            room -= size
            if room >= 0:
                within.append(uid)
        content: dict[int, bytes] = {}
        async for batch in self._mailbox.fetch(within, (Attribute.OCTETS,)):
            content.update(batch)
        found = []
        for uid, (size, date) in rows.items():
            at = self._live.position(uid)
            if at >= 0:
                message = StockMessage(uid, self._live.flags[at], size, date, content.get(uid))
                found.append((self._view.seq(uid), message))
        return found

    def search(self, query: list[Any], uid: bool) -> Deferred[list[int]]:
        """Sequence numbers of the messages that match (the stock server turns them into UIDs itself)."""
        return Deferred.fromCoroutine(self._search(query))

    async def _search(self, query: list[Any]) -> list[int]:
        recent = UidSet.of_ranges([(self._first_recent, max(self._first_recent, self._live.uidnext))])
        try:
            key = search_key(query, self._view, recent)
        except UnreadableQueryError as error:
            raise IllegalQueryError(str(error)) from error
        found = await settled(self._mailbox.search(key))
        announced = self._view.uids(UidSet.of_ranges([(1, max(1, self._view.exists))]))
        return list(self._view.seqs(UidSet.of(announced).members(found)))

    # -- the end

    def close(self) -> None:
        """The stock server is done with this view."""
        if self._open:
            self._open = False
            self._cursor.close()
            self._mailbox.release()

    # -- what a live mailbox asks of its watchers (storage.live.Watcher)

    def wake(self) -> None:
        """Something has changed: tell the listeners in a later turn."""
        if not self._woken:
            self._woken = True
            self._clock.callLater(0, self._catch_up)

    def catch_up(self) -> None:
        """Read the journal to its end."""
        self._catch_up()

    # -- inside

    def _catch_up(self) -> None:
        self._woken = False
        if not self._open:
            return
        flagged: set[int] = set()
        for change in self._cursor.read():
            if change.kind is ChangeKind.EXPUNGED:
                self._view.expunge(change.uids)
            elif change.kind is ChangeKind.FLAGS and change.origin is not self:
                flagged.update(change.uids)
        exists = self._view.take_exists()
        news = {}
        for uid in flagged:
            at = self._live.position(uid)
            if at >= 0:
                news[self._view.seq(uid)] = sorted(self._live.flags[at])
        for listener in list(self._listeners):
            if exists is not None:
                listener.newMessages(exists, None)
            if news:
                listener.flagsChanged(news)

    def _must_write(self) -> None:
        if not self._writeable:
            raise ReadOnlyMailbox

    def _resolve(self, messages: MessageSet, uid: bool) -> list[int]:
        """The UIDs that a MessageSet of the stock server names, ascending; `*` is the largest announced."""
        self._catch_up()
        count = self._view.exists
        messages.last = (self._view.uid(count) if uid else count) if count else 0
        numbers = UidSet.of_ranges((low, high) for low, high in messages.ranges if low and high)
        if uid:
            return numbers.members(self._live.uids)
        return list(self._view.uids(numbers))
