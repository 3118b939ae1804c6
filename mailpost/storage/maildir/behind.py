"""What is written to the tree after the client has been answered: flags in file names, lines of `dovecot-uidlist`.

Jobs of the lane, each for a slice of time; they say whether there is more to do.
"""

from __future__ import annotations

import time

from mailpost.storage.index import messages
from mailpost.storage.maildir.dotlock import locked
from mailpost.storage.maildir.filename import letters_of, with_letters
from mailpost.storage.maildir.files import mail_errors
from mailpost.storage.maildir.keywords import add_keywords
from mailpost.storage.maildir.lane import Lane, LaneFolder
from mailpost.storage.maildir.scan import conflicts, entries_of, renumber
from mailpost.storage.maildir.uidlist import (
    UIDLIST_FILE,
    UidEntry,
    UidList,
    append_uids,
    is_listed,
    new_guid,
    set_uidnext,
    write_uidlist,
)
from mailpost.storage.maildir.writing import bury

SLICE = 0.005
"""Seconds that one job of writing behind takes: so long may somebody who waits for the lane be held up."""
_CHUNK = 64
_FEW_LINES = 1000
"""Up to here it does not matter how many lines of a UID list are of messages that are gone."""


def write_flags(lane: Lane, number: int, seconds: float = SLICE) -> bool:
    """Rename files so that they say their messages' flags; False when all do."""
    folder = lane.folder(number)
    until = time.monotonic() + seconds
    after = 0
    while rows := messages.unwritten(lane.db, number, after, _CHUNK):
        _write_flags(lane, folder, rows)
        after = rows[-1][0]
        if time.monotonic() >= until:
            lane.save(folder)
            return True
    if after:
        lane.save(folder)
    return False


def _write_flags(lane: Lane, folder: LaneFolder, rows: list[tuple[int, int, str]]) -> None:
    number, letters = folder.row.id, lane.letters(folder)
    flags_of = {mask: folder.bits.flags(mask) for mask in {mask for _, mask, _ in rows}}
    unlettered = frozenset[str]().union(*(letters.unlettered(flags) for flags in flags_of.values()))
    if unlettered:
        held = lane.own_files(folder)
        add_keywords(held.directory, sorted(unlettered))
        letters = lane.letters(folder)
    wanted = [(name, letters.letters(flags_of[mask], letters_of(name))) for _, mask, name in rows]
    changed = [(name, with_letters(name, said)) for name, said in wanted if letters_of(name) != said]
    lane.expect(folder, came=[after for _, after in changed], went=[before for before, _ in changed])
    with lane.own_change(folder) as files:
        names = files.rename(wanted)
    renamed, merged, written = [], [], []
    for (uid, mask, _), (_, said), name in zip(rows, wanted, names, strict=True):
        if name is None:
            folder.row.cur_mtime = 0  # gone, perhaps, or being renamed: the next look will tell
            continue
        renamed.append((uid, name))
        written.append((uid, mask))
        if letters_of(name) != said:
            theirs = folder.bits.bits(lane.db, letters.flags(letters_of(name)))
            unsaid = mask & folder.bits.known(letters.unlettered(flags_of[mask]))
            merged.append((uid, theirs | unsaid, theirs | unsaid))
    messages.rename(lane.db, number, renamed)
    messages.written(lane.db, number, written)
    if merged:
        modseq = lane.modseq(folder)
        messages.set_flags(lane.db, number, merged, modseq)
        flags = [folder.bits.flags(mask) for _, mask, _ in merged]
        lane.news(lane.listener.flagged, number, [uid for uid, _, _ in merged], flags, modseq, None)


def write_uids(lane: Lane, number: int) -> None:
    """Put lines of messages that are new into `dovecot-uidlist`; a list that conflicts raises UIDVALIDITY.

    A folder without messages has its list too: it says the UIDVALIDITY.
    """
    folder = lane.folder(number)
    row = folder.row
    fresh = entries_of(lane, folder, row.listed)
    held = lane.own_files(folder)
    fd = held.directory
    if not fresh and is_listed(fd):
        return
    with mail_errors(), locked(UIDLIST_FILE, fd):
        known = lane.current_uidlist(folder, fd)
        if known is not None and known.stamp is not None:
            if known.uidvalidity != row.uidvalidity or (
                known.uidnext != row.reserved and conflicts(lane, folder, known)
            ):
                renumber(lane, folder, known)
                return
            lines = [one for one in fresh if one[0] not in known.entries]
            worth = fresh and _worth_appending(lane, known, folder, lines)
            appended = append_uids(fd, known, lines) if worth else None
            if appended is not None:
                folder.uidlist = appended
                row.listed = fresh[-1][1].uid
                lane.save(folder)
                return
        _rewrite(lane, folder, fd, known)
    row.listed = fresh[-1][1].uid if fresh else row.listed
    lane.save(folder)


def _worth_appending(lane: Lane, known: UidList, folder: LaneFolder, fresh: list[tuple[str, UidEntry]]) -> bool:
    """Whether lines can go behind the list: it is not mostly dead already, and ends below the first of them."""
    last = next(reversed(known.entries.values())).uid if known.entries else 0
    lines = len(known.entries)
    return (not fresh or fresh[0][1].uid > last) and (
        lines < _FEW_LINES or lines < 2 * messages.count(lane.db, folder.row.id)
    )


def _rewrite(lane: Lane, folder: LaneFolder, fd: int, known: UidList | None) -> None:
    row = folder.row
    entries = dict(entries_of(lane, folder, 0))
    old = known.entries if known is not None else {}
    for base, entry in entries.items():
        if base in old:
            entries[base] = entry._replace(extensions=old[base].extensions)
    # Another server gives out UIDs from `known.uidnext` on: what it has given meanwhile is not seen here yet.
    entries.update((base, entry) for base, entry in old.items() if base not in entries and entry.uid >= row.uidnext)
    theirs = known.uidnext if known is not None else 0
    uidnext = max(row.reserved, row.uidnext, theirs)
    guid = known.guid if known is not None and known.guid else new_guid()
    extensions = known.extensions if known is not None else ""
    folder.uidlist = write_uidlist(fd, UidList(row.uidvalidity, uidnext, guid, entries, extensions))
    row.reserved = uidnext if theirs <= max(row.reserved, row.uidnext) else 0


def _give_back(lane: Lane, folder: LaneFolder) -> None:
    """Let another server go on from the next UID, now that all lines are written."""
    row, held = folder.row, lane.own_files(folder)
    if row.uidnext >= row.reserved or entries_of(lane, folder, row.listed):
        return
    with mail_errors(), locked(UIDLIST_FILE, held.directory):
        known = lane.current_uidlist(folder, held.directory)
        if known is not None and (known.uidvalidity, known.uidnext) == (row.uidvalidity, row.reserved):
            folder.uidlist = set_uidnext(held.directory, known, row.uidnext) or known
            row.reserved = folder.uidlist.uidnext
            lane.save(folder)


def remove_files(lane: Lane, number: int, seconds: float = SLICE) -> bool:
    """Remove files of expunged messages; False when they all are gone."""
    return bury(lane, number, seconds)


def finish(lane: Lane, number: int, first_recent: int) -> None:
    """All else that is written behind: lines of the UID list, who is recent.

    Args:
        lane: the account.
        number: the folder.
        first_recent: `LiveMailbox.first_recent`; 0 where that is not known.
    """
    write_uids(lane, number)
    folder = lane.folder(number)
    _give_back(lane, folder)
    if first_recent > folder.row.first_recent:
        folder.row.first_recent = first_recent
        lane.save(folder)
