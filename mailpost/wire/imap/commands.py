"""Every command as a value, and `parse`, which makes it from a decoded line.

A family of commands has a module with its values and their parsers; the tables below tell which name is whose.

RFC: 3501 §6, 9051 §6
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mailpost.wire.imap.anytime import (
    Authenticate,
    Capability,
    Check,
    Close,
    Compress,
    Enable,
    Id,
    Idle,
    Login,
    Logout,
    Noop,
    StartTls,
    Unauthenticate,
    Unselect,
    parse_authenticate,
    parse_compress,
    parse_enable,
    parse_id,
    parse_login,
)
from mailpost.wire.imap.append import (
    Append,
    AppendMessage,
    Replace,
    TextPart,
    UrlPart,
    parse_append,
    parse_replace,
)
from mailpost.wire.imap.changes import (
    Copy,
    Expunge,
    Move,
    Store,
    parse_copy,
    parse_expunge,
    parse_move,
    parse_store,
)
from mailpost.wire.imap.decoder import CommandLine
from mailpost.wire.imap.fetch import (
    BinarySection,
    BinarySize,
    BodySection,
    Fetch,
    FetchAttribute,
    FetchItem,
    parse_fetch,
)
from mailpost.wire.imap.folders import (
    Create,
    Delete,
    QuickResync,
    Rename,
    Select,
    Subscribe,
    Unsubscribe,
    parse_create,
    parse_delete,
    parse_examine,
    parse_rename,
    parse_select,
    parse_subscribe,
    parse_unsubscribe,
)
from mailpost.wire.imap.grammar import TAG, ParseError, UnknownCommandError
from mailpost.wire.imap.listing import (
    List,
    ListReturn,
    ListSelection,
    Lsub,
    Namespace,
    Status,
    StatusItem,
    parse_list,
    parse_lsub,
    parse_status,
)
from mailpost.wire.imap.quota import GetQuota, GetQuotaRoot, parse_getquota, parse_getquotaroot
from mailpost.wire.imap.reader import Reader
from mailpost.wire.imap.search import (
    Search,
    SearchReturn,
    parse_search,
)

__all__ = [
    "NAMES",
    "Append",
    "AppendMessage",
    "Authenticate",
    "BinarySection",
    "BinarySize",
    "BodySection",
    "Capability",
    "Check",
    "Close",
    "Command",
    "Compress",
    "Copy",
    "Create",
    "Delete",
    "Enable",
    "Expunge",
    "Fetch",
    "FetchAttribute",
    "FetchItem",
    "GetQuota",
    "GetQuotaRoot",
    "Id",
    "Idle",
    "List",
    "ListReturn",
    "ListSelection",
    "Login",
    "Logout",
    "Lsub",
    "Move",
    "Namespace",
    "Noop",
    "ParseError",
    "QuickResync",
    "Rename",
    "Replace",
    "Request",
    "Search",
    "SearchReturn",
    "Select",
    "StartTls",
    "Status",
    "StatusItem",
    "Store",
    "Subscribe",
    "TextPart",
    "Unauthenticate",
    "UnknownCommandError",
    "Unselect",
    "Unsubscribe",
    "UrlPart",
    "head",
    "parse",
    "tag_of",
]

Command = (
    Append
    | Authenticate
    | Capability
    | Check
    | Close
    | Compress
    | Copy
    | Create
    | Delete
    | Enable
    | Expunge
    | Fetch
    | GetQuota
    | GetQuotaRoot
    | Id
    | Idle
    | List
    | Login
    | Logout
    | Lsub
    | Move
    | Namespace
    | Noop
    | Rename
    | Replace
    | Search
    | Select
    | StartTls
    | Status
    | Store
    | Subscribe
    | Unauthenticate
    | Unselect
    | Unsubscribe
)


@dataclass(frozen=True, slots=True)
class Request:
    """A command as a client sent it."""

    tag: bytes
    name: str
    """In capitals, without UID: "FETCH" for UID FETCH too (its value has `uid`)."""
    command: Command


_HEAD = re.compile(rb"(%b) ((?:[Uu][Ii][Dd] )?[A-Za-z][A-Za-z0-9._-]*)(?= |\Z)" % TAG).match
_TAG = re.compile(rb"%b(?= |\Z)" % TAG).match

_ALONE: dict[bytes, Command] = {
    b"CAPABILITY": Capability(),
    b"CHECK": Check(),
    b"CLOSE": Close(),
    b"IDLE": Idle(),
    b"LOGOUT": Logout(),
    b"NAMESPACE": Namespace(),
    b"NOOP": Noop(),
    b"STARTTLS": StartTls(),
    b"UNAUTHENTICATE": Unauthenticate(),
    b"UNSELECT": Unselect(),
}
"""Commands without arguments."""

_PARSERS: dict[bytes, Callable[[Reader], Command]] = {
    b"APPEND": parse_append,
    b"AUTHENTICATE": parse_authenticate,
    b"COMPRESS": parse_compress,
    b"COPY": parse_copy,
    b"CREATE": parse_create,
    b"DELETE": parse_delete,
    b"ENABLE": parse_enable,
    b"EXAMINE": parse_examine,
    b"EXPUNGE": parse_expunge,
    b"FETCH": parse_fetch,
    b"GETQUOTA": parse_getquota,
    b"GETQUOTAROOT": parse_getquotaroot,
    b"ID": parse_id,
    b"LIST": parse_list,
    b"LOGIN": parse_login,
    b"LSUB": parse_lsub,
    b"MOVE": parse_move,
    b"RENAME": parse_rename,
    b"REPLACE": parse_replace,
    b"SEARCH": parse_search,
    b"SELECT": parse_select,
    b"STATUS": parse_status,
    b"STORE": parse_store,
    b"SUBSCRIBE": parse_subscribe,
    b"UID COPY": partial(parse_copy, uid=True),
    b"UID EXPUNGE": partial(parse_expunge, uid=True),
    b"UID FETCH": partial(parse_fetch, uid=True),
    b"UID MOVE": partial(parse_move, uid=True),
    b"UID REPLACE": partial(parse_replace, uid=True),
    b"UID SEARCH": partial(parse_search, uid=True),
    b"UID STORE": partial(parse_store, uid=True),
    b"UNSUBSCRIBE": parse_unsubscribe,
}
"""Commands with arguments: the parser goes on behind the name. RFC: 3501 §6.4.8 (UID)"""

NAMES = {name: name.removeprefix(b"UID ").decode("ascii") for name in (*_ALONE, *_PARSERS)}
"""Every command as a client names it, and as the server does, to whom UID FETCH is a FETCH."""


def tag_of(line: CommandLine) -> bytes | None:
    """The tag; None where the line has none, and what is said of it is untagged."""
    found = _TAG(line.text)
    return found[0] if found else None


def head(line: CommandLine) -> tuple[bytes, str]:
    """The tag, and the name in capitals ("UID X" after UID).

    Raises:
        ParseError: there is no tag or no name.
    """
    found = _head(line)
    return found[1], found[2].upper().decode("ascii")


def _head(line: CommandLine) -> re.Match[bytes]:
    found = _HEAD(line.text)
    if found is None:
        tag = tag_of(line)
        raise ParseError("Expected a command" if tag else "Expected a tag", tag)
    return found


def parse(line: CommandLine, utf8: bool = False) -> Request:
    """The command that a line is.

    Args:
        line: from the decoder; `LiteralOffered.so_far` too.
        utf8: mailbox names come in UTF-8, not modified UTF-7.

    Raises:
        UnknownCommandError: the name is not of this module.
        ParseError: it is not IMAP; with the tag where there is one.
        MailError: BAD_FOLDER_NAME: it is, but cannot be done. `head` tells the tag.
    """
    found = _head(line)
    tag, name = found[1], found[2].upper()
    parser = _PARSERS.get(name)
    reader = Reader(line, found.end(), utf8)
    try:
        if parser is not None:
            return Request(tag, NAMES[name], parser(reader))
        command = _ALONE.get(name)
        if command is None:
            raise UnknownCommandError(name.decode("ascii"), tag)
        reader.end()
    except ParseError as error:
        error.tag = tag
        raise
    return Request(tag, NAMES[name], command)
