"""The directories of an account's folders: finding, making, removing and renaming them. Blocking.

Symbolic links are never followed below the root.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.foldertree import INBOX
from mailpost.storage.failpoints import passed
from mailpost.storage.maildir import nesting
from mailpost.storage.maildir.filename import unique_names
from mailpost.storage.maildir.files import (
    fsync_directory,
    mail_errors,
    make_directories,
    make_directory,
    make_file,
    open_below,
    open_directory,
    rename_directory,
    scanned,
    undone,
)
from mailpost.storage.maildir.folder import SUBDIRECTORIES
from mailpost.storage.maildir.keywords import KEYWORDS_FILE
from mailpost.storage.maildir.layout import ROOT, Layout, is_short_enough
from mailpost.storage.maildir.uidlist import UIDLIST_FILE

_TRASH = "..mailpost-trash."
_MAKING = "..mailpost-new."
_MAKING_SECONDS = 3600
_LEAVINGS = {UIDLIST_FILE, KEYWORDS_FILE}


@dataclass(frozen=True, slots=True)
class FolderDirectory:
    """A folder that is on the disk."""

    name: str
    directory: str
    """Below the root; "." for INBOX."""
    shut: bool = False
    """It may not be looked into: which folders lie in it cannot be told."""


def open_root(path: str | os.PathLike[str]) -> int:
    """Open an account's root for use as `root_fd`, making it (0700, durable) and its cur, new and tmp where missing."""
    with mail_errors():
        make_directories(Path(path).absolute())
        root = open_directory(path, follow=True)
        with undone(lambda: os.close(root)):
            made = False
            for name in SUBDIRECTORIES:
                with suppress(FileExistsError):
                    make_directory(name, root)
                    made = True
            if made:
                fsync_directory(root)
        return root


def list_folders(root_fd: int, layout: Layout) -> list[FolderDirectory]:
    """All folders on the disk, INBOX first, then by name.

    A directory that another program named outside the rules is in it under a name as near as can be, so the
    directory of a folder that exists is to be taken from here, not from `Layout.directory`.
    """
    with mail_errors():
        found = nesting.find(root_fd) if layout.nested else {name: False for name, is_one in _dotted(root_fd) if is_one}
    named: dict[str, str] = {}
    strange = []
    for directory in sorted(found):
        name = layout.name(directory)
        if name is None:
            strange.append(directory)
        else:
            named[name] = directory
    for directory in strange:
        shown = layout.lenient_name(directory)
        while shown in named:
            shown += "~"
        if shown is not None:
            named[shown] = directory
    folders = [FolderDirectory(name, named[name], found[named[name]]) for name in sorted(named)]
    return [FolderDirectory(INBOX, ROOT), *folders]


def _dotted(root_fd: int) -> list[tuple[str, bool]]:
    """The directories in the root that may be folders in Maildir++, and whether they are: whether they have `cur`."""
    with scanned(root_fd) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)]
    return [(name, _has_cur(root_fd, name)) for name in names]


