"""One virtual folder of one user: UIDs, flags and mod-sequences over what a program lists.

An item has one message as long as its version stays; of another version it is another message with a new UID, since a
message never changes. RFC: 9051 §2.3.1.1
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable, Sequence
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import DELETED, NO_FLAGS, RECENT, FlagChange, Flags, apply_change, intern_flags
from mailpost.mail.searchkeys import SearchKey
from mailpost.storage.interfaces import IMailpostMailbox
from mailpost.storage.records import Copied, Fetched, Folder, NewMessage, Status, Stored
from mailpost.storage.virtual import asking
from mailpost.storage.virtual.columns import Columns
from mailpost.storage.virtual.keeping import Keeping
from mailpost.storage.virtual.ledger import FolderRow
from mailpost.storage.virtual.pauses import Pauses
from mailpost.storage.virtual.reading import Reading
from mailpost.storage.virtual.source import Listing, Shared, Source

T = TypeVar("T")

_MOST_TURNS = 5
"""Times that a listing is asked for again since something was added or removed meanwhile."""
_TRY_AGAIN = 5.0
"""Seconds after which a program that could not list anything is asked again."""
_REMOVABLE_ONLY = intern_flags({DELETED})

Transfer = Callable[[Any, Sequence[int], str, bool, object | None], Awaitable[Copied]]
"""(mailbox, UIDs, target, move, origin): copies messages to another folder."""


class Home(Protocol):
    """What all folders of an account share."""

    clock: IReactorTime
    pauses: Pauses
    keeping: Keeping
    transfer: Transfer

    def now(self) -> float:
        """Seconds since the epoch."""

    def released(self, mailbox: VirtualMailbox) -> None:
        """Somebody is done with a mailbox."""


@implementer(IMailpostMailbox)
class VirtualMailbox:
    """One folder, shared by all sessions of its user.

    Args:
        folder: as LIST shows it.
        source: the program's side.
        row: its numbers.
        home: the account.
    """

    read_only = False
    keywords_allowed = True

    def __init__(self, folder: Folder, source: Source, row: FolderRow, home: Home) -> None:
        self.folder = folder
        self.source = source
        self.uses = 0
        self._columns = Columns(
            row,
            home.keeping,
            home.pauses,
            now=home.now,
            forgotten=lambda entry: self.source.forget(entry.id, entry.version),
        )
        self.live = self._columns.live
        self.entries = self._columns.entries
        self.vanished = self._columns.vanished
        self.keep_recent = self._columns.keep_recent
        self._home = home
        self._lock = DeferredLock()
        self._listed = False
        self._failing = False
        self._applied = 0
        """The number of the listing that the columns are as; 0 before the first."""
        self._seen = -1
        """`Source.changes` that the columns are as."""
        self._listed_at = 0.0
        self._timer: Any = None
        self._reading = Reading(self)
        source.attach(self._changed)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def pauses(self) -> Pauses:
        """Turns for others."""
        return self._home.pauses

    @property
    def flags_refused(self) -> Flags:
        """Without a way to remove, nothing can be marked for that."""
        return NO_FLAGS if self.source.can("remove") else _REMOVABLE_ONLY

    # -- as the program has it

    async def refresh(self, anew: bool = False, doubt: bool = False) -> None:
        """Ask the program, if it has said that something changed, or has not been asked for long.

        Where it fails, what it listed last stays. Raises MailError when it never has listed anything.

        Args:
            anew: ask, unless the program always says when something changes.
            doubt: ask in any case.
        """
        if not doubt and self._is_fresh(anew):
            return
        source = self.source
        for _ in range(_MOST_TURNS):
            try:
                listing = await source.listing()
            except MailError:
                if not self._listed:
                    raise
                self._seen, self._listed_at, self._failing = source.changes, self._home.clock.seconds(), True
                return
            if await self._whole(self._take_in(source, listing)):
                return
            source = self.source
        if not self._listed:
            raise MailError(ErrorKind.UNAVAILABLE, "The folder changes all the time")

    def _is_fresh(self, anew: bool) -> bool:
        """Whether what was listed last is as good as a new listing."""
        if not self._listed or self._seen != self.source.changes:
            return False
        limit = _TRY_AGAIN if self._failing else self.source.poll
        return limit is None or (not anew and self._home.clock.seconds() - self._listed_at < limit)

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Do a change alone and to its end, even if who asked for it is gone meanwhile: half of it would be a lie."""
        return await Shared(self._alone(work)).wait()

    async def _alone(self, work: Coroutine[Any, Any, T]) -> T:
        await self._lock.acquire()
        try:
            return await work
        finally:
            self._lock.release()

    def served_by(self, source: Source) -> None:
        """The program has put another folder in this one's place. Items of the same id stay the same messages."""
        self.source.detach(self._changed)
        self.source = source
        self._seen, self._applied = -1, 0
        source.attach(self._changed)
        self._changed()

    def _changed(self) -> None:
        self.live.wake()

    async def _take_in(self, source: Source, listing: Listing) -> bool:
        """Be as a listing says, unless it is of the time before something was added or removed here."""
        if self.source is not source or listing.ours != source.ours:
            return False
        if listing.number > self._applied:
            await self._columns.take_in(listing.items)
            self._listed, self._failing = True, False
            self._applied = listing.number
            self._seen = listing.changes
            self._listed_at = self._home.clock.seconds()
        return True

    def require(self) -> None:
        """Raise NO_SUCH_FOLDER if the folder is no longer there."""
        if self.live.gone:
            raise MailError(ErrorKind.NO_SUCH_FOLDER, f"There is no folder {self.name}")

    def require_removal(self) -> None:
        """Raise CANNOT if nothing can be removed."""
        if not self.source.can("remove"):
            raise MailError(ErrorKind.CANNOT, "Messages cannot be removed from this folder")

    def require_additions(self) -> None:
        """Raise NO_PERMISSION if nothing can be put in."""
        if not self.source.can("add"):
            raise MailError(ErrorKind.NO_PERMISSION, "No messages can be put into this folder")

    def require_message(self, uid: int) -> None:
        """Raise EXPUNGED unless it is there."""
        if self.live.position(uid) < 0:
            raise MailError(ErrorKind.EXPUNGED, "The message that was to be replaced no longer exists")

    # -- reading

    def fetch(self, uids: Sequence[int], attributes: Sequence[Fetched]) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Rows in batches."""
        return self._reading.fetch(uids, attributes)

    async def search(self, key: SearchKey) -> list[int]:
        """The UIDs that match."""
        self.require()
        return await self._reading.search(key)

    async def status(self) -> Status:
        """Counts and sizes, for which every message is made once."""
        sizes = await self._reading.sizes()
        live = self.live
        deleted = sum(sizes.get(uid, 0) for uid, flags in zip(live.uids, live.flags, strict=True) if DELETED in flags)
        return live.status(sum(sizes.values()), deleted)

    # -- changing

    async def store(
        self,
        uids: Sequence[int],
        change: FlagChange,
        flags: Flags,
        unchanged_since: int | None = None,
        origin: object | None = None,
    ) -> Stored:
        """Change flags; a program that keeps them is told of each message."""
        self.require()
        if change is not FlagChange.REMOVE and flags & self.flags_refused:
            raise MailError(ErrorKind.CANNOT, "Messages cannot be removed from this folder")
        return await self._whole(self._store(uids, change, intern_flags(flags - {RECENT}), unchanged_since, origin))

    async def _store(
        self, uids: Sequence[int], change: FlagChange, named: Flags, unchanged_since: int | None, origin: object | None
    ) -> Stored:
        live, columns = self.live, self._columns
        changed: dict[int, Flags] = {}
        refused: list[int] = []
        for at in live.positions(uids):
            uid, old = live.uids[at], live.flags[at]
            if unchanged_since is not None and live.modseqs[at] > unchanged_since:
                refused.append(uid)
            elif (new := apply_change(old, change, named)) != old:
                changed[uid] = new
            await columns.breathe()
        done, failure = await asking.flag(self.source, columns.entries, changed, self.pauses)
        await columns.flagged({uid: changed[uid] for uid in done}, origin)
        if failure is not None:
            raise failure
        return Stored(done, refused)

    async def expunge(self, uids: Sequence[int] | None = None, origin: object | None = None) -> list[int]:
        """Remove what is deleted."""
        self.require()
        return await self._whole(self._remove(uids, origin, marked=True))

    async def remove(self, uids: Sequence[int], origin: object | None = None) -> list[int]:
        """Let the program remove items, whether their messages are marked for that or not: the UIDs that are gone."""
        self.require()
        return await self._whole(self._remove(uids, origin, marked=False))

    async def _remove(self, uids: Sequence[int] | None, origin: object | None, *, marked: bool) -> list[int]:
        live = self.live
        named = range(len(live.uids)) if uids is None else live.positions(uids)
        wanted = [live.uids[at] for at in named if not marked or DELETED in live.flags[at]]
        if not wanted:
            return []
        self.require_removal()
        done, failure = await asking.remove(self.source, self.entries, wanted, self.pauses)
        await self._columns.removed(done, origin)
        if failure is not None:
            raise failure
        return done

    async def add(self, messages: Sequence[NewMessage], origin: object | None) -> list[int]:
        """Let the program take messages: their UIDs; none where any became no item of its own here."""
        self.require()
        self.require_additions()
        if not self._listed:
            await self.refresh()
        return await self._whole(self._add(messages, origin))

    async def _add(self, messages: Sequence[NewMessage], origin: object | None) -> list[int]:
        items = await asking.add(self.source, messages)
        new: dict[Hashable, tuple[Flags, int | None]] = {}
        for item, message in zip(items, messages, strict=True):
            if item is not None and item not in self._columns.uids:
                new[item] = intern_flags(message.flags - {RECENT} - self.flags_refused), message.internaldate
        uids = await self._columns.added([(item, *more) for item, more in new.items()], origin)
        if len(uids) == len(messages):
            return uids
        self._seen = -1  # something else is another now
        self._changed()
        return []

    async def copy(self, uids: Sequence[int], target: str, move: bool = False, origin: object | None = None) -> Copied:
        """Copy or move to another folder of the account."""
        self.require()
        return await self._home.transfer(self, uids, target, move, origin)

    # -- coming and going

    def enter(self) -> None:
        """Somebody has opened it: whoever idles hears of what is found after a while."""
        self.uses += 1
        self._wait()

    def release(self) -> None:
        """Somebody is done with it."""
        self.uses -= 1
        if not self.uses and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._home.released(self)

    def _wait(self) -> None:
        poll = self.source.poll
        if self._timer is None and poll is not None and self.uses:
            self._timer = self._home.clock.callLater(poll, self._due)

    def _due(self) -> None:
        self._timer = None
        self.live.wake()
        self._wait()

    def close(self, gone: bool = False) -> None:
        """Hear no more of the program; `gone`: the folder is no longer there."""
        self.source.detach(self._changed)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if gone:
            self.live.vanish()
