"""FETCH: which data of which messages.

RFC: 3501 §6.4.5, 9051 §6.4.5, 7162 §3.1.4 (CHANGEDSINCE), 3516 (BINARY), 8474 §5.3 (EMAILID, THREADID),
8514 (SAVEDATE), 8970 §6 (PREVIEW)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from mailpost.mail.sections import Section, SectionKind
from mailpost.mail.uidset import SequenceSet
from mailpost.wire.imap import writer
from mailpost.wire.imap.grammar import LARGEST_NUMBER, LARGEST_NUMBER64, MOST_DEPTH, ParseError
from mailpost.wire.imap.partial import PartialRange, parse_partial
from mailpost.wire.imap.reader import Reader


class FetchAttribute(Enum):
    """A fetch item without arguments; the value is its label in the answer."""

    UID = b"UID"
    FLAGS = b"FLAGS"
    INTERNALDATE = b"INTERNALDATE"
    SIZE = b"RFC822.SIZE"
    ENVELOPE = b"ENVELOPE"
    BODY = b"BODY"
    """The body structure without extension data."""
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    MODSEQ = b"MODSEQ"
    RFC822 = b"RFC822"
    RFC822_HEADER = b"RFC822.HEADER"
    RFC822_TEXT = b"RFC822.TEXT"
    EMAILID = b"EMAILID"
    THREADID = b"THREADID"
    SAVEDATE = b"SAVEDATE"
    PREVIEW = b"PREVIEW"
    LAZY_PREVIEW = b"PREVIEW (LAZY)"
    """Only where it is at hand; the answer calls it PREVIEW."""


@dataclass(frozen=True, slots=True)
class BodySection:
    """`BODY[section]<first.count>`, with or without PEEK."""

    section: Section
    """The whole message is Section((), None, frozenset())."""
    peek: bool
    """True leaves \\Seen alone."""
    partial: tuple[int, int] | None
    """(first octet counted from 0, count of octets), or None for all."""
    label: bytes
    """What the answer calls it: `BODY[HEADER.FIELDS (Subject From)]<0>`, names as the client wrote them."""


@dataclass(frozen=True, slots=True)
class BinarySection:
    """`BINARY[part]<first.count>`: the part with its transfer encoding undone. RFC: 3516 §4.2"""

    path: tuple[int, ...]
    peek: bool
    partial: tuple[int, int] | None
    label: bytes


@dataclass(frozen=True, slots=True)
class BinarySize:
    """`BINARY.SIZE[part]`: octets of the part with its transfer encoding undone. RFC: 3516 §4.3"""

    path: tuple[int, ...]
    label: bytes


FetchItem = FetchAttribute | BodySection | BinarySection | BinarySize


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH and UID FETCH."""

    numbers: SequenceSet
    items: tuple[FetchItem, ...]
    """In the client's order without repeats, macros expanded; neither UID nor MODSEQ is added to what it asked for."""
    uid: bool = False
    changed_since: int | None = None
    vanished: bool = False
    partial: PartialRange | None = None
    """Only these places among the messages named. RFC: 9394 §3.3"""


_ATTRIBUTES = {attribute.value: attribute for attribute in FetchAttribute}
_FAST = (FetchAttribute.FLAGS, FetchAttribute.INTERNALDATE, FetchAttribute.SIZE)
_MACROS: dict[bytes, tuple[FetchItem, ...]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, FetchAttribute.ENVELOPE),
    b"FULL": (*_FAST, FetchAttribute.ENVELOPE, FetchAttribute.BODY),
}
_NAME_MATCH = re.compile(rb"[A-Za-z0-9.]+").match
_PATH_MATCH = re.compile(rb"(?:[1-9][0-9]*(?:\.[1-9][0-9]*)*)?").match
_KIND_MATCH = re.compile(rb"[A-Za-z.]*").match
_PARTIAL_MATCH = re.compile(rb"<([0-9]{1,19})\.([0-9]{1,19})>").match
_LAZY_MATCH = re.compile(rb"(?: \(LAZY(?: LAZY)*\))?", re.IGNORECASE).match
"""Any other parenthesis behind a sole PREVIEW holds modifiers of the FETCH. RFC: 8970 §6"""
_KINDS = {
    b"": None,
    b"HEADER": SectionKind.HEADER,
    b"HEADER.FIELDS": SectionKind.HEADER_FIELDS,
    b"HEADER.FIELDS.NOT": SectionKind.HEADER_FIELDS_NOT,
    b"MIME": SectionKind.MIME,
    b"TEXT": SectionKind.TEXT,
}


def parse_fetch(reader: Reader, uid: bool = False) -> Fetch:
    """FETCH SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-atts ")") [SP "(" modifiers ")"]"""
    reader.space()
    numbers = reader.sequence_set()
    reader.space()
    items = _fetch_items(reader)
    if reader.at_end():
        return Fetch(numbers, items, uid)
    reader.space()
    modifiers = _Modifiers()
    reader.items(lambda: modifiers.take(reader), "fetch modifiers")
    reader.end()
    if modifiers.vanished and (not uid or modifiers.changed_since is None):
        raise ParseError("VANISHED goes with UID FETCH and CHANGEDSINCE only")
    if modifiers.partial is not None and not uid:
        raise ParseError("PARTIAL goes with UID FETCH only")
    return Fetch(numbers, items, uid, modifiers.changed_since, modifiers.vanished, modifiers.partial)


