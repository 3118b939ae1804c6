"""Commands that tell of folders: LIST, LSUB, STATUS, NAMESPACE.

RFC: 3501 §6.3.8 to §6.3.10, 5258 (LIST-EXTENDED), 6154 §5 (SPECIAL-USE), 5819 (LIST-STATUS), 2342 (NAMESPACE), 8438
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class StatusItem(Enum):
    """A count that STATUS gives; the value is its name on the wire."""

    MESSAGES = b"MESSAGES"
    RECENT = b"RECENT"
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"
    DELETED = b"DELETED"
    SIZE = b"SIZE"
    HIGHESTMODSEQ = b"HIGHESTMODSEQ"
    MAILBOXID = b"MAILBOXID"


class ListSelection(Enum):
    """Which folders LIST shows. RFC: 5258 §3.1, 6154 §5.1"""

    SUBSCRIBED = b"SUBSCRIBED"
    REMOTE = b"REMOTE"
    RECURSIVEMATCH = b"RECURSIVEMATCH"
    SPECIAL_USE = b"SPECIAL-USE"


class ListReturn(Enum):
    """What LIST tells of each folder. RFC: 5258 §3.2, 6154 §5.1"""

    SUBSCRIBED = b"SUBSCRIBED"
    CHILDREN = b"CHILDREN"
    SPECIAL_USE = b"SPECIAL-USE"


@dataclass(frozen=True, slots=True)
class List:
    """LIST, plain and extended."""

    reference: str
    patterns: tuple[str, ...]
    """Decoded, with `*` and `%` as wildcards. Plain `LIST "" ""` has ("",)."""
    selection: frozenset[ListSelection] = frozenset()
    returns: frozenset[ListReturn] = frozenset()
    status: tuple[StatusItem, ...] = ()
    """A STATUS answer with these is wanted for each selectable folder. RFC: 5819"""
    extended: bool = False
    """The client used the extended form: selection or return options, or several patterns."""


@dataclass(frozen=True, slots=True)
class Lsub:
    """LSUB."""

    reference: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS."""

    mailbox: str
    items: tuple[StatusItem, ...]
    """In the client's order, without repeats."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """NAMESPACE."""
