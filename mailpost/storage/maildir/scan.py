"""What other programs did to a folder's directories becomes rows, changed flags and expunges. Jobs of the lane."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from mailpost.mail.flags import Flags
from mailpost.storage.index import changes, messages
from mailpost.storage.index.folders import new_uidvalidity
from mailpost.storage.index.messages import MessageRow
from mailpost.storage.maildir.dotlock import locked
from mailpost.storage.maildir.filename import base_of, letters_of
from mailpost.storage.maildir.files import mail_errors
from mailpost.storage.maildir.lane import CLOCK_TICK_NS, HeldFiles, Lane, LaneFolder, Newcomers
from mailpost.storage.maildir.quota import octets_of
from mailpost.storage.maildir.uidlist import UIDLIST_FILE, UidEntry, UidList, append_uids, is_listed, write_uidlist

T = TypeVar("T")

SLICE = 0.008
"""Seconds that one job takes of many messages: so long may somebody who waits for the lane be held up."""
_MOST_AT_ONCE = 256
_CHUNK = 32
_MOST_ROUNDS = 5


def look(lane: Lane, number: int) -> bool:
    """Take note of what happened outside; quick when the directories' mtimes are those of the last time.

    Returns:
        Whether there is more to do, for another job: others who want the lane may have their turn before.
    """
    folder = lane.folder(number)
    if folder.newcomers is not None:
        _take_in(lane, folder, folder.newcomers)
        return True
    files = lane.own_files(folder)
    with mail_errors():
        if files.changed_at() != (folder.row.cur_mtime, folder.row.new_mtime):
            scan(lane, folder)
    return folder.newcomers is not None


def catch_up(lane: Lane, folder: LaneFolder) -> None:
    """Before UIDs are given out: take note of messages to which another server has given lower ones."""
    if lane.others_listed(folder):
        while look(lane, folder.row.id):
            pass


def verify(lane: Lane, number: int) -> bool:
    """List the folder once more if another program may have changed it unseen while we did; whether there is more."""
    folder = lane.folder(number)
    if folder.newcomers is not None:
        _take_in(lane, folder, folder.newcomers)
    elif folder.verify:
        scan(lane, folder)
    return folder.newcomers is not None


def relist(lane: Lane, number: int) -> None:
    """List the folder, whatever its mtimes say: a file was not where it should be."""
    scan(lane, lane.folder(number))


def load(lane: Lane, number: int) -> None:
    """Bring the folder up to date and tell the listener its columns; from now on it is told all changes."""
    look(lane, number)
    folder = lane.folder(number)
    files = lane.own_files(folder)
    if not is_listed(files.directory):
        lane.news(lane.listener.behind, number)  # it is written again
    uids, masks, modseqs = messages.columns(lane.db, number)
    known = {mask: folder.bits.flags(mask) for mask in set(masks)}
    lane.watched.add(number)
    lane.news(lane.listener.loaded, number, folder.row, uids, [known[mask] for mask in masks], modseqs)


def unload(lane: Lane, number: int, first_recent: int) -> None:
    """The folder's columns are no longer in memory; messages from UID `first_recent` on are still recent."""
    lane.watches.pop(number, None)
    lane.watched.discard(number)
    folder = lane.folder(number)
    if first_recent > folder.row.first_recent:
        folder.row.first_recent = first_recent
        lane.save(folder)


