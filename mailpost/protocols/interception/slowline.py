"""A line that is slow: octets come out late, and not all at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

STEPS = 20
"""Pieces a second that octets are cut into, where there is a rate."""


class SlowLine:
    """One direction of a connection.

    Attributes:
        delay: seconds that octets are under way.
        rate: octets a second; 0 for as many as there are.
        held: octets that are under way.
    """

    def __init__(self, clock: IReactorTime, out: Callable[[bytes], None]) -> None:
        """Give octets to `out` when they have arrived."""
        self.delay = 0.0
        self.rate = 0.0
        self.held = 0
        self._clock = clock
        self._out = out
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._free = 0.0
        """When the line will have taken what it was given."""
        self._call: IDelayedCall | None = None
        self._then: Callable[[], None] | None = None

    def put(self, octets: bytes) -> None:
        """Send octets behind what is under way."""
        if not octets:
            return
        if not (self._under_way or self.delay or self.rate):
            self._out(octets)
            return
        now = self._clock.seconds()
        size = max(1, int(self.rate / STEPS)) if self.rate else len(octets)
        for at in range(0, len(octets), size):
            piece = octets[at : at + size]
            self._free = max(self._free, now + self.delay) + (len(piece) / self.rate if self.rate else 0.0)
            self._under_way.append((self._free, piece))
        self.held += len(octets)
        self._arrange()

    def when_empty(self, then: Callable[[], None]) -> None:
        """Call this when all has arrived: at once, if nothing is under way."""
        if self._under_way:
            self._then = then
        else:
            then()

    def stop(self) -> None:
        """Forget what is under way."""
        self._under_way.clear()
        self._then = None
        self.held = 0
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _arrange(self) -> None:
        if self._call is None and self._under_way:
            self._call = self._clock.callLater(max(0.0, self._under_way[0][0] - self._clock.seconds()), self._arrived)

    def _arrived(self) -> None:
        self._call = None
        now = self._clock.seconds()
        pieces = []
        while self._under_way and self._under_way[0][0] <= now + 1e-9:
            pieces.append(self._under_way.popleft()[1])
        octets = b"".join(pieces)
        self.held -= len(octets)
        if octets:
            self._out(octets)
        if self._under_way:
            self._arrange()
        elif self._then is not None:
            then, self._then = self._then, None
            then()
