"""What every file operation of a Maildir needs: directory descriptors, durable replacement, errors by kind.

Paths are names below an open directory (`dir_fd`), so that no symbolic link and no rename of a parent can lead
elsewhere between two steps. Files are made 0600 and folders 0700 whatever the umask.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.failpoints import passed
from mailpost.storage.ownership import inherit_owner

FILE_MODE = 0o600
FOLDER_MODE = 0o700

_KINDS = {
    errno.ENOSPC: (ErrorKind.DISK_FULL, "The disk is full"),
    errno.EDQUOT: (ErrorKind.OVER_QUOTA, "The disk quota is used up"),
    errno.EACCES: (ErrorKind.NO_PERMISSION, "The server may not do this to its files"),
    errno.EPERM: (ErrorKind.NO_PERMISSION, "The server may not do this to its files"),
    errno.EROFS: (ErrorKind.READ_ONLY, "The mail is on a read-only file system"),
    errno.EMFILE: (ErrorKind.UNAVAILABLE, "The server has too many files open, try again later"),
    errno.ENFILE: (ErrorKind.UNAVAILABLE, "The server has too many files open, try again later"),
    errno.EIO: (ErrorKind.UNAVAILABLE, "The disk could not be read or written"),
    errno.ENAMETOOLONG: (ErrorKind.BAD_FOLDER_NAME, "The name is too long"),
}


class FileStamp(NamedTuple):
    """What tells one state of a file from another without reading it."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileStamp:
        """The stamp out of a stat."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


@contextmanager
def mail_errors() -> Iterator[None]:
    """Turn an OSError that a client should hear of into a MailError; others pass as the bugs they are."""
    try:
        yield
    except OSError as error:
        raise as_mail_error(error) from error


@contextmanager
def undone(undo: Callable[[], object]) -> Iterator[None]:
    """Undo what a block has begun when it does not come to its end; what ended it is raised again."""
    try:
        yield
    except BaseException:  # whatever it is, an interrupt too, nothing half done may be left
        undo()
        raise


def as_mail_error(error: OSError) -> MailError:
    """What a client should hear of it; an error that is a bug is raised again."""
    known = _KINDS.get(error.errno or 0)
    if known is None:
        raise error
    told = MailError(*known)
    told.__cause__ = error
    return told


def open_directory(name: str | os.PathLike[str], dir_fd: int | None = None, follow: bool = False) -> int:
    """Open a directory for use as `dir_fd`; a symbolic link is refused (ENOTDIR or ELOOP) unless `follow`."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    return os.open(name, flags if follow else flags | os.O_NOFOLLOW, dir_fd=dir_fd)


def open_below(path: str, root_fd: int) -> int:
    """Open a directory some levels below another; a symbolic link on the way is refused like `open_directory` does."""
    first, _, rest = path.partition("/")
    fd = open_directory(first, root_fd)
    while rest:
        first, _, rest = rest.partition("/")
        try:
            below = open_directory(first, fd)
        finally:
            os.close(fd)
        fd = below
    return fd


@contextmanager
def scanned(dir_fd: int) -> Iterator[Iterator[os.DirEntry[str]]]:
    """The entries of an open directory, for the block; none for one that has been removed.

    They are read through a descriptor of this call's own. Two threads that read through one share the place in the
    directory up to which it has been read, so that each misses what the other has met.
    """
    try:
        fd = open_directory(".", dir_fd)
    except FileNotFoundError:
        yield iter(())
        return
    try:
        with os.scandir(fd) as entries:
            yield entries
    finally:
        os.close(fd)


def names_in(dir_fd: int) -> list[str]:
    """The names in an open directory, read as `scanned` does."""
    with scanned(dir_fd) as entries:
        return [entry.name for entry in entries]


def make_directory(name: str, dir_fd: int) -> None:
    """Make a directory 0700, whatever the umask. Raises FileExistsError."""
    os.mkdir(name, FOLDER_MODE, dir_fd=dir_fd)
    fd = open_directory(name, dir_fd)
    try:
        if stat.S_IMODE(os.fstat(fd).st_mode) & 0o777 != FOLDER_MODE:
            os.fchmod(fd, FOLDER_MODE)
        inherit_owner(fd, dir_fd)
    finally:
        os.close(fd)


