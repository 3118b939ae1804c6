"""A copy of an account that can be put in its place, made while servers and other programs are at work. Blocking.

First the state, as it was at one moment; then the messages; last the files that say UIDs and keywords, so that they
know of every message that was copied. Directories are listed again and again until nothing that the state knows was
on its way from one to another. Opened, such a copy is like an account whose server was killed: what the state does
not know is taken in, and no UID is given out twice.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from shutil import copyfileobj, rmtree

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.index.state import STATE_FILE
from mailpost.storage.maildir.checking import read_only
from mailpost.storage.maildir.directories import list_folders
from mailpost.storage.maildir.filename import base_of
from mailpost.storage.maildir.files import mail_errors, open_directory
from mailpost.storage.maildir.folder import SUBDIRECTORIES, FolderFiles
from mailpost.storage.maildir.layout import Layout
from mailpost.storage.maildir.opening import index_prefix
from mailpost.storage.maildir.shape import check_shape, served_as

_MOST_PASSES = 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_OURS = "mailpost-"
_PASSING = (".lock", ".tmp")


def backup(root: Path, index: Path | None, layout: Layout, target: Path) -> int:
    """Copy an account: how many messages there are in the copy.

    Args:
        root: its Maildir.
        index: the folder of its state; None for the root itself.
        layout: how folders are named.
        target: a directory that is not there yet, or is empty.

    Raises:
        OtherLayoutError: all folders are laid out in another way, and would be left out.
        MailError: FOLDER_EXISTS when there is something already; DISK_FULL and the like.
    """
    with mail_errors():
        _require_shape(root, index_prefix(root, index) + STATE_FILE, layout)
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise MailError(ErrorKind.FOLDER_EXISTS, f"{target} is not empty")
        state = index_prefix(root, index) + STATE_FILE
        expected = _copy_state(state, target / f"{_OURS}{STATE_FILE}")
        copy = _Copy(root, layout, target, expected)
        try:
            for _ in range(_MOST_PASSES):
                if not copy.go_over() and not (copy.has_lost and copy.lacks(_known_now(state))):
                    break
            copy.finish()
        finally:
            copy.close()
        os.sync()
    return copy.messages


def _require_shape(root: Path, state: str, layout: Layout) -> None:
    known = None
    if Path(state).exists():
        with closing(read_only(state)) as db:
            known = served_as(db)
    root_fd = open_directory(root, follow=True)
    try:
        check_shape(str(root), root_fd, layout, known)
    finally:
        os.close(root_fd)


def _copy_state(path: str, target: Path) -> dict[str, set[str]]:
    """Copy the state as it is now: directory -> base names of the messages it knows."""
    if not Path(path).exists():
        return {}
    os.close(os.open(target, _NEW, 0o600))
    with closing(read_only(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        return _bases(copy)


def _known_now(path: str) -> dict[str, set[str]]:
    """What the state knows now, as `_copy_state` answers."""
    if not Path(path).exists():
        return {}
    with closing(read_only(path)) as db:
        return _bases(db)


def _bases(db: sqlite3.Connection) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for directory, name in db.execute("SELECT directory, name FROM files JOIN folders ON id = folder"):
        known.setdefault(directory, set()).add(base_of(name))
    return known


class _Copy:
    """What has been copied of a tree."""

    def __init__(self, root: Path, layout: Layout, target: Path, expected: dict[str, set[str]]) -> None:
        self._root = root
        self._layout = layout
        self._target = target
        self._expected = expected
        self._missed: dict[str, set[str]] = {}
        """What was not there when it was looked for last, by directory."""
        self._have: dict[str, dict[str, str]] = {}
        """directory -> base name -> "cur/..." or "new/..." """
        self._root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    @property
    def messages(self) -> int:
        """How many have been copied."""
        return sum(map(len, self._have.values()))

    @property
    def has_lost(self) -> bool:
        """Whether messages that were there have gone, or have moved."""
        return any(self._missed.values())

    def lacks(self, known: dict[str, set[str]]) -> bool:
        """Whether any of these messages is not in the copy: what moves to and fro may be missed in both places."""
        return any(not bases <= self._have.get(directory, {}).keys() for directory, bases in known.items())

    def close(self) -> None:
        """Let go of the tree."""
        os.close(self._root_fd)

    def go_over(self) -> bool:
        """List all folders and copy what is not there yet; whether something may have been on its way meanwhile.

        What is missing for the second time is gone: had it been moved, it would have been found where it is now.
        """
        again = False
        directories = {found.directory for found in list_folders(self._root_fd, self._layout)}
        listings: dict[str, dict[str, str]] = {name: {} for name in (*self._have, *self._expected)}
        listings.update(self._listings(directories))
        for directory, shown in listings.items():
            have = self._have.setdefault(directory, {})
            missing = self._missed.get(directory, set())
            for base, path in shown.items():
                if base not in have and not self._copied(directory, path):
                    again = True  # renamed or moved just now
                    continue
                if have.get(base, path) != path:
                    self._place(directory, have[base]).rename(self._place(directory, path))
                have[base] = path
            now = {base for base in have.keys() | self._expected.get(directory, set()) if base not in shown}
            for base in now & missing & have.keys():
                self._place(directory, have.pop(base)).unlink()
            again = again or not now <= missing
            self._missed[directory] = now
        return again

    def _listings(self, directories: set[str]) -> Iterator[tuple[str, dict[str, str]]]:
        """What is in each folder: directory -> base name -> "cur/..." or "new/...", its directories made here."""
        for directory in sorted(directories):
            for name in SUBDIRECTORIES:
                self._place(directory, name).mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                files = FolderFiles.open(self._root_fd, directory)
            except MailError as error:
                if error.kind is not ErrorKind.NO_SUCH_FOLDER:
                    raise
                yield directory, {}
                continue
            with closing(files):
                listing, _ = files.settled_listing()
            shown = {base: f"new/{name}" for base, name in listing.new.items()}
            shown.update((base, f"cur/{name}") for base, name in listing.cur.items())
            yield directory, shown

    def finish(self) -> None:
        """Copy what says UIDs, keywords and subscriptions; remove folders that are no more."""
        directories = {found.directory for found in list_folders(self._root_fd, self._layout)}
        for directory in directories:
            place = self._root / directory
            for name in SUBDIRECTORIES:
                self._place(directory, name).mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.scandir(place) as entries:
                names = [each.name for each in entries if each.is_file(follow_symlinks=False)]
            for name in names:
                if not name.startswith(_OURS) and not name.endswith(_PASSING):
                    self._copied(directory, name)
        for directory in sorted(self._have.keys() - directories, reverse=True):
            for name in SUBDIRECTORIES:
                rmtree(self._place(directory, name), ignore_errors=True)
            with suppress(OSError):  # others lie in it
                (self._target / directory).rmdir()

    def _place(self, directory: str, path: str) -> Path:
        return self._target / directory / path

    def _copied(self, directory: str, path: str) -> bool:
        """Copy one file with its mtime; whether it was there."""
        with suppress(FileNotFoundError):
            with (self._root / directory / path).open("rb") as source:
                status = os.fstat(source.fileno())
                target = self._place(directory, path)
                with os.fdopen(os.open(target, _NEW, 0o600), "wb") as copy:
                    copyfileobj(source, copy, 1 << 20)
                os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
            return True
        return False
