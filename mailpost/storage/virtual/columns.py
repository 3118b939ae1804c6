"""The messages of one virtual folder: which item each is of, its UID, flags and mod-sequence.

Whoever changes them does so alone (the mailbox sees to that), in the ledger first: a number is on the disk, where there
is a ledger, before anybody is told of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from mailpost.mail.flags import NO_FLAGS, Flags, intern_flags
from mailpost.mail.uidset import UidSet
from mailpost.storage.live import LiveMailbox
from mailpost.storage.virtual.entries import UNKNOWN, Difference, Entry, difference, inherited, merged
from mailpost.storage.virtual.interfaces import Item
from mailpost.storage.virtual.keeping import Keeping
from mailpost.storage.virtual.ledger import FolderRow, ItemRow
from mailpost.storage.virtual.pauses import Pauses

_MOST_VANISHED = 1000
"""Expunges that are remembered one by one."""


class Columns:
    """What is known of the messages.

    Args:
        row: the folder's numbers.
        keeping: where they are kept.
        pauses: turns for others in long work.
        now: seconds since the epoch.
        forgotten: told of what is no longer there, or known under its version only now.
    """

    def __init__(
        self,
        row: FolderRow,
        keeping: Keeping,
        pauses: Pauses,
        *,
        now: Callable[[], float],
        forgotten: Callable[[Entry], None],
    ) -> None:
        self.row = row
        self._tell_forgotten = forgotten
        self.pauses = pauses
        self.now = now
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
        """UID -> which item the message is of."""
        self.uids: dict[Hashable, int] = {}
        """Item -> the UID of its message."""
        self._keeping = keeping
        self._loaded = False
        self._vanished: list[tuple[int, UidSet]] = []
        self._forgotten = row.modseq
        """The mod-sequence up to which expunges are not remembered one by one."""

    async def load(self) -> None:
        """Have what the ledger has, for the first time."""
        if self._loaded:
            return
        rows = await self._keeping.items(self.row)
        self._loaded = True
        live = self.live
        first_recent, uidnext = live.first_recent, live.uidnext
        for row in rows:
            self.entries[row.uid] = row.entry
            self.uids[row.entry.id] = row.uid
        live.arrived([row.uid for row in rows], [row.flags for row in rows], live.highest_modseq)
        live.modseqs[:] = [row.modseq for row in rows]
        live.first_recent, live.uidnext = first_recent, max(uidnext, live.uidnext)

    async def take_in(self, items: Mapping[Hashable, Item]) -> None:
        """Be as a listing says."""
        await self.load()
        found = await self._compared(items)
        if found:
            await self._do(found)

    async def _compared(self, items: Mapping[Hashable, Item]) -> Difference:
        work = difference(self.uids, self.entries, items)
        while True:
            try:
                next(work)
            except StopIteration as done:
                found: Difference = done.value
                return found
            await self.breathe()

    async def _do(self, found: Difference) -> None:
        """Expunge, change and let in, in the ledger first. Alone."""
        live, now = self.live, int(self.now())
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
            await self.breathe()
        flagged_at = gone_at + bool(changed)
        new: list[ItemRow] = []
        for uid, (item, before) in enumerate(found.new, live.uidnext):
            given = intern_flags(item.flags)
            flags = inherited(columns[before], self.entries[before].given, given) if before else given
            date = now if item.date is None else int(item.date)  # type: ignore[arg-type]  # `checked` has made it a number
            new.append(ItemRow(uid, Entry(item.id, item.version, date, now, given), flags, flagged_at + 1))
            await self.breathe()
        self.row.uidnext = live.uidnext + len(new)
        self.row.modseq = flagged_at + bool(new)
        self.row.first_recent = live.first_recent
        await self._keeping.write(self.row, found.gone, kept + new)
        self._forget(found.gone, gone_at)
        for each in kept:
            if self.entries[each.uid].version is UNKNOWN:
                self._tell_forgotten(self.entries[each.uid])  # it is known under its version from now on
            self.entries[each.uid] = each.entry
        live.flagged(list(changed), list(changed.values()), flagged_at)
        self._let_in(new, None)

    async def flagged(self, changed: Mapping[int, Flags], origin: object | None) -> None:
        """These messages have these flags from now on."""
        if changed:
            modseq = self.row.modseq = self.live.highest_modseq + 1
            if self._keeping.lasts:
                rows = [ItemRow(uid, self.entries[uid], flags, modseq) for uid, flags in changed.items()]
                await self._keeping.write(self.row, (), rows)
            self.live.flagged(list(changed), list(changed.values()), modseq, origin)

    async def removed(self, uids: Sequence[int], origin: object | None) -> None:
        """The items of these messages are gone."""
        if uids:
            modseq = self.row.modseq = self.live.highest_modseq + 1
            await self._keeping.write(self.row, uids, ())
            self._forget(uids, modseq, origin)

    async def added(self, new: Sequence[tuple[Hashable, Flags, int | None]], origin: object | None) -> list[int]:
        """Items that had no message, with flags and date, have come in through us: their UIDs."""
        if not new:
            return []
        now, modseq = int(self.now()), self.live.highest_modseq + 1
        rows = [
            ItemRow(uid, Entry(item, UNKNOWN, now if date is None else date, now, NO_FLAGS), flags, modseq)
            for uid, (item, flags, date) in enumerate(new, self.live.uidnext)
        ]
        self.row.uidnext, self.row.modseq = self.live.uidnext + len(rows), modseq
        await self._keeping.write(self.row, (), rows)
        self._let_in(rows, origin)
        return [row.uid for row in rows]

    async def breathe(self) -> None:
        """Let others have a turn if it is time."""
        if self.pauses.due:
            await self.pauses.pause()

    def _forget(self, uids: Sequence[int], modseq: int, origin: object | None = None) -> None:
        """Messages are gone."""
        if not uids:
            return
        for uid in uids:
            entry = self.entries.pop(uid)
            if self.uids.get(entry.id) == uid:
                del self.uids[entry.id]
            self._tell_forgotten(entry)
        self._vanished.append((modseq, UidSet.of(uids)))
        if len(self._vanished) > _MOST_VANISHED:
            self._forgotten = self._vanished[_MOST_VANISHED // 2 - 1][0]
            del self._vanished[: _MOST_VANISHED // 2]
        self.live.expunged(uids, modseq, origin)

    def _let_in(self, rows: Sequence[ItemRow], origin: object | None) -> None:
        """Messages have come."""
        for row in rows:
            self.entries[row.uid] = row.entry
            self.uids[row.entry.id] = row.uid
        if rows:
            self.live.arrived([row.uid for row in rows], [row.flags for row in rows], rows[0].modseq, origin)

    def _modseq(self, uid: int) -> int:
        return self.live.modseqs[self.live.position(uid)]

    def vanished(self, since: int) -> UidSet | None:
        """What went above this mod-sequence, if that is still known."""
        if since < self._forgotten:
            return None
        return UidSet.of_ranges(span for modseq, uids in self._vanished if modseq > since for span in uids.ranges)

    async def keep_recent(self) -> None:
        """Which messages somebody has seen is kept, too."""
        if self.row.first_recent != self.live.first_recent:
            self.row.first_recent = self.live.first_recent
            await self._keeping.write(self.row, (), ())
