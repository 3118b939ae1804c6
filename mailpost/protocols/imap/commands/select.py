"""SELECT, EXAMINE, CLOSE and UNSELECT: into a mailbox and out of it.

RFC: 3501 §6.3.1, §6.3.2, §6.4.2, 9051 §6.3.2, 3691 (UNSELECT), 7162 §3.1.2, §3.1.8
"""

from __future__ import annotations

from mailpost.protocols.imap.commands.context import Completed, Context
from mailpost.protocols.imap.selected import SelectedMailbox
from mailpost.storage.offload import settled
from mailpost.wire.imap.commands import Close, ParseError, Select, Unselect


async def select(context: Context, command: Select) -> Completed:
    """SELECT and EXAMINE. Whatever was selected is left first, so a failure leaves nothing selected."""
    if command.qresync is not None:
        raise ParseError("QRESYNC has not been enabled")
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
    lines.append(b"* %d EXISTS\r\n* %d RECENT\r\n" % (selected.view.exists, selected.recent_count))
    unseen = live.first_unseen()
    if unseen >= 0:
        lines.append(b"* OK [UNSEEN %d] The first unseen message\r\n" % (unseen + 1))
    lines.append(
        b"* OK [UIDVALIDITY %d] UIDs are valid\r\n* OK [UIDNEXT %d] The next UID\r\n" % (live.uidvalidity, live.uidnext)
    )
    if selected.keeps_modseq:
        lines.append(b"* OK [HIGHESTMODSEQ %d] The latest change\r\n" % live.highest_modseq)
    else:
        lines.append(b"* OK [NOMODSEQ] Changes are not numbered here\r\n")
    return b"".join(lines)


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
