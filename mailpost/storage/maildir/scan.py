"""What other programs did to a folder's directories is found, and brought into the rows. Jobs of the lane."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from enum import Enum
from itertools import chain
from typing import TypeVar

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import Flags
from mailpost.storage.index import changes, messages
from mailpost.storage.maildir.accepting import CurMtime, accept, new_mtime, settled
from mailpost.storage.maildir.dotlock import locked
from mailpost.storage.maildir.filename import base_of
from mailpost.storage.maildir.files import mail_errors, names_in
from mailpost.storage.maildir.lane import HeldFiles, Lane, LaneFolder, Newcomers
from mailpost.storage.maildir.numbering import conflicts, others_listed, unseen
from mailpost.storage.maildir.outside import (
    by_age,
    explained,
    note_arrived,
    note_gone,
    note_renamed,
    renumber,
    unlinked,
)
from mailpost.storage.maildir.survey import Survey, surveyed
from mailpost.storage.maildir.uidlist import LARGEST_UID, UIDLIST_FILE, UidList

T = TypeVar("T")

SLICE = 0.005
"""Seconds that one job takes of many messages: so long may somebody who waits for the lane be held up."""
_MOST_AT_ONCE = 256
_CHUNK = 32
_RENAMED = 64
"""Renamed messages that are looked at in one go: they take less than new ones."""
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


@contextmanager
def numbering(lane: Lane, folder: LaneFolder) -> Iterator[None]:
    """Hold the lock of the UID list for the block, which puts messages into cur and then gives them UIDs (`assign`).

    What others have numbered is taken note of before.
    """
    files = lane.own_files(folder)
    with mail_errors(), locked(UIDLIST_FILE, files.directory):
        lane.look_again(folder)
        lost = lane.current_uidlist(folder, files.directory) is None  # or the folder is another one, by the same name
        if lost or others_listed(lane, folder):
            _scan(lane, folder, None, held=True)
            if others_listed(lane, folder):  # some cannot be found just now
                raise MailError(ErrorKind.IN_USE, "Another program is busy with this folder, try again later")
        yield


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
    _scan(lane, folder, keywords, held=False)


def _scan(lane: Lane, folder: LaneFolder, keywords: Mapping[str, Flags] | None, *, held: bool) -> None:
    folder.newcomers = None
    for _ in range(_MOST_SURVEYS):
        found = surveyed(lane.own_files(folder), lane.db, folder.row.id)
        while (then := apply(lane, folder.row.id, found, keywords, held=held)) is Then.THE_SAME:
            pass
        if then is Then.NOTHING or folder.newcomers is not None:
            break


def apply(
    lane: Lane, number: int, found: Survey, keywords: Mapping[str, Flags] | None = None, *, held: bool = False
) -> Then:
    """Bring the rows in line with a survey, for a slice of time.

    Dovecot puts messages into cur, and letters into names, before it says in its files which UIDs and keywords they
    have, all under the lock of the UID list. So what is new and not explained by these files is compared with them
    once more when that lock is ours: what is not explained then never will be, and may be numbered.

    Args:
        lane: the account.
        number: the folder.
        found: what was found. It is used up.
        keywords: as for `scan`, which takes all messages in at once then.
        held: the caller holds the lock of the UID list.
    """
    folder = lane.folder(number)
    files = lane.own_files(folder)
    with mail_errors():
        if folder.newcomers is not None or found.uidvalidity != folder.row.uidvalidity:
            return Then.A_GLANCE
        if _contradicted(lane, folder):
            with _locked(files, held):
                theirs = lane.current_uidlist(folder, files.directory)
                if theirs is not None and _contradicted(lane, folder):
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
            note_gone(lane, folder, _taken(found.gone))
            _note_renamed(lane, folder, _taken(found.renamed, _RENAMED), held=held)
        _bury(lane, folder, files, found.dead)
        return _admit(lane, folder, found, keywords, held=held)


def _contradicted(lane: Lane, folder: LaneFolder) -> bool:
    """Whether another server's list says other UIDs than the rows."""
    theirs = lane.current_uidlist(folder, lane.own_files(folder).directory)
    if theirs is None:
        return False
    folder.doubted = folder.doubted and conflicts(lane, folder, theirs)
    return folder.doubted


def _locked(files: HeldFiles, held: bool) -> AbstractContextManager[None]:
    return nullcontext() if held else locked(UIDLIST_FILE, files.directory)


def _note_renamed(
    lane: Lane, folder: LaneFolder, renamed: Sequence[tuple[int, str | None, str]], *, held: bool
) -> None:
    names = [name for *_, name in renamed]
    with _locked(lane.own_files(folder), held or explained(lane, folder, None, (), names)):
        note_renamed(lane, folder, renamed)


def _admit(lane: Lane, folder: LaneFolder, found: Survey, keywords: Mapping[str, Flags] | None, *, held: bool) -> Then:
    """The last step of `apply`: messages that are new here."""
    files = lane.own_files(folder)
    fresh = _without_rows(lane, folder.row.id, files, found)
    theirs = lane.current_uidlist(folder, files.directory)
    if keywords is None and len(fresh) + len(found.waiting) > _MOST_AT_ONCE:
        waiting = [name for name in found.waiting if base_of(name) not in found.known]
        folder.newcomers = Newcomers(waiting=waiting, undated=fresh, dated=[])
    many = folder.newcomers is not None
    if many:
        fresh = []
    if held or many or (explained(lane, folder, theirs, fresh, ()) and not _waiting(files)):
        return _number(lane, folder, found, fresh, keywords, held=held)
    with locked(UIDLIST_FILE, files.directory):
        if _contradicted(lane, folder):
            return Then.A_GLANCE
        return _number(lane, folder, found, fresh, keywords, held=True)


