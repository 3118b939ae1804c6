"""What lies between a session and the network, TLS and compression, and the commands that change it.

A change comes behind the answer to its command.

RFC: 3501 §6.2.1, 9051 §6.2.1, 4978 §3, 8437 §4.1
"""

from __future__ import annotations

from collections.abc import Callable

from mailpost.protocols.imap.peer import Connection
from mailpost.wire.imap.commands import ParseError
from mailpost.wire.imap.decoder import Decoder


class Layers:
    """The layers below one session."""

    __slots__ = ("_change", "_close", "_connection", "_decoder", "_pipelined", "ahead")

    def __init__(self, connection: Connection, decoder: Decoder, pipelined: int, close: Callable[[str], None]) -> None:
        """As many octets as `pipelined` may wait in the decoder; `close` ends the session behind a command's answer."""
        self._connection = connection
        self._decoder = decoder
        self._pipelined = pipelined
        self._close = close
        self._change: Callable[[], None] | None = None
        self.ahead = pipelined
        """Octets that may wait for their turn before the connection is not read from."""

    @property
    def due(self) -> bool:
        """The command that has been answered changes something."""
        return self._change is not None

    def change(self, flush: Callable[[], None]) -> None:
        """Do it, behind what was written."""
        flush()
        change, self._change = self._change, None
        if change is not None:
            change()

    def start_tls(self) -> None:
        """Begin TLS; nothing that came before it may be taken as encrypted."""
        self._nothing_behind("STARTTLS")
        self._change = self._connection.upgrade

    def compress(self) -> None:
        """Begin compression; all that comes from now on is a part of it."""
        if self._connection.compressed:
            raise ParseError("DEFLATE is active already")
        self._nothing_behind("COMPRESS")
        self._change = self._compress

    def uncompress(self) -> None:
        """End compression, if there is any."""
        if self._connection.compressed:
            self._change = self._uncompress

    def _compress(self) -> None:
        # One flush of the client's at a time: whether the next is compressed is known when this is done.
        self.ahead = 0
        self._connection.compress()

    def _uncompress(self) -> None:
        self.ahead = self._pipelined
        self._connection.uncompress()

    def _nothing_behind(self, command: str) -> None:
        if self._decoder.buffered:
            self._close(f"commands behind {command}")
            raise ParseError(f"Nothing may be sent behind {command} until it is answered")
