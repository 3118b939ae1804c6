"""The outgoing queue on the disk; blocking, for any thread and any process.

    NAME.message    the octets, CRLF line ends, written once
    NAME.envelope   JSON (`records.Envelope`); its modification time is when the message is due
    tmp/            what is being written
    corrupt/        what could not be read, set aside
    lock            held by the server that sends
    wake            touched by who wants the sender to look at once

A message is queued from the moment that its envelope has its name, and no longer once it has not. So what is known of
100,000 messages is a directory, and whoever lists what is due next opens no file. Envelopes are changed and removed
only under a lock on the directory: what `mailpost queue remove` has removed does not come back.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path
from secrets import token_hex

from twisted.logger import Logger

from mailpost.delivery.outgoing.records import CorruptError, Envelope, from_json
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.failpoints import passed
from mailpost.storage.ownership import inherit_owner

_ABANDONED = 36 * 3600
"""Seconds after which what nobody has finished is removed."""
_MESSAGE, _ENVELOPE = ".message", ".envelope"

_log = Logger()


@dataclass(frozen=True, slots=True)
class Due:
    """What is due when: as much of it as was asked for."""

    entries: list[tuple[float, str]]
    """(due, name), the earliest first."""
    until: float
    """All that is due before this time is in it."""


class Incoming:
    """A message that is being written into the queue."""

    def __init__(self, files: QueueFiles, name: str) -> None:
        self._path = files.tmp / (name + _MESSAGE)
        self._fd = files.create(self._path)

    def write(self, data: bytes) -> None:
        """Take the next octets."""
        with room_errors():
            _write_all(self._fd, data)

    def flush(self) -> None:
        """All of it is on the disk when this returns, and nobody's mail yet."""
        with room_errors():
            os.fsync(self._fd)
        passed("queue.written")

    def abort(self) -> None:
        """Throw it away; harmless after `QueueFiles.put` has taken it."""
        self.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """No more is written."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def take(self) -> Path:
        """Where it is; it is whole."""
        self.close()
        return self._path


class MessageFile:
    """The octets of a queued message; they stay readable when it is removed."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._fd).st_size

    def read(self, offset: int, size: int) -> bytes:
        """So many octets, fewer only at the end."""
        return os.pread(self._fd, size, offset)

    def close(self) -> None:
        """No more is read."""
        os.close(self._fd)