def _number(
    lane: Lane,
    folder: LaneFolder,
    found: Survey,
    fresh: list[str],
    keywords: Mapping[str, Flags] | None,
    *,
    held: bool,
) -> Then:
    """Give messages that are new here their UIDs; what lies in new only if the lock of the UID list is held."""
    files, row, seen = lane.own_files(folder), folder.row, found.seen
    theirs = lane.current_uidlist(folder, files.directory)
    listed = set(seen)
    coming = theirs is not None and _coming(files, unseen(theirs, row.uidnext, seen), seen)
    fresh = [*fresh, *(seen[base] for base in seen.keys() - listed)]
    if coming:
        folder.newcomers = None
    elif folder.newcomers is not None:
        folder.newcomers.undated += fresh
        fresh = []
    cur_mtime, of_new, whole = CurMtime(files, found.cur_mtime), new_mtime(files), True
    if held and not coming and folder.newcomers is None:
        came, of_new, whole = accept(files, cur_mtime)
        came = [name for name in came if base_of(name) not in seen]
        seen.update((base_of(name), name) for name in came)
        known = [(found.known[base_of(name)], None, name) for name in came if base_of(name) in found.known]
        _note_renamed(lane, folder, known, held=held)
        fresh += [name for name in came if base_of(name) not in found.known]
    elif _waiting(files):
        of_new = 0
    note_arrived(lane, folder, theirs, [] if coming else by_age(files, fresh), keywords or {})
    if theirs is not None and not coming:
        if folder.newcomers is None or not _any_given(theirs, folder.newcomers, row.uidnext):
            _keep_promise(lane, folder, theirs)
        row.reserved = theirs.uidnext if folder.uidlist is theirs else row.reserved
    unsettled = coming or folder.newcomers is not None
    row.cur_mtime, row.new_mtime = 0 if unsettled else settled(cur_mtime.value, found.at), of_new
    folder.verify |= cur_mtime.doubtful or coming
    lane.save(folder)
    return Then.NOTHING if whole and folder.newcomers is None else Then.A_GLANCE


def _keep_promise(lane: Lane, folder: LaneFolder, theirs: UidList) -> None:
    """Give no UID that another server may have given to a message that is gone."""
    if theirs.uidnext > folder.row.uidnext:
        folder.row.uidnext = theirs.uidnext
        lane.news(lane.listener.promised, folder.row.id, theirs.uidnext)


def _waiting(files: HeldFiles) -> list[str]:
    """File names in new."""
    return [name for name in names_in(files.new) if not name.startswith(".")]


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


def _without_rows(lane: Lane, number: int, files: HeldFiles, found: Survey) -> list[str]:
    """The messages that were new when they were found and are so now; files that nobody finishes are removed."""
    last = max(found.known.values(), default=0)
    since = {base_of(name) for _, name in messages.names(lane.db, number, (last + 1, LARGEST_UID))}
    since |= changes.dead(lane.db, number)
    unfinished = changes.unfinished(lane.db, number)
    unlinked(files, [found.seen[base] for base in unfinished if base in found.seen])
    return [name for name in found.fresh if (base := base_of(name)) not in since and base not in unfinished]


def _given(theirs: UidList | None, name: str, uidnext: int) -> int | None:
    """The UID that another server's list has for a file, if it can be that of a message which is new here."""
    entry = theirs.entries.get(base_of(name)) if theirs is not None else None
    return entry.uid if entry is not None and entry.uid >= uidnext else None


def _any_given(theirs: UidList, newcomers: Newcomers, uidnext: int) -> bool:
    names = chain(newcomers.waiting, newcomers.undated)
    return theirs.uidnext > uidnext and any(_given(theirs, name, uidnext) for name in names)


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
                newcomers.dated += by_age(files, _taken(newcomers.undated))
                if not newcomers.undated:
                    _put_in_order(newcomers, lane.current_uidlist(folder, files.directory), folder.row.uidnext)
            elif not newcomers.dated or not _take_some_in(lane, folder, files, newcomers):
                folder.newcomers = None
                break
    lane.save(folder)


def _put_in_order(newcomers: Newcomers, theirs: UidList | None, uidnext: int) -> None:
    """Those come first to which another server has given UIDs, by these; then the others by age."""
    newcomers.dated.sort(reverse=True)
    if theirs is not None and theirs.uidnext > uidnext:
        uids = {base: entry.uid for base, entry in theirs.entries.items() if entry.uid >= uidnext}
        newcomers.dated.sort(key=lambda one: uids.get(base_of(one[1]), LARGEST_UID), reverse=True)


def _take_some_in(lane: Lane, folder: LaneFolder, files: HeldFiles, newcomers: Newcomers) -> bool:
    """Give a few their rows; False when others have written the list since they were put in order."""
    some = sorted(newcomers.dated[-_CHUNK:])
    with ExitStack() as held:
        theirs = lane.current_uidlist(folder, files.directory)
        given = [one for one in some if _given(theirs, one[1], folder.row.uidnext)]
        some = given or some
        if not explained(lane, folder, theirs, [name for _, name in some], ()):
            held.enter_context(locked(UIDLIST_FILE, files.directory))
            theirs = lane.current_uidlist(folder, files.directory)
        if folder.doubted:
            return False
        if theirs is not None and not given:
            _keep_promise(lane, folder, theirs)
        del newcomers.dated[-len(some) :]
        note_arrived(lane, folder, theirs, some, {})
    return True


def _taken(some: list[T], most: int = _CHUNK) -> list[T]:
    """Take a few from the end."""
    taken = some[-most:]
    del some[-most:]
    return taken
