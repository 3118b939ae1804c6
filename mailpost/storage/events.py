"""What has happened in a server, as a program is told: plain values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from mailpost.mail.flags import Flags


class Way(Enum):
    """How a message came into an account."""

    DELIVERED = "delivered"
    """New mail, from somebody."""
    APPENDED = "appended"
    """By the user's client, or the user's copy of what was sent."""


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """A message has come in from outside: there is no other like it."""

    user: str
    folder: str
    uid: int
    flags: Flags
    way: Way
    octets: Callable[[], Awaitable[bytes]]
    """Reads the whole message. Raises MailError: EXPUNGED, NO_SUCH_FOLDER if it is no longer there."""


@dataclass(frozen=True, slots=True)
class MessagesCopied:
    """Messages have come into a folder from another one of the account, or from the same."""

    user: str
    folder: str
    uids: Sequence[int]
    source: str
    """The other folder; where they were moved, `MessagesExpunged` is told of it, too."""
    source_uids: Sequence[int]
    """Of the same messages there, in the same order."""
    moved: bool


@dataclass(frozen=True, slots=True)
class FlagsChanged:
    """Messages have other flags."""

    user: str
    folder: str
    flags: Mapping[int, Flags]
    """UID -> the flags as they are then."""


@dataclass(frozen=True, slots=True)
class MessagesExpunged:
    """Messages are gone for good, or moved away."""

    user: str
    folder: str
    uids: Sequence[int]


@dataclass(frozen=True, slots=True)
class FolderCreated:
    """There is a new folder."""

    user: str
    folder: str


@dataclass(frozen=True, slots=True)
class FolderDeleted:
    """A folder is gone with its messages."""

    user: str
    folder: str


@dataclass(frozen=True, slots=True)
class FolderRenamed:
    """A folder, and all below it, has another name; of INBOX it is the messages that are there now."""

    user: str
    folder: str
    """The new name."""
    old: str


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Somebody has logged in."""

    user: str
    protocol: str
    """As the log calls it: IMAP, POP3, submission."""
    address: str
    """The client's; "" within the process."""


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """Somebody has tried to."""

    user: str
    """As it was typed, whether there is such a user or not: nothing to be trusted."""
    protocol: str
    address: str


Event: TypeAlias = (
    MessageArrived
    | MessagesCopied
    | FlagsChanged
    | MessagesExpunged
    | FolderCreated
    | FolderDeleted
    | FolderRenamed
    | LoggedIn
    | LoginFailed
)
Tell: TypeAlias = Callable[[Event], None]
"""Takes note of an event, at once."""
