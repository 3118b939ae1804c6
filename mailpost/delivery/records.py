"""Plain values of delivery: whom an address means, what a filter is shown, and what it decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailpost.mail.flags import NO_FLAGS, Flags
from mailpost.mail.transport import Client, ForwardPath, ReversePath


@dataclass(frozen=True, slots=True)
class LocalUser:
    """An address means a user here."""

    name: str
    """As `IMailStore.account` takes it."""
    detail: str = ""
    """What stands behind the separator of the local part: a wish for a folder. RFC: 5233 §1 (subaddress)"""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An address means somebody on another server: an alias leads there."""

    address: str


Target = LocalUser | Elsewhere


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message on its way into one user's mail, as a filter sees it."""

    sender: ReversePath
    recipient: ForwardPath
    """As the client named it."""
    user: str
    """Whose mail it becomes."""
    client: Client
    size: int
    """Octets of the whole message."""
    header: bytes
    """The header with CRLF line ends, the fields that were added here at its top, and the empty line behind it."""
    octets: Callable[[], Awaitable[bytes]]
    """Reads the whole message, which may be large: only for those who need the body."""


@dataclass(frozen=True, slots=True)
class FileInto:
    """Put a copy into this folder."""

    folder: str
    flags: Flags = NO_FLAGS
    create: bool = False
    """Make the folder if there is none of this name; else the copy goes into INBOX."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send it on to this address, with the envelope's sender. RFC: 5228 §4.2"""

    address: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a filter wants done with a message.

    `Verdict()` is no wish at all, `Verdict(keep=False)` discards. RFC: 5228 §2.10.2 (implicit keep)
    """

    copies: tuple[FileInto, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    keep: bool = True
    """The message also goes where it would go without this filter: the next one is asked, and if all keep it, it is
    filed in the folder that its address names, or INBOX."""
    flags: Flags = NO_FLAGS
    """For the copy that is kept; filters further on do not take them away."""
    refusal: str | None = None
    """The message is not taken, and this text is the reason that the sender is given. Nothing is filed, whatever
    filters before this one wanted."""
