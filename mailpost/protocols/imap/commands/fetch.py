"""FETCH and UID FETCH.

UID, FLAGS and MODSEQ are in memory and answered at once; the rest comes from the store in batches, the next of which
is read while one is written. How a batch becomes lines is in `fetchplan`.

Of messages named by sequence number that are gone without the client's knowledge there are no lines: then the answer
is OK [EXPUNGEISSUED], and NO if none remained, as RFC 2180 §4.1.2 permits.

RFC: 3501 §6.4.5, 9051 §6.4.5, 7162 §3.1.4 (MODSEQ, CHANGEDSINCE), §3.2.6 (VANISHED), 9394 §3.3 (PARTIAL),
9586 §3.3 (UIDFETCH), 5530 §3 (EXPUNGEISSUED)
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import SEEN, FlagChange, intern_flags
from mailpost.protocols.imap.commands.context import Completed, Context, knows_modseqs
from mailpost.protocols.imap.commands.fetchplan import Batch, Plan
from mailpost.protocols.imap.commands.vanished import tell_vanished
from mailpost.protocols.imap.selected import MessageInHand, SelectedMailbox
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute, Fetched
from mailpost.wire.imap.commands import Fetch, FetchAttribute, FetchItem, ParseError

_LINES = 4_096
"""Lines of what is in memory that are written at a time: about 256 KiB."""
_SEEN = intern_flags((SEEN,))

_Rows = list[tuple[Any, ...]]


async def fetch(context: Context, command: Fetch) -> Completed | None:
    """Answer the items of the named messages."""
    selected = context.selected
    assert selected is not None
    if command.vanished and "QRESYNC" not in context.enabled:
        raise ParseError("QRESYNC has not been enabled")
    uids, some_gone = selected.named(command.numbers, command.uid)
    if some_gone and not uids:
        raise MailError(ErrorKind.EXPUNGED, "These messages no longer exist")
    plan = Plan(_wanted(context, command, selected), selected)
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


def _wanted(context: Context, command: Fetch, selected: SelectedMailbox) -> list[FetchItem]:
    """The items of the answer: with UID and MODSEQ where the kind of command implies them."""
    wanted = list(command.items)
    if command.uid and FetchAttribute.UID not in wanted and not selected.uid_only:
        wanted.insert(0, FetchAttribute.UID)
    if command.changed_since is not None and FetchAttribute.MODSEQ not in wanted:
        wanted.append(FetchAttribute.MODSEQ)
    if FetchAttribute.MODSEQ in wanted:
        knows_modseqs(context, needed=True)
    return wanted


async def _changed(context: Context, command: Fetch, uids: list[int], since: int) -> list[int]:
    """Those of these messages that have changed; before them, if that is wanted, what went. RFC: 7162 §3.2.6"""
    selected = context.selected
    assert selected is not None
    if command.vanished:
        await tell_vanished(context, command.numbers.resolve(selected.live.uidnext - 1), since)
        uids = list(selected.present(uids))
    return [uid for uid, modseq in zip(uids, selected.columns(uids)[1], strict=True) if modseq > since]


async def _from_memory(context: Context, plan: Plan, uids: list[int]) -> bool:
    """Answer what the live mailbox knows; whether messages went away meanwhile."""
    selected = context.selected
    assert selected is not None
    answered = 0
    for start in range(0, len(uids), _LINES):
        some: Sequence[int] = uids[start : start + _LINES]
        if start:
            await context.drained()
            some = selected.present(some)
        plan.write(context, Batch(selected, some, {}, []))
        answered += len(some)
    return answered < len(uids)


async def _from_store(context: Context, plan: Plan, uids: list[int]) -> bool:
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
    """The next batch; None when there are no more.

    Not `anext` with a default: that of Python 3.11 fails where the store awaits a Deferred whose value is a tuple.
    """
    async for batch in rows:
        following: _Rows = batch
        return following
    return None


async def _answer(
    context: Context,
    plan: Plan,
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
    fetched: dict[Fetched, Sequence[Any]] = dict(zip(needs, [*zip(*rows, strict=True)][1:], strict=True))
    if held:
        fetched[Attribute.OCTETS] = [held.octets]
    messages = [held] if held else [MessageInHand(octets) for octets in fetched.get(Attribute.OCTETS, ())]
    if hold and messages:
        selected.held = uids[0], messages[0]
    plan.write(context, Batch(selected, uids, fetched, messages), with_flags)
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
