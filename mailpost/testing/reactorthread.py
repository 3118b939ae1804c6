"""The process's one reactor in a daemon thread, for tests that block.

It runs while somebody needs it and rests in between, so that trial's tests, which run it themselves, can have it then.
Where another library runs it in a thread of its own already, that thread is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from threading import Event, Lock, Semaphore, Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.python.threadable import isInIOThread

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, T]]

PATIENCE = 60.0
"""Seconds after which work that should not take any is given up."""


class ReactorThread:
    """The thread. Use `reactor_thread()`: there can be one in a process."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self._lock = Lock()
        self._needed_by = 0
        self._ours = False
        self._thread: Thread | None = None
        self._begin = Semaphore(0)
        self._runs = Event()
        self._rests = Event()
        self._problem: Exception | None = None

    def enter(self) -> None:
        """Have the reactor running until `leave`.

        Raises:
            RuntimeError: it runs in this very thread, which must not block; or it was stopped and cannot run again.
        """
        with self._lock:
            if self._needed_by == 0:
                if self.reactor.running and isInIOThread():
                    raise RuntimeError("the reactor runs in this thread: use mailpost.testing.AsyncMailServer")
                self._ours = not self.reactor.running
                if self._ours:
                    self._start()
            self._needed_by += 1

    def leave(self) -> None:
        """It is needed no more; when nobody needs it, it rests."""
        with self._lock:
            self._needed_by -= 1
            if self._needed_by == 0 and self._ours:
                self._rests.clear()
                self.reactor.callFromThread(self.reactor.crash)
                self._rests.wait(PATIENCE)

    def submit(self, work: Work[T]) -> Future[T]:
        """Run a coroutine function in the reactor's thread; cancelling the future cancels it."""
        future: Future[T] = Future()

        def start() -> None:
            if future.cancelled():
                return
            running = Deferred.fromCoroutine(work())
            running.addCallbacks(succeeded, failed)
            future.add_done_callback(lambda _: self._cancel(running) if future.cancelled() else None)

        def succeeded(value: T) -> None:
            with suppress(Exception):  # cancelled meanwhile
                future.set_result(value)

        def failed(failure: Failure) -> None:
            with suppress(Exception):
                future.set_exception(failure.value)

        self.reactor.callFromThread(start)
        return future

    def run(self, work: Work[T]) -> T:
        """Run a coroutine function in the reactor's thread, and wait for it in this one."""
        if isInIOThread() and self.reactor.running:
            raise RuntimeError("this is the reactor's thread, which must not block: use the awaitable form")
        return self.submit(work).result()

    async def run_in_asyncio(self, work: Work[T]) -> T:
        """The same, for a coroutine of asyncio."""
        return await asyncio.wrap_future(self.submit(work))

    def _cancel(self, running: Deferred[Any]) -> None:
        self.reactor.callFromThread(running.cancel)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._serve, name="mailpost-reactor", daemon=True)
            self._thread.start()
        self._problem = None
        self._runs.clear()
        self.reactor.callWhenRunning(self._runs.set)
        self._begin.release()
        if not self._runs.wait(PATIENCE) or self._problem is not None:
            raise RuntimeError("the reactor cannot be started") from self._problem

    def _serve(self) -> None:
        while True:
            self._begin.acquire()
            try:
                self.reactor.run(installSignalHandlers=False)
            except Exception as problem:  # told to whoever wanted it to run
                self._problem = problem
                self._runs.set()
            self._rests.set()


@cache
def reactor_thread() -> ReactorThread:
    """The one of this process; the reactor is the one that is installed, or Twisted's default."""
    from twisted.internet import reactor  # noqa: PLC0415 (importing it installs it)

    return ReactorThread(reactor)
