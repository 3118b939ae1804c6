"""Which command is handled where, in which states, and what may be reported with its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mailpost.protocols.imap.commands import (
    append,
    copy,
    expunge,
    fetch,
    folders,
    idle,
    listing,
    search,
    select,
    store,
)
from mailpost.protocols.imap.commands.context import Completed, Context, LiteralPolicy, State

Handler = Callable[[Context, Any], Awaitable[Completed | None]]


class Reports(Enum):
    """What may be told of the selected mailbox before a command's tagged response. RFC: 3501 §7.4.1, 9051 §7.5.1"""

    NOTHING = "nothing"
    """Before a mailbox is selected, or where the handler did it itself."""
    NO_EXPUNGES = "no expunges"
    """FETCH, STORE, SEARCH by sequence number: numbers must keep their meaning."""
    ALL = "all"


ANY_STATE = frozenset(State)
NOT_AUTHENTICATED = frozenset({State.NOT_AUTHENTICATED})
AUTHENTICATED = frozenset({State.AUTHENTICATED, State.SELECTED})
SELECTED = frozenset({State.SELECTED})


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One command. Its arguments are parsed by `wire.imap.commands.parse`."""

    name: str
    """In capitals; the form with UID before it has the same spec."""
    states: frozenset[State]
    handler: Handler
    reports: Reports = Reports.ALL
    """Of the plain form; after a UID command everything may be reported."""
    uid: bool = False
    """Whether "UID NAME" exists."""
    literals: LiteralPolicy | None = None
    """Where its message literals go (APPEND)."""

COMMANDS = (
    # Folders.
    CommandSpec("SELECT", AUTHENTICATED, select.select, Reports.NOTHING),
    CommandSpec("EXAMINE", AUTHENTICATED, select.select, Reports.NOTHING),
    CommandSpec("CREATE", AUTHENTICATED, folders.create),
    CommandSpec("DELETE", AUTHENTICATED, folders.delete),
    CommandSpec("RENAME", AUTHENTICATED, folders.rename),
    CommandSpec("SUBSCRIBE", AUTHENTICATED, folders.subscribe),
    CommandSpec("UNSUBSCRIBE", AUTHENTICATED, folders.unsubscribe),
    CommandSpec("LIST", AUTHENTICATED, listing.list_folders),
    CommandSpec("LSUB", AUTHENTICATED, listing.lsub),
    CommandSpec("NAMESPACE", AUTHENTICATED, listing.namespace),
    CommandSpec("STATUS", AUTHENTICATED, folders.status),
    CommandSpec("APPEND", AUTHENTICATED, append.append, literals=append.offered),
    CommandSpec("IDLE", AUTHENTICATED, idle.idle),
    # The selected mailbox.
    CommandSpec("CLOSE", SELECTED, select.close),
    CommandSpec("UNSELECT", SELECTED, select.unselect),
    CommandSpec("EXPUNGE", SELECTED, expunge.expunge, uid=True),
    CommandSpec("SEARCH", SELECTED, search.search, Reports.NO_EXPUNGES, uid=True),
    CommandSpec("FETCH", SELECTED, fetch.fetch, Reports.NO_EXPUNGES, uid=True),
    CommandSpec("STORE", SELECTED, store.store, Reports.NO_EXPUNGES, uid=True),
    CommandSpec("COPY", SELECTED, copy.copy, uid=True),
    CommandSpec("MOVE", SELECTED, copy.move, uid=True),
)
"""All commands."""
