"""What other programs did to a folder's directories becomes rows, changed flags and expunges. Jobs of the lane."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import TypeVar

from mailpost.mail.flags import Flags
from mailpost.storage.index import changes, messages
from mailpost.storage.index.folders import new_uidvalidity
from mailpost.storage.index.messages import MessageRow
from mailpost.storage.maildir.accepting import CurMtime, accept, settled
from mailpost.storage.maildir.dotlock import locked
from mailpost.storage.maildir.filename import base_of, letters_of
from mailpost.storage.maildir.files import mail_errors
from mailpost.storage.maildir.lane import HeldFiles, Lane, LaneFolder, Newcomers
from mailpost.storage.maildir.outside import expunged, renamed, unlinked
from mailpost.storage.maildir.quota import octets_of
from mailpost.storage.maildir.survey import Survey, surveyed
from mailpost.storage.maildir.uidlist import (
    LARGEST_UID,
    UIDLIST_FILE,
    UidEntry,
    UidList,
    append_uids,
    write_uidlist,
)

T = TypeVar("T")

SLICE = 0.005
"""Seconds that one job takes of many messages: so long may somebody who waits for the lane be held up."""
_MOST_AT_ONCE = 256
_CHUNK = 32
_MOST_SURVEYS = 5


class Then(Enum):
    """What is to follow a job that looks at a folder."""

    NOTHING = "nothing"
    THE_SAME = "the same"
    """There is more to do, for the same job once more: others who want the lane may have their turn before."""
    A_SURVEY = "a survey"
    """The directories are to be surveyed, and the survey applied."""
    A_GLANCE = "a glance"
    """What was surveyed has been dealt with, or came to nothing; what is left is found by looking once more."""


def glance(lane: Lane, number: int, doubt: bool = False) -> Then:
    """Begin to take note of what happened outside; quick when the directories' mtimes are those of the last time.

    Args:
        lane: the account.
        number: the folder.
        doubt: survey it as well if another program may have changed it unseen while we did.
    """
    folder = lane.folder(number)
    if folder.newcomers is not None:
        _take_in(lane, folder, folder.newcomers)
        return Then.THE_SAME
    files = lane.own_files(folder)
    with mail_errors():
        changed = files.changed_at() != (folder.row.cur_mtime, folder.row.new_mtime)
    if not (changed or (doubt and folder.verify)):
        return Then.NOTHING
    folder.verify = False
    relist(lane, number)  # until the survey has been applied
    return Then.A_SURVEY


def look(lane: Lane, number: int, doubt: bool = False) -> bool:
    """Take note of what happened outside, all in this job but for messages that are too many; as `glance`.

    Returns:
        Whether there is more to do, for another job.
    """
    then = glance(lane, number, doubt)
    if then is Then.A_SURVEY:
        scan(lane, lane.folder(number))
        return lane.folder(number).newcomers is not None
    return then is Then.THE_SAME


def catch_up(lane: Lane, folder: LaneFolder) -> None:
    """Before UIDs are given out: take note of messages to which another server has given lower ones."""
    if lane.others_listed(folder):
        while look(lane, folder.row.id):
            pass


def relist(lane: Lane, number: int) -> None:
    """The next look is to list the folder, whatever its mtimes say: a file was not where it should be."""
    folder = lane.folder(number)
    folder.row.cur_mtime = 0
    lane.save(folder)


def scan(lane: Lane, folder: LaneFolder, keywords: Mapping[str, Flags] | None = None) -> None:
    """List the directories and bring the rows in line with them, in one job.

    Args:
        lane: the account.
        folder: the folder.
        keywords: base name -> keywords that a message new here has beside those that its file name says.
    """
    for _ in range(_MOST_SURVEYS):
        found = surveyed(lane.own_files(folder), lane.db, folder.row.id)
        while (then := apply(lane, folder.row.id, found, keywords)) is Then.THE_SAME:
            pass
        if then is Then.NOTHING or folder.newcomers is not None:
            break


def apply(lane: Lane, number: int, found: Survey, keywords: Mapping[str, Flags] | None = None) -> Then:
    """Bring the rows in line with a survey, for a slice of time.

    Args:
        lane: the account.
        number: the folder.
        found: what was found. It is used up.
        keywords: as for `scan`, which takes all messages in at once then.
    """
    folder = lane.folder(number)
    files, row = lane.own_files(folder), folder.row
    with mail_errors():
        if folder.newcomers is not None or found.uidvalidity != row.uidvalidity:
            return Then.A_GLANCE
        theirs = lane.current_uidlist(folder, files.directory)
        if theirs is not None and theirs.uidvalidity != row.uidvalidity:
            with locked(UIDLIST_FILE, files.directory):
                renumber(lane, folder, theirs)
            return Then.A_GLANCE
        if found.twins:
            files.part_twins(found.twins)
            return Then.A_GLANCE
        until = time.monotonic() + SLICE
        while found.gone or found.renamed:
            if time.monotonic() >= until:
                lane.save(folder)
                return Then.THE_SAME
            expunged(lane, folder, _taken(found.gone))
            renames = _taken(found.renamed)
            with _others_done(lane, folder, files.directory, (), [name for *_, name in renames]):
                renamed(lane, folder, renames)
        return _admit(lane, folder, files, found, keywords)


def _admit(
    lane: Lane, folder: LaneFolder, files: HeldFiles, found: Survey, keywords: Mapping[str, Flags] | None
) -> Then:
    """The last step of `apply`: messages that are new here."""
    number, row = folder.row.id, folder.row
    _bury(lane, folder, files, found.dead)
    fresh = _without_rows(lane, number, files, found)
    cur_mtime, new_mtime, whole = CurMtime(files, found.cur_mtime), 0, True
    if keywords is None:
        folder.newcomers = _too_many(fresh, found.waiting, lane.current_uidlist(folder, files.directory))
    if folder.newcomers is None:
        came, new_mtime, whole = accept(files, cur_mtime)
        came = [name for name in came if base_of(name) not in found.seen]
        found.seen.update((base_of(name), name) for name in came)
        known = [(found.known[base_of(name)], None, name) for name in came if base_of(name) in found.known]
        fresh += [name for name in came if base_of(name) not in found.known]
        with _others_done(lane, folder, files.directory, fresh, [name for *_, name in known]) as held:
            renamed(lane, folder, known)
            _arrived(lane, folder, files, _dated(files, fresh), keywords or {}, held=held)
        _follow(lane, folder, files, found.seen)
        row.cur_mtime, row.new_mtime = settled(cur_mtime.value), settled(new_mtime)
    folder.verify |= cur_mtime.doubtful
    lane.save(folder)
    return Then.NOTHING if whole and folder.newcomers is None else Then.A_GLANCE


def _without_rows(lane: Lane, number: int, files: HeldFiles, found: Survey) -> list[str]:
    """The messages that were new when they were found and are so now; files that nobody finishes are removed."""
    last = max(found.known.values(), default=0)
    since = {base_of(name) for _, name in messages.names(lane.db, number, (last + 1, LARGEST_UID))}
    since |= changes.dead(lane.db, number)
    unfinished = changes.unfinished(lane.db, number)
    unlinked(files, [found.seen[base] for base in unfinished if base in found.seen])
    return [name for name in found.fresh if (base := base_of(name)) not in since and base not in unfinished]


def _too_many(fresh: Sequence[str], waiting: Sequence[str], theirs: UidList | None) -> Newcomers | None:
    """The messages without rows if there are too many for one job; never those that have their UIDs already."""
    listed = theirs.entries if theirs is not None else {}
    if len(fresh) + len(waiting) <= _MOST_AT_ONCE or any(base_of(name) in listed for name in (*fresh, *waiting)):
        return None
    return Newcomers(waiting=list(waiting), undated=list(fresh), dated=[])


def _bury(lane: Lane, folder: LaneFolder, files: HeldFiles, dead: Mapping[str, str]) -> None:
    """Remove files that were expunged before a crash; many of them are left to the work behind."""
    if len(dead) > _CHUNK:
        lane.news(lane.listener.behind, folder.row.id)
    else:
        changes.bury(lane.db, folder.row.id, map(base_of, unlinked(files, dead.values())))


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


def _taken(some: list[T], most: int = _CHUNK) -> list[T]:
    """Take a few from the end."""
    taken = some[-most:]
    del some[-most:]
    return taken


def _dated(files: HeldFiles, names: Sequence[str]) -> list[tuple[int, str]]:
    """(mtime, file name) of those that are there, the oldest first."""
    return sorted((facts.mtime, name) for name, facts in zip(names, files.facts(names), strict=True) if facts)


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
