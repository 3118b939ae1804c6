"""Flags of a message: system flags (`\\Seen`) and keywords (`$Forwarded`), as interned frozensets.

A folder of 20,000 messages has a handful of distinct flag sets. They are interned, so that a message costs
one pointer and a dictionary keyed by a flag set is answered by identity.

RFC: 3501 §2.3.2, 9051 §2.3.2
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

Flags = frozenset[str]

SEEN = "\\Seen"
ANSWERED = "\\Answered"
FLAGGED = "\\Flagged"
DELETED = "\\Deleted"
DRAFT = "\\Draft"
RECENT = "\\Recent"

SYSTEM_FLAGS = (ANSWERED, FLAGGED, DELETED, SEEN, DRAFT)
"""The flags that a client may set, in the order in which servers announce them."""

_CANONICAL = {flag.lower(): flag for flag in (*SYSTEM_FLAGS, RECENT)}
_INTERNED: dict[Flags, Flags] = {}
_MOST_INTERNED = 65_536


class FlagChange(Enum):
    """What STORE does with the flags it names. RFC: 3501 §6.4.6"""

    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


def canonical(flag: str) -> str:
    """The flag as it is compared and stored: system flags in their RFC spelling, keywords as they came."""
    return _CANONICAL.get(flag.lower(), flag)


def intern_flags(flags: Iterable[str]) -> Flags:
    """The one frozenset that stands for these flags (already canonical)."""
    value = frozenset(flags)
    if len(_INTERNED) >= _MOST_INTERNED:
        _INTERNED.clear()
    return _INTERNED.setdefault(value, value)


NO_FLAGS = intern_flags(())


def apply_change(old: Flags, change: FlagChange, named: Flags) -> Flags:
    """The flags after STORE has replaced, added or removed the named ones."""
    if change is FlagChange.ADD:
        return intern_flags(old | named)
    if change is FlagChange.REMOVE:
        return intern_flags(old - named)
    return intern_flags(named)