def _has_cur(root_fd: int, directory: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(f"{directory}/cur", dir_fd=root_fd, follow_symlinks=False).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:  # whoever opens it is told
        return True


def folder_places(root_fd: int, layout: Layout, most: int) -> list[str]:
    """The directories, below the root and with it, in which others make folders by making a directory.

    Args:
        root_fd: the account.
        layout: of the account.
        most: so many at most, those nearest the root.
    """
    with mail_errors():
        if layout.nested:
            places = nesting.places(root_fd)
        else:  # what has no `cur` yet
            places = [name for name, is_one in _dotted(root_fd) if not is_one and not name.startswith("..")]
    return [ROOT, *places][:most]


def remove_leavings(root_fd: int, directory: str) -> None:
    """Remove what servers wrote into a folder while another program was removing it: it is no folder any more.

    A directory in which anything else is left stays, and so does one that holds nothing: it may be new.
    """
    with suppress(OSError), nesting.parent(root_fd, directory) as (above, last):
        fd = open_directory(last, above)
        try:
            left = set(os.listdir(fd))
            if left and left <= _LEAVINGS:
                for name in left:
                    os.unlink(name, dir_fd=fd)
                os.rmdir(last, dir_fd=above)
        finally:
            os.close(fd)


def create_folder(
    root_fd: int, layout: Layout, directory: str, files: Mapping[str, bytes] = MappingProxyType({})
) -> None:
    """Make a folder with cur, new and tmp, whole or not at all, durable; that above it is there, if it has any.

    Args:
        root_fd: the account's root.
        layout: of the account.
        directory: of the folder.
        files: name -> octets of small files that it has from the first moment; they are not flushed.

    Raises:
        MailError: FOLDER_EXISTS, DISK_FULL and the like.
    """
    # The mark of a Maildir++ folder, by which delivery programs know it from a root.
    files = files if layout.nested else {"maildirfolder": b"", **files}
    if layout.nested or (_is_directory(root_fd, directory) and not _has_cur(root_fd, directory)):
        with mail_errors():
            nesting.create(root_fd, directory, files)
        return
    making = _MAKING + unique_names.plain()
    with mail_errors():
        with undone(lambda: _remove_tree(root_fd, making)):
            make_directory(making, root_fd)
            fd = open_directory(making, root_fd)
            try:
                for name in SUBDIRECTORIES:
                    make_directory(name, fd)
                for name, octets in files.items():
                    make_file(name, octets, fd)
                fsync_directory(fd)
            finally:
                os.close(fd)
            passed("directory.made")
            rename_directory(root_fd, making, directory)
            passed("directory.placed")
        fsync_directory(root_fd)


def remove_folder(root_fd: int, layout: Layout, directory: str) -> None:
    """Take a folder (not those below it) out of sight, durable; `purge_trash` frees its space.

    Raises:
        MailError: NO_SUCH_FOLDER; CANNOT for INBOX.
    """
    if directory == ROOT:
        raise MailError(ErrorKind.CANNOT, "INBOX cannot be deleted")
    trash = _TRASH + unique_names.plain()
    with mail_errors():
        try:
            if layout.nested:
                nesting.remove(root_fd, directory, trash)
            else:
                os.rename(directory, trash, src_dir_fd=root_fd, dst_dir_fd=root_fd)
                passed("directory.removed")
        except FileNotFoundError as error:
            raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such folder") from error
        fsync_directory(root_fd)


def purge_trash(root_fd: int, layout: Layout, most: int = 1000) -> bool:
    """Remove what `remove_folder` put aside: at most so many files in one call; True when nothing is left to do."""
    with mail_errors():
        place = open_directory(nesting.ASIDE if layout.nested else ROOT, root_fd)
        try:
            for name in os.listdir(place):
                if name.startswith(_TRASH) or (name.startswith(_MAKING) and _is_abandoned(place, name)):
                    most -= _remove_tree(place, name, most)
                    if most <= 0:
                        return False
        finally:
            os.close(place)
    return True


def _is_abandoned(root_fd: int, name: str) -> bool:
    """Whether a folder in the making has been so for too long, or its maker runs no longer."""
    if unique_names.is_orphan(name.removeprefix(_MAKING)):
        return True
    try:
        return os.stat(name, dir_fd=root_fd, follow_symlinks=False).st_ctime < time.time() - _MAKING_SECONDS
    except FileNotFoundError:
        return False


def rename_folders(root_fd: int, layout: Layout, moves: Sequence[tuple[str, str]]) -> None:
    """Rename directories one after the other, durable; a move that was done already is passed over.

    So a rename that was interrupted is finished by asking again, and undone by asking for the reverse. Where folders
    lie in each other, the first move takes those below along.

    Raises:
        MailError: FOLDER_EXISTS when one of the new names is taken; BAD_FOLDER_NAME when one is too long: then none
            has been renamed.
    """
    for old, new in moves:
        if not is_short_enough(new):
            raise MailError(ErrorKind.BAD_FOLDER_NAME, "This name is too long for a folder")
        inside = "/cur" if layout.nested else ""  # else it is only on the way to folders
        if _is_directory(root_fd, new + inside) and _is_directory(root_fd, old + inside):
            raise MailError(ErrorKind.FOLDER_EXISTS, "There is a folder of this name already")
    with mail_errors():
        for old, new in moves:
            with suppress(FileNotFoundError):
                if layout.nested:
                    nesting.rename(root_fd, old, new)
                else:
                    rename_directory(root_fd, old, new)
                passed("directory.renamed")
        fsync_directory(root_fd)


def _is_directory(root_fd: int, name: str) -> bool:
    try:
        os.close(open_below(name, root_fd))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _remove_tree(dir_fd: int, name: str, most: int = 1_000_000) -> int:
    """Remove a directory and all in it, at most so many files; how many. Symbolic links are removed, not followed."""
    removed = 0
    try:
        fd = open_directory(name, dir_fd)
    except FileNotFoundError:
        return 0
    try:
        with os.scandir(fd) as found:
            entries = list(islice(found, most + 1))  # a large folder is not listed wholly for every slice
        for entry in entries:
            if removed >= most:
                return removed
            if entry.is_dir(follow_symlinks=False):
                removed += _remove_tree(fd, entry.name, most - removed)
            else:
                with suppress(FileNotFoundError):
                    os.unlink(entry.name, dir_fd=fd)
                removed += 1
        if removed < most:
            _remove_directory(name, dir_fd)
    finally:
        os.close(fd)
    return removed


def _remove_directory(name: str, dir_fd: int) -> None:
    try:
        os.rmdir(name, dir_fd=dir_fd)
    except OSError as error:
        # Another program may still be writing into it: then it goes the next time.
        if error.errno not in {errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST}:
            raise
