"""Opening the files of an account: its root, state, cache and generation; a damaged state is set aside. Blocking."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from mailpost.storage.index.cache import CACHE_FILE, CacheFile
from mailpost.storage.index.generation import GENERATION_FILE, Generation
from mailpost.storage.index.state import STATE_FILE, DamagedError, Readers, StateFile, meta, set_meta
from mailpost.storage.maildir.directories import open_root
from mailpost.storage.maildir.files import Ballast, mail_errors, make_directories
from mailpost.storage.maildir.layout import Layout
from mailpost.storage.maildir.shape import check_shape, note_served, served_as

MAILDROP_LOCK_FILE = "pop3.lock"
"""Empty; whoever has it locked has the maildrop."""
_GENERATION = "generation"
_PREFIX = "mailpost-"
"""What our files in a Maildir's root begin with."""


@dataclass(slots=True)
class OpenedFiles:
    """What an open account holds."""

    root: str
    root_fd: int
    state: StateFile
    state_readers: Readers
    cache: CacheFile
    cache_readers: Readers
    generation: Generation
    ballast: Ballast
    maildrop_lock: str
    """The path of the file that a POP3 session locks."""
    is_new: bool
    """The root was not there before."""
    is_rebuilt: bool
    """There was a Maildir and no state."""
    set_aside: str | None
    """Where a damaged state was put."""
    strangers: list[str]
    """Directories that look like folders of the other layout."""
    continues: bool
    """The state is known to be what was last committed, not an older copy that was put back."""
    is_clean: bool
    """It was closed well the last time: nothing was interrupted."""

    def close(self) -> None:
        """Close all but the root, which the lane closes."""
        with suppress(sqlite3.Error, OSError):  # then the next one to open it is careful
            value = self.generation.bump()
            if self.generation.is_last():
                set_meta(self.state.db, _GENERATION, value)
        self.state_readers.close()
        self.cache_readers.close()
        self.cache.close()
        self.state.close()
        self.generation.close()


def index_prefix(root: Path, index: Path | None) -> str:
    """What the paths of an account's state, cache and generation begin with."""
    return str(root / _PREFIX) if index is None else str(index) + "/"


def open_files(root: Path, index: Path | None, layout: Layout) -> OpenedFiles:
    """Open an account, making what is missing.

    Args:
        root: its Maildir.
        index: the folder of tiers 2 and 3; None for the root itself.
        layout: how its folders are to lie.

    Raises:
        OtherLayoutError: they all lie otherwise.
        MailError: UNAVAILABLE for a state written by a newer server; NO_PERMISSION, DISK_FULL and the like.
    """
    is_new = not (root / "cur").is_dir()
    root_fd = open_root(root)
    with ExitStack() as undone, mail_errors():
        undone.callback(os.close, root_fd)
        place = index_prefix(root, index)
        if index is not None:
            make_directories(index.absolute())
        was_there = Path(place + STATE_FILE).exists()
        if not was_there:  # before anything is made in it
            strangers = check_shape(str(root), root_fd, layout, None)
        state, set_aside = _open_state(place + STATE_FILE)
        undone.callback(state.close)
        if was_there:
            strangers = check_shape(str(root), root_fd, layout, served_as(state.db))
        note_served(state.db, layout.hierarchy)
        ballast = Ballast(root_fd)
        ballast.ensure()
        generation = Generation(place + GENERATION_FILE)
        undone.callback(generation.close)
        is_clean = meta(state.db, _GENERATION) == generation.seen
        generation.note(generation.bump())
        opened = OpenedFiles(
            root=str(root),
            root_fd=root_fd,
            state=state,
            state_readers=Readers(place + STATE_FILE),
            cache=CacheFile(place + CACHE_FILE),
            cache_readers=Readers(place + CACHE_FILE, ("PRAGMA mmap_size=268435456",)),
            generation=generation,
            continues=is_clean or not generation.alone,
            is_clean=is_clean,
            ballast=ballast,
            maildrop_lock=place + MAILDROP_LOCK_FILE,
            is_new=is_new,
            is_rebuilt=not (is_new or was_there),
            set_aside=set_aside,
            strangers=strangers,
        )
        undone.pop_all()  # all is open, and is the caller's now
        return opened


def _open_state(path: str) -> tuple[StateFile, str | None]:
    """The state, made anew if it is damaged: then the damaged one's new name too."""
    try:
        return StateFile(path), None
    except DamagedError:
        aside = f"{path}.corrupt-{time.strftime('%Y%m%dT%H%M%S')}"
        for suffix in ("", "-wal", "-shm"):
            file = Path(path + suffix)
            if file.exists():
                file.rename(aside + suffix)
        return StateFile(path), aside
