"""What a command's handler is given, and what it answers with.

A handler is `async def fetch(context: Context, command: Fetch) -> Completed | None`. It writes its untagged responses
with `context.write` and returns; the session sends the tagged response. To refuse, it raises `MailError` (NO with
a code) or `wire.imap.grammar.ParseError` (BAD). One handler runs at a time on a connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.protocols.login import LoggedIn
from mailpost.protocols.sasl import Ask
from mailpost.wire.imap.grammar import ParseError

if TYPE_CHECKING:
    from mailpost.protocols.imap.selected import SelectedMailbox


class State(Enum):
    """Where a session is; the values are the prefixes of Twisted's command tables. RFC: 3501 §3, 9051 §3"""

    NOT_AUTHENTICATED = "unauth"
    AUTHENTICATED = "auth"
    SELECTED = "select"
    LOGOUT = "logout"


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended: the tagged response. None stands for `Completed()`."""

    text: bytes = b""
    """For a person; empty means "<NAME> completed"."""
    code: bytes = b""
    """A response code without its brackets: b"READ-WRITE", b"APPENDUID 1 2"."""
    ok: bool = True
    """False makes it a NO: for what was done in part. What failed outright raises MailError."""


class Authentication(Protocol):
    """How one may log in on this connection at present."""

    def mechanisms(self) -> list[str]:
        """The SASL mechanisms that are announced now."""

    @property
    def failures(self) -> int:
        """Logins that came to nothing."""

    @property
    def tls(self) -> TlsState:
        """Whether there is TLS, or could be."""

    async def with_password(self, user: bytes, password: bytes) -> LoggedIn:
        """As `protocols.sasl.SaslServer.with_password`."""

    async def authenticate(self, mechanism: str, initial: bytes | None, ask: Ask) -> LoggedIn:
        """As `protocols.sasl.SaslServer.authenticate`."""


class TlsState(Enum):
    """Of a connection."""

    ABSENT = "absent"
    POSSIBLE = "possible"
    ACTIVE = "active"


class Context(Protocol):
    """A session, as its commands see it."""

    settings: ImapSettings
    clock: IReactorTime
    tag: bytes
    """Of the command that runs."""
    selected: SelectedMailbox | None
    """The open mailbox; not None in every handler whose spec asks for the selected state."""
    authentication: Authentication
    enabled: set[str]
    """Extensions switched on by ENABLE or by use, in capitals: "CONDSTORE", "QRESYNC", "IMAP4REV2", "UTF8=ACCEPT",
    "UIDONLY"."""

    @property
    def state(self) -> State:
        """Where the session is."""

    @property
    def streamed(self) -> list[LiteralSink]:
        """The message literals of the command that runs, in their order. Those not taken are aborted after it."""

    @property
    def account(self) -> Any:
        """The `storage.interfaces.IMailAccount` of who logged in; a bug to ask before that."""

    # -- output

    def write(self, data: bytes | Sequence[bytes]) -> None:
        """Add whole or part lines (CRLF included) to the output. Nothing is sent per call: chunks are joined.

        Lines are whole whenever something is awaited: an untagged response may come between.
        """

    async def drained(self) -> None:
        """Hand over what has been written; wait while the client is not reading. Call it per 64 KiB or batch."""

    def progress(self, done: int, goal: int) -> None:
        """So many of so many things are done, in case the client is to be told. All that was written is whole lines."""

    def continuation(self, text: bytes) -> None:
        """Send "+ text" now, with all that was written before it."""

    def client_line(self) -> Deferred[bytes]:
        """The next line from the client (without CRLF) that is not a command: IDLE's DONE, a SASL response."""

    async def report_changes(self, expunges_allowed: bool) -> None:
        """Refresh the selected mailbox and write what changed in it. RFC: 3501 §5.2, §7.4.1

        The session does it before each tagged response as the command's spec allows; IDLE does it when it is woken.
        """

    def bye(self, text: bytes) -> None:
        """Write "* BYE text" and close the connection when this command is answered."""

    # -- state

    def start_tls(self) -> None:
        """Begin TLS when this command has been answered. Raises ParseError when the client did not wait for that."""

    def log_out(self) -> None:
        """Be not authenticated again, with nothing selected or enabled, and uncompressed behind this answer."""

    def compress(self) -> None:
        """Begin compression when this command has been answered. Raises ParseError likewise, or when it is active."""

    async def log_in(self, login: Awaitable[LoggedIn]) -> None:
        """Become authenticated when this login succeeds. Raises what it raises."""

    def capabilities(self) -> list[bytes]:
        """What is announced in the present state."""

    def select(self, selected: SelectedMailbox) -> None:
        """Enter the selected state with this mailbox. The one before must have been left (`deselect`)."""

    def deselect(self) -> None:
        """Release the selected mailbox, if any, and be in the authenticated state."""


def utf8_names(context: Context) -> bool:
    """Whether names of mailboxes go in UTF-8 on this connection. RFC: 6855 §3, 9051 §5.1"""
    return "IMAP4REV2" in context.enabled or "UTF8=ACCEPT" in context.enabled


def knows_modseqs(context: Context, *, needed: bool = False) -> None:
    """A command has shown that the client knows of mod-sequences: after the first it is told the highest.

    Args:
        context: whose client.
        needed: the command is about those of the selected mailbox.

    Raises:
        ParseError: they are needed and not kept. RFC: 7162 §3.1.2.2

    RFC: 7162 §3.1
    """
    selected = context.selected
    kept = selected is not None and selected.keeps_modseq
    if needed and not kept:
        raise ParseError("Mod-sequences are not kept in this mailbox")
    if selected is not None and kept and "CONDSTORE" not in context.enabled:
        context.write(selected.highest_modseq_line())
    context.enabled.add("CONDSTORE")


class LiteralSink(Protocol):
    """Where a message literal goes: what a `LiteralPolicy` gave for it. An `ISpool` is one."""

    size: int
    """Octets written so far."""

    def write(self, data: bytes) -> Any:
        """Take the next octets; None, or something to await before more is given."""

    def abort(self) -> None:
        """The rest will not come, or the command was refused: throw it away. Harmless after it was taken."""


LiteralPolicy = Callable[[Context, Any, int], Awaitable[LiteralSink]]
"""Asked before a message literal is let in: (context, the command so far, octets offered). It may raise MailError:
the literal is refused and the command answered NO. Its answer is put into `Context.streamed` when it is full.
"""


@contextmanager
def into_folder() -> Iterator[None]:
    """Around what files messages into a named folder: one that is not there is answered [TRYCREATE]. RFC: 3501 §7.1"""
    try:
        yield
    except MailError as error:
        if error.kind in (ErrorKind.NO_SUCH_FOLDER, ErrorKind.NOT_SELECTABLE):
            raise MailError(ErrorKind.NO_TARGET, error.text) from error
        raise
