"""COMPRESS=DEFLATE: a layer between a session and its transport.

Output is flushed with every write, so that an answer never waits in the compressor. Input is inflated in pieces, and
only as the session reads: what a client can make of a few octets sits in nobody's memory, and a session which has
asked for silence leaves the rest where it is, compressed.

Compressed input is also cut behind every flush, which a client does behind each command it wants an answer to. So
what follows UNAUTHENTICATE, where the client's compression ends, has not been taken for a part of the stream.

RFC: 4978 §3, 8437 §4.1, 1951
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import directlyProvides, providedBy

PIECE = 16 << 10
"""Octets that are inflated at a time."""
PIECES_IN_TURN = 16
"""So many pieces in a row; then other connections get their turn."""
LEVEL = 3
"""Of 1 to 9; above it little is gained on mail for much time."""

_FLUSHED = b"\0\0\xff\xff"
"""How the octets of a flush end. RFC: 1951 §3.2.4 (an empty stored block)"""
_WINDOW = -15
"""The largest, without zlib's own header. RFC: 4978 §4"""


class Compression:
    """Compression of one connection, from the OK of COMPRESS on. To writers it is the transport."""

    def __init__(
        self,
        transport: Any,
        clock: IReactorTime,
        *,
        send: Callable[[bytes], None],
        received: Callable[[bytes], None],
        broken: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        """Compress what is written to this transport.

        Args:
            transport: gets everything but what is written.
            clock: the reactor.
            send: takes the compressed octets.
            received: takes inflated ones, and the raw ones behind the end.
            broken: the client sends what is no such stream.
            ended: the client's end has come, after `end`; nothing has been left here but what it will be given.
        """
        directlyProvides(self, providedBy(transport))
        self.transport = transport
        self._clock = clock
        self._send = send
        self._received = received
        self._broken = broken
        self._ended = ended
        self._deflating = zlib.compressobj(LEVEL, zlib.DEFLATED, _WINDOW)
        self._inflating = zlib.decompressobj(_WINDOW)
        self._held = b""
        """Octets as they came, the latest three of which may have been inflated already."""
        self._next = 0
        """Where in these what has not been inflated begins."""
        self._flush = 0
        """Where in these the octets since the latest flush begin."""
        self._more = False
        """The latest piece was full: there may be more without further octets."""
        self._reading = True
        self._flowing = True
        self.ending = False
        """Only the client's end is waited for."""
        self._done = False
        self._at_work = False
        self._later: IDelayedCall | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    # -- output

    def write(self, data: bytes) -> None:
        """Compress and send."""
        self._send(self._deflating.compress(data) + self._deflating.flush(zlib.Z_SYNC_FLUSH))

    def writeSequence(self, pieces: Iterable[bytes]) -> None:
        """The same of several pieces."""
        self.write(b"".join(pieces))

    # -- input

    def data_received(self, data: bytes) -> None:
        """Compressed octets have come."""
        keep = max(self._flush, self._next - len(_FLUSHED) + 1)
        self._held = self._held[keep:] + data
        self._next -= keep
        self._flush = 0
        self._deliver()

    def set_reading(self, reading: bool) -> None:
        """The session wants no more for the moment, or wants more."""
        self._reading = reading
        self._deliver()

    def end(self) -> None:
        """The command that was received last was UNAUTHENTICATE: neither side compresses behind it."""
        self.ending = True
        if not (self._at_work or self._waiting):
            self._find_end()

    def drop(self) -> None:
        """The connection is closing: nothing that is here or comes is read."""
        self._done = True
        self._held, self._next, self._flush, self._more = b"", 0, 0, False
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._let_flow(True)

    def _deliver(self) -> None:
        """Give the session what it will take of what is here."""
        if self._at_work or self._later is not None:
            return
        self._at_work = True
        try:
            self._pieces()
        except zlib.error:
            self._broken()
        finally:
            self._at_work = False
        if not self._done:
            self._let_flow(self._reading and not self._waiting)

    @property
    def _waiting(self) -> bool:
        return self._more or self._next < len(self._held)

    def _pieces(self) -> None:
        for _ in range(PIECES_IN_TURN):
            if self._done or (self._waiting and not self._reading) or self._find_end() or not self._waiting:
                return
            piece = self._piece()
            if piece and self.ending:
                raise zlib.error("commands behind the last")
            if piece:
                self._received(piece)
        if not self._done:
            self._later = self._clock.callLater(0, self._go_on)

    def _piece(self) -> bytes:
        """Inflate a little, at most up to the next flush."""
        if self._inflating.eof:
            raise zlib.error("octets behind the end")
        flushed = self._held.find(_FLUSHED, max(self._flush, self._next - len(_FLUSHED) + 1))
        stop = len(self._held) if flushed < 0 else flushed + len(_FLUSHED)
        piece = self._inflating.decompress(self._held[self._next : stop], PIECE)
        self._next = stop - len(self._inflating.unconsumed_tail or self._inflating.unused_data)
        self._more = len(piece) == PIECE
        if flushed >= 0 and self._next == stop and not self._more:
            self._flush = stop
        return piece

    def _find_end(self) -> bool:
        """See whether the client's stream has ended where it should; then this layer has, too."""
        if not self.ending or not (self._inflating.eof or self._next == self._flush) or self._more:
            return False
        rest = self._held[self._next :]
        self._done = True
        self._let_flow(self._reading)
        self._ended()
        if rest:
            self._received(rest)
        return True

    def _go_on(self) -> None:
        self._later = None
        self._deliver()

    def _let_flow(self, flowing: bool) -> None:
        if flowing is not self._flowing:
            self._flowing = flowing
            if flowing:
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()
