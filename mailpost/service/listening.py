"""Telling a program's listeners what happens: after the fact, in their own time, in nobody's way.

Each listener has a queue of its own, bounded. What happens in one folder is told in its order, one after the other;
several folders are told of at a time, so that one answer which takes long holds up no more than its folder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mailpost.storage.events import Event
from mailpost.storage.interfaces import IMailListener
from mailpost.storage.offload import settled

MOST_WAITING = 10_000
"""Events that wait for one listener; further ones are dropped, which the log is told."""
AT_ONCE = 8
"""Folders of which one listener is told at a time."""
CLOSING_SECONDS = 5.0
"""How long a server that stops waits for listeners."""

_log = Logger()
_Place = tuple[str, str]
"""User and folder; "" for what is in no folder."""


class Listening:
    """All listeners of a server.

    Args:
        listeners: who is told.
        clock: for turns, and for the wait at the end.
    """

    def __init__(self, listeners: Sequence[IMailListener], clock: IReactorTime) -> None:
        self._queues = [_Queue(each, clock) for each in listeners]
        self._clock = clock

    def tell(self, event: Event) -> None:
        """Take note of an event; the listeners hear of it in a later turn."""
        for queue in self._queues:
            queue.put(event)

    def start(self) -> None:
        """Nothing is to be begun."""

    async def close(self) -> None:
        """Wait a little until everything is told; what is not by then is lost, which the log is told."""
        for queue in self._queues:
            await queue.close()


class _Queue:
    """What one listener is still to be told."""

    def __init__(self, listener: IMailListener, clock: IReactorTime) -> None:
        self._listener = listener
        self._clock = clock
        self._waiting: dict[_Place, deque[Event]] = {}
        self._ready: deque[_Place] = deque()
        """Places with something to be told of which nothing is being told."""
        self._count = 0
        self._dropped = 0
        self._under_way: list[Deferred[None]] = []
        self._scheduled: IDelayedCall | None = None
        self._closing: Deferred[None] | None = None

    def put(self, event: Event) -> None:
        """One more event."""
        if self._count >= MOST_WAITING or self._closing is not None:
            if not self._dropped:
                _log.error("{listener} does not keep up: events are dropped", listener=self._listener)
            self._dropped += 1
            return
        if self._dropped:
            _log.error("{count} events were not told to {listener}", count=self._dropped, listener=self._listener)
            self._dropped = 0
        place = event.user, getattr(event, "folder", "")
        if place in self._waiting:
            self._waiting[place].append(event)
        else:
            self._waiting[place] = deque([event])
            self._ready.append(place)
        self._count += 1
        if self._scheduled is None and len(self._under_way) < AT_ONCE:
            self._scheduled = self._clock.callLater(0, self._begin)

    def _begin(self) -> None:
        self._scheduled = None
        while self._ready and len(self._under_way) < AT_ONCE:
            work = Deferred.fromCoroutine(self._tell())
            if not work.called:
                self._under_way.append(work)
                work.addBoth(self._ended, work)

    async def _tell(self) -> None:
        """Tell of one event after the other, as long as there is any that may be told."""
        while self._ready:
            place = self._ready.popleft()
            events = self._waiting[place]
            event = events.popleft()
            try:
                await settled(self._listener.heard(event))
            except CancelledError:
                raise
            except Exception:  # the listener's bug, and nobody else's trouble
                _log.failure("Bug in {listener} at {event}", listener=self._listener, event=type(event).__name__)
            finally:
                self._count -= 1
                if events:
                    self._ready.append(place)
                else:
                    del self._waiting[place]

    def _ended(self, outcome: object, work: Deferred[None]) -> None:
        self._under_way.remove(work)
        if self._closing is not None and not self._under_way and not self._closing.called:
            self._closing.callback(None)

    async def close(self) -> None:
        """Tell what there is to tell, but not for long."""
        self._closing = Deferred()
        if self._scheduled is not None:
            self._scheduled.cancel()
        self._begin()
        if self._under_way:
            late = self._clock.callLater(CLOSING_SECONDS, self._give_up)
            await self._closing
            if late.active():
                late.cancel()

    def _give_up(self) -> None:
        _log.error("{count} events were not told to {listener}", count=self._count, listener=self._listener)
        self._waiting.clear()
        self._ready.clear()
        for work in list(self._under_way):
            work.cancel()
