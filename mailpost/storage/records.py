"""Plain values that stores, accounts and protocols hand to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType
from typing import Protocol

from mailpost.mail.flags import NO_FLAGS, Flags


class SpecialUse(Enum):
    """What a folder is for. RFC: 6154 §2"""

    ALL = "\\All"
    ARCHIVE = "\\Archive"
    DRAFTS = "\\Drafts"
    FLAGGED = "\\Flagged"
    JUNK = "\\Junk"
    SENT = "\\Sent"
    TRASH = "\\Trash"


DEFAULT_FOLDERS: Mapping[str, SpecialUse] = MappingProxyType(
    {
        "Archive": SpecialUse.ARCHIVE,
        "Drafts": SpecialUse.DRAFTS,
        "Junk": SpecialUse.JUNK,
        "Sent": SpecialUse.SENT,
        "Trash": SpecialUse.TRASH,
    }
)
"""What a new account gets beside INBOX, all of it subscribed."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as LIST shows it."""

    name: str
    """Full name, its levels joined by the account's separator; "INBOX" in capitals."""
    selectable: bool = True
    """False for a name that exists only because folders lie below it."""
    special_use: SpecialUse | None = None
    mailbox_id: str = ""
    """RFC 8474 MAILBOXID, "" where not selectable."""


@dataclass(frozen=True, slots=True)
class Status:
    """Counts of one folder, as STATUS asks for them. RFC: 3501 §6.3.10, 9051 §6.3.11, 7162 §3.1.7, 8438"""

    messages: int
    recent: int
    unseen: int
    deleted: int
    size: int
    """Sum of RFC822.SIZE over all messages."""
    uidnext: int
    uidvalidity: int
    highest_modseq: int
    mailbox_id: str
    deleted_size: int = 0
    """Octets that EXPUNGE would free. RFC: 9208 §4.1.4"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account's messages take. RFC: 9208 §5.1, §5.2"""

    octets: int
    """As they are stored; RFC822.SIZE may be a little more."""
    messages: int


@dataclass(frozen=True, slots=True)
class QuotaLimit:
    """How much an account may hold; None: as much as there is room."""

    octets: int | None = None
    messages: int | None = None

    def __bool__(self) -> bool:
        return self.octets is not None or self.messages is not None

    def allows(self, usage: Usage, octets: int = 1, messages: int = 1) -> bool:
        """Whether so much more would fit."""
        return (self.octets is None or usage.octets + octets <= self.octets) and (
            self.messages is None or usage.messages + messages <= self.messages
        )


NO_LIMIT = QuotaLimit()


class Attribute(Enum):
    """What can be fetched of a message beside its in-memory columns (UID, FLAGS, MODSEQ)."""

    SIZE = auto()
    """int: RFC822.SIZE."""
    INTERNALDATE = auto()
    """int: seconds since the epoch."""
    SAVEDATE = auto()
    """int: seconds since the epoch, when it came into this folder; None where that is not kept. RFC: 8514 §3"""
    EMAILID = auto()
    """bytes: the same for all messages with these octets. RFC: 8474 §5.1"""
    THREADID = auto()
    """bytes: the same for all messages of a conversation. RFC: 8474 §5.2"""
    ENVELOPE = auto()
    """bytes: wire-ready."""
    BODYSTRUCTURE = auto()
    """bytes: wire-ready, with extension data."""
    PREVIEW = auto()
    """bytes: the first words, as a string ready for the wire. RFC: 8970 §3.2"""
    PREVIEW_AT_HAND = auto()
    """bytes: the same where it need not be worked out, else NIL. RFC: 8970 §4.1 (LAZY)"""
    OCTETS = auto()
    """bytes: the whole message with CRLF line ends."""


@dataclass(frozen=True, slots=True)
class HeaderFields:
    """Fetch only these header fields, as they stand, in their order, each with its CRLF.

    The value is bytes with the empty line behind the header, which only a message without a body may lack.
    RFC: 9051 §6.4.5
    """

    names: tuple[bytes, ...]
    """Lower-case names, sorted, without repeats."""


Fetched = Attribute | HeaderFields


class Spooled(Protocol):
    """A message on its way in: what has been written so far, not yet anybody's mail."""

    size: int
    """Octets received so far."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be appended."""

    octets: bytes | Spooled
    """The whole message with CRLF line ends; or what `IMailAccount.spool` gave and has been filled."""
    flags: Flags = NO_FLAGS
    internaldate: int | None = None
    """Seconds since the epoch; None means now."""


@dataclass(frozen=True, slots=True)
class Appended:
    """Where appended messages went. RFC: 4315 §3 (APPENDUID)"""

    uidvalidity: int
    uids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Copied:
    """Where copied or moved messages went: target_uids[i] is the copy of source_uids[i], ascending both.

    RFC: 4315 §3 (COPYUID), 6851 §4.3
    """

    uidvalidity: int
    source_uids: Sequence[int] = field(default=())
    target_uids: Sequence[int] = field(default=())


@dataclass(frozen=True, slots=True)
class Stored:
    """What a flag change did.

    RFC: 7162 §3.1.3 (UNCHANGEDSINCE, MODIFIED)
    """

    changed: Sequence[int]
    """UIDs whose flags are now other than before, ascending."""
    refused: Sequence[int] = ()
    """UIDs left alone since their MODSEQ is above UNCHANGEDSINCE, ascending."""
