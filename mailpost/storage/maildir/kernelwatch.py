"""inotify, as `watch` needs it. Linux only: importing this elsewhere fails.

Twisted's own reading of events drops the notice of an overflow and closes everything when one directory is deleted;
this one hands all events on and forgets only the directory.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet import inotify
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath

_EVENT = struct.Struct("=iIII")
_READ = 64 * 1024
_PAUSE = 0.01
"""Seconds between two times that the reactor looks of itself: where much mail comes in it would else be woken for every
file. Who must know at once asks (`read_some`)."""
_CAME = inotify.IN_MOVED_TO | inotify.IN_CREATE
_WENT = inotify.IN_MOVED_FROM | inotify.IN_DELETE
_SELF = inotify.IN_MOVE_SELF | inotify.IN_DELETE_SELF | inotify.IN_UNMOUNT


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened in a watched directory."""

    number: int
    """Which directory: what `add` gave; -1 for an overflow."""
    came: bool
    """A file of this name has come."""
    went: bool
    """A file of this name has gone."""
    gone: bool
    """The directory itself has been moved or deleted."""
    written: bool
    """The watched file was written to."""
    overflow: bool
    """Events were lost."""
    directory: bool
    """What has come or gone is a directory."""
    name: bytes


class KernelWatch(inotify.INotify):
    """One inotify instance.

    Args:
        reactor: hears of events.
        heard: called with all events that were there to be read, in order.
    """

    def __init__(self, reactor: Any, heard: Callable[[list[Event]], None]) -> None:
        super().__init__(reactor)  # type: ignore[no-untyped-call]
        self._clock: IReactorTime = reactor
        self._paused: IDelayedCall | None = None
        self._heard = heard
        self.startReading()  # type: ignore[no-untyped-call]

    def add(self, directory: str) -> int | None:
        """Watch a directory: its number, the same for the same directory. None when no watch is left, or it is gone."""
        return self._add(directory, _CAME | _WENT | _SELF | inotify.IN_ONLYDIR)

    def add_file(self, path: str) -> int | None:
        """Watch a file for being written to, as `add` does it for a directory."""
        return self._add(path, inotify.IN_MODIFY | _SELF)

    def _add(self, path: str, mask: int) -> int | None:
        # Twisted's `watch` goes by the path; a directory may be renamed and another take its place.
        try:
            return int(self._inotify.add(self._fd, FilePath(path), mask))
        except inotify.INotifyError:
            return None

    def remove(self, number: int) -> None:
        """Watch it no longer; harmless when the kernel has given it up."""
        self._inotify.remove(self._fd, number)

    def doRead(self) -> None:  # noqa: N802 (Twisted calls it)
        """The reactor says that there is something to read."""
        self.read_some()
        self.stopReading()  # type: ignore[no-untyped-call]
        self._paused = self._clock.callLater(_PAUSE, self._go_on)

    def _go_on(self) -> None:
        self._paused = None
        self.startReading()  # type: ignore[no-untyped-call]

    def read_some(self) -> bool:
        """Read what is there, some thousand events at most; whether there was anything."""
        try:
            data = os.read(self._fd, _READ)  # whole events only
        except BlockingIOError:
            return False
        events = []
        at = 0
        while at < len(data):
            number, mask, _, size = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            events.append(
                Event(
                    number=number,
                    came=bool(mask & _CAME),
                    went=bool(mask & _WENT),
                    gone=bool(mask & _SELF),
                    written=bool(mask & inotify.IN_MODIFY),
                    overflow=bool(mask & inotify.IN_Q_OVERFLOW),
                    directory=bool(mask & inotify.IN_ISDIR),
                    name=data[at : at + size].rstrip(b"\0"),
                )
            )
            at += size
        self._heard(events)
        return True

    def end(self) -> None:
        """Close it, at once."""
        if self._paused is not None:
            self._paused.cancel()
            self._paused = None
        self.stopReading()  # type: ignore[no-untyped-call]
        self.connectionLost(Failure(ConnectionDone()))  # type: ignore[no-untyped-call]


def kernel_watch(reactor: Any, heard: Callable[[list[Event]], None]) -> KernelWatch | None:
    """A new instance; None when the kernel has none left."""
    try:
        return KernelWatch(reactor, heard)
    except inotify.INotifyError:
        return None
