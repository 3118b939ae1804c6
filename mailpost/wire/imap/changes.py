"""Commands that change messages: STORE, COPY, MOVE, EXPUNGE.

RFC: 3501 §6.4.3, §6.4.6, §6.4.7, 4315 §2.1 (UID EXPUNGE), 6851 (MOVE), 7162 §3.1.3 (UNCHANGEDSINCE)
"""

from __future__ import annotations

from dataclasses import dataclass

from mailpost.mail.flags import FlagChange, Flags
from mailpost.mail.uidset import SequenceSet


@dataclass(frozen=True, slots=True)
class Store:
    """STORE and UID STORE."""

    numbers: SequenceSet
    change: FlagChange
    flags: Flags
    """Canonical and interned; never `\\Recent`."""
    silent: bool
    unchanged_since: int | None = None
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY and UID COPY."""

    numbers: SequenceSet
    mailbox: str
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """MOVE and UID MOVE."""

    numbers: SequenceSet
    mailbox: str
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Expunge:
    """EXPUNGE (`uids` is None) and UID EXPUNGE."""

    uids: SequenceSet | None = None
