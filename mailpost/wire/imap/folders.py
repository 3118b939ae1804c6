"""Commands about folders by name: SELECT, EXAMINE, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE.

Names are decoded text (`mail.foldernames`); INBOX in any case is "INBOX".

RFC: 3501 §6.3, 9051 §6.3, 6154 §3 (CREATE with USE), 7162 §3.1.8 (CONDSTORE), §3.2.5 (QRESYNC)
"""

from __future__ import annotations

from dataclasses import dataclass

from mailpost.mail.uidset import SequenceSet


@dataclass(frozen=True, slots=True)
class QuickResync:
    """What the client remembers of the mailbox it selects. RFC: 7162 §3.2.5"""

    uidvalidity: int
    modseq: int
    known_uids: SequenceSet | None = None
    sequence_match: tuple[SequenceSet, SequenceSet] | None = None
    """Sequence numbers and, at the same places, the UIDs that the client holds for them."""


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT, and EXAMINE with `read_only`."""

    mailbox: str
    read_only: bool = False
    condstore: bool = False
    qresync: QuickResync | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE."""

    mailbox: str
    """A trailing separator, if the client sent one, is still there."""
    special_use: tuple[str, ...] = ()
    """As `\\Sent`: known attributes in the spelling of RFC 6154, others as they came."""


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """UNSUBSCRIBE."""

    mailbox: str
