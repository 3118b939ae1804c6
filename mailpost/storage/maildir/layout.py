"""Maildir++: which directory is which folder, and making, removing, renaming them.

INBOX is the root itself, the folder A/B is the directory `.A.B`, in modified UTF-7 (or UTF-8, by setting). Inside
a level, a dot, a backslash, a slash and a leading tilde are `\\2e`, `\\5c`, `\\2f`, `\\7e`, as Dovecot's listescape
plugin writes them. A name that begins with two dots has an empty level and so is nobody's folder: what is on its way
out or in is named so.

Symbolic links are never followed below the root.

RFC: 3501 §5.1, §5.1.3
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mailpost.mail import foldernames
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.foldertree import INBOX, canonical_name
from mailpost.storage.failpoints import passed
from mailpost.storage.maildir.filename import unique_names
from mailpost.storage.maildir.files import (
    create_file,
    fsync_directory,
    mail_errors,
    make_directories,
    make_directory,
    open_directory,
)
from mailpost.storage.maildir.folder import SUBDIRECTORIES

ROOT = "."
"""The directory of INBOX."""

MOST_OCTETS = 255
_TRASH = "..mailpost-trash."
_MAKING = "..mailpost-new."
_MAKING_SECONDS = 3600
_ESCAPE = re.compile(r"\\([0-9a-fA-F]{2})")
_ESCAPED = {ord(character): f"\\{ord(character):02x}" for character in "./\\"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class FolderDirectory:
    """A folder that is on the disk."""

    name: str
    directory: str
    """Below the root; "." for INBOX."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How names of folders become names of directories."""

    separator: str = "/"
    """One character between the levels of a name."""
    utf8: bool = False
    """Directories are named in UTF-8, not modified UTF-7."""

    def directory(self, name: str) -> str:
        """The directory of the folder with this name; "." for INBOX in any case.

        Raises:
            MailError: BAD_FOLDER_NAME for a name that no folder may have (`mail.foldertree.canonical_name`), or one of
                more than 255 octets on the disk.
        """
        name = canonical_name(name, self.separator)
        if name == INBOX:
            return ROOT
        directory = "." + ".".join(self._encode(level) for level in name.split(self.separator))
        if len(directory.encode()) > MOST_OCTETS:
            raise MailError(ErrorKind.BAD_FOLDER_NAME, "This name is too long for a folder")
        return directory

    def name(self, directory: str) -> str | None:
        """The folder that a directory is; None where no folder has it (`.INBOX`, `..x`, a name outside the rules)."""
        if directory == ROOT:
            return INBOX
        if not directory.startswith("."):
            return None
        levels = [self._decoded(level) for level in directory[1:].split(".")]
        if any(level is None or self.separator in level for level in levels):
            return None
        name = self.separator.join(level for level in levels if level is not None)
        try:
            return name if self.directory(name) == directory else None
        except MailError:
            return None

    def _encode(self, level: str) -> str:
        escaped = level.translate(_ESCAPED)
        if escaped.startswith("~"):
            escaped = "\\7e" + escaped[1:]
        return escaped if self.utf8 else foldernames.encode(escaped).decode("ascii")

    def _decoded(self, level: str) -> str | None:
        try:
            plain = level if self.utf8 else foldernames.decode(os.fsencode(level))
        except ValueError:
            return None
        return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), plain)

    def lenient_name(self, directory: str) -> str | None:
        """A name to show for a directory that `name` has none for; None where it is no folder at all."""
        levels = directory[1:].split(".")
        if not directory.startswith(".") or "" in levels:
            return None
        if levels[0].upper() == INBOX:
            levels[0] = INBOX
        if levels == [INBOX]:
            return None
        shown = [self._decoded(level) or level for level in levels]
        return _CONTROL.sub("\ufffd", self.separator.join(shown))


def open_root(path: str | os.PathLike[str]) -> int:
    """Open an account's root for use as `root_fd`, making it (0700, durable) and its cur, new and tmp where missing."""
    with mail_errors():
        make_directories(Path(path).absolute())
        root = open_directory(path, follow=True)
        try:
            made = False
            for name in SUBDIRECTORIES:
                with suppress(FileExistsError):
                    make_directory(name, root)
                    made = True
            if made:
                fsync_directory(root)
        except BaseException:
            os.close(root)
            raise
        return root


