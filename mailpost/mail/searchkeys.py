"""What a search asks for: a tree of keys, the same for every store and protocol.

A session resolves `Sequence`, `SavedResult` and `Recent` into `Uids` before it hands the tree to a store, so that a
store meets only what it can know. Strings are decoded text; matching is by substring of casemapped text.

RFC: 3501 §6.4.4, 9051 §6.4.4, 7162 §3.1.5 (MODSEQ)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum

from mailpost.mail.uidset import SequenceSet, UidSet


class DateField(Enum):
    """Which date of a message a date key looks at."""

    INTERNAL = "internal"
    SENT = "sent"
    SAVED = "saved"
    """When it came into the folder. RFC: 8514 §4.3"""


class Comparison(Enum):
    """How a date or a size compares with the one given."""

    BEFORE = "before"
    ON = "on"
    SINCE = "since"


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class And:
    """Messages that all of the keys match; no key matches all."""

    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Messages that one of the two keys matches."""

    first: SearchKey
    second: SearchKey


@dataclass(frozen=True, slots=True)
class Not:
    """Messages that the key does not match."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class HasFlag:
    """Messages with this flag, canonical; keywords compare without case. Never `\\Recent`."""

    flag: str


@dataclass(frozen=True, slots=True)
class Recent:
    """Messages that are recent in this session. Resolved by the session."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """Messages with these sequence numbers. Resolved by the session."""

    numbers: SequenceSet


@dataclass(frozen=True, slots=True)
class UidSequence:
    """Messages with these UIDs as the client wrote them (`*`). Resolved by the session."""

    uids: SequenceSet


@dataclass(frozen=True, slots=True)
class SavedResult:
    """Messages of the saved search result, `$`. Resolved by the session. RFC: 5182"""


@dataclass(frozen=True, slots=True)
class Uids:
    """Messages with these UIDs."""

    uids: UidSet


@dataclass(frozen=True, slots=True)
class Header:
    """Messages with a header field of this name whose decoded value holds the text; "" asks that it exists."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Body:
    """Messages whose decoded body holds the text."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """Messages whose decoded header or body holds the text."""

    text: str


@dataclass(frozen=True, slots=True)
class OnDate:
    """Messages whose date compares so with this day (time and zone disregarded)."""

    field: DateField
    comparison: Comparison
    day: date


@dataclass(frozen=True, slots=True)
class Larger:
    """Messages with an RFC822.SIZE over this many octets."""

    octets: int


@dataclass(frozen=True, slots=True)
class Smaller:
    """Messages with an RFC822.SIZE under this many octets."""

    octets: int


@dataclass(frozen=True, slots=True)
class EmailId:
    """Messages with this EMAILID. RFC: 8474 §6"""

    id: bytes


@dataclass(frozen=True, slots=True)
class ThreadId:
    """Messages with this THREADID. RFC: 8474 §6"""

    id: bytes


@dataclass(frozen=True, slots=True)
class ModSeq:
    """Messages whose mod-sequence is at least this."""

    least: int


SearchKey = (
    All
    | And
    | Or
    | Not
    | HasFlag
    | Recent
    | Sequence
    | UidSequence
    | SavedResult
    | Uids
    | Header
    | Body
    | Text
    | OnDate
    | Larger
    | Smaller
    | ModSeq
    | EmailId
    | ThreadId
)


def with_leaves(key: SearchKey, replace: Callable[[SearchKey], SearchKey]) -> SearchKey:
    """The same tree with every key that holds no other keys replaced by what `replace` gives for it."""
    match key:
        case And(keys):
            return And(tuple(with_leaves(each, replace) for each in keys))
        case Or(first, second):
            return Or(with_leaves(first, replace), with_leaves(second, replace))
        case Not(inner):
            return Not(with_leaves(inner, replace))
        case _:
            return replace(key)
