"""Every command as a value, and `parse`, which makes it from a decoded line.

RFC: 3501 §6, 9051 §6
"""

from __future__ import annotations

from dataclasses import dataclass

from mailpost.wire.imap.anytime import (
    Authenticate,
    Capability,
    Check,
    Close,
    Enable,
    Id,
    Idle,
    Login,
    Logout,
    Noop,
    StartTls,
    Unselect,
)
from mailpost.wire.imap.append import Append, AppendMessage
from mailpost.wire.imap.changes import Copy, Expunge, Move, Store
from mailpost.wire.imap.fetch import BinarySection, BinarySize, BodySection, Fetch, FetchAttribute, FetchItem
from mailpost.wire.imap.folders import Create, Delete, QuickResync, Rename, Select, Subscribe, Unsubscribe
from mailpost.wire.imap.grammar import ParseError, UnknownCommandError
from mailpost.wire.imap.listing import List, ListReturn, ListSelection, Lsub, Namespace, Status, StatusItem
from mailpost.wire.imap.search import Search, SearchReturn

__all__ = [
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
    "Copy",
    "Create",
    "Delete",
    "Enable",
    "Expunge",
    "Fetch",
    "FetchAttribute",
    "FetchItem",
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
    "Request",
    "Search",
    "SearchReturn",
    "Select",
    "StartTls",
    "Status",
    "StatusItem",
    "Store",
    "Subscribe",
    "UnknownCommandError",
    "Unselect",
    "Unsubscribe",
]

Command = (
    Append
    | Authenticate
    | Capability
    | Check
    | Close
    | Copy
    | Create
    | Delete
    | Enable
    | Expunge
    | Fetch
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
    | Search
    | Select
    | StartTls
    | Status
    | Store
    | Subscribe
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
