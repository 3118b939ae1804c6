"""The messages of one open folder in memory, shared by all its sessions, and a journal of what changed.

Invariants, which the sequence arithmetic of `mail.selected` rests on:

- `uids`, `flags` and `modseqs` are parallel; `uids` ascends strictly. Only this class changes them, in place.
- A new message's UID is above all that were ever here: `uids` only grows at its end.
- Every change is in the journal before anybody else runs; its MODSEQ is above all before it.

A session holds a `Cursor`: where in the journal it has read to. Nothing is copied per session. Entries that all
cursors have passed are dropped; a cursor that lags too far is told to catch up, so the journal stays short.

RFC: 7162 §3.1 (mod-sequences), 3501 §2.3.1 (UIDs), §5.2 (what a session may be told)
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import compress, islice
from typing import Protocol

from mailpost.mail.flags import DELETED, NO_FLAGS, SEEN, Flags, intern_flags
from mailpost.mail.selected import places_of
from mailpost.storage.records import Status

LONGEST_JOURNAL = 4096
"""Entries kept before lagging cursors are told to catch up."""
_MOST_LATEST = 8192
"""So many messages at least, those that changed last, are found without a look at the others."""


class ChangeKind(Enum):
    """What happened to messages."""

    ARRIVED = "arrived"
    FLAGS = "flags"
    EXPUNGED = "expunged"


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the journal."""

    kind: ChangeKind
    uids: Sequence[int]
    """Ascending; shared, never changed."""
    modseq: int
    origin: object | None = None
    """Who asked for it; None for the outside world."""


class Watcher(Protocol):
    """A session, as a live mailbox sees it."""

    def wake(self) -> None:
        """Something is in the journal. Only takes note and schedules: it never works in this call."""

    def catch_up(self) -> None:
        """Read the journal to its end now, into the session's own notes."""


class Cursor:
    """A session's place in the journal."""

    __slots__ = ("_live", "place", "watcher")

    def __init__(self, live: LiveMailbox, watcher: Watcher, place: int) -> None:
        self._live = live
        self.watcher = watcher
        self.place = place

    def read(self) -> Sequence[Change]:
        """The changes since the last call, oldest first."""
        return self._live._read(self)

    @property
    def behind(self) -> bool:
        """Whether there is anything to read."""
        return self.place < self._live._end

    def close(self) -> None:
        """No longer interested."""
        self._live._forget(self)


class _Latest:
    """The messages that changed last, so that what has changed since then is found without a look at all others."""

    __slots__ = ("_all_above", "_last", "_modseqs")

    def __init__(self, modseq: int) -> None:
        self._modseqs: dict[int, int] = {}
        """UID -> mod-sequence, in the order of the changes."""
        self._all_above = self._last = modseq
        """All that has changed at mod-sequences above this is here; and the last of them."""

    def note(self, uids: Sequence[int], modseq: int) -> None:
        """These messages have this mod-sequence from now on."""
        latest = self._modseqs
        if modseq < self._last or len(uids) > _MOST_LATEST:
            latest.clear()
            self._all_above = self._last = max(modseq, self._last)
            return
        self._last = modseq
        for uid in uids:
            latest.pop(uid, None)
            latest[uid] = modseq
        if len(latest) > 2 * _MOST_LATEST:
            for uid in list(islice(latest, len(latest) - _MOST_LATEST)):
                self._all_above = latest.pop(uid)

    def forget(self, uids: Sequence[int]) -> None:
        """These messages are gone."""
        for uid in uids:
            self._modseqs.pop(uid, None)

    def since(self, modseq: int) -> list[int] | None:
        """UIDs of messages whose mod-sequence is above this, ascending; None where others may have changed, too."""
        if modseq < self._all_above:
            return None
        found: list[int] = []
        for uid, at in reversed(self._modseqs.items()):
            if at <= modseq:
                break
            found.append(uid)
        found.sort()
        return found


