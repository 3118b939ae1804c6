"""Something that flows as long as nobody wants it to wait."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class Valve:
    """Several may ask a producer to pause; it resumes when the last of them lets it."""

    def __init__(
        self, pause: Callable[[], None], resume: Callable[[], None], stop: Callable[[], None] = lambda: None
    ) -> None:
        self._pause, self._resume, self._stop = pause, resume, stop
        self._reasons: set[str] = set()

    def set(self, reason: str, paused: bool) -> None:
        """Somebody wants a pause, or wants it no longer."""
        before = bool(self._reasons)
        if paused:
            self._reasons.add(reason)
        else:
            self._reasons.discard(reason)
        if bool(self._reasons) is not before:
            if paused:
                self._pause()
            else:
                self._resume()

    def open(self) -> None:
        """Let it flow, whoever wanted a pause."""
        if self._reasons:
            self._reasons.clear()
            self._resume()

    # -- IPushProducer, for a transport

    def pauseProducing(self) -> None:
        """The transport is full."""
        self.set("transport", True)

    def resumeProducing(self) -> None:
        """It has room."""
        self.set("transport", False)

    def stopProducing(self) -> None:
        """It closes."""
        self._stop()
