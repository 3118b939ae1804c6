"""SEARCH and UID SEARCH: a tree of `mail.searchkeys`, and what is to be told of the result.

RFC: 3501 §6.4.4, 9051 §6.4.4, 4731 (RETURN), 7162 §3.1.5 (MODSEQ), 5032 (WITHIN is not here yet)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailpost.mail.searchkeys import SearchKey


class SearchReturn(Enum):
    """A result option. RFC: 4731 §3.1, 5182 §2.1 (SAVE)"""

    MIN = b"MIN"
    MAX = b"MAX"
    ALL = b"ALL"
    COUNT = b"COUNT"
    SAVE = b"SAVE"


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH and UID SEARCH."""

    key: SearchKey
    """`And` of the keys, or the only key."""
    returns: frozenset[SearchReturn] | None = None
    """None: the plain SEARCH answer; else ESEARCH with these (`RETURN ()` is ALL)."""
    modseq: bool = False
    """A MODSEQ key is somewhere in it: the answer names the highest mod-sequence found."""
    uid: bool = False
