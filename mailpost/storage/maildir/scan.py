"""Listing a folder's directories, to find what other programs did there. Jobs of the lane."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import Flags
from mailpost.storage.index import changes, messages
from mailpost.storage.maildir.dotlock import locked
from mailpost.storage.maildir.filename import base_of
from mailpost.storage.maildir.files import mail_errors
from mailpost.storage.maildir.lane import CLOCK_TICK_NS, HeldFiles, Lane, LaneFolder, Newcomers
from mailpost.storage.maildir.numbering import conflicts, others_listed, unseen
from mailpost.storage.maildir.outside import by_age, explained, note_arrived, note_gone, note_renamed, renumber
from mailpost.storage.maildir.uidlist import UIDLIST_FILE, UidList, is_listed

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


@contextmanager
def numbering(lane: Lane, folder: LaneFolder) -> Iterator[None]:
    """Hold the lock of the UID list for the block, which puts messages into cur and then gives them UIDs (`assign`).

    What others have numbered is taken note of before.
    """
    files = lane.own_files(folder)
    with mail_errors(), locked(UIDLIST_FILE, files.directory):
        lost = lane.current_uidlist(folder, files.directory) is None  # or the folder is another one, by the same name
        if lost or others_listed(lane, folder):
            _list(lane, folder, None, held=True)
        if others_listed(lane, folder):  # some cannot be found just now
            raise MailError(ErrorKind.IN_USE, "Another program is busy with this folder, try again later")
        yield


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

    Dovecot puts messages into cur, and letters into names, before it says in its files which UIDs and keywords they
    have, all under the lock of the UID list. So what is new and not explained by these files is listed once more when
    that lock is ours: what is not explained then never will be, and may be numbered.

    Args:
        lane: the account.
        folder: the folder.
        keywords: base name -> keywords that a message new here has beside those that its file name says.
    """
    files = lane.own_files(folder)
    with mail_errors():
        if not _waiting(files) and _list(lane, folder, keywords, held=False):
            return
        with locked(UIDLIST_FILE, files.directory):
            _list(lane, folder, keywords, held=True)


def _list(lane: Lane, folder: LaneFolder, keywords: Mapping[str, Flags] | None, *, held: bool) -> bool:
    """Do what `scan` does; False when that asks for the lock and the caller does not hold it."""
    files, row = lane.own_files(folder), folder.row
    theirs = lane.current_uidlist(folder, files.directory)  # before the listing, which then shows all that it names
    if theirs is not None and folder.doubted and conflicts(lane, folder, theirs):
        if not held:
            return False
        renumber(lane, folder, theirs)
        theirs = lane.current_uidlist(folder, files.directory)
    folder.doubted = False
    cur_mtime, seen = _listed(files)
    dead = changes.dead(lane.db, row.id)
    if dead:
        _bury(lane, folder, files, {base: seen.pop(base, None) for base in dead})
    _undo(files, {base: seen.pop(base, None) for base in changes.unfinished(lane.db, row.id)})
    known = {base_of(name): (uid, name) for uid, name in messages.names(lane.db, row.id)}
    coming = theirs is not None and _coming(files, unseen(theirs, row.uidnext, seen), seen)
    newcomers = _too_many(files, seen, known, theirs) if keywords is None else None
    new_mtime = 0
    if newcomers is None and not coming:
        new_mtime = files.changed_at()[1]
        if held:
            new_mtime = _accept(files, seen, cur_mtime)
        elif _waiting(files):
            return False
    arrived = [] if newcomers is not None or coming else [name for base, name in seen.items() if base not in known]
    gone = _gone(files, known, seen)
    renamed = [(uid, name, seen[base]) for base, (uid, name) in known.items() if seen.get(base, name) != name]
    if not held and not explained(lane, folder, theirs, arrived, [name for *_, name in renamed]):
        return False
    note_gone(lane, folder, [known[base][0] for base in gone])
    note_renamed(lane, folder, renamed)
    note_arrived(lane, folder, theirs, by_age(files, arrived), keywords or {})
    if theirs is not None and not coming:
        if theirs.uidnext > row.uidnext:  # it may have numbered messages that are gone
            row.uidnext = theirs.uidnext
            lane.news(lane.listener.promised, row.id, row.uidnext)
        row.reserved = theirs.uidnext if folder.uidlist is theirs else row.reserved
    folder.newcomers = newcomers
    row.cur_mtime, row.new_mtime = _settled(cur_mtime.value), _settled(new_mtime)
    if newcomers is not None or coming:
        row.cur_mtime = 0
    folder.verify = cur_mtime.doubtful or coming
    lane.save(folder)
    return True


def _waiting(files: HeldFiles) -> list[str]:
    """File names in new."""
    return [name for name in os.listdir(files.new) if not name.startswith(".")]


def _coming(files: HeldFiles, missing: set[str], seen: dict[str, str]) -> bool:
    """Look for messages that another server has numbered, and that the listing of cur did not show.

    Args:
        files: the folder.
        missing: their base names.
        seen: what is in cur; those that are found there are put into it. Those in new are going to be.

    Returns:
        Whether some may be there and cannot be found just now: then none with a higher UID may be taken in.
    """
    if missing:
        missing = missing - {base_of(name) for name in _waiting(files)}
    if not missing:
        return False
    gone, second = files.certainly_gone(missing)
    seen.update((base, second.cur[base]) for base in missing & second.cur.keys())
    return not missing <= gone | second.cur.keys() | second.new.keys()


def _too_many(
    files: HeldFiles, seen: Mapping[str, str], known: Mapping[str, tuple[int, str]], theirs: UidList | None
) -> Newcomers | None:
    """The messages without rows if there are too many for one job; never those that have their UIDs already."""
    listed = theirs.entries if theirs is not None else {}
    waiting = {base_of(name): name for name in _waiting(files)}
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
                newcomers.dated += by_age(files, _taken(newcomers.undated))
                if not newcomers.undated:
                    newcomers.dated.sort(reverse=True)
            elif not newcomers.dated:
                folder.newcomers = None
                break
            else:
                with locked(UIDLIST_FILE, files.directory):
                    theirs = lane.current_uidlist(folder, files.directory)
                    if theirs is not None and theirs.uidnext > folder.row.uidnext:
                        folder.newcomers = None  # it has numbered some of them, perhaps: the next listing tells
                        break
                    note_arrived(lane, folder, theirs, sorted(_taken(newcomers.dated)), {})
    lane.save(folder)


def _taken(some: list[T]) -> list[T]:
    """Take a few from the end."""
    taken = some[-_CHUNK:]
    del some[-_CHUNK:]
    return taken


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
        names = _waiting(files)
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
