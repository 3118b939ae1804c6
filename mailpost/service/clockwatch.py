"""Noticing that the clock of the machine was set: dates follow it, and whoever wonders at them finds it in the log."""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

LOOK_SECONDS = 5.0
MOST_SECONDS = 60.0
"""A clock may be put right by so much without a word."""


class ClockWatch:
    """Says so when the clock jumps; a `Runner` of the server.

    Args:
        reactor: looks now and then.
        now: the clock, seconds since the epoch.
        monotonic: seconds that only go forward.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reactor = reactor
        self._now = now
        self._monotonic = monotonic
        self._call: IDelayedCall | None = None
        self._ahead = 0.0

    def start(self) -> None:
        """Begin."""
        self._ahead = self._now() - self._monotonic()
        self._call = self._reactor.callLater(LOOK_SECONDS, self._look)

    async def close(self) -> None:
        """Look no more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _look(self) -> None:
        self._call = self._reactor.callLater(LOOK_SECONDS, self._look)
        ahead = self._now() - self._monotonic()
        jump, self._ahead = ahead - self._ahead, ahead
        if abs(jump) > MOST_SECONDS:
            self._log.warn(
                "the clock was set {direction} by {seconds} s: dates of new messages follow it, UIDs and"
                " mod-sequences go on",
                direction="back" if jump < 0 else "forward",
                seconds=round(abs(jump)),
            )
