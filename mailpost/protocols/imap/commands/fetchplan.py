"""The items of a FETCH, compiled once per command into a plan.

A plan is a template for the line of a message, and for each place in it a function that gives the values of a whole
batch. So a line costs one formatting, whatever was asked.

RFC: 3501 §6.4.5, §7.4.2, 9051 §6.4.5, 3516 §4.2, §4.3 (BINARY), 8474 §5.3 (EMAILID, THREADID), 8514 §4.2 (SAVEDATE),
8970 §3.2, §4.1 (PREVIEW)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mailpost.mail.dates import format_internaldate
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.sections import Section, SectionKind, UnknownEncodingError, decoded, extract, section
from mailpost.protocols.imap.commands.context import Context
from mailpost.protocols.imap.selected import MessageInHand, SelectedMailbox
from mailpost.storage.records import Attribute, Fetched, HeaderFields
from mailpost.wire.imap.commands import BinarySection, BinarySize, BodySection, FetchAttribute, FetchItem, ParseError
from mailpost.wire.imap.structures import bodystructure_octets
from mailpost.wire.imap.writer import binary, literal

_Values = Sequence[Any]


class Batch:
    """Some messages, all of them here, with what was fetched of them: values in the order of `uids`."""

    __slots__ = ("fetched", "flags", "messages", "modseqs", "selected", "uids")

    def __init__(
        self,
        selected: SelectedMailbox,
        uids: Sequence[int],
        fetched: dict[Fetched, _Values],
        messages: list[MessageInHand],
    ) -> None:
        self.selected = selected
        self.uids = uids
        self.fetched = fetched
        self.messages = messages
        self.flags, self.modseqs = selected.columns(uids)


class _Item:
    """One item of a plan: its piece of the template, what it needs of the store, and its values for a batch."""

    __slots__ = ("columns", "need", "piece")

    def __init__(self, piece: bytes, need: Fetched | None, *columns: Callable[[Batch], _Values]) -> None:
        self.piece = piece
        self.need = need
        self.columns = columns


def _fetched(need: Fetched) -> Callable[[Batch], _Values]:
    return lambda batch: batch.fetched[need]


def _date(seconds: int | None) -> bytes:
    return b"NIL" if seconds is None else b'"%b"' % format_internaldate(seconds).encode()


_UID = _Item(b"UID %d", None, lambda batch: batch.uids)
_FLAGS = _Item(b"FLAGS %b", None, lambda batch: batch.selected.flag_pieces(batch.uids, batch.flags))
_MODSEQ = _Item(b"MODSEQ (%d)", None, lambda batch: batch.modseqs)
_SIMPLE = {
    FetchAttribute.UID: _UID,
    FetchAttribute.FLAGS: _FLAGS,
    FetchAttribute.MODSEQ: _MODSEQ,
    FetchAttribute.SIZE: _Item(b"RFC822.SIZE %d", Attribute.SIZE, _fetched(Attribute.SIZE)),
    FetchAttribute.ENVELOPE: _Item(b"ENVELOPE %b", Attribute.ENVELOPE, _fetched(Attribute.ENVELOPE)),
    FetchAttribute.BODYSTRUCTURE: _Item(
        b"BODYSTRUCTURE %b", Attribute.BODYSTRUCTURE, _fetched(Attribute.BODYSTRUCTURE)
    ),
    FetchAttribute.INTERNALDATE: _Item(
        b'INTERNALDATE "%b"',
        Attribute.INTERNALDATE,
        lambda batch: [format_internaldate(seconds).encode() for seconds in batch.fetched[Attribute.INTERNALDATE]],
    ),
    FetchAttribute.SAVEDATE: _Item(
        b"SAVEDATE %b", Attribute.SAVEDATE, lambda batch: [_date(when) for when in batch.fetched[Attribute.SAVEDATE]]
    ),
    FetchAttribute.EMAILID: _Item(b"EMAILID (%b)", Attribute.EMAILID, _fetched(Attribute.EMAILID)),
    FetchAttribute.THREADID: _Item(b"THREADID (%b)", Attribute.THREADID, _fetched(Attribute.THREADID)),
    FetchAttribute.PREVIEW: _Item(b"PREVIEW %b", Attribute.PREVIEW, _fetched(Attribute.PREVIEW)),
    FetchAttribute.LAZY_PREVIEW: _Item(b"PREVIEW %b", Attribute.PREVIEW_AT_HAND, _fetched(Attribute.PREVIEW_AT_HAND)),
    FetchAttribute.BODY: _Item(
        b"BODY %b",
        Attribute.OCTETS,
        lambda batch: [bodystructure_octets(each.tree, each.octets, extensions=False) for each in batch.messages],
    ),
}
_AS_SECTIONS = {
    FetchAttribute.RFC822: BodySection(Section(), False, None, b"RFC822"),
    FetchAttribute.RFC822_HEADER: BodySection(Section(kind=SectionKind.HEADER), True, None, b"RFC822.HEADER"),
    FetchAttribute.RFC822_TEXT: BodySection(Section(kind=SectionKind.TEXT), False, None, b"RFC822.TEXT"),
}
"""The items of RFC 1730, which are sections under other names. RFC: 3501 §6.4.5 (RFC822)"""


def _item(wanted: BodySection) -> _Item:
    """A section; the whole message and fields of its header are never NIL, and cost one copy less."""
    what, label = wanted.section, wanted.label.replace(b"%", b"%%")
    start, stop = (0, None) if wanted.partial is None else (wanted.partial[0], sum(wanted.partial))
    if not what.path and what.kind is None:
        if wanted.partial is None:
            octets = _fetched(Attribute.OCTETS)
            return _Item(label + b" {%d}\r\n%b", Attribute.OCTETS, lambda batch: [*map(len, octets(batch))], octets)
    elif not what.path and what.kind is SectionKind.HEADER_FIELDS:
        need = HeaderFields(tuple(sorted(what.names)))
        return _Item(label + b" %b", need, lambda batch: [literal(each[start:stop]) for each in batch.fetched[need]])
    return _Item(
        label + b" %b", Attribute.OCTETS, lambda batch: [_section(each, what, start, stop) for each in batch.messages]
    )


def _binary(wanted: BinarySection) -> _Item:
    """A part with its transfer encoding undone. RFC: 3516 §4.3"""
    label = wanted.label.replace(b"%", b"%%")
    start, stop = (0, None) if wanted.partial is None else (wanted.partial[0], sum(wanted.partial))

    def value(message: MessageInHand) -> bytes:
        octets = _decoded(message, wanted.path)
        return b"NIL" if octets is None else binary(octets[start:stop])

    return _Item(label + b" %b", Attribute.OCTETS, lambda batch: [*map(value, batch.messages)])


def _binary_size(wanted: BinarySize) -> _Item:
    """How large that is; 0 for a part that is not there."""
    return _Item(
        wanted.label.replace(b"%", b"%%") + b" %d",
        Attribute.OCTETS,
        lambda batch: [len(_decoded(message, wanted.path) or b"") for message in batch.messages],
    )


def _decoded(message: MessageInHand, path: tuple[int, ...]) -> bytes | None:
    try:
        return decoded(message.octets, message.tree, path)
    except UnknownEncodingError:
        raise MailError(ErrorKind.UNKNOWN_ENCODING, "The part is in a transfer encoding that is not known") from None


def _section(message: MessageInHand, what: Section, start: int, stop: int | None) -> bytes:
    if what.path:
        octets = section(message.octets, message.tree, what.path, what.kind, what.names)
    else:
        octets = extract(message.octets, what)
    return b"NIL" if octets is None else literal(octets[start:stop])


class Plan:
    """A FETCH command, compiled."""

    def __init__(self, wanted: Sequence[FetchItem], selected: SelectedMailbox) -> None:
        self.items: list[_Item] = []
        self.sets_seen = False
        """The messages that are answered get \\Seen."""
        self.in_parts = False
        """Something less than a message is asked of its octets."""
        for each in wanted:
            if isinstance(each, FetchAttribute):
                each = _AS_SECTIONS.get(each, each)
            if isinstance(each, BodySection):
                self.items.append(_item(each))
                self.sets_seen |= not each.peek and not selected.read_only
                self.in_parts |= bool(each.partial or each.section.path)
            elif isinstance(each, BinarySection):
                self.items.append(_binary(each))
                self.sets_seen |= not each.peek and not selected.read_only
                self.in_parts = True
            elif isinstance(each, BinarySize):
                self.items.append(_binary_size(each))
                self.in_parts = True
            elif isinstance(each, FetchAttribute) and each in _SIMPLE:
                self.items.append(_SIMPLE[each])
            else:
                raise ParseError("There is no such item here")
        self.needs = tuple(dict.fromkeys(item.need for item in self.items if item.need is not None))
        extra = [_FLAGS, _MODSEQ] if selected.reports_modseq else [_FLAGS]
        if selected.tells_uid and not selected.uid_only:
            extra.append(_UID)
        self.with_flags = [*self.items, *(item for item in extra if item not in self.items)]
        self.tells_flags = _FLAGS in self.items and (_MODSEQ in self.items or not selected.reports_modseq)

    def write(self, context: Context, batch: Batch, with_flags: bool = False) -> None:
        """Write the lines of a batch; `with_flags` adds the flags that this FETCH has changed."""
        selected = batch.selected
        items = self.with_flags if with_flags else self.items
        if _FLAGS in items:
            context.write(selected.new_keywords(batch.flags))
        start, numbers = selected.line_start(batch.uids)
        template = start + b" ".join([item.piece for item in items]) + b")\r\n"
        columns = [column(batch) for item in items for column in item.columns]
        context.write([*map(template.__mod__, zip(numbers, *columns, strict=True))])
        if with_flags or self.tells_flags:
            selected.told(batch.uids)
