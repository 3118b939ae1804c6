"""The POP3 server: Twisted's class with another session inside.

`MailpostPOP3` is a `twisted.mail.pop3.POP3`: the do_* methods, `listCapabilities`, the portal, the factory and the idle
timer are the base class's. Replaced is how commands come in (one at a time, in bounded memory), and every command,
since each of the base class's has a fault that no override of a part of it could mend. A subclass may add or override
do_* methods, which get their arguments as bytes and may be `async`; they answer through `successResponse`,
`failResponse` and `sendLine`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.mail import pop3
from twisted.python.failure import Failure

from mailpost.protocols.connection import ConnectionRecord, Connections, tls_exporter
from mailpost.protocols.factory import MailboxFactory
from mailpost.protocols.link import Link, the_reactor
from mailpost.protocols.login import Login
from mailpost.protocols.pop3.authorization import Authorization
from mailpost.protocols.pop3.maildrop import Maildrop
from mailpost.protocols.pop3.session import Session, not_now
from mailpost.protocols.pop3.settings import Pop3Settings
from mailpost.protocols.pop3.transaction import Transaction
from mailpost.protocols.sasl import SaslServer
from mailpost.wire.pop3 import responses
from mailpost.wire.pop3.commands import CommandError


class MailpostPOP3(Authorization, Transaction, pop3.POP3):
    """One POP3 connection."""

    transport: Any
    factory: Any
    record: ConnectionRecord
    send: Callable[[bytes], None]
    set_reading: Callable[[bool], None]
    hang_up: Callable[[str], None]
    mbox: Maildrop | None
    portal: Portal | None  # type: ignore[assignment]

    AUTH_CMDS = [b"CAPA", b"USER", b"PASS", b"AUTH", b"STLS", b"UTF8", b"LANG", b"QUIT"]
    """Commands that need no login. RFC: 1939 §4"""
    BEFORE_LOGIN = [b"USER", b"PASS", b"AUTH", b"STLS", b"UTF8"]
    """Commands that are over with it."""

    # Of the base class: insecure (see `authorization`), obsolete (RFC 1460), a joke.
    do_APOP = do_LAST = do_RPOP = None  # type: ignore[assignment]

    def __init__(
        self,
        *,
        settings: Pop3Settings | None = None,
        tls: Any = None,
        challengers: dict[bytes, Any] | None = None,
        clock: IReactorTime | None = None,
        connections: Connections | None = None,
        login: Login | None = None,
    ) -> None:
        """As a `POP3Factory` makes it for all its connections."""
        self.settings = settings or Pop3Settings()
        self.tls = tls
        self.challengers = challengers or {}
        self.clock = clock or the_reactor()
        self.timeOut = self.settings.login_timeout
        self.magic = self.settings.hostname.encode("ascii", "replace") + b" mailpost ready"
        self._connections = Connections(0, 0) if connections is None else connections
        self._login = login or Login(self.clock, self._connections)

    # -- the transport

    def connectionMade(self) -> None:
        """A client is there: greet it, if it may come in. RFC: 1939 §4"""
        link = self._link = Link("POP3", self, self._connections)
        self.record = link.record
        self.send, self.set_reading, self.hang_up = link.send, link.set_reading, link.hang_up
        self.session = Session(self, self.settings, self.clock, link.outflow)
        self.sasl = SaslServer(
            self._login,
            self.record,
            protocol="POP3",
            portal=self.portal,
            allow_plaintext_auth=self.settings.allow_plaintext_auth,
            channel_binding=lambda: tls_exporter(self.transport),
            challengers=self.challengers,
        )
        if link.admitted:
            super().connectionMade()
            self.session.flush()
        else:
            self.session.say_goodbye(b"Too many connections from your address", "too many connections")

    def dataReceived(self, data: bytes) -> None:
        """Octets have come."""
        if not self._link.hung_up:
            self.record.octets_in += len(data)
            self.session.queue.data_received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone: everything is given back."""
        self.session.connection_lost()
        super().connectionLost(reason)
        self._link.lost(reason)

    def callLater(self, delay: float, call: Callable[[], None]) -> IDelayedCall:
        """The clock of the base class's idle timer."""
        return self.clock.callLater(delay, call)

    def timeoutConnection(self) -> None:
        """Nothing has come for too long: close without a word. While a command runs the client is not to blame.

        RFC: 1939 §3 (autologout)
        """
        if self._link.hung_up:
            return
        if self.session.queue.busy:
            self.setTimeout(self.timeOut)
        else:
            self.session.say_goodbye(b"", "idle too long")

    def say_goodbye(self, text: bytes) -> None:
        """Tell the client why and close."""
        self.session.say_goodbye(text, "the server closes")

    # -- what the session needs (session.Connection)

    def command_came(self) -> None:
        """The client is there: the idle time begins anew."""
        self.resetTimeout()

    def find(self, name: str) -> Callable[..., Any]:
        """The method of a command, if this is its time. Raises CommandError."""
        run: Callable[..., Any] | None = getattr(self, f"do_{name}", None)
        if run is None:
            raise CommandError("There is no such command")
        if self.mbox is None and name.encode() not in self.AUTH_CMDS:
            raise not_now("after login")
        if self.mbox is not None and name.encode() in self.BEFORE_LOGIN:
            raise not_now("before login")
        return run

    def entered(self, maildrop: Maildrop) -> None:
        """Somebody has logged in."""
        self.mbox = maildrop
        self.timeOut = self.settings.idle_timeout
        self.setTimeout(self.timeOut)

    # -- what commands need

    @property
    def tls_possible(self) -> bool:
        """Whether STLS is offered: there is TLS, it is not on yet, and nobody has logged in. RFC: 2595 §4"""
        return self.tls is not None and not self.record.encrypted and self.mbox is None

    def start_tls(self) -> None:
        """Begin TLS."""
        self._link.start_tls(self.tls)

    def successResponse(self, message: object = b"") -> None:
        """Answer +OK."""
        self.session.write(responses.ok(_octets(message)))

    def failResponse(self, message: object = b"") -> None:
        """Answer -ERR."""
        self.session.write(responses.error(_octets(message)))

    def sendLine(self, line: bytes) -> None:
        """Write a line."""
        self.session.write(line + b"\r\n")


def _octets(message: object) -> bytes:
    return message if isinstance(message, bytes) else str(message).encode()


class POP3Factory(MailboxFactory[Pop3Settings]):
    """Makes POP3 connections. The portal's realm gives `IMailAccount`s that are `IMaildropAccount`s too."""

    protocol: type[MailpostPOP3] = MailpostPOP3
    default_settings = Pop3Settings()

    def buildProtocol(self, addr: IAddress | None) -> MailpostPOP3:
        """A connection."""
        server = self.protocol(
            settings=self.settings,
            tls=self.tls,
            challengers=dict(self.challengers),
            clock=self.clock,
            connections=self.connections,
            login=self.login,
        )
        server.factory = self
        server.portal = self.portal
        return server
