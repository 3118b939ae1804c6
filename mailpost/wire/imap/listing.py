"""Commands that tell of folders: LIST, LSUB, STATUS, NAMESPACE.

RFC: 3501 §6.3.8 to §6.3.10, 5258 (LIST-EXTENDED), 6154 §5 (SPECIAL-USE), 5819 (LIST-STATUS), 2342
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailpost.wire.imap.grammar import ParseError
from mailpost.wire.imap.reader import Reader


class StatusItem(Enum):
    """A count that STATUS gives; the value is its name on the wire."""

    MESSAGES = b"MESSAGES"
    RECENT = b"RECENT"
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"
    DELETED = b"DELETED"
    DELETED_STORAGE = b"DELETED-STORAGE"
    """Octets that EXPUNGE would free. RFC: 9208 §4.1.4"""
    SIZE = b"SIZE"
    """Octets of all messages. RFC: 8438 §3.1"""
    HIGHESTMODSEQ = b"HIGHESTMODSEQ"
    MAILBOXID = b"MAILBOXID"
    APPENDLIMIT = b"APPENDLIMIT"
    """Octets that one APPEND may have. RFC: 7889 §3.1"""


class ListSelection(Enum):
    """Which folders LIST shows. RFC: 5258 §3.1, 6154 §5.1"""

    SUBSCRIBED = b"SUBSCRIBED"
    REMOTE = b"REMOTE"
    RECURSIVEMATCH = b"RECURSIVEMATCH"
    SPECIAL_USE = b"SPECIAL-USE"


class ListReturn(Enum):
    """What LIST tells of each folder. RFC: 5258 §3.2, 6154 §5.1"""

    SUBSCRIBED = b"SUBSCRIBED"
    CHILDREN = b"CHILDREN"
    SPECIAL_USE = b"SPECIAL-USE"


@dataclass(frozen=True, slots=True)
class List:
    """LIST, plain and extended."""

    reference: str
    patterns: tuple[str, ...]
    """Decoded, with `*` and `%` as wildcards. Plain `LIST "" ""` has ("",)."""
    selection: frozenset[ListSelection] = frozenset()
    returns: frozenset[ListReturn] = frozenset()
    status: tuple[StatusItem, ...] = ()
    """A STATUS answer with these is wanted for each selectable folder. RFC: 5819"""
    extended: bool = False
    """The client used the extended form: selection or return options, or several patterns."""


@dataclass(frozen=True, slots=True)
class Lsub:
    """LSUB."""

    reference: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS."""

    mailbox: str
    items: tuple[StatusItem, ...]
    """In the client's order, without repeats."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """NAMESPACE."""


_STATUS_ITEMS = {item.value: item for item in StatusItem}
_SELECTIONS = {selection.value: selection for selection in ListSelection}
_RETURNS = {value.value: value for value in ListReturn}
_WEAK = frozenset({ListSelection.REMOTE, ListSelection.RECURSIVEMATCH})


def parse_list(reader: Reader) -> List:
    """LIST [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]"""
    reader.space()
    selection: frozenset[ListSelection] = frozenset()
    extended = reader.peek() == b"("
    if extended:
        selection = frozenset(
            reader.items(lambda: reader.choice(_SELECTIONS, "a selection option"), "selection options", least=0)
        )
        if ListSelection.RECURSIVEMATCH in selection and selection <= _WEAK:
            raise ParseError("RECURSIVEMATCH needs another selection option")
        reader.space()
    reference = reader.mailbox()
    reader.space()
    if reader.peek() == b"(":
        extended = True
        patterns = reader.items(reader.list_mailbox, "patterns")
    else:
        patterns = [reader.list_mailbox()]
    returns: frozenset[ListReturn] = frozenset()
    status: tuple[StatusItem, ...] = ()
    if not reader.at_end():
        extended = True
        returns, status = _return_options(reader)
        reader.end()
    return List(reference, tuple(patterns), selection, returns, status, extended)


def _return_options(reader: Reader) -> tuple[frozenset[ListReturn], tuple[StatusItem, ...]]:
    """SP RETURN SP "(" [return-option *(SP return-option)] ")"."""
    reader.space()
    if not reader.accept_word(b"RETURN"):
        raise reader.error("RETURN")
    reader.space()
    options = reader.items(lambda: _return_option(reader), "return options", least=0)
    returns = frozenset(option for option in options if isinstance(option, ListReturn))
    status = [item for option in options if isinstance(option, tuple) for item in option]
    return returns, tuple(dict.fromkeys(status))


def _return_option(reader: Reader) -> ListReturn | tuple[StatusItem, ...]:
    if reader.accept_word(b"STATUS"):
        reader.space()
        return _status_items(reader)
    return reader.choice(_RETURNS, "a return option")


def _status_items(reader: Reader) -> tuple[StatusItem, ...]:
    items = reader.items(lambda: reader.choice(_STATUS_ITEMS, "a status item"), "a list of status items")
    return tuple(dict.fromkeys(items))


def parse_lsub(reader: Reader) -> Lsub:
    """LSUB SP mailbox SP list-mailbox"""
    reader.space()
    reference = reader.mailbox()
    reader.space()
    pattern = reader.list_mailbox()
    reader.end()
    return Lsub(reference, pattern)


def parse_status(reader: Reader) -> Status:
    """STATUS SP mailbox SP "(" status-att *(SP status-att) ")"."""
    reader.space()
    mailbox = reader.mailbox()
    reader.space()
    items = _status_items(reader)
    reader.end()
    return Status(mailbox, items)
