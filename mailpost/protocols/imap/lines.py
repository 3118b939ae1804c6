"""Lines from the client that are no commands: answers to challenges, and DONE. RFC: 3501 §2.2.1, 2177"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailpost.wire.imap.commands import ParseError
from mailpost.wire.imap.decoder import Decoder, RawLine


class Lines:
    """Gives the next such line to the command that waits for it."""

    __slots__ = ("_came", "_decoder", "_waiting")

    def __init__(self, decoder: Decoder, came: Callable[[], None]) -> None:
        """Take lines from the decoder; call `came` for each."""
        self._decoder = decoder
        self._came = came
        self._waiting: Deferred[bytes] | None = None

    @property
    def awaited(self) -> bool:
        """Whether a command waits for one."""
        return self._waiting is not None

    def next(self) -> Deferred[bytes]:
        """The next line; it may be there already. May be cancelled: then what comes is a command again."""
        line: Deferred[bytes] = Deferred(self._forget)
        self._waiting = line
        self._decoder.raw_lines = True
        self.look()
        return line

    def look(self) -> None:
        """More octets have come: give the line that is waited for, if it is whole."""
        event, waiting = self._decoder.next_event(), self._waiting
        if event is None or waiting is None:
            return
        self._forget(waiting)
        self._came()
        if isinstance(event, RawLine):
            waiting.callback(event.octets)
        else:
            waiting.errback(Failure(ParseError("Line too long")))

    def _forget(self, _: Deferred[bytes]) -> None:
        self._waiting = None
        self._decoder.raw_lines = False