def list_folders(root_fd: int, layout: Layout) -> list[FolderDirectory]:
    """All folders on the disk, INBOX first, then by name.

    A directory that another program named outside the rules is in it under a name as near as can be, so the
    directory of a folder that exists is to be taken from here, not from `Layout.directory`.
    """
    with mail_errors(), os.scandir(root_fd) as entries:
        directories = sorted(
            entry.name for entry in entries if entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
        )
    named: dict[str, str] = {}
    strange = []
    for directory in directories:
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
    return [FolderDirectory(INBOX, ROOT), *(FolderDirectory(name, named[name]) for name in sorted(named))]


def create_folder(root_fd: int, directory: str) -> None:
    """Make a folder with cur, new and tmp, whole or not at all, durable.

    Raises:
        MailError: FOLDER_EXISTS, DISK_FULL and the like.
    """
    making = _MAKING + unique_names.plain()
    with mail_errors():
        try:
            make_directory(making, root_fd)
            fd = open_directory(making, root_fd)
            try:
                for name in SUBDIRECTORIES:
                    make_directory(name, fd)
                # The mark of a Maildir++ folder, by which delivery programs know it from a root.
                os.close(create_file("maildirfolder", fd))
                fsync_directory(fd)
            finally:
                os.close(fd)
            passed("directory.made")
            _rename_directory(root_fd, making, directory)
            passed("directory.placed")
        except BaseException:
            _remove_tree(root_fd, making)
            raise
        fsync_directory(root_fd)


def remove_folder(root_fd: int, directory: str) -> None:
    """Take a folder (not those below it) out of sight, durable; `purge_trash` frees its space.

    Raises:
        MailError: NO_SUCH_FOLDER; CANNOT for INBOX.
    """
    if directory == ROOT:
        raise MailError(ErrorKind.CANNOT, "INBOX cannot be deleted")
    with mail_errors():
        try:
            os.rename(directory, _TRASH + unique_names.plain(), src_dir_fd=root_fd, dst_dir_fd=root_fd)
        except FileNotFoundError as error:
            raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such folder") from error
        passed("directory.removed")
        fsync_directory(root_fd)


def purge_trash(root_fd: int, most: int = 1000) -> bool:
    """Remove what `remove_folder` put aside: at most so many files in one call; True when nothing is left to do."""
    with mail_errors():
        for name in os.listdir(root_fd):
            if name.startswith(_TRASH) or (name.startswith(_MAKING) and _is_abandoned(root_fd, name)):
                most -= _remove_tree(root_fd, name, most)
                if most <= 0:
                    return False
    return True


def _is_abandoned(root_fd: int, name: str) -> bool:
    """Whether a folder in the making has been so for too long, or its maker runs no longer."""
    if unique_names.is_orphan(name.removeprefix(_MAKING)):
        return True
    try:
        return os.stat(name, dir_fd=root_fd, follow_symlinks=False).st_ctime < time.time() - _MAKING_SECONDS
    except FileNotFoundError:
        return False


def moves_of_rename(directories: Iterable[str], old: str, new: str) -> list[tuple[str, str]]:
    """(old directory, new directory) of a folder and all below it, those above first.

    Args:
        directories: all that there are.
        old: the directory of the folder that is renamed; it need not exist itself.
        new: what it is to be.
    """
    below = old + "."
    return sorted(
        (directory, new + directory[len(old) :])
        for directory in directories
        if directory == old or directory.startswith(below)
    )


def rename_folders(root_fd: int, moves: Sequence[tuple[str, str]]) -> None:
    """Rename directories one after the other, durable; a move that was done already is passed over.

    So a rename that was interrupted is finished by asking again, and undone by asking for the reverse.

    Raises:
        MailError: FOLDER_EXISTS when one of the new names is taken; BAD_FOLDER_NAME when one is too long: then none
            has been renamed.
    """
    for old, new in moves:
        if len(os.fsencode(new)) > MOST_OCTETS:
            raise MailError(ErrorKind.BAD_FOLDER_NAME, "This name is too long for a folder")
        if _is_directory(root_fd, new) and _is_directory(root_fd, old):
            raise MailError(ErrorKind.FOLDER_EXISTS, "There is a folder of this name already")
    with mail_errors():
        for old, new in moves:
            with suppress(FileNotFoundError):
                _rename_directory(root_fd, old, new)
                passed("directory.renamed")
        fsync_directory(root_fd)


def _is_directory(root_fd: int, name: str) -> bool:
    try:
        os.close(open_directory(name, root_fd))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _rename_directory(root_fd: int, old: str, new: str) -> None:
    try:
        os.rename(old, new, src_dir_fd=root_fd, dst_dir_fd=root_fd)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
            raise MailError(ErrorKind.FOLDER_EXISTS, "There is a folder of this name already") from error
        raise


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
