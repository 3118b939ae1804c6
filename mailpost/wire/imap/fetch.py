"""FETCH: which data of which messages.

RFC: 3501 §6.4.5, 9051 §6.4.5, 7162 §3.1.4 (CHANGEDSINCE), 3516 (BINARY), 8474 §5.3 (EMAILID, THREADID), 8514 (SAVEDATE)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from mailpost.mail.uidset import SequenceSet

if TYPE_CHECKING:
    from mailpost.mail.sections import Section


class FetchAttribute(Enum):
    """A fetch item without arguments; the value is its label in the answer."""

    UID = b"UID"
    FLAGS = b"FLAGS"
    INTERNALDATE = b"INTERNALDATE"
    SIZE = b"RFC822.SIZE"
    ENVELOPE = b"ENVELOPE"
    BODY = b"BODY"
    """The body structure without extension data."""
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    MODSEQ = b"MODSEQ"
    RFC822 = b"RFC822"
    RFC822_HEADER = b"RFC822.HEADER"
    RFC822_TEXT = b"RFC822.TEXT"
    EMAILID = b"EMAILID"
    THREADID = b"THREADID"
    SAVEDATE = b"SAVEDATE"


@dataclass(frozen=True, slots=True)
class BodySection:
    """`BODY[section]<first.count>`, with or without PEEK."""

    section: Section
    """The whole message is Section((), None, frozenset())."""
    peek: bool
    """True leaves \\Seen alone."""
    partial: tuple[int, int] | None
    """(first octet counted from 0, count of octets), or None for all."""
    label: bytes
    """What the answer calls it: `BODY[HEADER.FIELDS (Subject From)]<0>`, names as the client wrote them."""


@dataclass(frozen=True, slots=True)
class BinarySection:
    """`BINARY[part]<first.count>`: the part with its transfer encoding undone. RFC: 3516 §4.2"""

    path: tuple[int, ...]
    peek: bool
    partial: tuple[int, int] | None
    label: bytes


@dataclass(frozen=True, slots=True)
class BinarySize:
    """`BINARY.SIZE[part]`: octets of the part with its transfer encoding undone. RFC: 3516 §4.3"""

    path: tuple[int, ...]
    label: bytes


FetchItem = FetchAttribute | BodySection | BinarySection | BinarySize


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH and UID FETCH."""

    numbers: SequenceSet
    items: tuple[FetchItem, ...]
    """In the client's order without repeats, macros expanded; neither UID nor MODSEQ is added to what it asked for."""
    uid: bool = False
    changed_since: int | None = None
    vanished: bool = False
