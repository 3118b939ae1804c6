"""A clock that goes by itself, and that a test moves on: for the timers of a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer


@implementer(IReactorTime)
class MovingClock:
    """The reactor's time, and as much more as it was moved on by. What is due runs in the reactor's own turns.

    Only what is asked to go by it is moved: idle clients, delays, retries, dates; not sockets, threads, other programs.
    """

    _log = Logger()

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._ahead = 0.0
        self._calls: list[DelayedCall] = []
        self._next: IDelayedCall | None = None

    def seconds(self) -> float:
        """Seconds that only go forward."""
        return self._reactor.seconds() + self._ahead

    def now(self) -> float:
        """The time of day: seconds since the epoch."""
        return time.time() + self._ahead

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kw: object) -> IDelayedCall:  # noqa: A002
        """Run a function when so many seconds of this clock have gone by."""
        due = self.seconds() + delay
        call = DelayedCall(due, callable, args, kw, self._cancelled, lambda _: self._arrange(), self.seconds)
        self._calls.append(call)
        self._arrange()
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """What is still to come."""
        return list(self._calls)

    def advance(self, amount: float) -> None:
        """Move on by so many seconds; what becomes due runs in its order, each at its time."""
        if amount < 0:
            raise ValueError("a clock does not go back")
        at = self.seconds()
        until = at + amount
        self._run(at)
        # What is asked for at the same time again is left for a later turn of the reactor, lest it never ends.
        while (due := min((each.getTime() for each in self._calls if at < each.getTime() <= until), default=0.0)) > at:
            at = due
            self._ahead += max(0.0, at - self.seconds())
            self._run(at)
        self._ahead += max(0.0, until - self.seconds())
        self._arrange()

    def stop(self) -> None:
        """Run nothing more."""
        self._calls.clear()
        self._arrange()

    def _run(self, at: float) -> None:
        for call in sorted((each for each in self._calls if each.getTime() <= at), key=lambda each: each.getTime()):
            if call in self._calls and call.getTime() <= at:  # an earlier one may have cancelled it or put it off
                self._calls.remove(call)
                call.called = 1
                with self._log.failuresHandled("a timer failed"):
                    call.func(*call.args, **call.kw)

    def _cancelled(self, call: DelayedCall) -> None:
        self._calls.remove(call)
        self._arrange()

    def _arrange(self) -> None:
        """Have the reactor call when the next is due."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._calls:
            left = min(each.getTime() for each in self._calls) - self.seconds()
            self._next = self._reactor.callLater(max(0.0, left), self._due)

    def _due(self) -> None:
        self._next = None
        self._run(self.seconds())
        self._arrange()
