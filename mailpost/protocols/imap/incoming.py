"""Message literals on their way in: each goes to its sink as it arrives, and none is left behind.

RFC: 3501 §4.3, §6.3.11, 7888 (literals that do not wait)
"""

from __future__ import annotations

from inspect import isawaitable

from mailpost.protocols.imap.commands.context import LiteralSink


class Incoming:
    """The message literals of the command that is arriving."""

    __slots__ = ("_broken", "_sink", "complete")

    def __init__(self) -> None:
        self.complete: list[LiteralSink] = []
        """Those that have arrived, in their order."""
        self._sink: LiteralSink | None = None
        self._broken: Exception | None = None

    def begin(self, sink: LiteralSink) -> None:
        """A literal was let in and goes there."""
        self._sink = sink

    async def take(self, octets: bytes, last: bool) -> None:
        """A piece of it has come. After an error all that follows is dropped: `check` tells of it."""
        sink = self._sink
        if sink is None:
            return
        try:
            waiting = sink.write(octets)
            if isawaitable(waiting):
                await waiting
        except Exception as error:
            self.abort()
            self._broken = error
            return
        if last:
            self.complete.append(sink)
            self._sink = None

    def check(self) -> None:
        """Raise what went wrong with a literal of this command, once."""
        broken, self._broken = self._broken, None
        if broken is not None:
            raise broken

    def abort(self) -> None:
        """The command has come to its end: throw away what it did not take."""
        if self._sink is not None:
            self.complete.append(self._sink)
            self._sink = None
        for sink in self.complete:
            sink.abort()
        self.complete.clear()
        self._broken = None