def scan(lane: Lane, folder: LaneFolder, keywords: Mapping[str, Flags] | None = None) -> None:
    """List the directories and bring the rows in line with them.

    Args:
        lane: the account.
        folder: the folder.
        keywords: base name -> keywords that a message new here has beside those that its file name says.
    """
    files, row = lane.own_files(folder), folder.row
    with mail_errors():
        theirs = lane.current_uidlist(folder, files.directory)
        if theirs is not None and theirs.uidvalidity != row.uidvalidity:
            with locked(UIDLIST_FILE, files.directory):
                renumber(lane, folder, theirs)
        cur_mtime, seen = _listed(files)
        dead = changes.dead(lane.db, row.id)
        if dead:
            _bury(lane, folder, files, {base: seen.pop(base, None) for base in dead})
        _undo(files, {base: seen.pop(base, None) for base in changes.unfinished(lane.db, row.id)})
        known = {base_of(name): (uid, name) for uid, name in messages.names(lane.db, row.id)}
        if keywords is None:
            folder.newcomers = _too_many(files, seen, known, theirs)
        new_mtime = _accept(files, seen, cur_mtime) if folder.newcomers is None else 0
        gone = _gone(files, known, seen)
        _expunged(lane, folder, [known[base][0] for base in gone])
        renamed = [(uid, name, seen[base]) for base, (uid, name) in known.items() if seen.get(base, name) != name]
        fresh = [name for base, name in seen.items() if base not in known] if folder.newcomers is None else []
        with _others_done(lane, folder, files.directory, fresh, [name for *_, name in renamed]) as held:
            _renamed(lane, folder, renamed)
            _arrived(lane, folder, files, _dated(files, fresh), keywords or {}, held=held)
        if folder.newcomers is None:
            _follow(lane, folder, files, seen)
    row.cur_mtime, row.new_mtime = _settled(cur_mtime.value), _settled(new_mtime)
    if folder.newcomers is not None:
        row.cur_mtime = 0
    folder.verify = cur_mtime.doubtful
    lane.save(folder)


def _too_many(
    files: HeldFiles, seen: Mapping[str, str], known: Mapping[str, tuple[int, str]], theirs: UidList | None
) -> Newcomers | None:
    """The messages without rows if there are too many for one job; never those that have their UIDs already."""
    listed = theirs.entries if theirs is not None else {}
    waiting = {base_of(name): name for name in os.listdir(files.new) if not name.startswith(".")}
    strangers = (seen.keys() | waiting.keys()) - known.keys()
    if len(strangers) <= _MOST_AT_ONCE or not strangers.isdisjoint(listed):
        return None
    return Newcomers(
        waiting=[name for base, name in waiting.items() if base not in seen],
        undated=[seen[base] for base in strangers if base in seen],
        dated=[],
    )


def _take_in(lane: Lane, folder: LaneFolder, newcomers: Newcomers) -> None:
    """Go on for a slice of time with messages that get rows in several jobs."""
    files = lane.own_files(folder)
    until = time.monotonic() + SLICE
    with mail_errors():
        while time.monotonic() < until:
            if newcomers.waiting:
                names = files.accept(_taken(newcomers.waiting))
                newcomers.undated += [name for name in names if name is not None]
            elif newcomers.undated:
                newcomers.dated += _dated(files, _taken(newcomers.undated))
                if not newcomers.undated:
                    newcomers.dated.sort(reverse=True)
            elif not newcomers.dated or _listed_since(lane, folder, newcomers):
                folder.newcomers = None  # what is left, if anything, is found by the next listing
                break
            else:
                some = sorted(_taken(newcomers.dated))
                with _others_done(lane, folder, files.directory, [name for _, name in some], ()) as held:
                    _arrived(lane, folder, files, some, {}, held=held)
    lane.save(folder)


def _listed_since(lane: Lane, folder: LaneFolder, newcomers: Newcomers) -> bool:
    """Whether another server has given UIDs to any of them: then all are to be taken in together, in its order."""
    if not lane.others_listed(folder):
        return False
    theirs = lane.current_uidlist(folder, lane.own_files(folder).directory)
    return theirs is not None and any(base_of(name) in theirs.entries for _, name in newcomers.dated)


def _taken(some: list[T]) -> list[T]:
    """Take a few from the end."""
    taken = some[-_CHUNK:]
    del some[-_CHUNK:]
    return taken


def _dated(files: HeldFiles, names: Sequence[str]) -> list[tuple[int, str]]:
    """(mtime, file name) of those that are there, the oldest first."""
    return sorted((facts.mtime, name) for name, facts in zip(names, files.facts(names), strict=True) if facts)


class _CurMtime:
    """The mtime of cur before it was listed, carried over our own renames into it."""

    def __init__(self, files: HeldFiles) -> None:
        self._files = files
        self.doubtful = False
        """Whether another program's change may be among ours: then the folder is to be listed once more."""
        self.value = files.changed_at()[0]

    def accept(self, names: Sequence[str]) -> list[str | None]:
        """Move messages over from new."""
        before = self._files.changed_at()[0]
        moved = self._files.accept(names)
        self.doubtful = True
        if before == self.value:
            self.value = self._files.changed_at()[0]
        return moved


