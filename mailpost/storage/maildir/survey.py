"""A folder's directories compared with its rows: what there is to do for a job of the writer lane. Blocking.

Listing a large folder takes long, so it is done in a reader lane, where nobody waits for it. What it says is only a
hint by the time it is acted on (`scan.apply`): whoever does so compares each message with its row once more.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from sqlite3 import Connection

from mailpost.storage.index import changes, messages
from mailpost.storage.index.folders import folder_row
from mailpost.storage.maildir.filename import base_of
from mailpost.storage.maildir.files import mail_errors
from mailpost.storage.maildir.folder import FolderFiles, Listing

_TRIES = 2
"""Listings of a folder that does not come to rest; after these it is left to the next look."""


@dataclass(slots=True)
class Survey:
    """What the directories showed, and where that is not what the rows say. Lists are worked off from their ends."""

    uidvalidity: int
    """What it was when the rows were read; with another one nothing here holds."""
    known: dict[str, int]
    """base name -> UID of the rows there were."""
    cur_mtime: int
    """Mtime of cur before it was listed, nanoseconds."""
    seen: dict[str, str]
    """base name -> file name in cur."""
    twins: list[str]
    """Files that share a base name for certain, as `Listing.repeated`: to be parted before anything else."""
    at: int
    """When it was begun, in nanoseconds."""
    steady: bool
    """Whether nothing was changed meanwhile. If something was, what is missing is left to the next look."""
    gone: list[int]
    """UIDs of messages that are gone for certain."""
    renamed: list[tuple[int, str | None, str]]
    """(UID, file name as the row has it, file name seen); without a name as the row has it whatever it has is old."""
    fresh: list[str]
    """File names in cur of messages without rows."""
    dead: dict[str, str]
    """base name -> file name of files that are still there although their messages were expunged."""
    waiting: list[str]
    """File names in new."""


def survey(
    files: FolderFiles, reading: AbstractContextManager[Connection], number: int
) -> Generator[None, None, Survey]:
    """List the directories of a folder and compare; yields where others may have their turn.

    Rows are read before anything is listed: what has a row by then was in the directories.

    Args:
        files: its directories.
        reading: a connection to the state, for a moment.
        number: the folder.
    """
    with reading as db:
        row = folder_row(db, number)
        dead = changes.dead(db, number)
        rows = messages.names(db, number)
    yield
    with mail_errors():
        at = time.time_ns()
        listing, cur_mtime, steady, twins = _listed(files)
    seen = listing.cur
    yield
    known = {base_of(name): uid for uid, name in rows}
    yield
    absent = known.keys() - seen.keys()
    gone: list[int] = []
    if absent and steady:
        gone, steady = _gone(files, {base: uid for base, uid in known.items() if base in absent}, seen)
        yield
    shown = set(seen.values())
    return Survey(
        uidvalidity=row.uidvalidity if row is not None else 0,
        known=known,
        cur_mtime=cur_mtime,
        seen=seen,
        twins=twins,
        at=at,
        steady=steady,
        gone=gone,
        renamed=[
            (uid, name, seen[base]) for uid, name in rows if name not in shown and (base := base_of(name)) in seen
        ],
        fresh=[seen[base] for base in seen.keys() - known.keys() if base not in dead],
        dead={base: seen[base] for base in dead if base in seen},
        waiting=[name for base, name in listing.new.items() if base not in seen],
    )


def surveyed(files: FolderFiles, db: Connection, number: int) -> Survey:
    """`survey`, in one go."""
    surveying = survey(files, nullcontext(db), number)
    while True:
        try:
            next(surveying)
        except StopIteration as done:
            found: Survey = done.value
            return found


def _listed(files: FolderFiles) -> tuple[Listing, int, bool, list[str]]:
    """A listing, the mtime of cur before it, whether nothing changed meanwhile, and twins among the files."""
    before = files.changed_at()
    listing = files.listing()
    steady = files.changed_at() == before
    if not (listing.repeated and steady):  # a name that is shown twice was renamed just then, unless nothing was
        return listing, before[0], steady, []
    before = files.changed_at()
    listing, steady = files.settled_listing(_TRIES)
    return listing, before[0], steady, listing.repeated if steady else []


def _gone(files: FolderFiles, missing: dict[str, int], seen: dict[str, str]) -> tuple[list[int], bool]:
    """Which of these (base name -> UID) are gone for certain, and whether that could be told.

    What shows after all is put into `seen`.
    """
    second, settled = files.settled_listing(_TRIES)
    gone = []
    for base, uid in missing.items():
        if base in second.cur:
            seen[base] = second.cur[base]
        elif settled and base not in second.new:
            gone.append(uid)
    return gone, settled
