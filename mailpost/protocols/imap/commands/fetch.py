"""FETCH and UID FETCH.

The items are compiled once per command into a plan: a template for the line of a message, and for each place in it a
function that gives the values of a whole batch. So a line costs one formatting, whatever was asked. UID, FLAGS and
MODSEQ are in memory and answered at once; the rest comes from the store in batches, the next of which is read while
one is written.

Of messages named by sequence number that are gone without the client's knowledge there are no lines: then the answer
is OK [EXPUNGEISSUED], and NO if none remained, as RFC 2180 §4.1.2 permits.

RFC: 3501 §6.4.5, §7.4.2, 9051 §6.4.5, 7162 §3.1.4 (MODSEQ, CHANGEDSINCE), §3.2.6 (VANISHED), 9394 §3.3 (PARTIAL),
3516 §4.2, §4.3 (BINARY), 8474 §5.3 (EMAILID, THREADID), 8514 §4.2 (SAVEDATE), 9586 §3.3 (UIDFETCH),
8970 §3.2, §4.1 (PREVIEW), 5530 §3 (EXPUNGEISSUED)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred

from mailpost.mail.dates import format_internaldate
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import SEEN, FlagChange, intern_flags
from mailpost.mail.sections import Section, SectionKind, UnknownEncodingError, decoded, extract, section
from mailpost.protocols.imap.commands.context import Completed, Context
from mailpost.protocols.imap.commands.vanished import tell_vanished
from mailpost.protocols.imap.selected import MessageInHand, SelectedMailbox
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute, Fetched, HeaderFields
from mailpost.wire.imap.commands import (
    BinarySection,
    BinarySize,
    BodySection,
    Fetch,
    FetchAttribute,
    FetchItem,
    ParseError,
)
from mailpost.wire.imap.structures import bodystructure_octets
from mailpost.wire.imap.writer import binary, literal

_LINES = 4_096
"""Lines of what is in memory that are written at a time: about 256 KiB."""
_SEEN = intern_flags((SEEN,))

_Values = Sequence[Any]
_Rows = list[tuple[Any, ...]]


class _Batch:
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

    def __init__(self, piece: bytes, need: Fetched | None, *columns: Callable[[_Batch], _Values]) -> None:
        self.piece = piece
        self.need = need
        self.columns = columns


def _fetched(need: Fetched) -> Callable[[_Batch], _Values]:
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
        # The empty line behind the header belongs to every choice of its fields. RFC: 3501 §6.4.5
        return _Item(
            label + b" %b", need, lambda batch: [literal((each + b"\r\n")[start:stop]) for each in batch.fetched[need]]
        )
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


class _Plan:
    """A FETCH command, compiled."""

    def __init__(self, wanted: Sequence[FetchItem], selected: SelectedMailbox) -> None:
        self.items: list[_Item] = []
        self.sets_seen = False
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

    def write(self, context: Context, batch: _Batch, with_flags: bool = False) -> None:
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


async def fetch(context: Context, command: Fetch) -> Completed | None:
    """Answer the items of the named messages."""
    selected = context.selected
    assert selected is not None
    if command.vanished and "QRESYNC" not in context.enabled:
        raise ParseError("QRESYNC has not been enabled")
    plan = _Plan(_wanted(command, selected), selected)
    uids, some_gone = selected.named(command.numbers, command.uid)
    if some_gone and not uids:
        raise MailError(ErrorKind.EXPUNGED, "These messages no longer exist")
    if command.partial is not None:
        uids = uids[command.partial.of(len(uids))]
    if command.changed_since is not None:
        uids = await _changed(context, command, uids, command.changed_since)
    if not plan.needs:
        some_gone |= await _from_memory(context, plan, uids)
    elif uids:
        some_gone |= await _from_store(context, plan, uids)
    if some_gone and not command.uid:
        return Completed(b"Some of these messages no longer exist", b"EXPUNGEISSUED")
    return None


def _wanted(command: Fetch, selected: SelectedMailbox) -> list[FetchItem]:
    """The items of the answer: with UID and MODSEQ where the kind of command implies them."""
    wanted = list(command.items)
    if command.uid and FetchAttribute.UID not in wanted and not selected.uid_only:
        wanted.insert(0, FetchAttribute.UID)
    if command.changed_since is not None and FetchAttribute.MODSEQ not in wanted:
        wanted.append(FetchAttribute.MODSEQ)
    if FetchAttribute.MODSEQ in wanted:
        selected.enable_condstore()
    return wanted


async def _changed(context: Context, command: Fetch, uids: list[int], since: int) -> list[int]:
    """Those of these messages that have changed; before them, if that is wanted, what went. RFC: 7162 §3.2.6"""
    selected = context.selected
    assert selected is not None
    if command.vanished:
        await tell_vanished(context, command.numbers.resolve(selected.live.uidnext - 1), since)
        uids = list(selected.present(uids))
    return [uid for uid, modseq in zip(uids, selected.columns(uids)[1], strict=True) if modseq > since]


async def _from_memory(context: Context, plan: _Plan, uids: list[int]) -> bool:
    """Answer what the live mailbox knows; whether messages went away meanwhile."""
    selected = context.selected
    assert selected is not None
    answered = 0
    for start in range(0, len(uids), _LINES):
        some: Sequence[int] = uids[start : start + _LINES]
        if start:
            await context.drained()
            some = selected.present(some)
        plan.write(context, _Batch(selected, some, {}, []))
        answered += len(some)
    return answered < len(uids)


async def _from_store(context: Context, plan: _Plan, uids: list[int]) -> bool:
    """Answer what has to be fetched; whether messages went away meanwhile."""
    selected = context.selected
    assert selected is not None
    needs, hold = plan.needs, plan.in_parts and len(uids) == 1
    held = selected.held[1] if hold and selected.held and selected.held[0] == uids[0] else None
    if held:
        needs = tuple(need for need in needs if need is not Attribute.OCTETS)
        if not needs:
            return not await _answer(context, plan, (), [(uids[0],)], held=held)
    come = answered = 0
    rows: Any = selected.mailbox.fetch(uids, needs)
    coming: Deferred[_Rows | None] | None = None
    try:
        batch = await _following(rows)
        while batch:
            come += len(batch)
            coming = Deferred.fromCoroutine(_following(rows)) if come < len(uids) else None
            answered += await _answer(context, plan, needs, batch, held=held, hold=hold)
            context.progress(come, len(uids))
            if coming is None:
                break
            await context.drained()
            batch = await coming
    finally:
        if coming is not None:
            coming.cancel()
            await coming.addErrback(lambda failure: None)
        await rows.aclose()
    return answered < len(uids)


async def _following(rows: Any) -> _Rows | None:
    """The next batch; None when there are no more."""
    batch: _Rows | None = await anext(rows, None)
    return batch


async def _answer(
    context: Context,
    plan: _Plan,
    needs: Sequence[Fetched],
    rows: _Rows,
    *,
    held: MessageInHand | None = None,
    hold: bool = False,
) -> int:
    """Write the lines of one batch from the store; how many there were."""
    selected = context.selected
    assert selected is not None
    uids: Sequence[int] = [row[0] for row in rows]
    with_flags = plan.sets_seen and await _set_seen(selected, uids)
    here = selected.present(uids)
    if len(here) < len(uids):
        still = set(here)
        rows, uids = [row for row in rows if row[0] in still], here
        if not rows:
            return 0
    fetched: dict[Fetched, _Values] = dict(zip(needs, [*zip(*rows, strict=True)][1:], strict=True))
    if held:
        fetched[Attribute.OCTETS] = [held.octets]
    messages = [held] if held else [MessageInHand(octets) for octets in fetched.get(Attribute.OCTETS, ())]
    if hold and messages:
        selected.held = uids[0], messages[0]
    plan.write(context, _Batch(selected, uids, fetched, messages), with_flags)
    return len(uids)


async def _set_seen(selected: SelectedMailbox, uids: Sequence[int]) -> bool:
    """Set \\Seen where it is not; whether that changed anything. RFC: 3501 §6.4.5 (BODY[<section>])"""
    uids = selected.present(uids)
    unseen = [uid for uid, flags in zip(uids, selected.columns(uids)[0], strict=True) if SEEN not in flags]
    if not unseen:
        return False
    # The message can be read even where a full disk or a lost permission keeps it from being marked as read.
    with suppress(MailError):
        await settled(selected.mailbox.store(unseen, FlagChange.ADD, _SEEN, origin=selected))
        return True
    return False
