"""The message files of one folder: list, read, stat, rename, remove. Plain blocking calls, made in a thread.

A message is named by its file name in `cur`; what lies in `new` is first moved over (`accept`). All work goes
through directory descriptors. Batches do their loop here; the caller cuts them to the time it can spare.

Other programs rename and remove files at any time. Whoever meets a missing file here looks its base name up in
the directories and tries once more (`chasing`), so None in a result means "not found, perhaps gone"; only
`certainly_gone` says that a message is gone.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.lineends import to_crlf
from mailpost.storage.failpoints import passed
from mailpost.storage.maildir.chasing import CHASE, chase_missing, unless_missing
from mailpost.storage.maildir.filename import (
    INFO,
    base_of,
    letters_of,
    merge_letters,
    unique_names,
    with_letters,
)
from mailpost.storage.maildir.files import (
    as_mail_error,
    mail_errors,
    make_directory,
    names_in,
    open_below,
    open_directory,
    scanned,
)

T = TypeVar("T")
X = TypeVar("X")

SUBDIRECTORIES = ("cur", "new", "tmp")
_CLOCK_TICK = 0.02
"""Seconds within which two changes of a directory may leave it with the same mtime."""
_MOST_LISTINGS = 5
_READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_UNREADABLE = {errno.EACCES, errno.EPERM, errno.EIO}
"""What it says of a file that is there and cannot be read: no concern of the other messages."""
_TRUSTED_SIZE = 1 << 20
"""A larger size is asked of the file system, lest a false one costs memory."""


@dataclass(slots=True)
class Listing:
    """What the directories showed; while files are renamed, a listing may miss some."""

    cur: dict[str, str] = field(default_factory=dict)
    """base name -> file name."""
    new: dict[str, str] = field(default_factory=dict)
    """base name -> file name."""
    repeated: list[str] = field(default_factory=list)
    """"cur/..." or "new/..." of files whose base name was shown twice: a rename just then, or real twins."""
    changed_at: tuple[int, int] = field(default=(0, 0), compare=False)
    """`FolderFiles.changed_at` just before, or zeros if that was too fresh to trust: while they are equal, nothing has
    come, gone or been renamed since."""


class FileFacts(NamedTuple):
    """What the file system says of a message file."""

    size: int
    """Octets as stored (S=, not RFC822.SIZE)."""
    mtime: int
    """Seconds since the epoch: the INTERNALDATE."""


class FolderFiles:
    """One folder, opened: descriptors of its directory and of cur, new and tmp. Close it when done.

    The methods keep no state and may be called from several threads at once.
    """

    __slots__ = ("cur", "directory", "new", "tmp")

    def __init__(self, directory: int, cur: int, new: int, tmp: int) -> None:
        self.directory = directory
        self.cur = cur
        self.new = new
        self.tmp = tmp

    @classmethod
    def open(cls, root_fd: int, directory: str, *, must_have_cur: bool = False) -> FolderFiles:
        """Open the folder whose directory has this name below the root ("." is INBOX), making new and tmp if missing.

        A directory without `cur` is no folder: it is on its way in or out by another program's hand. INBOX is one in
        any case.

        Args:
            root_fd: the account.
            directory: of the folder.
            must_have_cur: INBOX's is not made either.

        Raises:
            MailError: NO_SUCH_FOLDER when it is not there, or is (or holds in place of cur, new, tmp) a symbolic link.
        """
        opened: list[int] = []
        try:
            opened.append(open_below(directory, root_fd))
            for name in SUBDIRECTORIES:
                make = name != "cur" or (directory == "." and not must_have_cur)
                opened.append((_open_or_make if make else open_directory)(name, opened[0]))
        except OSError as error:
            for fd in opened:
                os.close(fd)
            if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such folder") from error
            with mail_errors():
                raise
        return cls(*opened)

    def is_replaced(self, root_fd: int, directory: str) -> bool:
        """Whether this was removed, or something else has this name below the root now."""
        here = os.fstat(self.cur)
        try:
            there = os.stat(f"{directory}/cur", dir_fd=root_fd)
        except OSError:
            return here.st_nlink == 0  # else it is being renamed
        return (there.st_ino, there.st_dev) != (here.st_ino, here.st_dev)

    def close(self) -> None:
        """Close the descriptors; once."""
        for fd in (self.directory, self.cur, self.new, self.tmp):
            os.close(fd)

    def listing(self) -> Listing:
        """List cur and new once. Only plain files are messages, and none whose name begins with a dot."""
        before = self.changed_at()
        settled = time.time_ns() - max(before) >= _CLOCK_TICK * 1e9
        found = Listing(changed_at=before if settled else (0, 0))
        with mail_errors():
            _list_into(found.new, found.repeated, "new/", self.new, ())
            _list_into(found.cur, found.repeated, "cur/", self.cur, found.new)
        return found

    def changed_at(self) -> tuple[int, int]:
        """Mtime of cur and of new, nanoseconds: unequal to before means that names came or went."""
        return self.cur_changed_at(), os.stat(self.new).st_mtime_ns

    def cur_changed_at(self) -> int:
        """Mtime of cur alone."""
        return os.stat(self.cur).st_mtime_ns

    def settled_listing(self, tries: int = _MOST_LISTINGS) -> tuple[Listing, bool]:
        """A listing across which neither directory changed, and True; or all that a few tries showed, and False.

        Our own renames should be paused.
        """
        shown = Listing()
        for attempt in range(tries):
            before = self.changed_at()
            age = time.time() - max(before) / 1e9
            if 0 <= age < _CLOCK_TICK:
                time.sleep(_CLOCK_TICK - age)
            found = self.listing()
            if self.changed_at() == before:
                return found, True
            shown.cur.update(found.cur)
            shown.new.update(found.new)
            time.sleep(0.005 * attempt)
        return shown, False

    def certainly_gone(self, bases: Collection[str]) -> tuple[set[str], Listing]:
        """Which of these messages, missing from a first listing, are gone for certain; and the second listing.

        The set is empty when the folder changes too fast to tell: ask again later.
        """
        second, settled = self.settled_listing()
        if not settled:
            return set(), second
        return {base for base in bases if base not in second.cur and base not in second.new}, second

    def read(self, wanted: Sequence[tuple[str, int]], chase: float = CHASE) -> list[bytes | MailError | None]:
        """The octets of messages, line ends CRLF.

        Args:
            wanted: (file name, size) each; the size is what the message is expected to have, RFC822.SIZE or the
                octets stored, whichever is known, or 0. Only speed depends on it.
            chase: as for `batch`.

        Returns:
            In the same order; None for a message that is not found, the error for one that is there and cannot be read.
        """
        return self.batch(wanted, lambda name, size: _read_if_allowed(self.cur, name, size), chase)

    def facts(self, names: Sequence[str]) -> list[FileFacts | None]:
        """Size and mtime of messages in the same order; None for one that is not found."""
        return self.batch([(name, None) for name in names], lambda name, _: _facts(self.cur, name))

    def rename(self, changes: Sequence[tuple[str, str]]) -> list[str | None]:
        """Give messages other flag letters.

        Args:
            changes: (file name as we know it, letters it shall have, in ASCII order).

        Returns:
            The file names they have now, in the same order; None for a message that is not found. Where another program
            had changed the letters meanwhile, both changes are in the name.
        """

        def one(name: str, change: tuple[str, str]) -> str:
            before, letters = change
            if name != before:
                letters = merge_letters(letters_of(before), letters_of(name), letters)
            target = with_letters(name, letters)
            os.rename(name, target, src_dir_fd=self.cur, dst_dir_fd=self.cur)
            passed("flags.renamed")
            return target

        return self.batch([(name, (name, letters)) for name, letters in changes], one)

    def remove(self, names: Sequence[str]) -> list[bool]:
        """Unlink messages; True each, False for one that was not found (any more)."""

        def one(name: str, _: None) -> bool:
            os.unlink(name, dir_fd=self.cur)
            return True

        return [bool(done) for done in self.batch([(name, None) for name in names], one)]

    def accept(self, names: Sequence[str]) -> list[str | None]:
        """Move files from new to cur (with ":2," behind a bare name): their names there, None for one that is gone."""
        moved: list[str | None] = []
        with mail_errors():
            for name in names:
                target = name if ":" in name else name + INFO
                try:
                    os.rename(name, target, src_dir_fd=self.new, dst_dir_fd=self.cur)
                except FileNotFoundError:
                    moved.append(None)
                else:
                    passed("message.accepted")
                    moved.append(target)
        return moved

    def part_twins(self, repeated: Iterable[str]) -> list[str]:
        """Settle files that share a base name (`Listing.repeated` of a settled listing).

        A second name of one and the same file is removed; a different file gets a fresh base name.

        Returns:
            The fresh file names in cur.
        """
        fresh: list[str] = []
        for path in repeated:
            with suppress(FileNotFoundError), mail_errors():
                name = self._part_twin(path)
                if name is not None:
                    fresh.append(name)
        return fresh

    def _part_twin(self, path: str) -> str | None:
        mine = os.stat(path, dir_fd=self.directory, follow_symlinks=False)
        name = path.partition("/")[2]
        base = base_of(name)
        others = [
            os.stat(f"{place}/{other}", dir_fd=self.directory, follow_symlinks=False)
            for place, fd in (("cur", self.cur), ("new", self.new))
            for other in names_in(fd)
            if base_of(other) == base and f"{place}/{other}" != path
        ]
        if not others:
            return None
        if any(other.st_ino == mine.st_ino and other.st_dev == mine.st_dev for other in others):
            os.unlink(path, dir_fd=self.directory)
            return None
        fresh = unique_names.plain() + INFO + letters_of(name)
        os.rename(path, fresh, src_dir_fd=self.directory, dst_dir_fd=self.cur)
        return fresh

    def batch(self, items: Sequence[tuple[str, X]], one: Callable[[str, X], T], chase: float = CHASE) -> list[T | None]:
        """`one(name, extra)` for all; those whose file is missing once more under the name that it has now.

        Args:
            items: (file name, extra) each.
            one: done for each.
            chase: for how many seconds to look for missing ones while other programs rename; 0: not at all.
        """
        results: list[T | None] = []
        missing: dict[str, int] = {}
        with mail_errors():
            for number, (name, extra) in enumerate(items):
                results.append(unless_missing(one, name, extra))
                if results[-1] is None:
                    missing[base_of(name)] = number
            if missing and chase:
                chase_missing(self, items, missing, one, results=results, seconds=chase)
        return results


def _open_or_make(name: str, dir_fd: int) -> int:
    try:
        return open_directory(name, dir_fd)
    except FileNotFoundError:
        with suppress(FileExistsError):
            make_directory(name, dir_fd)
        return open_directory(name, dir_fd)


def _list_into(found: dict[str, str], repeated: list[str], prefix: str, dir_fd: int, others: Collection[str]) -> None:
    with scanned(dir_fd) as entries:
        names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    for name in names:
        base = name.partition(":")[0]
        if not base or name[0] == ".":
            continue
        if base in found or base in others:
            repeated.append(prefix + name)
        found[base] = name


def _read_if_allowed(dir_fd: int, name: str, size: int) -> bytes | MailError:
    try:
        return _read(dir_fd, name, size)
    except OSError as error:
        if error.errno not in _UNREADABLE:
            raise
        return as_mail_error(error)


def _read(dir_fd: int, name: str, size: int) -> bytes:
    fd = os.open(name, _READ_FLAGS, dir_fd=dir_fd)
    try:
        if not 0 < size <= _TRUSTED_SIZE:
            size = os.fstat(fd).st_size
        data = os.read(fd, size + 1)
        if len(data) > size:
            pieces = [data]
            while pieces[-1]:
                pieces.append(os.read(fd, _TRUSTED_SIZE))
            data = b"".join(pieces)
    finally:
        os.close(fd)
    return to_crlf(data)


def _facts(dir_fd: int, name: str) -> FileFacts:
    status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    return FileFacts(status.st_size, int(status.st_mtime))
