"""The connections of SMTP and LMTP: transport, time, TLS.

On Twisted's plain `Protocol`, not on its `smtp.ESMTP`, which reads lines in a way that lets a client run the body of a
message as commands, and answers pipelined commands out of order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

from mailpost.delivery.interfaces import IReceiver
from mailpost.protocols.connection import ConnectionRecord, Connections
from mailpost.protocols.link import Link, the_reactor
from mailpost.protocols.smtp.dialect import Dialect
from mailpost.protocols.smtp.incoming import Commit
from mailpost.protocols.smtp.session import Session
from mailpost.protocols.smtp.settings import SmtpSettings


class SmtpServer(Protocol, TimeoutMixin):
    """One connection. A subclass names its dialect."""

    transport: Any
    record: ConnectionRecord
    send: Callable[[bytes], None]
    set_reading: Callable[[bool], None]
    hang_up: Callable[[str], None]
    factory: SmtpFactory
    dialect: Dialect

    def __init__(self, factory: SmtpFactory) -> None:
        """A connection of this factory."""
        self.factory = factory
        self.settings = factory.settings
        self.clock = factory.clock

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
        link = self._link = Link(self.dialect.name, self, self.factory.connections)
        self.record = link.record
        self.send, self.set_reading, self.hang_up = link.send, link.set_reading, link.hang_up
        link.outflow.register()
        self.session = Session(self, self.dialect, self.settings, self.clock, link.outflow)
        if not link.admitted:
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
        if not self._link.hung_up:
            self.record.octets_in += len(data)
            self.session.queue.data_received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone: everything is given back."""
        self.setTimeout(None)
        self.session.connection_lost()
        self._link.lost(reason)

    def callLater(self, delay: float, call: Callable[[], None]) -> IDelayedCall:
        """The clock of the idle timer."""
        return self.clock.callLater(delay, call)

    def timeoutConnection(self) -> None:
        """Nothing has come for too long. While a command runs the client is not to blame. RFC: 5321 §4.5.3.2.7"""
        if self._link.hung_up:
            return
        if self.session.queue.busy:
            self.setTimeout(self.idle_timeout)
            return
        self.session.say_goodbye("Nothing has come for too long", "idle too long")

    def say_goodbye(self, text: bytes) -> None:
        """Tell the client why and close."""
        self.session.say_goodbye(text.decode("ascii", "replace"), "the server closes")

    # -- what the session needs

    def restart_idle_time(self) -> None:
        """The client is there, and it is its turn: its idle time begins anew."""
        self.resetTimeout()


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
        self.clock = clock or the_reactor()
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
