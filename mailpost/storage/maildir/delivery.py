"""Writing messages: into tmp, fsynced, then renamed into cur or new; and copies by hard link.

Steps that cost a disk flush are apart (`TmpFile.sync`, `files.fsync_directory`), so that the caller can share them
among many messages. Nothing half-written is ever seen, and what fails leaves nothing behind.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from contextlib import suppress

from mailpost.mail.lineends import all_lf, normalised, to_stored
from mailpost.storage.failpoints import passed
from mailpost.storage.maildir.filename import INFO, sizes_of, unique_names
from mailpost.storage.maildir.files import create_file, mail_errors, remove_file, undone, write_all
from mailpost.storage.maildir.folder import FolderFiles

STALE_TMP_SECONDS = 36 * 3600
"""Files in tmp that are older than this were left by somebody who died."""

_CHUNK = 1 << 20
_NO_LINK = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


class TmpFile:
    """A whole message in a tmp directory, nobody's mail yet.

    Args:
        tmp_fd: descriptor of the tmp directory, open as long as this object is used.
        name: the file there.
        fd: the file, open; closed by `publish` or `abort`.
        stored: octets in the file.
        wire: octets with CRLF line ends (RFC822.SIZE).
    """

    __slots__ = ("_fd", "_tmp_fd", "base", "name", "stored", "wire")

    def __init__(self, tmp_fd: int, name: str, fd: int, stored: int, wire: int) -> None:
        self._tmp_fd = tmp_fd
        self._fd = fd
        self.name = name
        self.stored = stored
        self.wire = wire
        self.base = unique_names.base(stored, wire)
        """The base name that it is going to have."""

    def date(self, internaldate: int) -> None:
        """Set the mtime, seconds since the epoch: the INTERNALDATE."""
        with mail_errors():
            os.utime(self._fd, (internaldate, internaldate))

    def sync(self) -> None:
        """Make the octets durable. May be called from another thread than the one that wrote."""
        passed("message.written")
        with mail_errors():
            os.fsync(self._fd)
        passed("message.flushed")

    def publish(self, target: FolderFiles, letters: str | None) -> str:
        """Make it a message of this folder; the file is closed. Durable once the caller has flushed the directory.

        Args:
            target: where it goes, on the same file system or (copied, which takes longer) another.
            letters: the flag letters of a message in cur; None puts it into new, as a delivery.

        Returns:
            The file name it has now.
        """
        place, name = (target.new, self.base) if letters is None else (target.cur, self.base + INFO + letters)
        with mail_errors():
            try:
                os.rename(self.name, name, src_dir_fd=self._tmp_fd, dst_dir_fd=place)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                _copy_octets(self._fd, target.tmp, place, name)
                os.unlink(self.name, dir_fd=self._tmp_fd)
        passed("message.renamed")
        self._close()
        return name

    def abort(self) -> None:
        """Throw it away; harmless after `publish`."""
        if self._fd >= 0:
            self._close()
            with suppress(FileNotFoundError):
                os.unlink(self.name, dir_fd=self._tmp_fd)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        os.close(fd)


def _drop(fd: int, name: str, dir_fd: int) -> None:
    os.close(fd)
    os.unlink(name, dir_fd=dir_fd)


def write_message(tmp_fd: int, octets: bytes, internaldate: int | None = None) -> TmpFile:
    """Write a whole message (CRLF line ends; anything else is made so) into tmp, not flushed yet.

    Raises:
        MailError: DISK_FULL, OVER_QUOTA; nothing is left behind.
    """
    octets = normalised(octets)
    stored = to_stored(octets)
    name = unique_names.plain()
    with mail_errors():
        fd = create_file(name, tmp_fd)
        with undone(lambda: _drop(fd, name, tmp_fd)):
            write_all(fd, stored)
            if internaldate is not None:
                os.utime(fd, (internaldate, internaldate))
    return TmpFile(tmp_fd, name, fd, len(stored), len(octets))


class Spool:
    """A message being received piece by piece into a tmp directory; its memory is one piece.

    What `finish` gives is the file that `write_message` would have made of all pieces together.

    Args:
        tmp_fd: descriptor of the tmp directory, open until the message is published or aborted.
    """

    def __init__(self, tmp_fd: int) -> None:
        self.size = 0
        """Octets received so far."""
        self._tmp_fd = tmp_fd
        self._name = unique_names.plain()
        self._decided = False
        self._lf_form = False
        self._make_crlf = False
        self._held = b""
        self._stored = 0
        self._line_ends = 0
        self._after_cr = False
        with mail_errors():
            self._fd = create_file(self._name, tmp_fd)

    def write(self, data: bytes) -> None:
        """Take the next octets, of any length.

        Raises:
            MailError: DISK_FULL, OVER_QUOTA; the spool is aborted.
        """
        if self._fd < 0:
            raise ValueError("this spool has been finished or aborted")
        self.size += len(data)
        data = self._held + data
        self._held = b""
        if data.endswith(b"\r"):
            self._held = b"\r"
            data = data[:-1]
        if data:
            self._guarded(data)

    def finish(self) -> TmpFile:
        """The message is whole: its file, not flushed yet. The spool is used up."""
        held, self._held = self._held, b""
        if held:
            self._guarded(held)
        fd, self._fd = self._fd, -1
        wire = self._stored + self._line_ends
        return TmpFile(self._tmp_fd, self._name, fd, self._stored, wire)

    def abort(self) -> None:
        """Throw away what was written; harmless after `finish` and a second time."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
            remove_file(self._name, self._tmp_fd)

    def _guarded(self, data: bytes) -> None:
        with undone(self.abort), mail_errors():
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Store octets that do not end in the middle of a CRLF (but may begin behind another CR)."""
        lf_form = all_lf(data)
        if lf_form is None:
            lf_form = data.replace(b"\r\n", b"\n")
        line_ends = lf_form.count(b"\n")
        bare = line_ends != len(data) - len(lf_form)
        doubled = (b"\r" in lf_form and b"\r\n" in lf_form) or (self._after_cr and data.startswith(b"\r\n"))
        self._after_cr = data.endswith(b"\r")
        end = data.find(b"\n") if not self._decided else -1
        if end >= 0:
            self._decided = self._lf_form = True
            # No file can say that the first line ends in a bare LF, so every bare LF of the message is made CRLF.
            self._make_crlf = data[end - 1 : end] != b"\r"
        if self._lf_form and (doubled or (bare and not self._make_crlf)):
            self._restore_crlf()
        if self._lf_form:
            data = lf_form
            self._line_ends += line_ends
        elif self._make_crlf:
            data = lf_form.replace(b"\n", b"\r\n")
        write_all(self._fd, data)
        self._stored += len(data)

    def _restore_crlf(self) -> None:
        """From here on store with CRLF, and write what was stored in LF form once more so."""
        self._lf_form = False
        if not self._line_ends:
            return
        name = unique_names.plain()
        fd = create_file(name, self._tmp_fd)
        with undone(lambda: _drop(fd, name, self._tmp_fd)):
            offset = 0
            while chunk := os.pread(self._fd, _CHUNK, offset):
                write_all(fd, chunk.replace(b"\n", b"\r\n"))
                offset += len(chunk)
        _drop(self._fd, self._name, self._tmp_fd)
        self._fd, self._name = fd, name
        self._stored += self._line_ends
        self._line_ends = 0


def copied_base(name: str) -> str:
    """A fresh base for a copy of the message with this file name; it says the same sizes, if any."""
    stored, wire = sizes_of(name)
    if stored is None or wire is None:
        return unique_names.plain()
    return unique_names.base(stored, wire)


def copy_messages(source: FolderFiles, target: FolderFiles, copies: Sequence[tuple[str, str]]) -> list[str | None]:
    """Copy messages into cur of another folder (or the same) by hard link, or octet by octet where links cannot be.

    Args:
        source: where they are.
        target: where they go; the caller flushes its cur (`fsync_directory`).
        copies: (file name in source, file name in target) each.

    Returns:
        The names in target in the same order; None for a message that was not found.

    Raises:
        MailError: DISK_FULL, OVER_QUOTA and the like; then no copy is left behind.
    """
    made: list[str] = []

    def one(name: str, wanted: str) -> str:
        try:
            os.link(name, wanted, src_dir_fd=source.cur, dst_dir_fd=target.cur, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            _copy_file(source.cur, name, target, wanted)
        made.append(wanted)
        passed("message.linked")
        return wanted

    def remove() -> None:
        for name in made:
            remove_file(name, target.cur)

    with undone(remove), mail_errors():
        return source.batch(copies, one)


def _copy_file(source_fd: int, name: str, target: FolderFiles, wanted: str) -> None:
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=source_fd)
    try:
        _copy_octets(fd, target.tmp, target.cur, wanted)
    finally:
        os.close(fd)


def _copy_octets(source: int, tmp_fd: int, target_fd: int, wanted: str) -> None:
    """Copy an open file with its mtime, flushed, by way of tmp."""
    name = unique_names.plain()
    fd = create_file(name, tmp_fd)
    try:
        with undone(lambda: remove_file(name, tmp_fd)):
            offset = 0
            while chunk := os.pread(source, _CHUNK, offset):
                write_all(fd, chunk)
                offset += len(chunk)
            status = os.fstat(source)
            os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fsync(fd)
            os.rename(name, wanted, src_dir_fd=tmp_fd, dst_dir_fd=target_fd)
    finally:
        os.close(fd)


def clean_tmp(tmp_fd: int, stale_seconds: float = STALE_TMP_SECONDS) -> int:
    """Remove files that nobody is writing any more: how many.

    Those are what a process of ours left that no longer runs, and what has not changed in any way for very long. (The
    mtime does not tell: that is the INTERNALDATE, which may be years ago in a file that is being written.)
    """
    removed = 0
    oldest = time.time() - stale_seconds
    with os.scandir(tmp_fd) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False) and (
                    unique_names.is_orphan(entry.name) or entry.stat(follow_symlinks=False).st_ctime < oldest
                ):
                    os.unlink(entry.name, dir_fd=tmp_fd)
                    removed += 1
    return removed
