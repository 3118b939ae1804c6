"""One virtual folder of one user: UIDs, flags and mod-sequences over what a program lists.

An item has one message as long as its version stays; of another version it is another message with a new UID, since a
message never changes. RFC: 9051 §2.3.1.1
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import DELETED, NO_FLAGS, RECENT, SEEN, FlagChange, Flags, apply_change, intern_flags
from mailpost.mail.searchkeys import SearchKey
from mailpost.mail.uidset import UidSet
from mailpost.storage.interfaces import IMailpostMailbox
from mailpost.storage.live import LiveMailbox
from mailpost.storage.records import Copied, Fetched, Folder, NewMessage, Status, Stored
from mailpost.storage.virtual.entries import UNKNOWN, Difference, Entry, difference, inherited, merged
from mailpost.storage.virtual.folder import checked
from mailpost.storage.virtual.keeping import Keeping
from mailpost.storage.virtual.ledger import FolderRow, ItemRow
from mailpost.storage.virtual.pauses import Pauses
from mailpost.storage.virtual.reading import Reading
from mailpost.storage.virtual.source import Listing, Shared, Source

T = TypeVar("T")

_MOST_VANISHED = 1000
"""Expunges that are remembered one by one."""
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
        self.row = row
        self.uses = 0
        self.live = LiveMailbox(
            uidvalidity=row.uidvalidity,
            uidnext=row.uidnext,
            highest_modseq=row.modseq,
            mailbox_id=row.mailbox_id,
            uids=[],
            flags=[],
            modseqs=[],
            first_recent=row.first_recent,
        )
        self.entries: dict[int, Entry] = {}
        self._uids: dict[Hashable, int] = {}
        self._home = home
        self._lock = DeferredLock()
        self._loaded = False
        self._listed = False
        self._failing = False
        self._applied = 0
        """The number of the listing that the columns are as; 0 before the first."""
        self._seen = -1
        """`Source.changes` that the columns are as."""
        self._listed_at = 0.0
        self._timer: Any = None
        self._vanished: list[tuple[int, UidSet]] = []
        self._forgotten = row.modseq
        """The mod-sequence up to which expunges are not remembered one by one."""
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

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Nobody else changes entries meanwhile."""
        await self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Do a change to its end, even if who asked for it is gone meanwhile: a part of it would be a lie."""
        return await Shared(work).wait()

    async def _take_in(self, source: Source, listing: Listing) -> bool:
        """Be as a listing says, unless it is of the time before something was added or removed here."""
        async with self._alone():
            if self.source is not source or listing.ours != source.ours:
                return False
            await self._apply(listing)
            return True

    def served_by(self, source: Source) -> None:
        """The program has put another folder in this one's place. Items of the same id stay the same messages."""
        self.source.detach(self._changed)
        self.source = source
        self._seen, self._applied = -1, 0
        source.attach(self._changed)
        self._changed()

    def _changed(self) -> None:
        self.live.wake()

    async def _apply(self, listing: Listing) -> None:
        """Be as a listing says. Alone."""
        if listing.number <= self._applied:
            return
        await self._load()
        found = await self._compared(listing)
        if found:
            await self._do(found)
        self._listed, self._failing = True, False
        self._applied = listing.number
        self._seen = listing.changes
        self._listed_at = self._home.clock.seconds()

    async def _load(self) -> None:
        if self._loaded:
            return
        rows = await self._home.keeping.items(self.row)
        self._loaded = True
        live = self.live
        first_recent, uidnext = live.first_recent, live.uidnext
        for row in rows:
            self.entries[row.uid] = row.entry
            self._uids[row.entry.id] = row.uid
        live.arrived([row.uid for row in rows], [row.flags for row in rows], live.highest_modseq)
        live.modseqs[:] = [row.modseq for row in rows]
        live.first_recent, live.uidnext = first_recent, max(uidnext, live.uidnext)

    async def _compared(self, listing: Listing) -> Difference:
        work = difference(self._uids, self.entries, listing.items)
        while True:
            try:
                next(work)
            except StopIteration as done:
                found: Difference = done.value
                return found
            await self._breathe()

    async def _do(self, found: Difference) -> None:
        """Expunge, change and let in, in the ledger first. Alone."""
        live, now = self.live, int(self._home.now())
        gone_at = live.highest_modseq + bool(found.gone)
        columns = dict(zip(live.uids, live.flags, strict=True)) if found.flags or found.gone else {}
        kept: list[ItemRow] = []
        changed: dict[int, Flags] = {}
        for uid, item in found.flags:
            entry = self.entries[uid]
            listed = entry.as_listed(item)
            # What came in through us has its flags from who brought it.
            flags = columns[uid] if entry.version is UNKNOWN else merged(columns[uid], entry.given, listed.given)
            if flags != columns[uid]:
                changed[uid] = flags
            kept.append(ItemRow(uid, listed, flags, gone_at + 1 if uid in changed else self._modseq(uid)))
            await self._breathe()
        flagged_at = gone_at + bool(changed)
        new: list[ItemRow] = []
        for uid, (item, before) in enumerate(found.new, live.uidnext):
            given = intern_flags(item.flags)
            flags = inherited(columns[before], self.entries[before].given, given) if before else given
            date = now if item.date is None else int(item.date)  # type: ignore[arg-type]  # `checked` has made it a number
            new.append(ItemRow(uid, Entry(item.id, item.version, date, now, given), flags, flagged_at + 1))
            await self._breathe()
        self.row.uidnext = live.uidnext + len(new)
        self.row.modseq = flagged_at + bool(new)
        self.row.first_recent = live.first_recent
        await self._home.keeping.write(self.row, found.gone, kept + new)
        self._forget(found.gone, gone_at)
        self.entries.update((row.uid, row.entry) for row in kept)
        live.flagged(list(changed), list(changed.values()), flagged_at)
        self._let_in(new, None)

    async def _breathe(self) -> None:
        """Let others have a turn if it is time."""
        if self.pauses.due:
            await self.pauses.pause()

    def _forget(self, uids: Sequence[int], modseq: int, origin: object | None = None) -> None:
        """Messages are gone."""
        if not uids:
            return
        for uid in uids:
            entry = self.entries.pop(uid)
            if self._uids.get(entry.id) == uid:
                del self._uids[entry.id]
        self._vanished.append((modseq, UidSet.of(uids)))
        if len(self._vanished) > _MOST_VANISHED:
            self._forgotten = self._vanished[_MOST_VANISHED // 2 - 1][0]
            del self._vanished[: _MOST_VANISHED // 2]
        self.live.expunged(uids, modseq, origin)

    def _let_in(self, rows: Sequence[ItemRow], origin: object | None) -> None:
        """Messages have come."""
        for row in rows:
            self.entries[row.uid] = row.entry
            self._uids[row.entry.id] = row.uid
        if rows:
            self.live.arrived([row.uid for row in rows], [row.flags for row in rows], rows[0].modseq, origin)

    def _modseq(self, uid: int) -> int:
        return self.live.modseqs[self.live.position(uid)]

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

    def vanished(self, since: int) -> UidSet | None:
        """What went above this mod-sequence, if that is still known."""
        if since < self._forgotten:
            return None
        return UidSet.of_ranges(span for modseq, uids in self._vanished if modseq > since for span in uids.ranges)

    def counts(self, size: int = 0, deleted_size: int = 0) -> Status:
        """Counts."""
        live = self.live
        return Status(
            messages=len(live.uids),
            recent=sum(uid >= live.first_recent for uid in live.uids),
            unseen=sum(SEEN not in flags for flags in live.flags),
            deleted=sum(DELETED in flags for flags in live.flags),
            size=size,
            deleted_size=deleted_size,
            uidnext=live.uidnext,
            uidvalidity=live.uidvalidity,
            highest_modseq=live.highest_modseq,
            mailbox_id=live.mailbox_id,
        )

    async def status(self) -> Status:
        """Counts and sizes, for which every message is made once."""
        sizes = await self._reading.sizes()
        live = self.live
        deleted = sum(sizes.get(uid, 0) for uid, flags in zip(live.uids, live.flags, strict=True) if DELETED in flags)
        return self.counts(sum(sizes.values()), deleted)

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
        async with self._alone():
            live = self.live
            changed: dict[int, Flags] = {}
            refused: list[int] = []
            for at in live.positions(uids):
                uid, old = live.uids[at], live.flags[at]
                if unchanged_since is not None and live.modseqs[at] > unchanged_since:
                    refused.append(uid)
                elif (new := apply_change(old, change, named)) != old:
                    changed[uid] = new
                await self._breathe()
            failure = None
            if changed and self.source.can("flag"):
                changed, failure = await self._tell(changed)
            if changed:
                modseq = self.row.modseq = live.highest_modseq + 1
                rows = [ItemRow(uid, self.entries[uid], new, modseq) for uid, new in changed.items()]
                await self._home.keeping.write(self.row, (), rows)
                live.flagged(list(changed), list(changed.values()), modseq, origin)
            if failure is not None:
                raise failure
            return Stored(list(changed), refused)

    async def _tell(self, changed: dict[int, Flags]) -> tuple[dict[int, Flags], MailError | None]:
        """Tell the program of new flags: of which messages it has taken note, and what went wrong with others."""
        done: dict[int, Flags] = {}
        failure = None
        for uid, flags in changed.items():
            try:
                await self.source.asked("flag", self.entries[uid].id, flags)
            except MailError as error:
                failure = error
            else:
                done[uid] = flags
            await self._breathe()
        return done, failure

    async def expunge(self, uids: Sequence[int] | None = None, origin: object | None = None) -> list[int]:
        """Remove what is deleted."""
        self.require()
        return await self._whole(self._expunge(uids, origin))

    async def _expunge(self, uids: Sequence[int] | None, origin: object | None) -> list[int]:
        async with self._alone():
            live = self.live
            named = range(len(live.uids)) if uids is None else live.positions(uids)
            return await self._remove([live.uids[at] for at in named if DELETED in live.flags[at]], origin)

    async def remove(self, uids: Sequence[int], origin: object | None = None) -> list[int]:
        """Let the program remove items: the UIDs of those that it has removed."""
        self.require()
        return await self._whole(self._remove_some(uids, origin))

    async def _remove_some(self, uids: Sequence[int], origin: object | None) -> list[int]:
        async with self._alone():
            live = self.live
            return await self._remove([live.uids[at] for at in live.positions(uids)], origin)

    async def _remove(self, uids: Sequence[int], origin: object | None) -> list[int]:
        """Remove messages that are here. Alone."""
        if not uids:
            return []
        self.require_removal()
        self.source.ours += 1
        done: list[int] = []
        failure = None
        try:
            for uid in uids:
                try:
                    await self.source.asked("remove", self.entries[uid].id)
                except MailError as error:
                    failure = error
                else:
                    done.append(uid)
                await self._breathe()
        finally:
            self.source.ours += 1
        if done:
            modseq = self.row.modseq = self.live.highest_modseq + 1
            await self._home.keeping.write(self.row, done, ())
            self._forget(done, modseq, origin)
        if failure is not None:
            raise failure
        return done

    async def add(self, messages: Sequence[NewMessage], origin: object | None) -> list[int]:
        """Let the program take messages: their UIDs; none where any became no item of its own here.

        Where one is not taken, those before it are removed again, if that can be.
        """
        self.require()
        self.require_additions()
        return await self._whole(self._add(messages, origin))

    async def _add(self, messages: Sequence[NewMessage], origin: object | None) -> list[int]:
        async with self._alone():
            await self._load()
            self.source.ours += 1
            taken: list[tuple[Any, NewMessage]] = []
            try:
                for message in messages:
                    name = await self._added(message)
                    taken.append((name, message))
            except BaseException:  # cancelled too: raised again, with nothing left behind
                await self._undo(name for name, _ in taken)
                raise
            finally:
                self.source.ours += 1
            now, modseq = int(self._home.now()), self.live.highest_modseq + 1
            new: dict[Hashable, ItemRow] = {}
            for name, message in taken:
                if name is not None and name not in self._uids and name not in new:
                    date = now if message.internaldate is None else message.internaldate
                    flags = intern_flags(message.flags - {RECENT} - self.flags_refused)
                    uid = self.live.uidnext + len(new)
                    new[name] = ItemRow(uid, Entry(name, UNKNOWN, date, now, NO_FLAGS), flags, modseq)
            rows = list(new.values())
            if rows:
                self.row.uidnext, self.row.modseq = self.live.uidnext + len(rows), modseq
                await self._home.keeping.write(self.row, (), rows)
                self._let_in(rows, origin)
            if len(rows) < len(messages):
                self._seen = -1  # something else is another now
                self._changed()
                return []
            return [row.uid for row in rows]

    async def _added(self, message: NewMessage) -> Any:
        name = await self.source.asked("add", message)
        try:
            return None if name is None else checked(name).id
        except TypeError:
            raise self.source.failed("add") from None

    async def _undo(self, names: Iterable[Any]) -> None:
        for name in names:
            if name is not None and self.source.can("remove"):
                try:
                    await self.source.asked("remove", name)
                except MailError:  # it has been logged; what went wrong first is told
                    continue

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

    async def keep_recent(self) -> None:
        """Which messages somebody has seen is kept, too."""
        if self.row.first_recent != self.live.first_recent:
            self.row.first_recent = self.live.first_recent
            await self._home.keeping.write(self.row, (), ())

    def close(self, gone: bool = False) -> None:
        """Hear no more of the program; `gone`: the folder is no longer there."""
        self.source.detach(self._changed)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if gone:
            self.live.vanish()
