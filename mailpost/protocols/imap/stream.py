"""A connection's octets, to and from its transport, compressed or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from mailpost.protocols.connection import ConnectionRecord, send_now
from mailpost.protocols.imap.compression import Compression

SENT_AT_ONCE = 16 << 10
"""Answers up to so many octets are not left for the next turn of the reactor; longer ones are, in fairness."""


class OctetStream:
    """What goes over one transport."""

    def __init__(
        self,
        transport: Any,
        clock: IReactorTime,
        record: ConnectionRecord,
        received: Callable[[bytes], None],
        hang_up: Callable[[str], None],
    ) -> None:
        """Give what comes, inflated, to `received`; end the connection by `hang_up` where that cannot be done."""
        self._transport = transport
        self._clock = clock
        self._record = record
        self._received = received
        self._hang_up = hang_up
        self._compression: Compression | None = None

    @property
    def transport(self) -> Any:
        """What is to be written to by those that know of no compression."""
        return self._compression if self.compressed else self._transport

    @property
    def compressed(self) -> bool:
        """Whether what is sent is compressed."""
        return self._compression is not None and not self._compression.ending

    def send(self, data: bytes) -> None:
        """Write; a short answer goes out in this turn of the reactor."""
        if self._compression is not None and not self._compression.ending:
            self._compression.write(data)
        else:
            self._send_as_is(data)

    def _send_as_is(self, data: bytes) -> None:
        self._record.octets_out += len(data)
        self._transport.write(data)
        if len(data) <= SENT_AT_ONCE:
            send_now(self._transport)

    def data_received(self, data: bytes) -> None:
        """Octets have come."""
        self._record.octets_in += len(data)
        if self._compression is None:
            self._received(data)
        else:
            self._compression.data_received(data)

    def set_reading(self, reading: bool) -> None:
        """Stop reading from the transport, or go on."""
        if self._compression is not None:
            self._compression.set_reading(reading)
        elif reading:
            self._transport.resumeProducing()
        else:
            self._transport.pauseProducing()

    def compress(self) -> None:
        """Begin compression. RFC: 4978 §3"""
        self._compression = Compression(
            self._transport,
            self._clock,
            send=self._send_as_is,
            received=self._received,
            broken=lambda: self._hang_up("what came is not compressed"),
            ended=self._forget,
        )

    def uncompress(self) -> None:
        """End compression: ours at once, the client's behind the command that was received last. RFC: 8437 §4.1"""
        if self._compression is not None:
            self._compression.end()

    def drop(self) -> None:
        """The connection is closing: nothing more is read."""
        if self._compression is not None:
            self._compression.drop()

    def _forget(self) -> None:
        self._compression = None
