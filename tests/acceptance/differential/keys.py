"""A SEARCH taken apart: what its keys find one by one says which of two servers puts them together as they mean.

RFC: 3501 §6.4.4
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.acceptance.differential.answers import Pieces

Found = Mapping[bytes, frozenset[int]]
"""What each key finds alone, by its text."""
UNDATED = b'NOT HEADER DATE ""'
_ALL = b"ALL"
_START = re.compile(rb"(UID )?SEARCH (?:RETURN \([^)]*\) )?(?:CHARSET \S+ )?", re.I)
_WORD = re.compile(rb'"[^"]*"|[()]|[^\s()"]+')
_ARGUMENTS = {
    **dict.fromkeys((b"BCC", b"BODY", b"CC", b"FROM", b"SUBJECT", b"TEXT", b"TO", b"UID", b"MODSEQ"), 1),
    **dict.fromkeys((b"BEFORE", b"ON", b"SINCE", b"SENTBEFORE", b"SENTON", b"SENTSINCE"), 1),
    **dict.fromkeys((b"KEYWORD", b"UNKEYWORD", b"LARGER", b"SMALLER"), 1),
    b"HEADER": 2,
}
_Meaning = Callable[[Found], frozenset[int]]


class Search:
    """The keys of a SEARCH and how they are put together.

    Args:
        command: with keys as `Sessions` draws them: no `$`, no entry names.

    Raises:
        ValueError: it is no such SEARCH.
    """

    def __init__(self, command: Pieces) -> None:
        text = b"".join(each if isinstance(each, bytes) else b'"%b"' % each.octets for each in command)
        start = _START.match(text)
        if start is None or b"$ " in text + b" " or b"/flags/" in text:
            raise ValueError(text)
        self.word = (start[1] or b"") + b"SEARCH "
        self.keys = [_ALL]
        words = iter(_WORD.findall(text, start.end()))
        try:
            self._meaning = _all_of([self._key(word, words) for word in words])
        except StopIteration:
            raise ValueError(text) from None

    def put_together(self, found: Found) -> frozenset[int]:
        """What the whole finds if the keys find this."""
        return self._meaning(found)

    def _key(self, word: bytes, words: Iterator[bytes]) -> _Meaning:
        if word == b"(":
            return _all_of([self._key(each, words) for each in iter(words.__next__, b")")])
        if word.upper() == b"NOT":
            inner = self._key(next(words), words)
            return lambda found: found[_ALL] - inner(found)
        if word.upper() == b"OR":
            one, other = (self._key(next(words), words) for _ in range(2))
            return lambda found: one(found) | other(found)
        key = b" ".join([word, *(next(words) for _ in range(_ARGUMENTS.get(word.upper(), 0)))])
        self.keys.append(key)
        return lambda found: found[key]


def _all_of(meanings: list[_Meaning]) -> _Meaning:
    return lambda found: found[_ALL].intersection(*(each(found) for each in meanings))


def tells(data: Mapping[str, Any], found: frozenset[int]) -> bool:
    """Whether an answer to a SEARCH tells of these messages, in what it was asked to tell. RFC: 4731 §3.1"""
    if "SEARCH" in data:
        return {int(each) for each in data["SEARCH"][0]} == found
    told = data.get("ESEARCH", {})
    whole: dict[bytes, object] = {b"COUNT": b"%d" % len(found)}
    if found:
        whole |= {b"MIN": b"%d" % min(found), b"MAX": b"%d" % max(found), b"ALL": found}
    parts = told.keys() & {b"COUNT", b"MIN", b"MAX", b"ALL"}
    return all(told[part] == whole.get(part) for part in parts) and bool(parts or not found)