def rename_directory(fd: int, old: str, new: str, new_fd: int | None = None) -> None:
    """Rename a directory, into another one if that is given. Raises FOLDER_EXISTS where something is in the way."""
    try:
        os.rename(old, new, src_dir_fd=fd, dst_dir_fd=fd if new_fd is None else new_fd)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
            raise MailError(ErrorKind.FOLDER_EXISTS, "There is a folder of this name already") from error
        raise


def make_directories(place: Path) -> None:
    """Make a directory and those above it where they are missing: 0700, whatever the umask, and durable."""
    missing = [directory for directory in (place, *place.parents) if not directory.is_dir()]
    for directory in reversed(missing):
        above = open_directory(directory.parent, follow=True)
        try:
            with suppress(FileExistsError):
                make_directory(directory.name, above)
            fsync_directory(above)
        finally:
            os.close(above)


def create_file(name: str, dir_fd: int) -> int:
    """Create a file that must not exist yet, 0600 whatever the umask; its descriptor, readable and writable."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(name, flags, FILE_MODE, dir_fd=dir_fd)
    if stat.S_IMODE(os.fstat(fd).st_mode) != FILE_MODE:
        os.fchmod(fd, FILE_MODE)
    inherit_owner(fd, dir_fd)
    return fd


def make_file(name: str, data: bytes, dir_fd: int) -> None:
    """Create a small file that must not exist yet, not flushed. Raises FileExistsError."""
    fd = create_file(name, dir_fd)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)


def remove_file(name: str, dir_fd: int) -> None:
    """Remove a file that may be gone already."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=dir_fd)


def write_all(fd: int, data: bytes) -> None:
    """Write all octets; a short write goes on where it stopped."""
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, memoryview(data)[written:])


def read_file(name: str, dir_fd: int) -> tuple[bytes, FileStamp] | None:
    """A small file's octets and stamp (of the very file read); None when there is no such file.

    A symbolic link, a FIFO or a directory of that name counts as none.
    """
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ELOOP}:
            return None
        raise
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return None
        pieces = [os.read(fd, status.st_size + 1)]
        while pieces[-1]:
            pieces.append(os.read(fd, 65_536))
        return b"".join(pieces), FileStamp.of(status)
    finally:
        os.close(fd)


def file_stamp(name: str, dir_fd: int) -> FileStamp | None:
    """The stamp of a file; None when there is none."""
    try:
        return FileStamp.of(os.stat(name, dir_fd=dir_fd, follow_symlinks=False))
    except FileNotFoundError:
        return None


def replace_file(name: str, data: bytes, dir_fd: int, temporary: str | None = None) -> FileStamp:
    """Replace a file by these octets: durable, and a reader sees the old whole or the new whole. Under a lock.

    Args:
        name: the file.
        data: all it is to hold.
        dir_fd: its directory.
        temporary: the name to write under before the rename; what lies there already is thrown away.

    Returns:
        The stamp of the new file.
    """
    temporary = temporary or f"{name}.mailpost"
    remove_file(temporary, dir_fd)
    fd = create_file(temporary, dir_fd)
    try:
        with undone(lambda: remove_file(temporary, dir_fd)):
            write_all(fd, data)
            passed("small.written")
            os.fsync(fd)
            passed("small.flushed")
            stamp = FileStamp.of(os.fstat(fd))
            os.rename(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
            passed("small.replaced")
    finally:
        os.close(fd)
    os.fsync(dir_fd)
    return stamp


def fsync_directory(fd: int) -> None:
    """Make the entries of a directory durable; file systems that cannot (EINVAL) do it by themselves."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise


class Ballast:
    """A file that only holds space: given up when the disk is full, so that deleting mail can still be recorded."""

    def __init__(self, dir_fd: int, name: str = "mailpost-ballast", size: int = 1 << 20) -> None:
        self._dir_fd = dir_fd
        self._name = name
        self._size = size

    def ensure(self) -> bool:
        """Have the space held (again); False when the disk has none to spare."""
        stamp = file_stamp(self._name, self._dir_fd)
        if stamp is not None and stamp.size >= self._size:
            return True
        self.release()
        fd = create_file(self._name, self._dir_fd)
        try:
            os.posix_fallocate(fd, 0, self._size)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EINVAL, errno.EOPNOTSUPP}:
                raise
            self.release()
            return False
        finally:
            os.close(fd)
        return True

    def release(self) -> bool:
        """Give the space back to the file system; False when none was held."""
        try:
            os.unlink(self._name, dir_fd=self._dir_fd)
        except FileNotFoundError:
            return False
        return True
