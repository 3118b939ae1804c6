"""Long work in the reactor thread, in pieces."""

from __future__ import annotations

import time

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

LONGEST = 0.01
"""Seconds of work before others have a turn."""


class Pauses:
    """Says when others should have a turn, and gives them one."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._until = 0.0

    @property
    def due(self) -> bool:
        """Whether work has gone on for long enough. Only asked while there is work."""
        now = time.monotonic()
        if now - self._until > 1.0:  # the first question after a rest
            self._until = now + LONGEST
        return now >= self._until

    def pause(self) -> Deferred[None]:
        """Let others have their turn."""
        paused: Deferred[None] = deferLater(self._clock, 0)
        paused.addCallback(self._go_on)
        return paused

    def _go_on(self, _: object) -> None:
        self._until = time.monotonic() + LONGEST
