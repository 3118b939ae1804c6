"""One client's connection, whatever is spoken on it: counted, written to, closed in good order, logged in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from mailpost.protocols.connection import (
    ConnectionRecord,
    Connections,
    acknowledge_at_once,
    address_of,
    is_encrypted,
    keep_alive,
    send_now,
    why_lost,
)
from mailpost.protocols.outflow import Outflow
from mailpost.protocols.settings import ConnectionSettings

LINGER = 10.0
"""Seconds that a closing connection gets to take what was written for it, before it is cut."""
SENT_AT_ONCE = 16 << 10
"""Answers up to so many octets are not left for the next turn of the reactor; longer ones are, in fairness."""


class Server(Protocol):
    """What speaks a protocol, on a transport."""

    transport: Any
    clock: IReactorTime

    @property
    def settings(self) -> ConnectionSettings:
        """Its limits and times."""

    def say_goodbye(self, text: bytes) -> None:
        """Tell the client why and close."""


class Link:
    """What a protocol has of its connection, from `connectionMade` to `connectionLost`.

    Attributes:
        record: what will be logged of it.
        outflow: whether the client reads what is written. Nobody has registered it yet.
        admitted: it is counted; otherwise its address has too many, and it is to be told so and closed.
        hung_up: the end has begun: nothing that comes is read any more.
    """

    def __init__(self, protocol: str, server: Server, connections: Connections) -> None:
        """Count a connection that was made, among those of the same listeners; `protocol` is for the log."""
        self._server = server
        self._transport = server.transport
        self._connections = connections
        self._last_call: IDelayedCall | None = None
        keep_alive(self._transport)
        self.record = ConnectionRecord(protocol, address_of(self._transport), server.clock)
        self.record.encrypted = is_encrypted(self._transport)
        self.outflow = Outflow(self._transport, server.clock, server.settings.write_timeout, self.cut)
        self.hung_up = False
        self.admitted = connections.enter(self, self.record.address)

    def send(self, data: bytes) -> None:
        """Write to the transport; a short answer goes out in this turn of the reactor."""
        self.record.octets_out += len(data)
        self._transport.write(data)
        if len(data) <= SENT_AT_ONCE:
            send_now(self._transport)

    def acknowledge_at_once(self) -> None:
        """The client is about to send more, and what it has sent has no answer of its own."""
        acknowledge_at_once(self._transport)

    def set_reading(self, reading: bool) -> None:
        """Stop reading from the transport, or go on."""
        if reading:
            self._transport.resumeProducing()
        else:
            self._transport.pauseProducing()

    def start_tls(self, context: Any) -> None:
        """Begin TLS; what was written before is sent without."""
        self._transport.startTLS(context)
        self.record.encrypted = True

    def say_goodbye(self, text: bytes) -> None:
        """Tell the client why and close, as the protocol does it."""
        self._server.say_goodbye(text)

    def hang_up(self, reason: str) -> None:
        """Close when all is written."""
        if not self.hung_up:
            self.hung_up = True
            self.record.reason = reason
            self.outflow.unregister()
            self._last_call = self._server.clock.callLater(LINGER, self.cut)
            self._transport.loseConnection()

    def cut(self) -> None:
        """Close without another word."""
        self.hung_up = True
        self.record.reason += ", cut"
        self.outflow.unregister()
        abort: Callable[[], None] = getattr(self._transport, "abortConnection", self._transport.loseConnection)
        abort()

    def lost(self, reason: Failure) -> None:
        """The connection is gone: the last thing that its protocol does, when all else has been given back."""
        self.outflow.stop()
        if isinstance(reason, Failure) and not (self.hung_up or reason.check(ConnectionDone)):
            self.record.reason = why_lost(reason)
        if self._last_call is not None and self._last_call.active():
            self._last_call.cancel()
        if self.admitted:
            self.admitted = False
            self._connections.leave(self, self.record.address)
        self.record.close()


def the_reactor() -> IReactorTime:
    """The clock of a server that was given none."""
    from twisted.internet import reactor  # noqa: PLC0415 (importing it installs it)

    return cast(IReactorTime, reactor)