class LiveMailbox:
    """UIDs, flags and mod-sequences of one folder, with its journal."""

    def __init__(
        self,
        *,
        uidvalidity: int,
        uidnext: int,
        highest_modseq: int,
        mailbox_id: str,
        uids: list[int],
        flags: list[Flags],
        modseqs: list[int],
        first_recent: int,
    ) -> None:
        self.uidvalidity = uidvalidity
        self.uidnext = uidnext
        self.highest_modseq = highest_modseq
        self.mailbox_id = mailbox_id
        self.uids = uids
        self.flags = flags
        self.modseqs = modseqs
        self.first_recent = first_recent
        """Messages from this UID on have been seen by no read-write session yet. RFC: 3501 §2.3.2 (\\Recent)"""
        self.gone = False
        """The folder was deleted, or came back as another (new UIDVALIDITY); sessions must leave."""
        self._journal: list[Change] = []
        self._start = 0
        self._cursors: dict[Cursor, None] = {}
        self._tally = Counter(flags)
        """How many messages have each set of flags; none stands with 0."""
        self._seen_below = 0
        """All messages with lower UIDs are seen."""
        self._latest = _Latest(highest_modseq)

    @property
    def _end(self) -> int:
        return self._start + len(self._journal)

    # -- reading

    def position(self, uid: int) -> int:
        """Index of this UID in the columns, or -1."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else -1

    def positions(self, uids: Sequence[int]) -> Sequence[int]:
        """Indexes of those of these ascending UIDs that are here; one range when they stand side by side."""
        if uids:
            first = bisect_left(self.uids, uids[0])
            last = first + len(uids)
            if self.uids[first:last] == list(uids):
                return range(first, last)
        return [place - 1 for place in places_of(uids, self.uids, len(self.uids)) if place]

    def first_unseen(self) -> int:
        """Index of the first message without \\Seen, or -1; what is known to be seen is not looked at again."""
        if all(SEEN in flags for flags in self._tally):
            return -1
        start = bisect_left(self.uids, self._seen_below)
        at = next(at for at, flags in enumerate(islice(self.flags, start, None), start) if SEEN not in flags)
        self._seen_below = self.uids[at]
        return at

    @property
    def unseen(self) -> int:
        """How many messages are without \\Seen; found without a look at them."""
        return sum(count for flags, count in self._tally.items() if SEEN not in flags)

    @property
    def recent(self) -> int:
        """How many messages no read-write session has seen."""
        return len(self.uids) - bisect_left(self.uids, self.first_recent)

    def status(self, size: int = 0, deleted_size: int = 0) -> Status:
        """The counts of what is in memory.

        Args:
            size: octets of all messages.
            deleted_size: octets of those with \\Deleted.
        """
        return Status(
            messages=len(self.uids),
            recent=self.recent,
            unseen=self.unseen,
            deleted=sum(count for flags, count in self._tally.items() if DELETED in flags),
            size=size,
            deleted_size=deleted_size,
            uidnext=self.uidnext,
            uidvalidity=self.uidvalidity,
            highest_modseq=self.highest_modseq,
            mailbox_id=self.mailbox_id,
        )

    def keywords(self) -> frozenset[str]:
        """The keywords that any message has."""
        return intern_flags(flag for flag in NO_FLAGS.union(*self._tally) if not flag.startswith("\\"))

    def changed_since(self, modseq: int) -> list[int]:
        """UIDs of the messages whose MODSEQ is above this, ascending; where that is not long ago, little work."""
        found = self._latest.since(modseq)
        if found is None:
            found = [uid for uid, at in zip(self.uids, self.modseqs, strict=True) if at > modseq]
        return found

    def attach(self, watcher: Watcher) -> Cursor:
        """A cursor at the end of the journal: what is in the columns now counts as read."""
        cursor = Cursor(self, watcher, self._end)
        self._cursors[cursor] = None
        return cursor

    def claim_recent(self) -> int:
        """The first recent UID; from now on everything here has been seen by a read-write session."""
        first, self.first_recent = self.first_recent, self.uidnext
        return first

    # -- changing (stores only)

    def arrived(self, uids: Sequence[int], flags: Sequence[Flags], modseq: int, origin: object | None = None) -> None:
        """Messages have come in; their UIDs are above all here."""
        if not uids:
            return
        self._latest.note(uids, modseq)
        self._tally.update(flags)
        self.uids.extend(uids)
        self.flags.extend(flags)
        self.modseqs.extend([modseq] * len(uids))
        self.uidnext = max(self.uidnext, uids[-1] + 1)
        self._record(Change(ChangeKind.ARRIVED, uids, modseq, origin))

    def flagged(self, uids: Sequence[int], flags: Sequence[Flags], modseq: int, origin: object | None = None) -> None:
        """These messages (all of them here) have new flags."""
        if not uids:
            return
        places = self.positions(uids)
        self._latest.note(uids, modseq)
        self._untally(self._flags_at(places))
        self._tally.update(flags)
        unseen = next((uid for uid, value in zip(uids, flags, strict=True) if SEEN not in value), self._seen_below)
        self._seen_below = min(self._seen_below, unseen)
        if isinstance(places, range):
            self.flags[places.start : places.stop] = flags
            self.modseqs[places.start : places.stop] = [modseq] * len(uids)
        else:
            for place, value in zip(places, flags, strict=True):
                self.flags[place] = value
                self.modseqs[place] = modseq
        self._record(Change(ChangeKind.FLAGS, uids, modseq, origin))

    def expunged(self, uids: Sequence[int], modseq: int, origin: object | None = None) -> None:
        """These messages (all of them here) are gone."""
        if not uids:
            return
        places = self.positions(uids)
        self._latest.forget(uids)
        self._untally(self._flags_at(places))
        if isinstance(places, range):
            for column in (self.uids, self.flags, self.modseqs):
                del column[places.start : places.stop]
        else:
            kept = bytearray(b"\1") * len(self.uids)
            for place in places:
                kept[place] = 0
            self.uids[:] = compress(self.uids, kept)
            self.flags[:] = compress(self.flags, kept)
            self.modseqs[:] = compress(self.modseqs, kept)
        self._record(Change(ChangeKind.EXPUNGED, uids, modseq, origin))

    def _flags_at(self, places: Sequence[int]) -> Iterable[Flags]:
        return (
            self.flags[places.start : places.stop] if isinstance(places, range) else map(self.flags.__getitem__, places)
        )

    def _untally(self, values: Iterable[Flags]) -> None:
        """Some messages no longer have these sets of flags."""
        for flags, count in Counter(values).items():
            self._tally[flags] -= count
            if not self._tally[flags]:
                del self._tally[flags]

    def vanish(self) -> None:
        """The folder is no longer this folder: tell all sessions."""
        self.gone = True
        self.wake()

    # -- the journal

    def _record(self, change: Change) -> None:
        self.highest_modseq = max(self.highest_modseq, change.modseq)
        if not self._cursors:
            self._start += 1
            return
        self._journal.append(change)
        if len(self._journal) > LONGEST_JOURNAL:
            for cursor in list(self._cursors):
                cursor.watcher.catch_up()
            self._trim()
        self.wake()

    def wake(self) -> None:
        """Tell all sessions that there may be something new: in the journal, or to be found by a refresh."""
        for cursor in list(self._cursors):
            cursor.watcher.wake()

    def _read(self, cursor: Cursor) -> Sequence[Change]:
        news = self._journal[max(0, cursor.place - self._start) :]
        cursor.place = self._end
        if len(self._journal) > 64 and cursor.place - self._start == len(self._journal):
            self._trim()
        return news

    def _forget(self, cursor: Cursor) -> None:
        self._cursors.pop(cursor, None)
        self._trim()

    def _trim(self) -> None:
        least = min((cursor.place for cursor in self._cursors), default=self._end)
        del self._journal[: least - self._start]
        self._start = least
