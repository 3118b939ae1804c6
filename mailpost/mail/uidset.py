"""Sets of UIDs and sequence numbers as sorted, disjoint ranges.

`UidSet` is a set of numbers; `SequenceSet` is what a client wrote, in which `*` may stand for the largest
number in use. Neither ever grows with the width of a range: `1:4294967295` is one pair.

RFC: 3501 §9 (sequence-set), 9051 §9
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

STAR = 0
"""Stands for `*` in a SequenceSet; no message has the number 0."""


@dataclass(frozen=True, slots=True)
class UidSet:
    """A set of positive 32-bit numbers: inclusive ranges, ascending, neither touching nor overlapping."""

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, numbers: Iterable[int]) -> UidSet:
        """The set of these numbers, in any order, with repeats."""
        ordered = sorted(numbers)
        if not ordered:
            return cls()
        merged: list[tuple[int, int]] = []
        low = high = ordered[0]
        for number in ordered:
            if number > high + 1:
                merged.append((low, high))
                low = number
            high = number
        merged.append((low, high))
        return cls(tuple(merged))

    @classmethod
    def of_ranges(cls, ranges: Iterable[tuple[int, int]]) -> UidSet:
        """The union of inclusive ranges, in any order; each may be given either way round."""
        ordered = sorted([(a, b) if a <= b else (b, a) for a, b in ranges])
        if not ordered:
            return cls()
        merged: list[tuple[int, int]] = []
        low, high = ordered[0]
        for next_low, next_high in ordered:
            if next_low > high + 1:
                merged.append((low, high))
                low, high = next_low, next_high
            elif next_high > high:
                high = next_high
        merged.append((low, high))
        return cls(tuple(merged))

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self.ranges, (number, 1 << 33)) - 1
        return at >= 0 and self.ranges[at][0] <= number <= self.ranges[at][1]

    def __iter__(self) -> Iterator[int]:
        for low, high in self.ranges:
            yield from range(low, high + 1)

    def __len__(self) -> int:
        return sum(high - low + 1 for low, high in self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def members(self, numbers: Sequence[int]) -> list[int]:
        """Which of these ascending numbers are in the set, ascending: O(ranges x log n + result)."""
        found: list[int] = []
        for low, high in self.ranges:
            found += numbers[bisect_left(numbers, low) : bisect_right(numbers, high)]
        return found

    def __or__(self, other: UidSet) -> UidSet:
        return UidSet.of_ranges((*self.ranges, *other.ranges))

    def __and__(self, other: UidSet) -> UidSet:
        both: list[tuple[int, int]] = []
        mine, theirs = iter(self.ranges), iter(other.ranges)
        a, b = next(mine, None), next(theirs, None)
        while a and b:
            low, high = max(a[0], b[0]), min(a[1], b[1])
            if low <= high:
                both.append((low, high))
            if a[1] < b[1]:
                a = next(mine, None)
            else:
                b = next(theirs, None)
        return UidSet(tuple(both))

    def __sub__(self, other: UidSet) -> UidSet:
        left: list[tuple[int, int]] = []
        gaps = iter(other.ranges)
        gap = next(gaps, None)
        for low, high in self.ranges:
            while gap and gap[0] <= high:
                if low < gap[0]:
                    left.append((low, gap[0] - 1))
                low = max(low, gap[1] + 1)
                if gap[1] > high:
                    break
                gap = next(gaps, None)
            if low <= high:
                left.append((low, high))
        return UidSet(tuple(left))

    def __str__(self) -> str:
        return ",".join(f"{low}" if low == high else f"{low}:{high}" for low, high in self.ranges)


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Ranges as the client wrote them; either end may be STAR."""

    parts: tuple[tuple[int, int], ...]
    saved: bool = False
    """`$`: what the last search has saved, and no parts. RFC: 9051 §6.4.4.1 (seq-last-command)"""

    def resolve(self, largest: int) -> UidSet:
        """The numbers meant while `largest` is the largest in use; `*` means nothing where that is 0.

        `*:5` with 3 messages means 3:5, as the RFC has it. RFC: 3501 §9 (seq-range)
        """
        if largest:
            return UidSet.of_ranges([(low or largest, high or largest) for low, high in self.parts])
        return UidSet.of_ranges([pair for pair in self.parts if pair[0] and pair[1]])
