"""Commands that change messages: STORE, COPY, MOVE, EXPUNGE.

RFC: 3501 §6.4.3, §6.4.6, §6.4.7, 4315 §2.1 (UID EXPUNGE), 6851 §3 (MOVE), 7162 §3.1.3 (UNCHANGEDSINCE)
"""

from __future__ import annotations

from dataclasses import dataclass

from mailpost.mail.flags import FlagChange, Flags, intern_flags
from mailpost.mail.uidset import SequenceSet
from mailpost.wire.imap.grammar import MOST_KEYS, ParseError
from mailpost.wire.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class Store:
    """STORE and UID STORE."""

    numbers: SequenceSet
    change: FlagChange
    flags: Flags
    """Canonical and interned; never `\\Recent`."""
    silent: bool
    unchanged_since: int | None = None
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY and UID COPY."""

    numbers: SequenceSet
    mailbox: str
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """MOVE and UID MOVE."""

    numbers: SequenceSet
    mailbox: str
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Expunge:
    """EXPUNGE (`uids` is None) and UID EXPUNGE."""

    uids: SequenceSet | None = None


_STORE_ITEMS = {
    prefix + b"FLAGS" + suffix: (change, bool(suffix))
    for prefix, change in ((b"", FlagChange.REPLACE), (b"+", FlagChange.ADD), (b"-", FlagChange.REMOVE))
    for suffix in (b"", b".SILENT")
}


def parse_store(reader: Reader, uid: bool = False) -> Store:
    """STORE SP sequence-set [SP "(UNCHANGEDSINCE" SP n ")"] SP ["+" / "-"] "FLAGS" [".SILENT"] SP flags"""
    reader.space()
    numbers = reader.sequence_set()
    reader.space()
    unchanged_since: int | None = None
    if reader.accept(b"("):
        if not reader.accept_word(b"UNCHANGEDSINCE"):
            raise reader.error("UNCHANGEDSINCE")
        reader.space()
        unchanged_since = reader.number64("a mod-sequence")
        reader.expect(b")")
        reader.space()
    change, silent = reader.choice(_STORE_ITEMS, "FLAGS, +FLAGS or -FLAGS")
    reader.space()
    flags = _flags(reader)
    reader.end()
    return Store(numbers, change, flags, silent, unchanged_since, uid)


def _flags(reader: Reader) -> Flags:
    """flag-list / (flag *(SP flag))"""
    if reader.peek() == b"(":
        return reader.flag_list()
    found = [reader.flag()]
    while not reader.at_end():
        if len(found) >= MOST_KEYS:
            raise ParseError(f"More than {MOST_KEYS} flags")
        reader.space()
        found.append(reader.flag())
    return intern_flags(found)


def _numbers_and_mailbox(reader: Reader) -> tuple[SequenceSet, str]:
    reader.space()
    numbers = reader.sequence_set()
    reader.space()
    mailbox = reader.mailbox()
    reader.end()
    return numbers, mailbox


def parse_copy(reader: Reader, uid: bool = False) -> Copy:
    """COPY SP sequence-set SP mailbox"""
    return Copy(*_numbers_and_mailbox(reader), uid)


def parse_move(reader: Reader, uid: bool = False) -> Move:
    """MOVE SP sequence-set SP mailbox"""
    return Move(*_numbers_and_mailbox(reader), uid)


def parse_expunge(reader: Reader, uid: bool = False) -> Expunge:
    """EXPUNGE / "UID EXPUNGE" SP sequence-set"""
    if not uid:
        reader.end()
        return Expunge()
    reader.space()
    uids = reader.sequence_set()
    reader.end()
    return Expunge(uids)
