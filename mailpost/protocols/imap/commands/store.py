"""STORE and UID STORE: flags of messages, one call of the store for all of them.

Answers take the flags as they are after the change, so a change that another session made meanwhile is told along.
Messages named by sequence number that are gone: NO as RFC 2180 §4.2 advises, but OK if it was .SILENT and some remain.

RFC: 3501 §6.4.6, 9051 §6.4.6, 7162 §3.1.3 (UNCHANGEDSINCE, MODIFIED)
"""

from __future__ import annotations

from collections.abc import Sequence

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import Flags, intern_flags
from mailpost.mail.uidset import UidSet
from mailpost.protocols.imap.commands.context import Completed, Context, knows_modseqs
from mailpost.protocols.imap.selected import SelectedMailbox
from mailpost.storage.offload import settled
from mailpost.storage.records import Stored
from mailpost.wire.imap.commands import Store

_LINES = 4_096
"""Answers written at a time: about 256 KiB."""


async def store(context: Context, command: Store) -> Completed | None:
    """Change flags and tell of it."""
    selected = context.selected
    assert selected is not None
    if selected.read_only:
        raise MailError(ErrorKind.READ_ONLY, "The mailbox is open read-only")
    uids, some_gone = selected.named(command.numbers, command.uid)
    if some_gone and not uids:
        raise MailError(ErrorKind.EXPUNGED, "These messages no longer exist")
    if command.unchanged_since is not None:
        knows_modseqs(context, needed=True)
    done = Stored(())
    if uids:
        flags = _permitted(selected, command.flags)
        done = await settled(
            selected.mailbox.store(uids, command.change, flags, command.unchanged_since, origin=selected)
        )
        await _tell(context, selected, command, uids, done)
    if done.refused:
        numbers = done.refused if command.uid else selected.view.seqs(done.refused)
        code = b"MODIFIED %b" % str(UidSet.of(numbers)).encode()
        return Completed(b"Some messages had changed", code, ok=command.silent or not some_gone)
    if some_gone:
        return Completed(b"Some of these messages no longer exist", b"EXPUNGEISSUED", ok=command.silent)
    return None


def _permitted(selected: SelectedMailbox, flags: Flags) -> Flags:
    """Keywords that are not among PERMANENTFLAGS are passed over. RFC: 3501 §7.1 (PERMANENTFLAGS)"""
    if selected.mailbox.keywords_allowed:
        return flags
    known = selected.live.keywords()
    return intern_flags(flag for flag in flags if flag[0] == "\\" or flag in known)


async def _tell(context: Context, selected: SelectedMailbox, command: Store, uids: list[int], done: Stored) -> None:
    """The FETCH lines: flags unless .SILENT, mod-sequences for who knows of them, both for the refused."""
    modseq = selected.reports_modseq
    told: Sequence[int] = ()
    if not command.silent or command.unchanged_since is not None:
        told = _without(uids, done.refused)
    elif modseq:
        told = done.changed
    lines = selected.flag_lines
    for start in range(0, len(told), _LINES):
        some = selected.present(told[start : start + _LINES])
        context.write(lines(some, uid=command.uid, modseq=modseq, flags=not command.silent))
        if start + _LINES < len(told):
            await context.drained()
    if done.refused:
        context.write(lines(selected.present(done.refused), uid=command.uid, modseq=modseq))


def _without(uids: list[int], refused: Sequence[int]) -> list[int]:
    if not refused:
        return uids
    left_alone = set(refused)
    return [uid for uid in uids if uid not in left_alone]
