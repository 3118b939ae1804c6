"""Threads that take turns at lanes, the jobs they do there, and the way of the results back to the reactor.

Results travel back in bulk: many of them wake the reactor once. For `storage.offload` alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from mailpost.mail.errors import ErrorKind, MailError


class Job:
    """Something to do in a thread and the Deferred that waits for it."""

    __slots__ = ("cancelled", "outcome", "waiting", "work")

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work
        self.cancelled = False
        self.outcome: object = None
        self.waiting: Deferred[Any] = Deferred(self._cancel)

    def _cancel(self, _: Deferred[Any]) -> None:
        self.cancelled = True

    def attempt(self, run: Callable[[Callable[[], object]], object]) -> None:
        """In a thread: do it, keeping the value or the failure."""
        try:
            self.outcome = run(self.work)
        except BaseException:  # whatever it is, the one who waits is told, and the thread goes on
            self.outcome = Failure()

    def deliver(self) -> None:
        """In the reactor: tell the one who waits."""
        if not self.cancelled:
            self.waiting.callback(self.outcome)  # a Failure goes to the errbacks


def call(work: Callable[[], object]) -> object:
    """Do it, with nothing around it: for `Job.attempt`."""
    return work()


class Lane(Protocol):
    """Work of one account, of which a thread does a piece at a time."""

    def turn(self) -> None:
        """In a thread: do the next piece of work."""


class Threads:
    """Some threads that take the lanes which have work in turn; made when first needed."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._threads: list[Thread] = []
        self._ready: SimpleQueue[Lane | None] = SimpleQueue()

    def need(self, busy: int) -> None:
        """Have threads for this many jobs, as far as allowed. In the reactor."""
        if len(self._threads) < min(busy, self._most):
            thread = Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def ready(self, lane: Lane) -> None:
        """The lane has work: it gets a turn when those before it have had theirs."""
        self._ready.put(lane)

    def _work(self) -> None:
        while (lane := self._ready.get()) is not None:
            lane.turn()
            del lane  # an idle thread keeps nothing alive

    def end(self) -> None:
        """End the threads; no lane has work any more."""
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()


class Side:
    """The threads of one side (reading or writing), what they have under way, and the way of results back."""

    def __init__(self, reactor: IReactorFromThreads, threads: Threads, settled_one: Callable[[], None]) -> None:
        self._reactor = reactor
        self.threads = threads
        self.under_way = 0
        self.closing = False
        self._settled_one = settled_one
        self._finished: deque[list[Job]] = deque()
        self._woken = False

    def refused(self) -> Deferred[Any] | None:
        """Count one more thing to do, unless the store is closing: then the answer to it. In the reactor."""
        if self.closing:
            return fail(MailError(ErrorKind.UNAVAILABLE, "The mail store is closing"))
        self.under_way += 1
        self.threads.need(self.under_way)
        return None

    def done(self, jobs: list[Job]) -> None:
        """In a thread: these have been done. The reactor is woken unless that has been done already."""
        self._finished.append(jobs)
        if not self._woken:  # two threads here at once wake it twice: harmless
            self._woken = True
            self._reactor.callFromThread(self._deliver)

    def _deliver(self) -> None:
        self._woken = False  # first: whatever is finished from now on wakes the reactor again
        for _ in range(len(self._finished)):
            jobs = self._finished.popleft()
            self.under_way -= len(jobs)
            for job in jobs:
                job.deliver()
        self._settled_one()
