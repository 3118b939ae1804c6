"""The connections of SMTP and LMTP: transport, time, TLS.

On Twisted's plain `Protocol`, not on its `smtp.ESMTP`, which reads lines in a way that lets a client run the body of a
message as commands, and answers pipelined commands out of order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

from mailpost.delivery.interfaces import IReceiver
from mailpost.protocols.connection import (
    LINGER,
    ConnectionRecord,
    Connections,
    Outflow,
    address_of,
    is_encrypted,
    keep_alive,
    send_now,
    why_lost,
)
from mailpost.protocols.smtp.dialect import Dialect
from mailpost.protocols.smtp.incoming import Commit
from mailpost.protocols.smtp.session import Session
from mailpost.protocols.smtp.settings import SmtpSettings

SENT_AT_ONCE = 16 << 10
"""Answers up to so many octets are not left for the next turn of the reactor."""


class SmtpServer(Protocol, TimeoutMixin):
    """One connection. A subclass names its dialect."""

    transport: Any
    factory: SmtpFactory
    dialect: Dialect

    def __init__(self, factory: SmtpFactory) -> None:
        """A connection of this factory."""
        self.factory = factory
        self.settings = factory.settings
        self.clock = factory.clock
        self._counted = False
        self._hung_up = False
        self._cut: IDelayedCall | None = None

    @property
    def receiver(self) -> IReceiver:
        """Who takes the messages."""
        return self.factory.receiver

    @property
    def commits(self) -> set[Commit]:
        """Messages that are being taken, of all connections."""
        return self.factory.commits

    # -- the transport

    def connectionMade(self) -> None:
        """A client is there: greet it, if it may come in. RFC: 5321 §3.1"""
        transport = self.transport
        keep_alive(transport)
        self.record = ConnectionRecord(self.dialect.name, address_of(transport), self.clock)
        self.record.encrypted = is_encrypted(transport)
        outflow = self._outflow = Outflow(transport, self.clock, self.settings.write_timeout, self.cut)
        outflow.register()
        self.session = Session(self, self.dialect, self.settings, self.clock, outflow)
        self._counted = self.factory.connections.enter(self, self.record.address)
        if not self._counted:
            self.session.say_goodbye("Too many connections from your address", "too many connections")
            return
        self.setTimeout(self.idle_timeout)
        self.session.greet()
        self.session.flush()

    @property
    def idle_timeout(self) -> int:
        """Seconds without an octet after which the connection is closed."""
        return self.settings.idle_timeout

    def dataReceived(self, data: bytes) -> None:
        """Octets have come."""
        if not self._hung_up:
            self.record.octets_in += len(data)
            self.session.queue.data_received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone: everything is given back."""
        self.setTimeout(None)
        self.session.connection_lost()
        self._outflow.stop()
        if not (self._hung_up or reason.check(ConnectionDone)):
            self.record.reason = why_lost(reason)
        if self._cut is not None and self._cut.active():
            self._cut.cancel()
        if self._counted:
            self._counted = False
            self.factory.connections.leave(self, self.record.address)
        self.record.close()

    def callLater(self, delay: float, call: Callable[[], None]) -> IDelayedCall:
        """The clock of the idle timer."""
        return self.clock.callLater(delay, call)

    def timeoutConnection(self) -> None:
        """Nothing has come for too long. While a command runs the client is not to blame. RFC: 5321 §4.5.3.2.7"""
        if self._hung_up:
            return
        if self.session.queue.busy:
            self.setTimeout(self.idle_timeout)
            return
        self.session.say_goodbye("Nothing has come for too long", "idle too long")

    def say_goodbye(self, text: bytes) -> None:
        """Tell the client why and close."""
        self.session.say_goodbye(text.decode("ascii", "replace"), "the server closes")

    def cut(self) -> None:
        """Close without another word."""
        self._hung_up = True
        self.record.reason += ", cut"
        self._outflow.unregister()
        abort: Callable[[], None] = getattr(self.transport, "abortConnection", self.transport.loseConnection)
        abort()

    # -- what the session needs

    def send(self, data: bytes) -> None:
        """Write to the transport; a short answer goes out in this turn of the reactor."""
        self.record.octets_out += len(data)
        self.transport.write(data)
        if len(data) <= SENT_AT_ONCE:
            send_now(self.transport)

    def set_reading(self, reading: bool) -> None:
        """Stop reading from the transport, or go on."""
        if reading:
            self.transport.resumeProducing()
        else:
            self.transport.pauseProducing()

    def restart_idle_time(self) -> None:
        """The client is there, and it is its turn: its idle time begins anew."""
        self.resetTimeout()

    def hang_up(self, reason: str) -> None:
        """Close when all is written."""
        if not self._hung_up:
            self._hung_up = True
            self.record.reason = reason
            self._outflow.unregister()
            self._cut = self.clock.callLater(LINGER, self.cut)
            self.transport.loseConnection()


class SmtpFactory(ServerFactory):
    """Makes the connections of one or more listeners, which share limits."""

    protocol: type[SmtpServer]  # type: ignore[assignment]  # whose connections know this very class
    noisy = False
    settings: SmtpSettings

    def __init__(
        self,
        receiver: IReceiver,
        settings: SmtpSettings,
        *,
        connections: Connections | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        """Give what comes to this receiver; `clock` is the reactor, or a Clock in tests."""
        self.receiver = receiver
        self.settings = settings
        self.clock = clock or _reactor()
        self.connections = Connections(settings.connections_per_address, 0) if connections is None else connections
        self.commits: set[Commit] = set()

    def buildProtocol(self, addr: IAddress | None) -> SmtpServer:  # type: ignore[override]
        """A connection."""
        return self.protocol(self)

    async def close(self, text: bytes = b"Server shutting down") -> None:
        """Say 421 to all clients; answers when they are gone, and what they have handed over is where it belongs."""
        await self.connections.close(text, self.clock)
        while self.commits:
            await next(iter(self.commits))


def _reactor() -> IReactorTime:
    from twisted.internet import reactor  # noqa: PLC0415 (importing it installs it)

    return cast(IReactorTime, reactor)
