"""A page of a result: the first, or the last, so many of what was found.

RFC: 9394 §3.1, §4 (partial-range)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailpost.wire.imap.grammar import LARGEST_NUMBER, ParseError
from mailpost.wire.imap.reader import Reader

_RANGE_MATCH = re.compile(rb"(-?)([1-9]\d{0,9}):(-?)([1-9]\d{0,9})").match


@dataclass(frozen=True, slots=True)
class PartialRange:
    """Places in a list, from 1 at its beginning, or from -1 at its end; either end of the range may come first."""

    first: int
    last: int

    def of(self, count: int) -> slice:
        """Where these places are in a list of so many."""
        low, high = sorted((self.first, self.last))
        if low > 0:
            return slice(low - 1, high)
        return slice(max(0, count + low), max(0, count + high + 1))

    def __bytes__(self) -> bytes:
        return b"%d:%d" % (self.first, self.last)


def parse_partial(reader: Reader) -> PartialRange:
    """PARTIAL's argument, SP partial-range."""
    reader.space()
    minus, first, other_minus, last = reader.match(_RANGE_MATCH, "a range like 1:100 or -1:-100").groups()
    numbers = int(first), int(last)
    if minus != other_minus or max(numbers) > LARGEST_NUMBER:
        raise ParseError("Expected a range like 1:100 or -1:-100")
    sign = -1 if minus else 1
    return PartialRange(sign * numbers[0], sign * numbers[1])