def _listed(files: HeldFiles) -> tuple[_CurMtime, dict[str, str]]:
    """The mtime of cur and what is in it: base name -> file name."""
    cur_mtime = _CurMtime(files)
    listing = files.listing()
    if listing.repeated:
        listing, certain = files.settled_listing()
        if certain and listing.repeated:
            files.part_twins(listing.repeated)
        cur_mtime = _CurMtime(files)
        listing = files.listing()
    return cur_mtime, listing.cur


def _accept(files: HeldFiles, seen: dict[str, str], cur_mtime: _CurMtime) -> int:
    """Move what lies in new to cur, into `seen` as well: the mtime of new when it was seen empty, or 0."""
    for _ in range(_MOST_ROUNDS):
        mtime = files.changed_at()[1]
        names = [name for name in os.listdir(files.new) if not name.startswith(".")]
        if not names:
            return mtime
        moved = cur_mtime.accept(sorted(names))
        if None in moved:  # another server moves them as well: they may be in cur, and were not when it was listed
            moved += files.listing().cur.values()
        for name in moved:
            if name is not None:
                seen.setdefault(base_of(name), name)
    return 0


def _settled(mtime: int) -> int:
    """The mtime, or 0 if it is so young that another change might not show in it."""
    return mtime if time.time_ns() - mtime > CLOCK_TICK_NS else 0


def _bury(lane: Lane, folder: LaneFolder, files: HeldFiles, dead: dict[str, str | None]) -> None:
    """Remove files that were expunged before a crash; many of them are left to the work behind."""
    if len(dead) > _CHUNK:
        lane.news(lane.listener.behind, folder.row.id)
        return
    _undo(files, dead)
    changes.bury(lane.db, folder.row.id, dead)


def _undo(files: HeldFiles, names: dict[str, str | None]) -> None:
    """Remove those of these files that are there: base name -> file name."""
    for name in names.values():
        if name is not None:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=files.cur)


def _gone(files: HeldFiles, known: dict[str, tuple[int, str]], seen: dict[str, str]) -> list[str]:
    """Base names of messages that are gone for certain; those that a second listing shows are put into `seen`."""
    missing = [base for base in known if base not in seen]
    if not missing:
        return []
    gone, second = files.certainly_gone(missing)
    for base in missing:
        if base in second.cur:
            seen[base] = second.cur[base]
    return [base for base in missing if base in gone]


@contextmanager
def _others_done(
    lane: Lane, folder: LaneFolder, fd: int, fresh: Sequence[str], renamed: Sequence[str]
) -> Iterator[bool]:
    """Hold the lock of the UID list during the block, if names ask for it; whether it is held.

    Dovecot puts messages into cur, and letters into names, before it says in its files which UIDs and keywords they
    have, all under this lock. So a message or a letter of which they say nothing may be one that they are about to
    explain; if they still do not when the lock is ours, they never will.
    """
    known = lane.current_uidlist(folder, fd)
    entries = known.entries if known is not None else {}
    letters = lane.letters(folder)
    explained = all(base_of(name) in entries for name in fresh) and all(
        letters.knows(letters_of(name)) for name in (*fresh, *renamed)
    )
    if explained:
        yield False
        return
    with locked(UIDLIST_FILE, fd):
        yield True


def _renamed(lane: Lane, folder: LaneFolder, renamed: Sequence[tuple[int, str, str]]) -> None:
    """Other programs changed letters: merge their change with what we have not written yet.

    Args:
        lane: the account.
        folder: the folder.
        renamed: (UID, name as we know it, name that was seen) of each message.
    """
    if not renamed:
        return
    letters, bits, number = lane.letters(folder), folder.bits, folder.row.id
    ours = {uid: flags for uid, flags, _ in messages.unwritten(lane.db, number, 0, -1)}
    rows = []
    for uid, old, new in renamed:
        before = bits.bits(lane.db, letters.flags(letters_of(old)))
        theirs = bits.bits(lane.db, letters.flags(letters_of(new)))
        mine = ours.get(uid)
        if mine is None and before == theirs:
            continue
        mine = _mask(lane, number, uid) if mine is None else mine
        rows.append((uid, (mine | theirs & ~before) & ~(before & ~theirs), theirs))
    messages.rename(lane.db, number, [(uid, new) for uid, _, new in renamed])
    if rows:
        rows.sort()
        modseq = lane.modseq(folder)
        messages.set_flags(lane.db, number, rows, modseq)
        flags = [bits.flags(mask) for _, mask, _ in rows]
        lane.news(lane.listener.flagged, number, [uid for uid, _, _ in rows], flags, modseq, None)


