"""The IMAP server protocol: Twisted's `IMAP4Server`, with what a serious server must do otherwise.

Kept from the base class: cred portal and challengers, the state names, the `<state>_<COMMAND>` tables, the methods
that send responses, `IMailboxListener`. Replaced: how octets become commands (`wire.imap.decoder`), how they run
(`session`), and our commands (`commands.table`), which stand in the tables as `Installed` tuples. A subclass may put
its own tuples of a function and argument parsers there, as for the base class.

A subclass that assigns `mbox` itself, instead of letting our SELECT do it, gets the base class's own commands on it.
The base class's hook `checkpoint` is not called: CHECK reports changes like every other command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.cred.credentials import UsernamePassword
from twisted.internet.interfaces import IAddress, IDelayedCall, IHandshakeListener, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.mail import imap4
from twisted.python.failure import Failure
from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.connection import ConnectionRecord, Connections, awaits_handshake
from mailpost.protocols.factory import MailboxFactory
from mailpost.protocols.imap.authentication import ServerAuthentication
from mailpost.protocols.imap.capabilities import ALWAYS, OF_STORES
from mailpost.protocols.imap.commands.context import LiteralSink, State, TlsState
from mailpost.protocols.imap.commands.table import COMMANDS, CommandSpec
from mailpost.protocols.imap.compat import MessageFile
from mailpost.protocols.imap.peer import STOCK, Stock
from mailpost.protocols.imap.session import Session
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.protocols.imap.stock import StockRun
from mailpost.protocols.imap.stream import OctetStream
from mailpost.protocols.link import Link, the_reactor
from mailpost.protocols.login import LoggedIn, Login
from mailpost.storage.interfaces import IMailAccount
from mailpost.wire.imap.decoder import CommandLine


class Installed(tuple[Any, ...]):
    """An entry of the command tables that stands for a command of ours; as a tuple it is the base class's entry."""

    spec: CommandSpec

    @classmethod
    def over(cls, stock: Sequence[Any], spec: CommandSpec) -> Installed:
        """The entry for this command, which the base class has as `stock`, or as ()."""
        entry = cls(stock)
        entry.spec = spec
        return entry


