"""Lock files (`name.lock`) that other mail programs honour too, Dovecot above all.

The lock file holds "pid:host" of its owner. It counts as left behind when it has not been touched for two
minutes, when its owner is a process of this host that no longer runs, or died before it could write its name.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.maildir.filename import is_running
from mailpost.storage.maildir.files import FileStamp, create_file, file_stamp, read_file, undone, write_all

STALE_SECONDS = 120.0
WAIT_SECONDS = 10.0
UNNAMED_SECONDS = 1.0
_SHORTEST_PAUSE = 0.002
_LONGEST_PAUSE = 0.1
_STARTED = time.time()


@contextmanager
def locked(
    name: str, dir_fd: int, wait_seconds: float = WAIT_SECONDS, stale_seconds: float = STALE_SECONDS
) -> Iterator[None]:
    """Hold `name.lock` in a directory while the block runs; not re-entrant, and it excludes threads as well.

    Raises:
        MailError: IN_USE when another program holds it for longer than `wait_seconds`.
    """
    lock = f"{name}.lock"
    stamp = _acquire(lock, dir_fd, wait_seconds, stale_seconds)
    try:
        yield
    finally:
        if file_stamp(lock, dir_fd) == stamp:
            with suppress(FileNotFoundError):
                os.unlink(lock, dir_fd=dir_fd)


def _acquire(lock: str, dir_fd: int, wait_seconds: float, stale_seconds: float) -> FileStamp:
    deadline = time.monotonic() + wait_seconds
    pause = _SHORTEST_PAUSE
    while True:
        try:
            return _create(lock, dir_fd)
        except FileExistsError:
            if _remove_stale(lock, dir_fd, stale_seconds):
                continue
        if time.monotonic() >= deadline:
            raise MailError(ErrorKind.IN_USE, "Another program is busy with this folder, try again later")
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _create(lock: str, dir_fd: int) -> FileStamp:
    fd = create_file(lock, dir_fd)
    try:
        with undone(lambda: os.unlink(lock, dir_fd=dir_fd)):
            write_all(fd, f"{os.getpid()}:{socket.gethostname()}".encode())
            return FileStamp.of(os.fstat(fd))
    finally:
        os.close(fd)


def _remove_stale(lock: str, dir_fd: int, stale_seconds: float) -> bool:
    """Remove the lock file if it was left behind; True when it is worth trying again at once."""
    found = read_file(lock, dir_fd)
    if found is None:
        return True
    owner, stamp = found
    since = stamp.mtime_ns / 1e9
    if not _owner_gone(owner, since) and time.time() - since < stale_seconds:
        return False
    if file_stamp(lock, dir_fd) == stamp:
        with suppress(FileNotFoundError):
            os.unlink(lock, dir_fd=dir_fd)
    return True


def _owner_gone(owner: bytes, since: float) -> bool:
    """Whether whoever made the lock at this time (seconds since the epoch) does not run any more."""
    if not owner:  # whoever lives writes his name the moment after
        return abs(time.time() - since) > UNNAMED_SECONDS
    pid, _, host = owner.decode("utf-8", "replace").partition(":")
    if host.strip() != socket.gethostname() or not pid.isdigit() or int(pid) == 0:
        return False
    if int(pid) == os.getpid():
        return since < _STARTED  # one before us had our number: in a container all may have the same
    return not is_running(int(pid))
