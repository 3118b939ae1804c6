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
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from mailpost.mail.flags import NO_FLAGS, SEEN, Flags, intern_flags
from mailpost.mail.selected import places_of

_BLOCK = 1024
LONGEST_JOURNAL = 4096
"""Entries kept before lagging cursors are told to catch up."""


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
        self._first_unseen: int | None = None
        self._keywords: frozenset[str] | None = None
        self._maxima: list[int] = []
        """The highest mod-sequence of each block of messages, as far as that is known from the start."""

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
        """Index of the first message without \\Seen, or -1; looked for once after each change."""
        if self._first_unseen is None:
            self._first_unseen = next((at for at, flags in enumerate(self.flags) if SEEN not in flags), -1)
        return self._first_unseen

    def keywords(self) -> frozenset[str]:
        """The keywords that any message has; looked for once after each change."""
        if self._keywords is None:
            met = NO_FLAGS.union(*set(self.flags))
            self._keywords = intern_flags(flag for flag in met if not flag.startswith("\\"))
        return self._keywords

    def changed_since(self, modseq: int) -> list[int]:
        """UIDs of the messages whose MODSEQ is above this, ascending; little work where few have changed."""
        found: list[int] = []
        for block in range((len(self.uids) + _BLOCK - 1) // _BLOCK):
            if block == len(self._maxima):
                self._maxima.append(max(self.modseqs[block * _BLOCK : (block + 1) * _BLOCK]))
            if self._maxima[block] > modseq:
                span = slice(block * _BLOCK, (block + 1) * _BLOCK)
                found += [uid for uid, at in zip(self.uids[span], self.modseqs[span], strict=True) if at > modseq]
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
        del self._maxima[len(self.uids) // _BLOCK :]
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
        for block in {place // _BLOCK for place in places}:
            if block < len(self._maxima):
                self._maxima[block] = max(self._maxima[block], modseq)
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
        del self._maxima[places[0] // _BLOCK if places else len(self._maxima) :]
        if isinstance(places, range):
            for column in (self.uids, self.flags, self.modseqs):
                del column[places.start : places.stop]
        else:
            gone = set(places)
            kept = [at for at in range(len(self.uids)) if at not in gone]
            self.uids[:] = [self.uids[at] for at in kept]
            self.flags[:] = [self.flags[at] for at in kept]
            self.modseqs[:] = [self.modseqs[at] for at in kept]
        self._record(Change(ChangeKind.EXPUNGED, uids, modseq, origin))

    def vanish(self) -> None:
        """The folder is no longer this folder: tell all sessions."""
        self.gone = True
        self.wake()

    # -- the journal

    def _record(self, change: Change) -> None:
        self.highest_modseq = max(self.highest_modseq, change.modseq)
        self._first_unseen = self._keywords = None
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