def _mask(lane: Lane, number: int, uid: int) -> int:
    row = lane.db.execute("SELECT flags FROM messages WHERE folder=? AND uid=?", (number, uid)).fetchone()
    return int(row[0])


def _expunged(lane: Lane, folder: LaneFolder, uids: list[int]) -> None:
    if uids:
        uids.sort()
        modseq = lane.modseq(folder)
        messages.remove(lane.db, folder.row.id, uids)
        changes.note_expunged(lane.db, folder.row.id, uids, modseq)
        lane.news(lane.listener.expunged, folder.row.id, uids, modseq, None)


def _arrived(
    lane: Lane,
    folder: LaneFolder,
    files: HeldFiles,
    dated: Sequence[tuple[int, str]],
    keywords: Mapping[str, Flags],
    *,
    held: bool,
) -> None:
    """Give messages that are new here their UIDs: those that another server gave them, or the next ones by age."""
    if not dated:
        return
    row = folder.row
    known = lane.current_uidlist(folder, files.directory)
    entries = known.entries if known is not None and known.uidvalidity == row.uidvalidity else {}
    kept = sorted(
        (entry.uid, date, name)
        for date, name in dated
        if (entry := entries.get(base_of(name))) is not None and entry.uid >= row.uidnext
    )
    listed = {name for _, _, name in kept}
    if kept:
        row.uidnext = kept[-1][0] + 1
    others = [(date, name) for date, name in dated if name not in listed]
    uids = lane.assign(folder, len(others), held) if others else range(0)
    given = kept + [(uid, date, name) for uid, (date, name) in zip(uids, others, strict=True)]
    letters = lane.letters(folder)
    octets = octets_of(files, [name for _, _, name in given])
    rows = []
    for uid, date, name in given:
        mask = folder.bits.bits(lane.db, letters.flags(letters_of(name)))
        more = folder.bits.bits(lane.db, keywords.get(base_of(name), ()))
        rows.append(MessageRow(uid, mask | more, mask, max(date, 0), name, octets[name] or 0))
    modseq = lane.modseq(folder)
    messages.insert(lane.db, row.id, rows, modseq, int(time.time()))
    flags = [folder.bits.flags(one.flags) for one in rows]
    came = [one.uid for one in rows]
    lane.news(lane.listener.arrived, row.id, came, flags, modseq, None)
    lane.news(lane.listener.found, row.id, came)
    if held:
        _list_uids(lane, folder, files.directory)


def _list_uids(lane: Lane, folder: LaneFolder, fd: int) -> None:
    """Tell another server at once which UIDs its messages have here, if that is done by lines behind its list."""
    known, row = folder.uidlist, folder.row
    if known is None or known.uidnext != row.reserved:
        return
    fresh = [one for one in entries_of(lane, folder, row.listed) if one[0] not in known.entries]
    if not fresh:
        return
    last = next(reversed(known.entries.values())).uid if known.entries else 0
    appended = append_uids(fd, known, fresh) if fresh[0][1].uid > last else None
    if appended is not None:
        folder.uidlist = appended
        row.listed, row.reserved = fresh[-1][1].uid, appended.uidnext


def _follow(lane: Lane, folder: LaneFolder, files: HeldFiles, seen: dict[str, str]) -> None:
    """Promise no lower UIDNEXT than another server did, which may have given UIDs to messages that are gone."""
    row, theirs = folder.row, lane.current_uidlist(folder, files.directory)
    if theirs is None or theirs.uidvalidity != row.uidvalidity or theirs.uidnext == row.reserved:
        return
    unseen = [base for base, entry in theirs.entries.items() if entry.uid >= row.uidnext and base not in seen]
    coming = set(unseen) - files.certainly_gone(unseen)[0] if unseen else ()
    uidnext = min([theirs.uidnext, *(theirs.entries[base].uid for base in coming)])
    if uidnext > row.uidnext:
        row.uidnext = uidnext
        lane.news(lane.listener.promised, row.id, uidnext)


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
