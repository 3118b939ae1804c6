"""What other programs did to messages that have rows: other letters, gone files. For jobs of the lane."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress

from mailpost.storage.index import changes, messages
from mailpost.storage.maildir.filename import letters_of
from mailpost.storage.maildir.lane import HeldFiles, Lane, LaneFolder


def renamed(lane: Lane, folder: LaneFolder, seen: Sequence[tuple[int, str | None, str]]) -> None:
    """Other programs changed letters: merge their change with what we have not written yet.

    Args:
        lane: the account.
        folder: the folder.
        seen: (UID, name as the row had it, name that was seen) of each message. One whose row has another name by now
            is passed over: the next look compares it with that.
    """
    if not seen:
        return
    letters, bits, number = lane.letters(folder), folder.bits, folder.row.id
    names, rows = [], []
    for uid, old, new in seen:
        row = messages.named(lane.db, number, uid)
        if row is None or (old is not None and row.name != old):
            continue
        names.append((uid, new))
        before = bits.bits(lane.db, letters.flags(letters_of(row.name)))
        theirs = bits.bits(lane.db, letters.flags(letters_of(new)))
        if row.flags != row.file_flags or before != theirs:
            rows.append((uid, (row.flags | theirs & ~before) & ~(before & ~theirs), theirs))
    messages.rename(lane.db, number, names)
    if rows:
        rows.sort()
        modseq = lane.modseq(folder)
        messages.set_flags(lane.db, number, rows, modseq)
        flags = [bits.flags(mask) for _, mask, _ in rows]
        lane.news(lane.listener.flagged, number, [uid for uid, _, _ in rows], flags, modseq, None)


def expunged(lane: Lane, folder: LaneFolder, uids: Iterable[int]) -> None:
    """Other programs removed these messages, if they still have rows."""
    gone = sorted(uid for uid in uids if messages.named(lane.db, folder.row.id, uid) is not None)
    if gone:
        modseq = lane.modseq(folder)
        messages.remove(lane.db, folder.row.id, gone)
        changes.note_expunged(lane.db, folder.row.id, gone, modseq)
        lane.news(lane.listener.expunged, folder.row.id, gone, modseq, None)


def unlinked(files: HeldFiles, names: Iterable[str]) -> list[str]:
    """Remove files that are no messages: the names of those that were there."""
    removed = []
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=files.cur)
            removed.append(name)
    return removed
