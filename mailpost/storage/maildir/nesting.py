"""Folders that lie in each other, as Dovecot keeps them with LAYOUT=fs: `A/B` is the directory B in that of A.

A directory is a folder when it holds `cur`. Others are only on the way to folders; when nothing is left in one of them
after a folder went, it goes too. Of INBOX only `cur`, `new` and `tmp` are its own in the root. Blocking; OSError.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.failpoints import passed
from mailpost.storage.maildir.files import (
    fsync_directory,
    make_directory,
    make_file,
    open_below,
    open_directory,
    rename_directory,
    undone,
)
from mailpost.storage.maildir.folder import SUBDIRECTORIES

ASIDE = "tmp"
"""Where in the root a folder is put that is on its way out: other servers look for no folders there."""
_DEEPEST = 128
"""Levels that are looked through: a longer name is no folder's."""
_NOT_FOLDERS = ("..mailpost-", "..DOVECOT-TRASHED")


def find(root_fd: int, directory: str = "") -> dict[str, bool]:
    """The directories of all folders but INBOX, below the root; True for one that may not be looked into.

    Args:
        root_fd: the account.
        directory: one in the root, to have it and those in it alone.
    """
    kinds: dict[str, Kind] = {}
    _look_into(root_fd, directory or ".", directory, kinds)
    return {path: kind is Kind.SHUT for path, kind in kinds.items() if kind is not Kind.WAY}


def places(root_fd: int) -> list[str]:
    """All directories but the root in which a folder may be made, those nearest the root first."""
    kinds: dict[str, Kind] = {}
    _look_into(root_fd, ".", "", kinds)
    return sorted((path for path, kind in kinds.items() if kind is not Kind.SHUT), key=lambda path: path.count("/"))


class Kind(Enum):
    """What a directory is."""

    FOLDER = "folder"
    WAY = "way"
    """It may lead to folders."""
    SHUT = "shut"
    """It may not be looked into."""


def _look_into(above: int, name: str, path: str, found: dict[str, Kind]) -> None:
    try:
        fd = open_directory(name, above)
    except PermissionError:
        if not path:
            raise
        found[path] = Kind.SHUT
        return
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:  # it has gone just now
            return
        raise
    try:
        with os.scandir(fd) as entries:
            within = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        if path:
            found[path] = Kind.FOLDER if "cur" in within else Kind.WAY
        for each in within:
            below = f"{path}/{each}" if path else each
            if each not in SUBDIRECTORIES and not each.startswith(_NOT_FOLDERS) and below.count("/") < _DEEPEST:
                _look_into(fd, each, below, found)
    finally:
        os.close(fd)


@contextmanager
def parent(root_fd: int, directory: str) -> Iterator[tuple[int, str]]:
    """The directory in which this one lies, open, and its name there."""
    above, _, last = directory.rpartition("/")
    fd = open_below(above or ".", root_fd)
    try:
        yield fd, last
    finally:
        os.close(fd)


def create(root_fd: int, directory: str, files: Mapping[str, bytes]) -> None:
    """Make a folder, durable; `cur` comes last, and with it the folder. Raises FOLDER_EXISTS.

    Args:
        root_fd: the account's root.
        directory: of the folder.
        files: name -> octets of small files that it has from the first moment, unless one of that name is there.
    """
    _make_above(root_fd, directory)
    made: list[str] = []
    written: list[str] = []
    with parent(root_fd, directory) as (above, last):
        try:
            made += _make(last, above)
            fd = open_directory(last, above)
        except (FileExistsError, NotADirectoryError) as error:  # a file, or a link
            raise MailError(ErrorKind.FOLDER_EXISTS, "There is something else of this name already") from error
        try:
            made += _make("new", fd)
            made += _make("tmp", fd)
            for name, octets in files.items():
                with suppress(FileExistsError):
                    make_file(name, octets, fd)
                    written.append(name)
            passed("directory.made")
            make_directory("cur", fd)
            passed("directory.placed")
            fsync_directory(fd)
        except FileExistsError as error:
            raise MailError(ErrorKind.FOLDER_EXISTS, "There is a folder of this name already") from error
        except BaseException:  # whatever it is, nothing half made may be left; raised again
            for name in written:
                with suppress(OSError):
                    os.unlink(name, dir_fd=fd)
            for name in ("cur", *(each for each in made if each != last)):
                with suppress(OSError):
                    os.rmdir(name, dir_fd=fd)
            if last in made:
                with suppress(OSError):
                    os.rmdir(last, dir_fd=above)
            raise
        finally:
            os.close(fd)
        fsync_directory(above)


def _make_above(root_fd: int, directory: str) -> None:
    """Make the directories in which this one is to lie where they are missing: they are no folders by that."""
    at = directory.find("/")
    while at >= 0:
        with parent(root_fd, directory[:at]) as (above, last):
            if _make(last, above):
                fsync_directory(above)
        at = directory.find("/", at + 1)


def rename(root_fd: int, old: str, new: str) -> None:
    """Rename a directory with all in it, durable. Raises FileNotFoundError; FOLDER_EXISTS."""
    with parent(root_fd, old) as (fd, last):
        with undone(lambda: remove_empty(root_fd, new.rpartition("/")[0])):
            _make_above(root_fd, new)
            with parent(root_fd, new) as (above, wanted):
                rename_directory(fd, last, wanted, above)
                fsync_directory(above)
        fsync_directory(fd)
    remove_empty(root_fd, old)


def _make(name: str, dir_fd: int) -> list[str]:
    """Make a directory unless it is there: its name, if it was made."""
    try:
        make_directory(name, dir_fd)
    except FileExistsError:
        return []
    return [name]


def remove(root_fd: int, directory: str, trash: str) -> None:
    """Put a folder aside under this name, durable; those in it stay where they are.

    One that holds others goes piece by piece, `cur` first, and with it the folder. Raises FileNotFoundError.
    """
    with parent(root_fd, directory) as (above, last):
        fd = open_directory(last, above)
        aside = open_directory(ASIDE, root_fd)
        try:
            with os.scandir(fd) as entries:
                within = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
            if "cur" not in within:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), directory)
            if any(is_directory and name not in SUBDIRECTORIES for name, is_directory in within.items()):
                make_directory(trash, aside)
                own = [name for name, is_directory in within.items() if not is_directory or name in SUBDIRECTORIES]
                place = open_directory(trash, aside)
                try:
                    for name in sorted(own, key=lambda name: name != "cur"):
                        with suppress(FileNotFoundError):
                            os.rename(name, name, src_dir_fd=fd, dst_dir_fd=place)
                        passed("directory.removed")
                finally:
                    os.close(place)
                fsync_directory(fd)
            else:
                os.rename(last, trash, src_dir_fd=above, dst_dir_fd=aside)
                passed("directory.removed")
            fsync_directory(above)
        finally:
            os.close(aside)
            os.close(fd)
    remove_empty(root_fd, directory)


def remove_empty(root_fd: int, directory: str) -> None:
    """Remove the directories above this one, and itself, in which nothing is left."""
    while directory:
        try:
            with parent(root_fd, directory) as (above, last):
                os.rmdir(last, dir_fd=above)
        except FileNotFoundError:
            pass
        except OSError:
            return
        directory = directory.rpartition("/")[0]
