"""Hearing of what other programs do to open folders: inotify on Linux, modification times elsewhere.

A watch only says that a folder is worth a look (`dirty`); what has changed is found by listing. What this process
does itself is announced with `ours` and then passed over, so that it does not cost a listing. Nothing is lost where
inotify gives out: a queue that ran over makes every folder dirty, and a folder for which the kernel has no watch left
is polled.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mailpost.storage.offload import Offload

if TYPE_CHECKING:
    from mailpost.storage.maildir.kernelwatch import Event, KernelWatch

POLL_SECONDS = 2.0
"""How often folders are looked at that inotify does not watch."""
_EXPECTED_FOR = 5.0
"""Seconds after which an announced change is no longer waited for: it did not happen, or was not told."""
_UNSETTLED_NS = 50_000_000
"""A modification time this young may yet stand for a later change: clocks of file systems tick slowly."""

Stamps = tuple[int | None, ...]


class Watch(Protocol):
    """What a watcher needs of those who watch."""

    dirty: Callable[[], None]
    """Called in the reactor when there is news, at most once for all that is heard at a time."""

    def is_news(self, event: Event) -> bool:
        """Whether this event tells of something that was not known."""


class FolderWatch:
    """The directories of one folder under watch; made by `Watcher.watch`."""

    def __init__(self, watcher: Watcher, directories: Sequence[str], dirty: Callable[[], None]) -> None:
        self._watcher = watcher
        self._lock = Lock()
        self._expected: dict[tuple[bool, bytes], tuple[int, float]] = {}
        self._overdue = 0.0
        self.directories = directories
        self.dirty = dirty
        self.is_lost = False
        """A directory has been moved or deleted: what has its name now is another one, which is not watched."""
        self.stamps: Stamps | None = None
        """For a polled folder: the modification times that are known."""

    def ours(self, came: Iterable[str] = (), went: Iterable[str] = ()) -> None:
        """Announce file names that this process is about to make or take away here. In any thread, beforehand."""
        now = time.monotonic()
        until = now + _EXPECTED_FOR
        with self._lock:
            if self._expected and self._overdue < now:
                self._expected = {key: each for key, each in self._expected.items() if each[1] >= now}
            self._overdue = until
            for coming, names in ((True, came), (False, went)):
                for name in names:
                    key = coming, os.fsencode(name)
                    count, _ = self._expected.get(key, (0, 0.0))
                    self._expected[key] = count + 1, until

    def is_news(self, event: Event) -> bool:
        """Whether this event tells of something that was not announced."""
        if not (event.came or event.went):
            self.is_lost = self.is_lost or event.gone
            return event.gone or event.written
        with self._lock:
            key = event.came, event.name
            count, until = self._expected.pop(key, (0, 0.0))
            if count > 1:
                self._expected[key] = count - 1, until
            return not count or until < time.monotonic()

    def up_to_date(self) -> bool:
        """Hear of all that happened until now: `dirty` has been called if there was anything. Costs a microsecond.

        Returns:
            False for a polled folder: only a look at it can tell.
        """
        self._watcher.hear()
        return not self._watcher.is_polled(self)

    def stop(self) -> None:
        """No longer interested."""
        self._watcher.forget(self)


class Watcher:
    """Watches folders for one store.

    Args:
        reactor: hears inotify and keeps the time.
        offload: where folders are polled.
        use_inotify: False to poll everything (network file systems tell nothing of other machines).
    """

    _log = Logger()

    def __init__(self, reactor: Any, offload: Offload, use_inotify: bool = sys.platform == "linux") -> None:
        self._clock: IReactorTime = reactor
        self._offload = offload
        self._watches: dict[Watch, None] = {}
        self._numbers: dict[int, Watch] = {}
        self._polled: dict[Watch, FolderWatch] = {}
        self._unheard: dict[Watch, None] = {}
        """Those for whose places the kernel has no watch, or not enough: all that are polled, and others."""
        self._timer: IDelayedCall | None = None
        self._kernel: KernelWatch | None = None
        if use_inotify:
            from mailpost.storage.maildir.kernelwatch import kernel_watch  # noqa: PLC0415 (Linux only)

            self._kernel = kernel_watch(reactor, self._heard)

    def watch(self, directories: Sequence[str], dirty: Callable[[], None]) -> FolderWatch:
        """Watch these directories of one folder (cur and new).

        Args:
            directories: paths; a watch follows a directory that is renamed.
            dirty: called in the reactor when somebody else may have changed something there, at most once for all
                that is heard at a time. It only takes note or starts something.
        """
        return self._watch(directories, dirty, _directory)

    def watch_file(self, path: str, dirty: Callable[[], None]) -> FolderWatch:
        """Watch a file that others write into in place."""
        return self._watch([path], dirty, _file)

    def _watch(
        self, places: Sequence[str], dirty: Callable[[], None], add: Callable[[KernelWatch, str], int | None]
    ) -> FolderWatch:
        watch = FolderWatch(self, places, dirty)
        self._watches[watch] = None
        for place in places:
            number = None if self._kernel is None else add(self._kernel, place)
            if number is None:
                self._poll_instead(watch)
                break
            self._numbers[number] = watch
        return watch

    def follow(self, watch: Watch, places: Sequence[str]) -> bool:
        """Watch these directories for it, as they are called now, and no others any more.

        Those that are not there are passed over; if the kernel has no watch left for some, this is said in the log.

        Returns:
            Whether there are any among them that were not watched before.
        """
        self._watches[watch] = None
        before = self._numbers_of(watch)
        now = set()
        unheard = self._kernel is None
        for place in places:
            number = None if self._kernel is None else self._kernel.add(place)
            if number is not None:
                now.add(number)
                self._numbers[number] = watch
            elif os.path.isdir(place):  # noqa: PTH112 (no Path for each)
                unheard = True
                break
        self._drop(before - now)
        if unheard:
            self._note_unheard(watch, places[0])
        else:
            self._unheard.pop(watch, None)
        return not now <= before

    def hear(self) -> None:
        """Take what inotify has to tell by now."""
        while self._kernel is not None and self._kernel.read_some():
            pass

    def is_polled(self, watch: Watch) -> bool:
        """Whether inotify tells nothing of it."""
        return watch in self._polled

    def forget(self, watch: Watch) -> None:
        """Stop watching; harmless a second time."""
        for held in (self._watches, self._polled, self._unheard):
            held.pop(watch, None)
        self._drop(self._numbers_of(watch))

    def _numbers_of(self, watch: Watch) -> set[int]:
        return {number for number, each in self._numbers.items() if each is watch}

    def _drop(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            del self._numbers[number]
            if self._kernel is not None:
                self._kernel.remove(number)

    def close(self) -> None:
        """Stop everything."""
        for watch in list(self._watches):
            self.forget(watch)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._kernel is not None:
            self._kernel.end()
            self._kernel = None

    # -- inotify

    def _heard(self, events: list[Event]) -> None:
        dirty: dict[Watch, None] = {}
        if any(event.overflow for event in events):
            self._log.info("more happened than inotify could tell: all open folders are listed again")
        for event in events:
            watch = self._numbers.get(event.number)
            if event.overflow:
                dirty.update(self._watches)
            elif watch is not None and watch.is_news(event):
                dirty[watch] = None
        self._tell(dirty)

    def _tell(self, dirty: Iterable[Watch]) -> None:
        for watch in dirty:
            if watch in self._watches:  # an earlier one may have stopped it
                with self._log.failuresHandled("a watched folder could not be marked"):
                    watch.dirty()

    # -- polling

    def _note_unheard(self, watch: Watch, place: str) -> None:
        """Say so once, until there are watches for all again."""
        if not self._unheard:
            self._log.info(
                "{place} is polled, as is all else that there is no inotify watch for: what other programs do there is"
                " seen some seconds later",
                place=place,
            )
        self._unheard[watch] = None

    def _poll_instead(self, watch: FolderWatch) -> None:
        self._note_unheard(watch, watch.directories[0])
        self._polled[watch] = watch
        if self._timer is None:
            self._timer = self._clock.callLater(POLL_SECONDS, self._poll)

    def _poll(self) -> None:
        self._timer = None
        watches = list(self._polled.values())
        if watches:
            looked = self._offload.read("", _stamps, [watch.directories for watch in watches])
            looked.addCallback(self._polled_all, watches)
            looked.addErrback(lambda _: None)  # the store is closing

    def _polled_all(self, stamps: list[Stamps], watches: list[FolderWatch]) -> None:
        recent = time.time_ns() - _UNSETTLED_NS
        dirty = []
        for watch, found in zip(watches, stamps, strict=True):
            if watch.stamps is None or found != watch.stamps:
                dirty.append(watch)
            watch.stamps = None if any(stamp is not None and stamp > recent for stamp in found) else found
        self._tell(dirty)
        if self._polled and self._timer is None:
            self._timer = self._clock.callLater(POLL_SECONDS, self._poll)


def _directory(kernel: KernelWatch, path: str) -> int | None:
    return kernel.add(path)


def _file(kernel: KernelWatch, path: str) -> int | None:
    return kernel.add_file(path)


def _stamps(folders: list[Sequence[str]]) -> list[Stamps]:
    """Modification times of directories, None for what is not there. In a thread."""
    return [tuple(map(_stamp, directories)) for directories in folders]


def _stamp(directory: str) -> int | None:
    try:
        return os.stat(directory).st_mtime_ns
    except OSError:
        return None
