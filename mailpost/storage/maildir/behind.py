"""What is written to the tree after the client has been answered: flags in file names, lines of `dovecot-uidlist`.

Jobs of the lane, each for a slice of time; they say whether there is more to do.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from mailpost.storage.index import messages
from mailpost.storage.maildir.dotlock import locked
from mailpost.storage.maildir.filename import letters_of, with_letters
from mailpost.storage.maildir.files import mail_errors
from mailpost.storage.maildir.keywords import add_keywords
from mailpost.storage.maildir.lane import HeldFiles, Lane, LaneFolder
from mailpost.storage.maildir.numbering import conflicts, entries_of, rewrite
from mailpost.storage.maildir.outside import renumber
from mailpost.storage.maildir.uidlist import UIDLIST_FILE, UidEntry, UidList, append_uids, flush_uidlist, is_listed
from mailpost.storage.maildir.writing import bury

SLICE = 0.005
"""Seconds that one job of writing behind takes: so long may somebody who waits for the lane be held up."""
_CHUNK = 64
_PATIENCE = 1.0
"""Seconds that renaming waits for another program which is at work in the folder: it is tried again later."""
_FEW_LINES = 1000
"""Up to here it does not matter how many lines of a UID list are of messages that are gone."""


def write_flags(lane: Lane, number: int, seconds: float = SLICE) -> bool:
    """Rename files so that they say their messages' flags; False when all do.

    Raises:
        MailError: IN_USE while another program is at work in the folder.
    """
    folder = lane.folder(number)
    rows = messages.unwritten(lane.db, number, 0, _CHUNK)
    if not rows:
        return False
    with _alone(lane.own_files(folder)):
        until = time.monotonic() + seconds
        while rows and time.monotonic() < until:
            _write_flags(lane, folder, rows)
            rows = messages.unwritten(lane.db, number, rows[-1][0], _CHUNK)
    lane.save(folder)
    return bool(rows)


@contextmanager
def _alone(files: HeldFiles) -> Iterator[None]:
    """Let nobody who honours the lock of the UID list look at the folder meanwhile.

    A listing may miss a file that is being renamed, and Dovecot takes a message that it misses for expunged.
    """
    with ExitStack() as held, mail_errors():
        try:
            held.enter_context(locked(UIDLIST_FILE, files.directory, _PATIENCE))
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:  # a rename takes no room, the lock would
                raise
        yield


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
    """Make lines of new messages in `dovecot-uidlist` durable; a list that conflicts raises UIDVALIDITY.

    Lines that are missing, because the list was lost or damaged, are written.

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
            if folder.doubted and conflicts(lane, folder, known):
                renumber(lane, folder, known)
                return
            lines = [one for one in fresh if one[0] not in known.entries]
            worth = fresh and _worth_appending(lane, known, folder, lines)
            appended = append_uids(fd, known, lines) if worth else None
            if appended is not None:
                flush_uidlist(fd)
                folder.uidlist = appended
                row.listed = fresh[-1][1].uid
                lane.save(folder)
                return
        rewrite(lane, folder, fd, {})
    row.listed = fresh[-1][1].uid if fresh else row.listed
    lane.save(folder)


def _worth_appending(lane: Lane, known: UidList, folder: LaneFolder, fresh: list[tuple[str, UidEntry]]) -> bool:
    """Whether lines can go behind the list: it is not mostly dead already, and ends below the first of them."""
    last = next(reversed(known.entries.values())).uid if known.entries else 0
    if fresh and fresh[0][1].uid <= last:
        return False
    lines = len(known.entries)
    if lines >= _FEW_LINES and folder.spare < 0:  # else less have gone since they were counted
        folder.spare = max((2 * messages.count(lane.db, folder.row.id) - lines - 1) // 2, -1)
    return lines < _FEW_LINES or folder.spare >= 0


def remove_files(lane: Lane, number: int, seconds: float = SLICE) -> bool:
    """Remove files of expunged messages; False when they all are gone."""
    return bury(lane, number, seconds)


def finish(lane: Lane, number: int, first_recent: int) -> None:
    """All else that is written behind: the UID list, who is recent.

    Args:
        lane: the account.
        number: the folder.
        first_recent: `LiveMailbox.first_recent`; 0 where that is not known.
    """
    write_uids(lane, number)
    folder = lane.folder(number)
    if first_recent > folder.row.first_recent:
        folder.row.first_recent = first_recent
        lane.save(folder)
