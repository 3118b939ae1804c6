"""The octets of a message between the client and the folders: a small one in memory, others in a file without a name.

However many recipients a message has, it is held once.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock

from mailpost.mail.errors import ErrorKind, MailError

LARGEST_IN_MEMORY = 1 << 20
"""Octets of one message that are kept in memory."""
LONGEST_HEADER = 256 << 10
"""Octets at the start of a message that are looked at as its header."""
_HEADER_END = b"\r\n\r\n"
_WRITTEN = 64 << 10
"""Octets that are held back before they are written to the file."""
_READ = 256 << 10
"""Octets that are read from the file at once."""

Run = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a blocking function in a thread."""


class Room:
    """So many octets of memory, shared by all who ask. Those who wait get theirs in turn.

    Args:
        octets: how many. Who wants more than there can be gets all of them.
    """

    def __init__(self, octets: int) -> None:
        self._all = octets
        self._free = octets
        self._waiting: deque[tuple[int, Deferred[None]]] = deque()

    def take(self, octets: int) -> bool:
        """Take these now, unless there is no room, or somebody waits for some."""
        if self._waiting or octets > self._free:
            return False
        self._free -= octets
        return True

    async def wait(self, octets: int) -> int:
        """Take these as soon as there is room: how many to give back."""
        octets = min(octets, self._all)
        if not self.take(octets):
            waiting: Deferred[None] = Deferred()
            entry = octets, waiting
            self._waiting.append(entry)
            try:
                await waiting
            except BaseException:  # cancelled: raised again, and whoever stands behind may go on
                self._waiting.remove(entry)
                self.give(0)
                raise
        return octets

    def give(self, octets: int) -> None:
        """Give back what was taken."""
        self._free += octets
        while self._waiting and self._waiting[0][0] <= self._free:
            octets, waiting = self._waiting.popleft()
            self._free -= octets
            waiting.callback(None)


class _File:
    """A file that has no name and is gone when it is closed. Blocking, in any thread."""

    def __init__(self, folder: Path | None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 (closed with its message)
        self._lock = Lock()
        """Who closes it waits for those who read."""

    def append(self, data: bytes) -> None:
        rest = memoryview(data)
        with self._lock:
            while rest:
                rest = rest[self._file.write(rest) :]

    def read(self, offset: int, size: int) -> bytes:
        """So many octets, or less at the end."""
        found = []
        with self._lock, _errors():
            while size > 0 and (data := os.pread(self._file.fileno(), size, offset)):
                found.append(data)
                offset += len(data)
                size -= len(data)
        return b"".join(found)

    def close(self) -> None:
        with self._lock:
            self._file.close()


@contextmanager
def _errors() -> Iterator[None]:
    """Turn what the disk says into a MailError."""
    try:
        yield
    except OSError as problem:
        if problem.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise MailError(ErrorKind.DISK_FULL, "The disk is full") from problem
        raise MailError(ErrorKind.UNAVAILABLE, "The message could not be kept, try again later") from problem


def _given_up() -> MailError:
    return MailError(ErrorKind.CANNOT, "This message was given up")


class Body:
    """A message as it comes in, written once and then read as often as wanted.

    Args:
        room: memory for messages; without any left, the octets go into a file at once.
        run: runs a blocking function in a thread.
        folder: where the file is made; None for the usual place of the system.
    """

    def __init__(self, room: Room, run: Run, folder: Path | None = None) -> None:
        self.size = 0
        """Octets so far."""
        self.start = b""
        """The first octets, once `finish` has answered: the whole header, or as much of it as is looked at."""
        self._room = room
        self._taken = 0
        self._run = run
        self._folder = folder
        self._pieces: list[bytes] = []
        self._held = 0
        self._filing = False
        self._file: _File | None = None
        self._writing = DeferredLock()
        self._closed = False

    @property
    def in_memory(self) -> bool:
        """Whether it is all in memory, once `finish` has answered."""
        return self._file is None

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Take the next octets; None, or what to wait for before there are more. Fails with DISK_FULL, UNAVAILABLE."""
        self.size += len(data)
        self._pieces.append(data)
        self._held += len(data)
        if not self._filing and self.size <= LARGEST_IN_MEMORY and self._room.take(len(data)):
            self._taken += len(data)
            return None
        self._filing = True
        return Deferred.fromCoroutine(self._written()) if self._held >= _WRITTEN else None

    async def _written(self) -> None:
        """Put what is held into the file, behind what is being put there."""
        await self._writing.acquire()
        try:
            pieces, self._pieces, self._held = self._pieces, [], 0
            if pieces and not self._closed:
                await self._run(lambda: self._put(b"".join(pieces)))
            self._give_room()
        finally:
            self._writing.release()

    def _put(self, data: bytes) -> None:
        with _errors():
            if self._file is None:
                self._file = _File(self._folder)
            self._file.append(data)

    async def finish(self) -> None:
        """The message is whole. Raises DISK_FULL, UNAVAILABLE."""
        if self._filing:
            await self._written()
        if self._file is None:
            self.start = self._first()
        else:
            self.start = await self._read(0, LONGEST_HEADER)

    def _first(self) -> bytes:
        """Enough to hold the header: mostly the first piece. What is behind it is joined once, when it is filed."""
        if self._pieces and _HEADER_END in self._pieces[0]:
            return self._pieces[0]
        lengths = accumulate(map(len, self._pieces))
        count = next((n for n, length in enumerate(lengths, 1) if length >= LONGEST_HEADER), len(self._pieces))
        return b"".join(self._pieces[:count])

    def held(self, offset: int) -> list[memoryview]:
        """The octets from this one on, of a message in memory; once it is finished. Raises CANNOT."""
        if self._closed:
            raise _given_up()
        rest = []
        for piece in self._pieces:
            if offset < len(piece):
                rest.append(memoryview(piece)[offset:])
            offset = max(offset - len(piece), 0)
        return rest

    async def pieces(self, offset: int) -> AsyncIterator[bytes]:
        """The octets from this one on, of a message in a file, in pieces; once it is finished."""
        while piece := await self._read(offset, _READ):
            yield piece
            offset += len(piece)

    async def octets(self, offset: int = 0) -> bytes:
        """All octets from this one on; once it is finished."""
        if self._file is None:
            return b"".join(self.held(offset))
        return await self._read(offset, self.size - offset)

    async def _read(self, offset: int, size: int) -> bytes:
        file = self._file
        if file is None or self._closed:
            raise _given_up()
        octets: bytes = await self._run(lambda: file.read(offset, size))
        return octets

    def close(self) -> None:
        """Throw it away, at once; harmless a second time."""
        self._closed = True
        self._pieces = []
        self._give_room()
        if self._filing:
            self._writing.run(self._drop).addErrback(lambda _: None)  # it goes with its last reference then

    def _drop(self) -> object:
        file = self._file
        return None if file is None else self._run(file.close)

    def _give_room(self) -> None:
        taken, self._taken = self._taken, 0
        self._room.give(taken)
