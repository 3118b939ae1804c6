"""Sequence numbers: what one session calls the messages of a folder that all sessions share.

A client counts the messages that it has been told of, in the order of their UIDs. The folder's list of UIDs moves on
without it: messages arrive that it has not heard of, and others go that it still counts, until a moment comes when it
may be told. A `SequenceView` keeps only the difference, nothing in proportion to the folder:

- `_newest`: the highest UID that was announced. Higher ones have arrived unannounced, since UIDs only ascend.
- `ghosts`: announced messages that are gone and still counted.

So the view is: the UIDs of the list up to `_newest`, and the ghosts, in order.

Whoever owns a view reads the folder's journal to its end, handing all expunges to `expunge`, before anything else is
asked of the view: the shared list has changed at once.

RFC: 3501 §2.3.1.2 (message sequence numbers), §7.4.1 (when EXPUNGE may be sent), 9051 §7.5.1
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from mailpost.mail.uidset import UidSet

_DENSE = 8
"""One in so many: from then on a table of the whole folder is cheaper than looking each UID up."""


def places_of(uids: Sequence[int], shared: Sequence[int], present: int) -> list[int]:
    """Where these ascending UIDs stand among the first `present` of an ascending list, from 1; 0 for those not there.

    Quickest for UIDs that stand side by side, as those of most commands do.
    """
    if not uids:
        return []
    first = bisect_left(shared, uids[0], 0, present)
    end = first + len(uids)
    if end <= present and shared[end - 1] == uids[-1] and list(shared[first:end]) == list(uids):
        return list(range(first + 1, end + 1))
    if len(uids) * _DENSE > present - first:
        table = dict(zip(shared[first:present], range(first + 1, present + 1), strict=True))
        return [table.get(uid, 0) for uid in uids]
    places = []
    for uid in uids:
        first = bisect_left(shared, uid, first, present)
        places.append(first + 1 if first < present and shared[first] == uid else 0)
    return places


class SequenceView:
    """The arithmetic between UIDs and one session's sequence numbers.

    Args:
        uids: the folder's UIDs, ascending; shared, changed by its owner at any time: at the end it grows, anywhere it
            loses. All that is there now counts as announced.
    """

    __slots__ = ("_ghost_seqs", "_newest", "_uids", "ghosts")

    def __init__(self, uids: Sequence[int]) -> None:
        self._uids = uids
        self._newest = uids[-1] if uids else 0
        self.ghosts: list[int] = []
        """UIDs of messages that are gone and not announced as such, ascending. Only this class changes it."""
        self._ghost_seqs: list[int] | None = []

    # -- sizes

    @property
    def _present(self) -> int:
        """How many of the shared list are announced."""
        uids = self._uids
        return len(uids) if not uids or uids[-1] <= self._newest else bisect_right(uids, self._newest)

    @property
    def exists(self) -> int:
        """How many messages the client counts: what EXISTS said last, less the EXPUNGEs since."""
        return self._present + len(self.ghosts)

    @property
    def last_uid(self) -> int:
        """The UID of the last message that the client counts, which `*` means; 0 when there is none."""
        present = self._present
        return max(self._uids[present - 1] if present else 0, self.ghosts[-1] if self.ghosts else 0)

    # -- numbers to UIDs

    def uid(self, seq: int) -> int:
        """The UID of the message with this sequence number, ghosts included; 0 when there is none."""
        if not 1 <= seq <= self.exists:
            return 0
        before = bisect_left(self._seqs_of_ghosts(), seq)
        if before < len(self.ghosts) and self._seqs_of_ghosts()[before] == seq:
            return self.ghosts[before]
        return self._uids[seq - 1 - before]

    def uids(self, seqs: UidSet) -> list[int]:
        """The UIDs of these sequence numbers, ascending, ghosts included; numbers above `exists` are passed over."""
        exists, ghost_seqs = self.exists, self._seqs_of_ghosts()
        found: list[int] = []
        for low, high in seqs.ranges:
            high = min(high, exists)
            first, end = bisect_left(ghost_seqs, low), bisect_right(ghost_seqs, high)
            for nth in range(first, end):
                found += self._uids[low - 1 - nth : ghost_seqs[nth] - 1 - nth]
                found.append(self.ghosts[nth])
                low = ghost_seqs[nth] + 1
            found += self._uids[low - 1 - end : max(high, low - 1) - end]
        return found

    def members(self, uids: UidSet) -> list[int]:
        """Which of these UIDs are announced and still there, ascending."""
        newest = self._newest
        announced = UidSet(tuple((low, min(high, newest)) for low, high in uids.ranges if low <= newest))
        return announced.members(self._uids)

    # -- UIDs to numbers

    def seq(self, uid: int) -> int:
        """The sequence number of this message, ghost or not; 0 when the client does not know it."""
        return self.seqs((uid,))[0]

    def seqs(self, uids: Sequence[int]) -> list[int]:
        """The sequence numbers of these ascending UIDs, one for each, 0 where the client does not know the message."""
        places = places_of(uids, self._uids, self._present)
        start = 0
        for nth, ghost in enumerate(self.ghosts):
            end = bisect_left(uids, ghost, start)
            if nth:
                places[start:end] = [place and place + nth for place in places[start:end]]
            start = end
            if start < len(uids) and uids[start] == ghost:
                places[start] = self._seqs_of_ghosts()[nth]
                start += 1
            if start == len(uids):
                return places
        if shift := len(self.ghosts):
            places[start:] = [place and place + shift for place in places[start:]]
        return places

    def _seqs_of_ghosts(self) -> list[int]:
        if self._ghost_seqs is None:
            uids = self._uids
            self._ghost_seqs = [bisect_left(uids, ghost) + nth for nth, ghost in enumerate(self.ghosts, 1)]
        return self._ghost_seqs

    # -- changes, and telling of them

    def expunge(self, uids: Sequence[int]) -> None:
        """These messages are no longer in the shared list: those that the client counts become ghosts."""
        known = uids[: bisect_right(uids, self._newest)]
        if known:
            self.ghosts = sorted([*self.ghosts, *known])
            self._ghost_seqs = None

    def take_expunges(self) -> list[int]:
        """The sequence numbers to announce as expunged, each as it is when those before it have been announced.

        Highest first, so that none shifts another. From now on they are not counted.
        """
        seqs = self._seqs_of_ghosts()[::-1]
        self.take_vanished()
        return seqs

    def take_vanished(self) -> list[int]:
        """The same as UIDs, ascending. RFC: 7162 §3.2.10.2"""
        ghosts, self.ghosts, self._ghost_seqs = self.ghosts, [], []
        return ghosts

    def take_exists(self) -> int | None:
        """The number to announce as EXISTS if messages have arrived, else None. From now on they are counted."""
        if not self._uids or self._uids[-1] <= self._newest:
            return None
        self._newest = self._uids[-1]
        return self.exists
