"""UIDs, given out so that no two servers that share a tree contradict each other. For jobs of the lane.

A message's file shows in cur first, then its line in `dovecot-uidlist`, and both happen under the lock of the list;
Dovecot does the same. So whoever holds the lock, has read the list and listed the directory after that, knows of all
UIDs that were given out, and may number what has none. Nothing is reserved beforehand: Dovecot takes a line whose UID
is below the next one it has read for that of a message that was expunged, and gives the message another UID.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.index import messages
from mailpost.storage.maildir.filename import base_of
from mailpost.storage.maildir.lane import Lane, LaneFolder
from mailpost.storage.maildir.uidlist import (
    LARGEST_UID,
    UidEntry,
    UidList,
    append_uids,
    new_guid,
    write_uidlist,
)


def others_listed(lane: Lane, folder: LaneFolder) -> bool:
    """Whether another server may have numbered messages that have no rows yet; under the lock of the list."""
    files, row = lane.own_files(folder), folder.row
    known = lane.current_uidlist(folder, files.directory)
    return known is not None and (known.uidnext > row.uidnext or known.uidvalidity != row.uidvalidity)


def assign(lane: Lane, folder: LaneFolder, names: Sequence[str]) -> range:
    """Give the next UIDs to messages that have just been put into cur, and say so in the list; `save` the folder.

    The caller holds the lock of the list, and has taken note of all that others wrote into it (`scan.numbering`).

    Args:
        lane: the account.
        folder: where they are.
        names: their file or base names, in the order in which they get their UIDs.
    """
    row, files = folder.row, lane.own_files(folder)
    known = lane.current_uidlist(folder, files.directory)
    first = max(row.uidnext, known.uidnext if known is not None else 0)
    if first + len(names) > LARGEST_UID:
        raise MailError(ErrorKind.LIMIT, "This folder has used up its message numbers")
    uids = range(first, first + len(names))
    lines = {base_of(name): UidEntry(uid) for name, uid in zip(names, uids, strict=True)}
    appended = None
    if known is not None and lines.keys().isdisjoint(known.entries):
        appended = append_uids(files.directory, known, lines.items())
    if appended is None:
        rewrite(lane, folder, files.directory, lines)
    else:
        folder.uidlist, row.reserved = appended, appended.uidnext
    row.uidnext = uids.stop
    return uids


def rewrite(lane: Lane, folder: LaneFolder, fd: int, fresh: Mapping[str, UidEntry]) -> None:
    """Replace the list by one of all messages; under its lock.

    Args:
        lane: the account.
        folder: the folder.
        fd: its directory.
        fresh: base name -> entry of messages that have no rows yet, ascending.
    """
    row, known = folder.row, lane.current_uidlist(folder, fd)
    old = known.entries if known is not None else {}
    entries = dict(entries_of(lane, folder, 0))
    for base, entry in entries.items():
        if base in old:
            entries[base] = entry._replace(extensions=old[base].extensions)
    # What another server has numbered meanwhile is not seen here yet.
    theirs = {
        base: entry
        for base, entry in old.items()
        if base not in entries and base not in fresh and entry.uid >= row.uidnext
    }
    entries |= theirs | dict(fresh)
    uidnext = max([row.uidnext, known.uidnext if known is not None else 0, *(one.uid + 1 for one in fresh.values())])
    guid = known.guid if known is not None and known.guid else new_guid()
    extensions = known.extensions if known is not None else ""
    folder.uidlist = write_uidlist(fd, UidList(row.uidvalidity, uidnext, guid, entries, extensions))
    row.reserved = uidnext


def conflicts(lane: Lane, folder: LaneFolder, theirs: UidList) -> bool:
    """Whether another server's list has a UID for a message other than ours, or another UID for one of ours."""
    if theirs.uidvalidity != folder.row.uidvalidity:
        return True
    ours = {base_of(name): uid for uid, name in messages.names(lane.db, folder.row.id)}
    uids = {uid: base for base, uid in ours.items()}
    return any(
        ours.get(base, entry.uid) != entry.uid or uids.get(entry.uid, base) != base
        for base, entry in theirs.entries.items()
    )


def entries_of(lane: Lane, folder: LaneFolder, after: int) -> list[tuple[str, UidEntry]]:
    """Lines for `dovecot-uidlist` of messages above this UID."""
    rows = messages.names(lane.db, folder.row.id, (after + 1, 0xFFFF_FFFF))
    return [(base_of(name), UidEntry(uid)) for uid, name in rows]


def unseen(theirs: UidList, uidnext: int, seen: Container[str]) -> set[str]:
    """Base names of messages that another server has numbered from this UID on, without those seen."""
    found = set()
    for base, entry in reversed(theirs.entries.items()):
        if entry.uid < uidnext:
            break
        if base not in seen:
            found.add(base)
    return found
