"""SELECT, EXAMINE, CLOSE and UNSELECT: into a mailbox and out of it.

RFC: 3501 §6.3.1, §6.3.2, §6.4.2, 9051 §6.3.2, 3691 (UNSELECT), 7162 §3.1.2, §3.1.8, §3.2.5 (QRESYNC),
8474 §4.2 (MAILBOXID)
"""

from __future__ import annotations

from mailpost.mail.uidset import UidSet
from mailpost.protocols.imap.commands.context import Completed, Context
from mailpost.protocols.imap.commands.folderlines import announce
from mailpost.protocols.imap.commands.vanished import all_ever, known_up_to, tell_vanished
from mailpost.protocols.imap.selected import SelectedMailbox, uid_required
from mailpost.storage.offload import settled
from mailpost.wire.imap.commands import Close, ParseError, QuickResync, Select, Unselect

_LINES = 4_096
"""Lines that are written at a time: about 256 KiB."""


async def select(context: Context, command: Select) -> Completed:
    """SELECT and EXAMINE. Whatever was selected is left first, so a failure leaves nothing selected."""
    if command.qresync is not None and "QRESYNC" not in context.enabled:
        raise ParseError("QRESYNC has not been enabled")
    if command.qresync is not None and command.qresync.sequence_match and "UIDONLY" in context.enabled:
        raise uid_required()
    leave(context)
    if command.condstore:
        context.enabled.add("CONDSTORE")
    mailbox = await settled(context.account.open(command.mailbox))
    try:
        await settled(mailbox.refresh())
        read_only = command.read_only or mailbox.read_only
        selected = SelectedMailbox(mailbox, read_only=read_only, enabled=context.enabled)
    except BaseException:  # cancelled too: raised again, with the mailbox given back
        mailbox.release()
        raise
    context.select(selected)
    context.write(_greeting(selected))
    if "IMAP4REV2" in context.enabled:
        announce(context, mailbox.name)
    if command.qresync is not None:
        await _resynchronise(context, selected, command.qresync)
    return Completed(code=b"READ-ONLY" if read_only else b"READ-WRITE")


def leave(context: Context) -> None:
    """Leave the selected mailbox, if there is one, for another: a SELECT that fails leaves nothing selected."""
    if context.selected is not None:
        context.deselect()
        context.write(b"* OK [CLOSED] The previous mailbox is closed\r\n")


def _greeting(selected: SelectedMailbox) -> bytes:
    """All that is told of a mailbox on entering it."""
    live = selected.live
    lines = selected.keyword_lines()
    lines.append(selected.exists_line(selected.view.exists))
    unseen = live.first_unseen()
    if unseen >= 0 and selected.tells_recent and not selected.uid_only:
        lines.append(b"* OK [UNSEEN %d] The first unseen message\r\n" % (unseen + 1))
    lines.append(
        b"* OK [UIDVALIDITY %d] UIDs are valid\r\n* OK [UIDNEXT %d] The next UID\r\n" % (live.uidvalidity, live.uidnext)
    )
    if live.mailbox_id:
        lines.append(b"* OK [MAILBOXID (%b)] It stays through renames\r\n" % live.mailbox_id.encode("ascii"))
    if selected.keeps_modseq:
        lines.append(selected.highest_modseq_line())
    else:
        lines.append(b"* OK [NOMODSEQ] Changes are not numbered here\r\n")
    return b"".join(lines)


async def _resynchronise(context: Context, selected: SelectedMailbox, known: QuickResync) -> None:
    """Tell what went and what changed since the client was last here, if it was this mailbox. RFC: 7162 §3.2.5"""
    live = selected.live
    if known.uidvalidity != live.uidvalidity or not selected.keeps_modseq:
        return
    asked = all_ever(live)
    if known.known_uids is not None:
        asked &= known.known_uids.resolve(0)
    unknown = asked
    if known.sequence_match is not None:
        numbers, uids = known.sequence_match
        if passed := known_up_to(selected, (numbers.resolve(0), uids.resolve(0))):
            unknown = asked - UidSet(((1, passed),))
    await tell_vanished(context, unknown, known.modseq)
    changed = selected.present(asked.members(live.changed_since(known.modseq)))
    for start in range(0, len(changed), _LINES):
        some = changed[start : start + _LINES]
        if start:
            await context.drained()
            some = selected.present(some)
        context.write(selected.flag_lines(some, uid=True, modseq=True))


async def close(context: Context, command: Close) -> None:
    """CLOSE: messages with \\Deleted are removed without a word, unless the mailbox is open read-only."""
    selected = context.selected
    assert selected is not None
    if not selected.read_only:
        await settled(selected.mailbox.expunge(None, origin=selected))
    context.deselect()


async def unselect(context: Context, command: Unselect) -> None:
    """UNSELECT: nothing is removed."""
    context.deselect()
