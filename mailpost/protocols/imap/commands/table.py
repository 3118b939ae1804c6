"""Which command is handled where, in which states, and what may be reported with its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mailpost.protocols.imap.commands import (
    anytime,
    append,
    authenticate,
    copy,
    expunge,
    fetch,
    folders,
    idle,
    listing,
    quota,
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
    literals: LiteralPolicy | None = None
    """Where its message literals go (APPEND)."""


COMMANDS: tuple[CommandSpec, ...] = (
    # The connection, and who is on it.
    CommandSpec("CAPABILITY", ANY_STATE, anytime.capability),
    CommandSpec("NOOP", ANY_STATE, anytime.noop),
    CommandSpec("LOGOUT", ANY_STATE, anytime.logout, Reports.NOTHING),
    CommandSpec("ID", ANY_STATE, anytime.identify),
    CommandSpec("STARTTLS", NOT_AUTHENTICATED, authenticate.start_tls),
    CommandSpec("LOGIN", NOT_AUTHENTICATED, authenticate.login),
    CommandSpec("AUTHENTICATE", NOT_AUTHENTICATED, authenticate.authenticate),
    CommandSpec("UNAUTHENTICATE", AUTHENTICATED, authenticate.unauthenticate, Reports.NOTHING),
    CommandSpec("ENABLE", AUTHENTICATED, anytime.enable),
    CommandSpec("COMPRESS", AUTHENTICATED, anytime.compress, Reports.NOTHING),
    CommandSpec("CHECK", SELECTED, anytime.noop),
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
    CommandSpec("GETQUOTA", AUTHENTICATED, quota.get_quota),
    CommandSpec("GETQUOTAROOT", AUTHENTICATED, quota.get_quota_root),
    CommandSpec("APPEND", AUTHENTICATED, append.append, literals=append.offered),
    CommandSpec("REPLACE", SELECTED, append.replace, literals=append.offered),
    CommandSpec("IDLE", AUTHENTICATED, idle.idle),
    # The selected mailbox.
    CommandSpec("CLOSE", SELECTED, select.close),
    CommandSpec("UNSELECT", SELECTED, select.unselect),
    CommandSpec("EXPUNGE", SELECTED, expunge.expunge),
    CommandSpec("SEARCH", SELECTED, search.search, Reports.NO_EXPUNGES),
    CommandSpec("FETCH", SELECTED, fetch.fetch, Reports.NO_EXPUNGES),
    CommandSpec("STORE", SELECTED, store.store, Reports.NO_EXPUNGES),
    CommandSpec("COPY", SELECTED, copy.copy),
    CommandSpec("MOVE", SELECTED, copy.move),
)
"""All commands."""
