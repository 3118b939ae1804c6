"""A connection's octets, to and from its transport, compressed or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from mailpost.protocols.imap.compression import Compression
from mailpost.protocols.link import Link


class OctetStream:
    """What goes over one transport."""

    def __init__(
        self,
        transport: Any,
        clock: IReactorTime,
        link: Link,
        received: Callable[[bytes], None],
        hang_up: Callable[[str], None],
    ) -> None:
        """Give what comes, inflated, to `received`; end the connection by `hang_up` where that cannot be done."""
        self._transport = transport
        self._clock = clock
        self._link = link
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
            self._link.send(data)

    def data_received(self, data: bytes) -> None:
        """Octets have come."""
        self._link.record.octets_in += len(data)
        if self._compression is None:
            self._received(data)
        else:
            self._compression.data_received(data)

    def set_reading(self, reading: bool) -> None:
        """Stop reading from the transport, or go on."""
        if self._compression is not None:
            self._compression.set_reading(reading)
        else:
            self._link.set_reading(reading)

    def compress(self) -> None:
        """Begin compression. RFC: 4978 §3"""
        self._compression = Compression(
            self._transport,
            self._clock,
            send=self._link.send,
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
