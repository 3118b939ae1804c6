"""COPY and MOVE, by sequence number and by UID.

A message named by sequence number that is already gone fails the whole command, as RFC 2180 §4.4.1 permits and
Dovecot does: half a copy would look like a whole one.

RFC: 3501 §6.4.7, 9051 §6.4.7, §6.4.8, 4315 §3 (COPYUID), 6851 §3.3, §4.3 (MOVE)
"""

from __future__ import annotations

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.imap.commands.context import Completed, Context, into_folder
from mailpost.storage.offload import settled
from mailpost.storage.records import Copied
from mailpost.wire.imap.commands import Copy, Move
from mailpost.wire.imap.responses import copyuid


async def copy(context: Context, command: Copy) -> Completed | None:
    """COPY: the tagged OK names the copies."""
    copied = await _transfer(context, command, move=False)
    return Completed(code=copyuid(copied)) if copied is not None else None


async def move(context: Context, command: Move) -> Completed | None:
    """MOVE: COPYUID goes first in an untagged OK, then the EXPUNGE lines come out of the journal.

    RFC: 6851 §4.3, §4.4 (HIGHESTMODSEQ)
    """
    selected = context.selected
    assert selected is not None
    if selected.read_only:
        raise MailError(ErrorKind.READ_ONLY, "The mailbox is open read-only")
    copied = await _transfer(context, command, move=True)
    if copied is None:
        return None
    context.write(b"* OK [%b] Moved\r\n" % copyuid(copied))
    return Completed(code=selected.latest())


async def _transfer(context: Context, command: Copy | Move, move: bool) -> Copied | None:
    """What was copied or moved; None if the command named no message (by UIDs that do not exist)."""
    selected = context.selected
    assert selected is not None
    uids, some_gone = selected.named(command.numbers, command.uid)
    if some_gone:
        raise MailError(ErrorKind.EXPUNGED, "Some of these messages no longer exist")
    if not uids:
        return None
    with into_folder():
        copied: Copied = await settled(selected.mailbox.copy(uids, command.mailbox, move, origin=selected))
    return copied if copied.source_uids else None
