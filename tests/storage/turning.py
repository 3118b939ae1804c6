"""A reactor small enough for a test that cannot wait for the real one: threads call in, time passes while it waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mailpost.storage.offload import settled

T = TypeVar("T")
LONGEST_WAIT = 20.0
"""Seconds after which an answer is not going to come."""


class TurningReactor(Clock):
    """Runs what threads and timers ask for, only inside `answer`."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: SimpleQueue[Callable[[], object]] = SimpleQueue()

    def callFromThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._calls.put(lambda: function(*args, **kwargs))

    def addReader(self, reader: object) -> None:
        """Nothing is heard of files."""

    def removeReader(self, reader: object) -> None:
        """It was not listened to."""

    def removeWriter(self, writer: object) -> None:
        """It was not listened to."""

    def answer(self, asked: T | Awaitable[T]) -> T:
        """The value of an answer of a store, or its exception."""
        outcome: list[Any] = []
        Deferred.fromCoroutine(settled(asked)).addBoth(outcome.append)
        until = monotonic() + LONGEST_WAIT
        while not outcome:
            assert monotonic() < until, "no answer comes"
            try:
                self._calls.get(timeout=0.01)()
            except Empty:
                self.advance(0.01)
        if isinstance(outcome[0], Failure):
            outcome[0].raiseException()
        value: T = outcome[0]
        return value
