"""Eight bytes that tell other processes of this account that something was committed.

SQLite's log is no signal between processes. Whoever has committed writes a value that was never there before;
everybody compares it with the last one seen: one memory access. The write also wakes inotify.
"""

from __future__ import annotations

import fcntl
import mmap
import os

from mailpost.storage.ownership import make_private

GENERATION_FILE = "generation"
_LENGTH = 8


class Generation:
    """The generation of one account.

    Args:
        path: the file; it is made if missing.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        make_private(path)
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        if os.fstat(self._fd).st_size < _LENGTH:
            os.pwrite(self._fd, os.urandom(_LENGTH), 0)
        self.alone = self.is_last()
        """Whether nobody had it open when it was opened."""
        self._memory = mmap.mmap(self._fd, _LENGTH, prot=mmap.PROT_READ)
        self.seen = self._memory[:]
        """The value up to which everything has been taken note of."""

    def is_last(self) -> bool:
        """Whether nobody else has it open. A shared lock says so to others; it is held from now on."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            alone = False
        else:
            alone = True
        fcntl.flock(self._fd, fcntl.LOCK_SH)
        return alone

    @property
    def moved(self) -> bool:
        """Whether another process has committed since `seen`."""
        return self._memory[:] != self.seen

    @property
    def value(self) -> bytes:
        """The value now. What is read after it was asked for holds all that it stands for."""
        return self._memory[:]

    def note(self, value: bytes) -> None:
        """All that this value stands for has been taken note of."""
        self.seen = value

    def bump(self) -> bytes:
        """Something was committed here: the new value, to be noted when its news have been told."""
        value = os.urandom(_LENGTH)
        os.pwrite(self._fd, value, 0)
        return value

    def close(self) -> None:
        """Free the file."""
        self._memory.close()
        os.close(self._fd)
