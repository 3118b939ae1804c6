"""When a message is tried again, and when no more. Seconds throughout.

RFC: 5321 §4.5.4.1 (retries: half an hour apart at least, four or five days long)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MINUTE, HOUR, DAY = 60, 3600, 86_400


@dataclass(frozen=True, slots=True)
class Schedule:
    """How patient the queue is."""

    retry_after: Sequence[float] = (
        MINUTE,
        5 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        4 * HOUR,
    )
    """Pauses between attempts; the last one is repeated."""
    give_up: float = 5 * DAY
    """After its arrival a message is tried for so long."""
    warn_after: float = 4 * HOUR
    """After so long its sender is told that it is late."""

    def next(self, arrived: float, attempts: int, now: float) -> float | None:
        """When a message that has been tried so often, just now, is tried again; None: never, its time is over."""
        until = arrived + self.give_up
        if now >= until:
            return None
        pause = self.retry_after[min(attempts, len(self.retry_after)) - 1]
        return min(now + pause, until)

    def is_late(self, arrived: float, now: float) -> bool:
        """Whether its sender should know."""
        return now >= arrived + self.warn_after
