"""Which folder names a LIST pattern matches.

`*` matches anything, `%` anything but the separator; the pattern covers the whole name. Time is linear in the name
whatever the pattern: it is run as a set of states, one bit each, never by backtracking.

RFC: 3501 §6.3.8, 5258 §3
"""

from __future__ import annotations

from collections.abc import Callable

Matcher = Callable[[str], bool]


def list_matcher(pattern: str, separator: str) -> Matcher:
    """A function that tells whether a name is matched.

    A first level "INBOX" in the pattern stands for INBOX in any case.
    """
    first, gap, rest = pattern.partition(separator)
    if first.upper() == "INBOX":
        pattern = "INBOX" + gap + rest
    if "*" not in pattern and "%" not in pattern:
        return lambda name: name == pattern
    if pattern == "*":
        return lambda name: True
    if pattern == "%":
        return lambda name: separator not in name
    states = _States(pattern, separator)
    return states.match


class _States:
    """The pattern as an automaton: bit n is set while the first n characters of it have been matched."""

    def __init__(self, pattern: str, separator: str) -> None:
        self._separator = separator
        self._advance: dict[str, int] = {}
        self._stars = self._percents = 0
        for place, character in enumerate(pattern):
            if character == "*":
                self._stars |= 1 << place
            elif character == "%":
                self._percents |= 1 << place
            else:
                self._advance[character] = self._advance.get(character, 0) | 1 << place
        self._wild = self._stars | self._percents
        self._end = 1 << len(pattern)

    def match(self, name: str) -> bool:
        states = self._skip(1)
        for character in name:
            stay = self._stars if character == self._separator else self._wild
            states = self._skip((states & self._advance.get(character, 0)) << 1 | states & stay)
            if not states:
                return False
        return bool(states & self._end)

    def _skip(self, states: int) -> int:
        """Add the states reached by letting wildcards match nothing."""
        while (more := states | (states & self._wild) << 1) != states:
            states = more
        return states
