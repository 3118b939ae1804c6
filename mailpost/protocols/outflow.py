"""How output waits for a client that reads slowly."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, ITransport
from zope.interface import implementer


@implementer(IPushProducer)
class Outflow:
    """Output to a client that may read slowly: what is written is bounded since writers wait for `resumed`.

    The transport tells, as to any push producer, when its buffer is full and when it is empty again.
    """

    def __init__(
        self, transport: ITransport, clock: IReactorTime, patience: float, give_up: Callable[[], None]
    ) -> None:
        """Call `give_up` when the client has read nothing for `patience` seconds while there was output for it."""
        self._transport = transport
        self._clock = clock
        self._patience = patience
        self._give_up = give_up
        self._registered = False
        self._waiting: Deferred[None] | None = None
        self._paused_at = 0.0
        self._check: IDelayedCall | None = None
        self.paused = False
        """The transport's buffer is full: write no more than the end of what was begun."""

    def register(self) -> None:
        """Begin to listen to the transport; harmless when that is so."""
        if not self._registered:
            self._registered = True
            self._transport.registerProducer(self, True)  # type: ignore[attr-defined]

    def unregister(self) -> None:
        """Leave the transport to another producer, or to closing; whoever waits goes on."""
        if self._registered:
            self._registered = False
            self._transport.unregisterProducer()  # type: ignore[attr-defined]
        self.resumeProducing()

    def stop(self) -> None:
        """The connection is gone."""
        self._registered = False
        self.resumeProducing()
        if self._check is not None and self._check.active():
            self._check.cancel()
        self._check = None

    def resumed(self) -> Deferred[None]:
        """Fires when there is room again. One may wait at a time."""
        waiting: Deferred[None] = Deferred(self._forget)
        if self.paused:
            self._waiting = waiting
        else:
            waiting.callback(None)
        return waiting

    def _forget(self, _: Deferred[None]) -> None:
        self._waiting = None

    # -- IPushProducer

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        self.paused = True
        self._paused_at = self._clock.seconds()
        if self._check is None:
            self._check = self._clock.callLater(self._patience, self._check_progress)

    def resumeProducing(self) -> None:
        """There is room again."""
        self.paused = False
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    def stopProducing(self) -> None:
        """The transport is closing; the connection's end releases who waits."""

    def _check_progress(self) -> None:
        # One timer however often the flow pauses: it looks again for what the latest pause has left.
        self._check = None
        if self.paused:
            left = self._paused_at + self._patience - self._clock.seconds()
            if left <= 0:
                self._give_up()
            else:
                self._check = self._clock.callLater(left, self._check_progress)
