"""What other programs did to messages becomes rows, changed flags and expunges. For jobs of the lane."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from mailpost.mail.flags import Flags
from mailpost.storage.index import changes, messages
from mailpost.storage.index.folders import new_uidvalidity
from mailpost.storage.index.messages import MessageRow
from mailpost.storage.maildir.filename import base_of, letters_of
from mailpost.storage.maildir.lane import HeldFiles, Lane, LaneFolder
from mailpost.storage.maildir.numbering import assign
from mailpost.storage.maildir.quota import octets_of
from mailpost.storage.maildir.uidlist import UidEntry, UidList, write_uidlist


def by_age(files: HeldFiles, names: Sequence[str]) -> list[tuple[int, str]]:
    """(mtime, file name) of those that are there, the oldest first."""
    return sorted((facts.mtime, name) for name, facts in zip(names, files.facts(names), strict=True) if facts)


def explained(
    lane: Lane, folder: LaneFolder, theirs: UidList | None, arrived: Sequence[str], renamed: Sequence[str]
) -> bool:
    """Whether others have said which UIDs and keywords these file names stand for."""
    entries, letters = theirs.entries if theirs is not None else {}, lane.letters(folder)
    listed = (entries.get(base_of(name)) for name in arrived)
    return all(entry is not None and entry.uid >= folder.row.uidnext for entry in listed) and all(
        map(letters.knows, {letters_of(name) for name in (*arrived, *renamed)})
    )


def note_renamed(lane: Lane, folder: LaneFolder, seen: Sequence[tuple[int, str | None, str]]) -> None:
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
    masks: dict[str, int] = {}

    def mask_of(name: str) -> int:
        said = letters_of(name)
        if said not in masks:  # hundreds of messages have a few different ones
            masks[said] = bits.bits(lane.db, letters.flags(said))
        return masks[said]

    names, rows = [], []
    for uid, old, new in seen:
        row = messages.named(lane.db, number, uid)
        if row is None or (old is not None and row.name != old):
            continue
        names.append((uid, new))
        before, theirs = mask_of(row.name), mask_of(new)
        if row.flags != row.file_flags or before != theirs:
            rows.append((uid, (row.flags | theirs & ~before) & ~(before & ~theirs), theirs))
    messages.rename(lane.db, number, names)
    if rows:
        rows.sort()
        modseq = lane.modseq(folder)
        messages.set_flags(lane.db, number, rows, modseq)
        flags = [bits.flags(mask) for _, mask, _ in rows]
        lane.news(lane.listener.flagged, number, [uid for uid, _, _ in rows], flags, modseq, None)


def note_gone(lane: Lane, folder: LaneFolder, uids: Iterable[int]) -> None:
    """Other programs removed these messages, if they still have rows."""
    gone = sorted(uid for uid in uids if messages.named(lane.db, folder.row.id, uid) is not None)
    if gone:
        modseq = lane.modseq(folder)
        messages.remove(lane.db, folder.row.id, gone)
        folder.spare = max(folder.spare - len(gone), -1)
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


def note_arrived(
    lane: Lane,
    folder: LaneFolder,
    theirs: UidList | None,
    dated: Sequence[tuple[int, str]],
    keywords: Mapping[str, Flags],
) -> None:
    """Give messages that are new here their UIDs: those that another server gave them, or the next ones by age.

    The lock of the UID list is held if there are any that it does not name.
    """
    if not dated:
        return
    row, entries = folder.row, theirs.entries if theirs is not None else {}
    kept = sorted(
        (entry.uid, date, name)
        for date, name in dated
        if (entry := entries.get(base_of(name))) is not None and entry.uid >= row.uidnext
    )
    listed = {name for _, _, name in kept}
    others = [(date, name) for date, name in dated if name not in listed]
    modseq = lane.modseq(folder)
    if kept:
        row.uidnext = kept[-1][0] + 1
        _insert(lane, folder, kept, keywords, modseq)
    if others:
        uids = assign(lane, folder, [name for _, name in others])
        given = [(uid, date, name) for uid, (date, name) in zip(uids, others, strict=True)]
        _insert(lane, folder, given, keywords, modseq)


def _insert(
    lane: Lane,
    folder: LaneFolder,
    given: Sequence[tuple[int, int, str]],
    keywords: Mapping[str, Flags],
    modseq: int,
) -> None:
    """Rows for messages: (UID, mtime, file name) each, ascending."""
    letters, number = lane.letters(folder), folder.row.id
    octets = octets_of(lane.own_files(folder), [name for _, _, name in given])
    rows = []
    for uid, date, name in given:
        mask = folder.bits.bits(lane.db, letters.flags(letters_of(name)))
        more = folder.bits.bits(lane.db, keywords.get(base_of(name), ()))
        rows.append(MessageRow(uid, mask | more, mask, max(date, 0), name, octets[name] or 0))
    messages.insert(lane.db, number, rows, modseq, int(time.time()))
    came = [one.uid for one in rows]
    lane.news(lane.listener.arrived, number, came, [folder.bits.flags(one.flags) for one in rows], modseq, None)
    lane.news(lane.listener.found, number, came)


def renumber(lane: Lane, folder: LaneFolder, theirs: UidList) -> None:
    """Begin anew: a UIDVALIDITY above all before, all messages as if never seen; sessions must leave.

    The caller holds the lock of the UID list.

    Args:
        lane: the account.
        folder: the folder.
        theirs: another server's list; its UIDVALIDITY and UIDs are taken over if that raises UIDVALIDITY.
    """
    row = folder.row
    for table in ("messages", "files", "expunged"):
        lane.db.execute(f"DELETE FROM {table} WHERE folder=?", (row.id,))
    if theirs.uidvalidity > row.uidvalidity:
        row.uidvalidity = theirs.uidvalidity
        row.reserved = 0
        row.listed = theirs.uidnext - 1
    else:
        row.uidvalidity = new_uidvalidity(lane.db, int(time.time()), row.uidvalidity + 1)
        files = lane.own_files(folder)
        kept = _kept(theirs)
        folder.uidlist = write_uidlist(
            files.directory, UidList(row.uidvalidity, len(kept) + 1, theirs.guid, kept, theirs.extensions)
        )
        row.reserved, row.listed = (0, len(kept)) if kept else (1, 0)
    row.uidnext, row.first_recent, row.cur_mtime = 1, 1, 0
    row.remembered = row.highest_modseq
    lane.watched.discard(row.id)
    lane.save(folder)
    lane.news(lane.listener.vanished, row.id)
    lane.tell_tree()


def _kept(theirs: UidList) -> dict[str, UidEntry]:
    """The lines of a list with new UIDs, if any has a UIDL: POP3 clients know messages by those, and by no UID."""
    if not any(entry.uidl for entry in theirs.entries.values()):
        return {}
    return {base: entry._replace(uid=at) for at, (base, entry) in enumerate(theirs.entries.items(), 1)}
