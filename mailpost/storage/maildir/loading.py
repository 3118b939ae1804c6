"""Bringing a folder's columns into memory, and letting go of them. Jobs of the lane."""

from __future__ import annotations

from typing import NamedTuple

from mailpost.storage.index import messages
from mailpost.storage.index.folders import folder_row
from mailpost.storage.index.state import Readers
from mailpost.storage.maildir.lane import Lane
from mailpost.storage.maildir.uidlist import is_listed


class Columns(NamedTuple):
    """The columns of a folder as they were once; with other numbers in its row they are old."""

    uidvalidity: int
    highest_modseq: int
    uids: list[int]
    masks: list[int]
    modseqs: list[int]


def columns(state: Readers, number: int) -> Columns | None:
    """Read the columns of a folder, in a reader lane; None when there is no such folder."""
    with state.reading() as db:
        row = folder_row(db, number)  # first: what is committed after it has a higher mod-sequence
        return None if row is None else Columns(row.uidvalidity, row.highest_modseq, *messages.columns(db, number))


def load(lane: Lane, number: int, known: Columns | None = None) -> bool:
    """Tell the listener a folder's columns; from now on it is told all changes.

    Args:
        lane: the account.
        number: the folder, which has just been looked at.
        known: its columns if they have been read; without them it takes long.

    Returns:
        False when these are old: then they are to be read again, and nobody has been told anything.
    """
    folder = lane.folder(number)
    row = folder.row
    if known is None:
        known = Columns(row.uidvalidity, row.highest_modseq, *messages.columns(lane.db, number))
    if (known.uidvalidity, known.highest_modseq) != (row.uidvalidity, row.highest_modseq):
        return False
    if not is_listed(lane.own_files(folder).directory):
        lane.news(lane.listener.behind, number)  # it is written again
    flags = {mask: folder.bits.flags(mask) for mask in set(known.masks)}
    lane.watched.add(number)
    lane.news(lane.listener.loaded, number, row, known.uids, [flags[mask] for mask in known.masks], known.modseqs)
    return True


def unload(lane: Lane, number: int, first_recent: int) -> None:
    """The folder's columns are no longer in memory; messages from UID `first_recent` on are still recent."""
    lane.watches.pop(number, None)
    lane.watched.discard(number)
    folder = lane.folder(number)
    if first_recent > folder.row.first_recent:
        folder.row.first_recent = first_recent
        lane.save(folder)