@implementer(IHandshakeListener)
class MailpostIMAP4Server(imap4.IMAP4Server):
    """One IMAP connection."""

    transport: Any
    challengers: Any
    portal: Any
    record: ConnectionRecord
    _onLogout: Callable[[], None] | None

    def __init__(
        self,
        chal: dict[bytes, Any] | None = None,
        contextFactory: Any = None,  # noqa: N803 (the base class's name)
        scheduler: Any = None,
        *,
        settings: ImapSettings | None = None,
        clock: IReactorTime | None = None,
        connections: Connections | None = None,
        login: Login | None = None,
    ) -> None:
        """As the base class; and what an `IMAPFactory` gives to all its connections."""
        super().__init__(chal, contextFactory, scheduler)
        self.settings = settings or ImapSettings()
        self.clock = clock or the_reactor()
        self.timeOut = self.settings.login_timeout
        self.POSTAUTH_TIMEOUT = self.settings.idle_timeout
        self.IDENT = self.settings.hostname.encode("ascii", "replace") + b" mailpost ready"
        self._connections = Connections(0, 0) if connections is None else connections
        self._login = login or Login(self.clock, self._connections)
        self._stock_run: StockRun | None = None
        self._greeting_due = False

    # -- the transport

    def connectionMade(self) -> None:
        """A client is there: greet it, if it may come in."""
        link = self._link = Link("IMAP", self, self._connections)
        self.record = link.record
        self.authentication = ServerAuthentication(self, self.settings, self._login)
        self.session = Session(self, self.settings, self.clock, link.outflow, self.authentication)
        self._stream = OctetStream(self.transport, self.clock, link, self.session.data_received, self.hang_up)
        if link.admitted:
            super().connectionMade()
        else:
            self.session.say_goodbye(b"[UNAVAILABLE] Too many connections from your address", "too many connections")

    def sendServerGreeting(self) -> None:
        """Greet the client; where TLS comes first, behind it: only then is it known what can be announced."""
        self._greeting_due = awaits_handshake(self.transport, self)
        if not self._greeting_due:
            super().sendServerGreeting()

    def handshakeCompleted(self) -> None:
        """TLS is there."""
        if self._greeting_due:
            self.sendServerGreeting()

    def dataReceived(self, data: bytes) -> None:
        """Octets have come."""
        if not self._link.hung_up:
            self._stream.data_received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone: everything is given back."""
        self.session.connection_lost()
        self._stream.drop()
        super().connectionLost(reason)
        self._link.lost(reason)

    def callLater(self, delay: float, call: Callable[[], None]) -> IDelayedCall:
        """The clock of the base class's idle timer."""
        return self.clock.callLater(delay, call)

    def timeoutConnection(self) -> None:
        """Nothing has come for too long. While a command runs the client is not to blame."""
        if self._link.hung_up:
            return
        if self.session.busy:
            self.setTimeout(self.timeOut)
            return
        self.session.say_goodbye(b"Autologout; connection idle too long", "idle too long")
        self.session.deselect()
        self.state = "timeout"

    def say_goodbye(self, text: bytes) -> None:
        """Tell the client why and close."""
        self.session.say_goodbye(text, "the server closes")

    # -- what the session needs (peer.Connection)

    def send(self, data: bytes) -> None:
        """Write to the transport; a short answer goes out in this turn of the reactor."""
        self._stream.send(data)

    def acknowledge_at_once(self) -> None:
        """The client is about to send more of a command."""
        self._link.acknowledge_at_once()

    def set_reading(self, reading: bool) -> None:
        """Stop reading from the transport, or go on."""
        self._stream.set_reading(reading)

    def command_came(self) -> None:
        """The client is there: the idle time begins anew."""
        self.resetTimeout()

    def hang_up(self, reason: str) -> None:
        """Close when all is written."""
        if not self._link.hung_up:
            self._stream.drop()
            self._link.hang_up(reason)

    def upgrade(self) -> None:
        """Begin TLS."""
        self._link.start_tls(self.ctx)
        self.startedTLS = True

    @property
    def compressed(self) -> bool:
        """Whether COMPRESS is active."""
        return self._stream.compressed

    def compress(self) -> None:
        """Begin compression."""
        self._stream.compress()
        self.transport = self._stream.transport

    def uncompress(self) -> None:
        """End compression."""
        self._stream.uncompress()
        self.transport = self._stream.transport

    def logged_in(self, login: LoggedIn) -> None:
        """Somebody is in: remember how to log out."""
        self._onLogout = login.log_out
        self.setTimeout(self.POSTAUTH_TIMEOUT)

    def logged_out(self) -> None:
        """Nobody is in any more: give back what the login took."""
        log_out, self._onLogout = self._onLogout, None
        self.account = None
        self.state = State.NOT_AUTHENTICATED.value
        self.setTimeout(self.settings.login_timeout)
        if log_out is not None:
            log_out()

    def authenticateLogin(self, user: bytes, passwd: bytes) -> Any:
        """Ask the portal; to be overridden as the base class's."""
        if self.portal is None:
            raise MailError(ErrorKind.UNAVAILABLE, "Logins are not possible at the moment")
        return self.portal.login(UsernamePassword(user, passwd), None, IMailAccount, imap4.IAccount)

    # -- what is announced

    def capabilities(self) -> dict[bytes, list[bytes] | None]:
        """What is announced in the present state: names, with values where they have some.

        RFC: 3501 §6.1.1, 2595 §3.2 (LOGINDISABLED)
        """
        announced: dict[bytes, list[bytes] | None] = {name.encode(): None for name in ALWAYS}
        lacks = getattr(self.session.account, "lacks", ())
        announced.update({name.encode(): None for name in OF_STORES if name not in lacks})
        announced[b"APPENDLIMIT=%d" % self.settings.message_size] = None
        if self.settings.unauthenticate:
            announced[b"UNAUTHENTICATE"] = None
        if self.state == "unauth":
            if self.authentication.tls is TlsState.POSSIBLE:
                announced[b"STARTTLS"] = None
            if not self.authentication.password_permitted:
                announced[b"LOGINDISABLED"] = None
            announced[b"AUTH"] = [name.encode() for name in self.authentication.mechanisms()]
        return announced

    # -- the command tables

    def lookupCommand(self, cmd: bytes) -> tuple[Any, ...] | None:
        """The entry of a command in the present state, by any name a client can send."""
        entry = getattr(self, f"{self.state}_{cmd.decode('ascii', 'replace').upper()}", None)
        return entry if isinstance(entry, tuple) else None

    def find(self, words: list[bytes]) -> CommandSpec | Stock | None:
        """The command of this name (and of the word behind it, for UID) in the present state."""
        entry = self.lookupCommand(words[0]) if words else None
        if entry is imap4.IMAP4Server.select_UID:
            entry = self.lookupCommand(words[1]) if len(words) > 1 and words[1].upper() != b"UID" else None
        if isinstance(entry, Installed):
            # Somebody else opened the mailbox: then the base class's command, where it has one, serves it.
            foreign = entry and self.state == "select" and self.session.selected is None
            return STOCK if foreign else entry.spec
        return STOCK if entry else None

    async def run_stock(self, line: CommandLine, literals: Sequence[LiteralSink]) -> None:
        """Run a command whose entry is one of Twisted's tuples."""
        self._link.outflow.unregister()
        self._stock_run = StockRun(line, literals)
        try:
            await self._stock_run.run(self, self.session, self.clock)
        finally:
            self._stock_run = None

    def stock_sink(self, size: int) -> LiteralSink:
        """Where a message literal for such a command goes."""
        if size > self.settings.message_size:
            raise MailError(ErrorKind.MESSAGE_TOO_BIG, f"Messages may have {self.settings.message_size} octets")
        return MessageFile()

    def _stringLiteral(self, size: int) -> Any:
        if self._stock_run is None or size > self._literalStringLimit:
            return super()._stringLiteral(size)
        return self._stock_run.next_string()

    def _fileLiteral(self, size: int) -> Any:
        if self._stock_run is None:
            return super()._fileLiteral(size)
        return self._stock_run.next_file()

    def _respond(self, state: bytes, tag: bytes | None, message: bytes | None) -> None:
        super()._respond(state, tag, message)
        if self._stock_run is not None:
            self._stock_run.responded(state, tag)

    def sendUntaggedResponse(self, message: bytes, isAsync: bool | None = None) -> None:  # noqa: N803
        """Send an untagged line; what a listener tells waits for the end of a command of ours."""
        if isAsync and self._stock_run is None:
            self.session.write_later(b"* " + message + b"\r\n")
        else:
            super().sendUntaggedResponse(message, isAsync)


def _install() -> None:
    for spec in COMMANDS:
        for state in spec.states:
            name = f"{state.value}_{spec.name}"
            setattr(MailpostIMAP4Server, name, Installed.over(getattr(imap4.IMAP4Server, name, ()), spec))


_install()


class IMAPFactory(MailboxFactory[ImapSettings]):
    """Makes IMAP connections. The portal's realm gives `IMailAccount`, or Twisted's `IAccountIMAP`."""

    protocol: type[MailpostIMAP4Server] = MailpostIMAP4Server
    default_settings = ImapSettings()

    def buildProtocol(self, addr: IAddress | None) -> MailpostIMAP4Server:
        """A connection."""
        server = self.protocol(
            dict(self.challengers),
            self.tls,
            settings=self.settings,
            clock=self.clock,
            connections=self.connections,
            login=self.login,
        )
        server.factory = self
        server.portal = self.portal
        return server
