"""Commands in the order they came, one after the other, for protocols of lines: POP3, SMTP, LMTP.

Octets go in as the transport gives them; lines go to an async handler, the next one when the handler is done with the
one before. So answers come in order however long a login or a store takes. What is sent ahead meanwhile waits here;
when it is too much, the transport is not read from.

A handler that is at work may take what follows its command itself: the next `line` (an answer to a SASL challenge),
some `octets` (a chunk whose size is known), or all up to where a consumer finds the end (a message that ends in a line
with a dot). Nothing is decided ahead: octets become lines only when somebody asks for a line.

RFC: 2449 §6.6 (POP3 pipelining), 2920 §3.2 (SMTP pipelining)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from mailpost.wire.receivebuffer import ReceiveBuffer

LONGEST_TURN = 0.01
"""Seconds of commands in a row before other connections get theirs."""
PIECE = 64 << 10
"""Octets that a consumer is given at a time, at most."""

Consumer = Callable[[bytes], "int | Awaitable[int | None] | None"]
"""Takes a piece of what came; answers, now or later, None for "go on", or how many octets of this piece were its last:
the rest is of the next command. While it waits, nothing more is read from the client than the queue holds."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line from the client."""

    octets: bytes
    """Without the line's end, whatever they are; b"" when the line was too long."""
    bare_lf: bool = False
    """It ended in LF alone. Whether that is good enough is the protocol's to say."""
    too_long: bool = False
    """It was longer than it may be. It is being dropped up to its end, however far that is."""


class Session(Protocol):
    """Whom the queue works for. None of these may raise, but for what cancels `handle`."""

    async def handle(self, line: Line) -> None:
        """Run a command and write its answer. Cancelled when the connection is lost."""

    def flush(self) -> None:
        """Send what was written: nothing more will be before something else happens. Called often, cheap if empty."""

    def set_reading(self, reading: bool) -> None:
        """Stop reading from the transport, or go on."""

    def broken(self, failure: Failure) -> None:
        """`handle` has raised: a bug. No further command will be taken."""


class CommandQueue:
    """What one client has sent and nobody has taken yet, and the loop that takes it."""

    def __init__(self, session: Session, clock: IReactorTime, *, line_length: int, ahead: int) -> None:
        """A queue for one connection.

        Args:
            session: gets the commands.
            clock: the reactor, or a Clock in tests.
            line_length: octets of the longest line, its end not counted. May be changed at any time by `line_length`.
            ahead: octets that a client may send while a command runs; beyond it the transport is not read from.
        """
        self.line_length = line_length
        self._session = session
        self._clock = clock
        self._ahead = ahead
        self._buffer = ReceiveBuffer()
        self._dropping = False
        self._task: Deferred[None] | None = None
        self._running = False
        self._waiting: Deferred[None] | None = None
        self._in_turn = False
        self._began = 0.0
        self._reading = True
        self._stopped = False
        self._lost = False

    # -- what the connection tells

    def data_received(self, data: bytes) -> None:
        """Octets have come."""
        if self._stopped:
            return
        self._buffer.feed(data)
        self._proceed()
        if self.busy and self._reading and len(self._buffer) > self._ahead:
            self._read(False)

    def connection_lost(self) -> None:
        """The connection is gone: cancel what is running."""
        self._lost = True
        self.stop()
        if self._task is not None:
            self._task.cancel()

    # -- for sessions

    @property
    def busy(self) -> bool:
        """A command is running that does not wait for the client."""
        return self._running and self._waiting is None

    @property
    def buffered(self) -> int:
        """Octets that have come and nobody has taken. Behind STARTTLS or STLS there must be none: they came clear."""
        return len(self._buffer)

    def stop(self) -> None:
        """Take no further command, and drop all that has come and will come."""
        self._stopped = True
        self._buffer.clear()
        if not self._reading and not self._lost:
            # TLS ends when the client has agreed, which must be read.
            self._read(True)

    async def line(self, most: int | None = None) -> Line:
        """The next line, for the command that is running; of at most so many octets, or the usual limit."""
        while (line := self._next(most or self.line_length)) is None:
            await self._more()
        return line

    async def octets(self, most: int) -> bytes:
        """The next octets, for the command that is running: as many as have come, one at least, at most this many."""
        while not self._buffer:
            await self._more()
        return self._buffer.take(most)

    async def consume(self, consumer: Consumer) -> None:
        """Give the consumer all that comes until it has had enough; what it leaves over is of the next command."""
        while True:
            piece = await self.octets(PIECE)
            answer = consumer(piece)
            taken = answer if answer is None or isinstance(answer, int) else await answer
            if taken is not None:
                self._buffer.put_back(piece[taken:])
                return

    # -- the loop

    def _proceed(self) -> None:
        self._in_turn = True
        self._began = self._clock.seconds()
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)
        elif not self._running:
            self._running = True
            task = self._task = Deferred.fromCoroutine(self._run())
            task.addBoth(self._ended)
            if self._lost:
                task.cancel()
        self._in_turn = False
        self._session.flush()

    async def _run(self) -> None:
        while not self._stopped:
            line = self._next(self.line_length)
            if line is None:
                return
            await self._session.handle(line)
            if self._clock.seconds() - self._began > LONGEST_TURN:
                self._session.flush()
                await deferLater(self._clock, 0)
                self._began = self._clock.seconds()
            elif not self._in_turn:
                self._session.flush()

    def _ended(self, result: Any) -> None:
        self._running = False
        self._task = None
        if self._lost:
            return
        if isinstance(result, Failure):
            self.stop()
            self._session.broken(result)
        elif not self._reading:
            self._read(True)

    def _more(self) -> Deferred[None]:
        """Fires when something has come."""
        waiting: Deferred[None] = Deferred(self._forget)
        self._waiting = waiting
        self._session.flush()
        if not self._reading:
            self._read(True)
        return waiting

    def _forget(self, _: Deferred[None]) -> None:
        self._waiting = None

    def _next(self, most: int) -> Line | None:
        """The next line that has come, or what is to be told of it already; None while there is none."""
        buffer = self._buffer
        whole = buffer.whole_line()
        if self._dropping:
            if whole is None:
                buffer.clear()
                return None
            self._dropping = False
            whole = buffer.whole_line()
        if whole is None:
            # One more may be the CR of an end whose LF is yet to come.
            if len(buffer) > most + 1 or (len(buffer) == most + 1 and not buffer.ends_with(b"\r")):
                buffer.clear()
                self._dropping = True
                return Line(b"", too_long=True)
            return None
        bare = not whole.endswith(b"\r\n")
        octets = whole[: -1 if bare else -2]
        return Line(octets, bare) if len(octets) <= most else Line(b"", too_long=True)

    def _read(self, reading: bool) -> None:
        self._reading = reading
        self._session.set_reading(reading)