class QueueFiles:
    """One queue.

    Args:
        root: its directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tmp = root / "tmp"
        self._corrupt = root / "corrupt"
        self._wake = root / "wake"
        self._lock: int | None = None

    # -- the directory

    def make(self) -> None:
        """Make what is not there."""
        for each in (self.root, self.tmp, self._corrupt):
            if not each.is_dir():
                each.mkdir(0o700, parents=True, exist_ok=True)
                fd = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    inherit_owner(fd, str(each.parent))
                finally:
                    os.close(fd)

    def begin_sending(self) -> bool:
        """Become the one who sends; False while another process is. What was never finished is swept away."""
        self.make()
        fd = self.create(self.root / "lock", 0)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        self._lock = fd
        self._sweep()
        return True

    def end_sending(self) -> None:
        """Let another process send."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _sweep(self) -> None:
        before = time.time() - _ABANDONED
        left = [Path(each.path) for each in os.scandir(self.tmp)]
        left += [path for path in self.root.glob(f"*{_MESSAGE}") if not path.with_suffix(_ENVELOPE).exists()]
        for path in left:
            with suppress(OSError):
                if path.stat().st_mtime < before:
                    path.unlink()

    def create(self, path: Path, exclusive: int = os.O_EXCL) -> int:
        """Open a file of the queue for writing, made for its owner alone."""
        with room_errors():
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | exclusive, 0o600)
            inherit_owner(fd, str(self.root))
            return fd

    # -- messages

    def receive(self, name: str) -> Incoming:
        """Begin to write a message, which is to have this name (`new_name`)."""
        if not self.tmp.is_dir():  # the first message of all
            with room_errors():
                self.make()
        return Incoming(self, name)

    def put(self, incoming: Incoming, envelope: Envelope, due: float) -> None:
        """Queue a message that has been flushed: durable when this returns."""
        with room_errors():
            ready = self._write_envelope(envelope, due)
            incoming.take().rename(self._path(envelope.name, _MESSAGE))
            passed("queue.placed")
            ready.rename(self._path(envelope.name, _ENVELOPE))
            self._sync()
        passed("queue.accepted")

    def load(self, name: str) -> tuple[Envelope, float, MessageFile] | None:
        """The envelope of a message, when it is due, and its octets, to be closed; None if there is none.

        What cannot be read is set aside, and there is none.
        """
        try:
            found = self.envelope(name)
        except CorruptError as problem:
            self.set_aside(name, str(problem))
            return None
        if found is None:
            return None
        try:
            message = MessageFile(self._path(name, _MESSAGE))
        except FileNotFoundError:
            if self._path(name, _ENVELOPE).exists():
                self.set_aside(name, "its message is not there")
            return None
        if message.size != found[0].size:
            message.close()
            self.set_aside(name, f"its message has {message.size} octets, not {found[0].size}")
            return None
        return (*found, message)

    def envelope(self, name: str) -> tuple[Envelope, float] | None:
        """The envelope of a message, and when it is due; None if there is none. Raises CorruptError."""
        try:
            with open(self._path(name, _ENVELOPE), "rb") as file:
                due = os.fstat(file.fileno()).st_mtime_ns / 1e9
                return from_json(name, file.read()), due
        except FileNotFoundError:
            return None

    def open_message(self, name: str) -> MessageFile:
        """Its octets. Raises FileNotFoundError."""
        return MessageFile(self._path(name, _MESSAGE))

    def update(self, envelope: Envelope, due: float) -> bool:
        """Keep what is new of a message; False if it has been removed meanwhile."""
        with self._changing(), room_errors():
            path = self._path(envelope.name, _ENVELOPE)
            if not path.exists():
                return False
            self._write_envelope(envelope, due).rename(path)
            self._sync()
        passed("queue.updated")
        return True

    def remove(self, name: str) -> bool:
        """Remove a message; False if there was none."""
        with self._changing():
            try:
                self._path(name, _ENVELOPE).unlink()
            except FileNotFoundError:
                return False
            passed("queue.removed")
            self._path(name, _MESSAGE).unlink(missing_ok=True)
            return True

    def retry(self, name: str, now: float) -> bool:
        """Make a message due; False if there is none."""
        with self._changing():
            try:
                os.utime(self._path(name, _ENVELOPE), (now, now))
            except FileNotFoundError:
                return False
            return True

    def set_aside(self, name: str, why: str) -> None:
        """Take what is broken out of the queue, and keep it."""
        with self._changing():
            for suffix in (_ENVELOPE, _MESSAGE):
                with suppress(FileNotFoundError):
                    self._path(name, suffix).rename(self._corrupt / (name + suffix))
        _log.error("queue: {name} is set aside in {place}: {why}", name=name, place=str(self._corrupt), why=why)

    # -- what there is

    def names(self) -> list[str]:
        """All messages, the oldest first."""
        return sorted(name for _, name in self._entries())

    def due(self, most: int) -> Due:
        """Those that are due first, so many at most."""
        found = nsmallest(most + 1, self._entries())
        if len(found) <= most:
            return Due(found, float("inf"))
        until, _ = found.pop()
        return Due(found, until)

    def _entries(self) -> Iterator[tuple[float, str]]:
        with suppress(FileNotFoundError), os.scandir(self.root) as entries:
            for each in entries:
                if each.name.endswith(_ENVELOPE):
                    with suppress(FileNotFoundError):
                        yield each.stat().st_mtime_ns / 1e9, each.name.removesuffix(_ENVELOPE)

    # -- one process to another

    def wake(self) -> None:
        """Have the sender look at the queue at once."""
        if not self.root.is_dir():  # nothing was ever queued
            return
        fd = self.create(self._wake, 0)
        try:
            os.utime(fd)
        finally:
            os.close(fd)

    def woken(self) -> int:
        """A number that changes with `wake`."""
        try:
            return self._wake.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    # -- small things

    def _path(self, name: str, suffix: str) -> Path:
        return self.root / (os.path.basename(name) + suffix)

    def _write_envelope(self, envelope: Envelope, due: float) -> Path:
        """An envelope on the disk that is not in its place yet."""
        path = self.tmp / f"{envelope.name}-{token_hex(4)}{_ENVELOPE}"
        fd = self.create(path)
        try:
            _write_all(fd, envelope.to_json())
            os.utime(fd, ns=(int(due * 1e9), int(due * 1e9)))
            os.fsync(fd)
        except BaseException:  # raised again, with nothing left of it
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        return path

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock under which envelopes change and go."""
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _sync(self) -> None:
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def new_name() -> str:
    """A name that no other message has; later ones sort behind."""
    return f"{time.time_ns() // 1000:014x}{token_hex(3)}"


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


@contextmanager
def room_errors() -> Iterator[None]:
    """Turn what the disk says into a MailError."""
    try:
        yield
    except OSError as problem:
        if problem.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise MailError(ErrorKind.DISK_FULL, "The disk is full") from problem
        raise MailError(ErrorKind.UNAVAILABLE, "The message could not be queued, try again later") from problem
