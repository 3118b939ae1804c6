"""Commands about folders by name: SELECT, EXAMINE, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE.

Names are decoded text (`mail.foldernames`); INBOX in any case is "INBOX".

RFC: 3501 §6.3, 9051 §6.3, 6154 §3 (CREATE with USE), 7162 §3.1.8 (CONDSTORE), §3.2.5 (QRESYNC)
"""

from __future__ import annotations

from dataclasses import dataclass

from mailpost.mail.uidset import SequenceSet
from mailpost.wire.imap.grammar import FLAG_MATCH, ParseError
from mailpost.wire.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class QuickResync:
    """What the client remembers of the mailbox it selects. RFC: 7162 §3.2.5"""

    uidvalidity: int
    modseq: int
    known_uids: SequenceSet | None = None
    sequence_match: tuple[SequenceSet, SequenceSet] | None = None
    """Sequence numbers and, at the same places, the UIDs that the client holds for them."""


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT, and EXAMINE with `read_only`."""

    mailbox: str
    read_only: bool = False
    condstore: bool = False
    qresync: QuickResync | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE."""

    mailbox: str
    """A trailing separator, if the client sent one, is still there."""
    special_use: tuple[str, ...] = ()
    """As `\\Sent`: known attributes in the spelling of RFC 6154, others as they came."""


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """UNSUBSCRIBE."""

    mailbox: str


_USES = {use.lower(): use for use in ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash")}


def parse_select(reader: Reader, read_only: bool = False) -> Select:
    """SELECT SP mailbox [SP "(" select-param *(SP select-param) ")"]"""
    reader.space()
    mailbox = reader.mailbox()
    condstore, qresync = False, None
    if not reader.at_end():
        reader.space()
        for parameter in reader.items(lambda: _select_parameter(reader), "a list of parameters"):
            condstore = True
            qresync = parameter or qresync
        reader.end()
    return Select(mailbox, read_only, condstore, qresync)


def parse_examine(reader: Reader) -> Select:
    """EXAMINE, with the arguments of SELECT."""
    return parse_select(reader, read_only=True)


def _select_parameter(reader: Reader) -> QuickResync | None:
    """CONDSTORE (None) / QRESYNC SP "(" uidvalidity SP mod-sequence [SP known-uids] [SP seq-match-data] ")"."""
    if reader.accept_word(b"CONDSTORE"):
        return None
    if not reader.accept_word(b"QRESYNC"):
        raise reader.error("CONDSTORE or QRESYNC")
    reader.space()
    reader.expect(b"(")
    uidvalidity = reader.number("a UIDVALIDITY", least=1)
    reader.space()
    modseq = reader.number64("a mod-sequence", least=1)
    known, matched = None, None
    more = reader.accept(b" ")
    if more and reader.peek() != b"(":
        known = reader.sequence_set("a set of UIDs", star=False)
        more = reader.accept(b" ")
    if more:
        reader.expect(b"(")
        numbers = reader.sequence_set("a set of sequence numbers", star=False)
        reader.space()
        matched = numbers, reader.sequence_set("a set of UIDs", star=False)
        if len(numbers.resolve(0)) != len(matched[1].resolve(0)):
            raise ParseError("Expected as many UIDs as sequence numbers")
        reader.expect(b")")
    reader.expect(b")")
    return QuickResync(uidvalidity, modseq, known, matched)


def parse_create(reader: Reader) -> Create:
    """CREATE SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]"""
    reader.space()
    mailbox = reader.mailbox()
    uses: list[str] = []
    if not reader.at_end():
        reader.space()
        for found in reader.items(lambda: _create_parameter(reader), "a list of parameters"):
            uses += found
        reader.end()
    return Create(mailbox, tuple(dict.fromkeys(uses)))


def _create_parameter(reader: Reader) -> list[str]:
    if not reader.accept_word(b"USE"):
        raise reader.error("USE")
    reader.space()
    return reader.items(lambda: _use(reader), "a list of special uses", least=0)


def _use(reader: Reader) -> str:
    use = reader.match(FLAG_MATCH, "a special use")[0].decode("ascii")
    if use[0] != "\\":
        raise ParseError("Expected a special use like \\Sent")
    return _USES.get(use.lower(), use)


def _only_mailbox(reader: Reader) -> str:
    reader.space()
    mailbox = reader.mailbox()
    reader.end()
    return mailbox


def parse_delete(reader: Reader) -> Delete:
    """DELETE SP mailbox"""
    return Delete(_only_mailbox(reader))


def parse_rename(reader: Reader) -> Rename:
    """RENAME SP mailbox SP mailbox"""
    reader.space()
    old = reader.mailbox()
    return Rename(old, _only_mailbox(reader))


def parse_subscribe(reader: Reader) -> Subscribe:
    """SUBSCRIBE SP mailbox"""
    return Subscribe(_only_mailbox(reader))


def parse_unsubscribe(reader: Reader) -> Unsubscribe:
    """UNSUBSCRIBE SP mailbox"""
    return Unsubscribe(_only_mailbox(reader))