class _Modifiers:
    """What stands behind the items of a FETCH. RFC: 7162 §3.1.4.1, §3.2.6, 9394 §3.3"""

    def __init__(self) -> None:
        self.changed_since: int | None = None
        self.vanished = False
        self.partial: PartialRange | None = None

    def take(self, reader: Reader) -> None:
        """CHANGEDSINCE SP mod-sequence / VANISHED / PARTIAL SP partial-range"""
        if reader.accept_word(b"VANISHED"):
            self.vanished = True
        elif reader.accept_word(b"PARTIAL"):
            self.partial = parse_partial(reader)
        elif reader.accept_word(b"CHANGEDSINCE"):
            reader.space()
            self.changed_since = reader.number64("a mod-sequence")
        else:
            raise reader.error("CHANGEDSINCE, VANISHED or PARTIAL")


def _fetch_items(reader: Reader) -> tuple[FetchItem, ...]:
    if reader.peek() == b"(":
        items = reader.items(lambda: _item(reader, reader.match(_NAME_MATCH, "a fetch item")[0].upper()))
        return tuple(items) if len(items) == 1 else tuple(dict.fromkeys(items))
    name = reader.match(_NAME_MATCH, "a fetch item")[0].upper()
    return _MACROS.get(name) or (_item(reader, name),)


def _item(reader: Reader, name: bytes) -> FetchItem:
    if reader.peek() == b"[":
        return _section_item(reader, name)
    attribute = _ATTRIBUTES.get(name)
    if attribute is FetchAttribute.PREVIEW and reader.match(_LAZY_MATCH, "LAZY")[0]:
        return FetchAttribute.LAZY_PREVIEW
    if attribute is None:
        raise ParseError(f"Unknown fetch item {name[:40].decode('ascii')}")
    return attribute


def _section_item(reader: Reader, name: bytes) -> FetchItem:
    stem, peek = (name[:-5], True) if name.endswith(b".PEEK") else (name, False)
    if stem == b"BODY":
        return _body_section(reader, peek)
    if stem == b"BINARY":
        reader.expect(b"[")
        path, shown = _path(reader)
        reader.expect(b"]")
        partial, first = _partial(reader)
        return BinarySection(path, peek, partial, b"BINARY[%b]%b" % (shown, first))
    if name == b"BINARY.SIZE":
        reader.expect(b"[")
        path, shown = _path(reader)
        reader.expect(b"]")
        return BinarySize(path, b"BINARY.SIZE[%b]" % shown)
    raise ParseError(f"{name[:40].decode('ascii')} has no sections")


def parse_section(reader: Reader) -> Section:
    """section, and nothing behind it."""
    section, _ = _section(reader)
    reader.end()
    return section


def _body_section(reader: Reader, peek: bool) -> BodySection:
    """BODY [".PEEK"] section ["<" number "." nz-number ">"]"""
    section, shown = _section(reader)
    partial, first = _partial(reader)
    return BodySection(section, peek, partial, b"BODY%b%b" % (shown, first))


def _section(reader: Reader) -> tuple[Section, bytes]:
    """section: what it means, and as the answer shows it.

    section = "[" [section-part ["." section-text] / section-msgtext] "]"
    """
    reader.expect(b"[")
    path, shown = _path(reader)
    if path and reader.accept(b"."):
        shown += b"."
        word = reader.match(_KIND_MATCH, "MIME, HEADER or TEXT")[0].upper() or b"."
    else:
        word = reader.match(_KIND_MATCH, "a section")[0].upper()
    if word not in _KINDS or (word == b"MIME" and not path):
        raise ParseError(f"Unknown section {(shown + word)[:40].decode('ascii')}")
    kind = _KINDS[word]
    names: list[bytes] = []
    shown += word
    if kind in (SectionKind.HEADER_FIELDS, SectionKind.HEADER_FIELDS_NOT):
        reader.space()
        names = reader.items(lambda: reader.astring("a field name"), "a list of field names")
        shown += b" (%b)" % b" ".join(map(writer.astring, names))
    reader.expect(b"]")
    return Section(path, kind, frozenset(name.lower() for name in names)), b"[%b]" % shown


def _path(reader: Reader) -> tuple[tuple[int, ...], bytes]:
    """section-part: as numbers and as it stands."""
    shown = reader.match(_PATH_MATCH, "a part")[0]
    if not shown:
        return (), b""
    numbers = shown.split(b".")
    if len(numbers) > 2 * MOST_DEPTH or any(len(number) > 10 for number in numbers):
        raise ParseError("No message has such a part")
    path = tuple(map(int, numbers))
    if max(path) > LARGEST_NUMBER:
        raise ParseError("No message has such a part")
    return path, shown


def _partial(reader: Reader) -> tuple[tuple[int, int] | None, bytes]:
    """The range as numbers, and as the answer shows it: `<first>`."""
    if reader.peek() != b"<":
        return None, b""
    found = reader.match(_PARTIAL_MATCH, "a range like <0.1024>")
    first, count = int(found[1]), int(found[2])
    if not count or max(first, count) > LARGEST_NUMBER64:
        raise ParseError("Expected a range like <0.1024>")
    return (first, count), b"<%d>" % first
