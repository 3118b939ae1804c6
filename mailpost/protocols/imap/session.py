"""One client's session: commands one after the other, from the decoder's events to tagged responses.

The decoder's unread octets are the queue of pipelined commands: the next command is taken when the one before is
answered, and the transport is not read from while the queue is long. So answers come in order however long a checker
or a store takes, and nothing is decided ahead of its time.

Errors become responses in `_guarded`, and nowhere else: MailError is NO with a code, ParseError is BAD, anything else
is a bug: logged with its traceback and a number, of which the client sees the number.

RFC: 3501 §3, §5.5, §7, 9051 §3, §5.5, §7
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from secrets import token_hex
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.mail.errors import MailError
from mailpost.protocols.connection import note_trouble
from mailpost.protocols.imap import compat
from mailpost.protocols.imap.commands.context import Authentication, Completed, LiteralSink, State, utf8_names
from mailpost.protocols.imap.commands.select import leave
from mailpost.protocols.imap.commands.table import CommandSpec, Reports
from mailpost.protocols.imap.incoming import Incoming
from mailpost.protocols.imap.layers import Layers
from mailpost.protocols.imap.lines import Lines
from mailpost.protocols.imap.outgoing import Outgoing, printable
from mailpost.protocols.imap.peer import STOCK, Connection
from mailpost.protocols.imap.progress import Progress
from mailpost.protocols.imap.selected import SelectedMailbox
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.protocols.login import LoggedIn
from mailpost.protocols.outflow import Outflow
from mailpost.storage.interfaces import IMailAccount
from mailpost.wire.imap.codes import code_of
from mailpost.wire.imap.commands import ParseError, Request, head, parse, tag_of
from mailpost.wire.imap.decoder import (
    CommandLine,
    ContinuationDue,
    Decoder,
    Event,
    LiteralData,
    LiteralOffered,
    TooLong,
)

log = Logger()

LONGEST_TURN = 0.01
"""Seconds of commands in a row before other connections get theirs."""


class Session:
    """The state of a session and the loop that runs its commands; the `Context` of their handlers."""

    def __init__(
        self,
        connection: Connection,
        settings: ImapSettings,
        clock: IReactorTime,
        outflow: Outflow,
        authentication: Authentication,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.authentication = authentication
        self.tag = b""
        self.selected: SelectedMailbox | None = None
        self.enabled: set[str] = set()
        self._connection = connection
        self._outflow = outflow
        self._outgoing = Outgoing(connection.send, outflow)
        self._incoming = Incoming()
        self._decoder = Decoder(settings.before_login)
        self._lines = Lines(self._decoder, connection.command_came)
        self._account: Any = None
        self._task: Deferred[None] | None = None
        self._reading = True
        self._in_turn = False
        self._bad_commands = 0
        self._layers = Layers(connection, self._decoder, settings.pipelined_octets, self._close_behind)
        self._closing = ""
        self._goodbye = b""
        """Why the connection is to end, when it is, and what is still to be said then."""
        self._lost = False
        self.write = self._outgoing.write
        self.drained = self._outgoing.drained
        self.flush = self._outgoing.flush
        self.write_later = self._outgoing.write_later
        self._progress = Progress(clock, self._outgoing, lambda: self.tag if self.busy else None)
        self.progress = self._progress.counted
        self.capabilities = connection.listCapabilities
        self.start_tls = self._layers.start_tls
        self.compress = self._layers.compress

    # -- what the connection tells

    def data_received(self, data: bytes) -> None:
        """Octets have come."""
        self._decoder.feed(data)
        if self._lines.awaited:
            self._lines.look()
        elif self._task is None:
            self.proceed()
        if self._task and self._reading and not self._lines.awaited and self._decoder.buffered > self._layers.ahead:
            self._read(False)

    def connection_lost(self) -> None:
        """The connection is gone: stop what is running and give everything back."""
        self._lost = True
        self._progress.stop()
        if self._task is not None:
            self._task.cancel()
        self._incoming.abort()
        selected, self.selected = self.selected, None
        if selected is not None:
            selected.release()

    @property
    def busy(self) -> bool:
        """A command is running that does not wait for the client."""
        return (self._in_turn or self._task is not None) and not self._lines.awaited

    def say_goodbye(self, text: bytes, reason: str) -> None:
        """Say BYE and close; a command that is at work is answered first. RFC: 3501 §7.1.5"""
        if not self._closing:
            self._close_behind(reason, b"* BYE " + text + b"\r\n")
            if not self.busy:
                self._end()

    # -- Context: the client

    @property
    def streamed(self) -> list[LiteralSink]:
        """The message literals of the command that runs."""
        return self._incoming.complete

    def continuation(self, text: bytes) -> None:
        """Ask the client to go on. RFC: 3501 §7.5"""
        self.write(b"+ " + text + b"\r\n")
        self.flush()

    def client_line(self) -> Deferred[bytes]:
        """The next line from the client that is no command."""
        line = self._lines.next()
        if self._lines.awaited and not self._reading:
            self._read(True)
        return line

    async def report_changes(self, expunges_allowed: bool) -> None:
        """Refresh the selected mailbox and write what changed in it."""
        selected = self.selected
        if selected is not None:
            await selected.refresh()
            if not self._lost_mailbox():
                self.write(selected.report_changes(expunges_allowed))

    def _lost_mailbox(self) -> bool:
        """Say BYE if what is selected has gone: no answer to any further command could be right."""
        if gone := self.selected is not None and self.selected.gone:
            self.bye(b"The selected mailbox is no longer there")
        return gone

    def bye(self, text: bytes) -> None:
        """Close the connection when the command that runs is answered. RFC: 3501 §7.1.5"""
        if not self._closing:
            self.write(b"* BYE " + text + b"\r\n")
            self._closing = text.decode("ascii", "replace")

    # -- Context: state

    @property
    def state(self) -> State:
        """Where the session is."""
        return State(self._connection.state)

    @property
    def account(self) -> Any:
        """Who logged in: an IMailAccount."""
        if self._account is None and self._connection.account is not None:
            # A subclass that lets people in by itself sets the connection's account.
            self._account = IMailAccount(self._connection.account)
        return self._account

    def select(self, selected: SelectedMailbox) -> None:
        """Enter the selected state."""
        self.selected = selected
        self._connection.mbox = compat.stock_of(selected.mailbox)
        self._connection.state = State.SELECTED.value

    def deselect(self) -> None:
        """Leave the selected state."""
        selected, self.selected = self.selected, None
        if selected is not None:
            selected.release()
        self._connection.mbox = None
        self._connection.state = State.AUTHENTICATED.value

    async def log_in(self, login: Awaitable[LoggedIn]) -> None:
        """Become authenticated."""
        try:
            logged_in = await login
        except MailError:
            if self.authentication.failures >= self.settings.failed_logins:
                self._close_behind("too many failed logins", b"* BYE Too many failed logins\r\n")
            raise
        self._connection.logged_in(logged_in)
        try:
            self._account = await compat.mail_account(logged_in.avatar)
        except BaseException:  # cancelled too: raised again, with the login given back
            logged_in.log_out()
            raise
        self._connection.account = logged_in.avatar
        self._connection.state = State.AUTHENTICATED.value
        self._decoder.limits = self.settings.after_login

    def log_out(self) -> None:
        """Be not authenticated, as before login. RFC: 8437 §3, §4.1"""
        self.deselect()
        self.enabled.clear()
        self._account = None
        self._connection.logged_out()
        self._decoder.limits = self.settings.before_login
        self._layers.uncompress()

    def _close_behind(self, reason: str, goodbye: bytes = b"") -> None:
        if not self._closing:
            self._closing, self._goodbye = reason, goodbye

    # -- the loop

    def proceed(self) -> None:
        """Run the commands that have arrived, if none is running."""
        self._in_turn = True
        task = Deferred.fromCoroutine(self._run())
        self._in_turn = False
        if not task.called:
            self._task = task
            self._progress.watch()
            self.flush()
        task.addBoth(self._stopped)

    async def _run(self) -> None:
        began = self.clock.seconds()
        while not (self._closing or self._lost):
            event = self._decoder.next_event()
            if event is None:
                return
            self._connection.command_came()
            if type(event) is CommandLine:
                await self._guarded(self._command(event))
                self._incoming.abort()
                if self._layers.due:
                    self._layers.change(self.flush)
            else:
                await self._other(event)
            if self._outflow.paused:
                await self.drained()
            elif not self._in_turn:
                self.flush()
            if self.clock.seconds() - began > LONGEST_TURN:
                self.flush()
                await deferLater(self.clock, 0)
                began = self.clock.seconds()

    def _stopped(self, result: Any) -> None:
        self._task = None
        if self._lost:
            return
        if isinstance(result, Failure):
            log.failure("The loop of an IMAP session broke", result)
            self._closing = self._closing or "internal error"
        self.flush()
        if self._closing:
            self._end()
        elif not self._reading:
            self._read(True)

    def _end(self) -> None:
        self.write(self._goodbye)
        self.flush()
        self._connection.hang_up(self._closing)
        if not self._reading:
            # TLS ends when the client has agreed, which must be read.
            self._read(True)

    def _read(self, reading: bool) -> None:
        self._reading = reading
        self._connection.set_reading(reading)

    # -- events

    async def _other(self, event: Event) -> None:
        match event:
            case LiteralOffered():
                await self._guarded(self._offered(event))
            case LiteralData():
                await self._incoming.take(event.octets, event.last)
                self._connection.acknowledge_at_once()
            case ContinuationDue():
                self.continuation(b"OK")
                self._connection.acknowledge_at_once()
            case TooLong():
                self._incoming.abort()
                self.tag = event.tag or b"*"
                self._bad(event.text)
                if event.fatal:
                    self.bye(b"Cannot go on behind that")
            case _:
                raise AssertionError(f"no place for {event!r}")

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work of a command; what it raises becomes its answer."""
        try:
            await work
        except MailError as error:
            note_trouble("IMAP", self._connection.account, error)
            self._lost_mailbox()
            self._outgoing.tagged(self.tag, b"NO", printable(error.text), code_of(error))
        except ParseError as error:
            self._bad(error.text, error.code)
        except Exception:  # a bug: logged under the number that the client is told, and no more than that
            if self._lost:
                raise
            incident = token_hex(4)
            log.failure("Bug {incident} in an IMAP command", incident=incident)
            self._outgoing.tagged(self.tag, b"NO", b"Internal error " + incident.encode(), b"SERVERBUG")
        finally:
            self._outgoing.command_running = False

    async def _command(self, line: CommandLine) -> None:
        words = line.text.split(b" ", 3)
        self.tag = tag_of(line) or b"*"
        found = self._connection.find(words[1:3])
        self._incoming.check()
        if found is STOCK and self.tag != b"*":
            self.flush()
            await self._connection.run_stock(line, self.streamed)
            return
        request = self._parsed(line, found)
        spec = cast(CommandSpec, found)
        self._outflow.register()
        self._outgoing.command_running = True
        self._progress.command += 1
        completed = await spec.handler(self, request.command) or Completed()
        if self.selected is not None and spec.reports is not Reports.NOTHING:
            await self.report_changes(spec.reports is Reports.ALL or words[1].upper() == b"UID")
        self._bad_commands = 0
        text = completed.text or request.name.encode() + b" completed"
        self._outgoing.tagged(self.tag, b"OK" if completed.ok else b"NO", text, completed.code)

    def _parsed(self, line: CommandLine, found: object | None) -> Request:
        try:
            request = parse(line, utf8_names(self))
        except MailError:
            if head(line)[1] in ("SELECT", "EXAMINE"):
                leave(self)
            raise
        if found is None:
            raise ParseError(f"{request.name} is not possible now")
        return request

    async def _offered(self, event: LiteralOffered) -> None:
        """A message wants to come: ask its command where it may go."""
        words = event.so_far.text.split(b" ", 3)
        self.tag = words[0]
        try:
            self._incoming.check()
            found = self._connection.find(words[1:3])
            if found is STOCK:
                sink = self._connection.stock_sink(event.size)
            else:
                request = self._parsed(event.so_far, found)
                offered = cast(CommandSpec, found).literals
                if offered is None:
                    raise ParseError("No literal of this kind has a place here")
                sink = await offered(self, request.command, event.size)
        except Exception:  # raised again: `_guarded` answers and logs it
            self._decoder.refuse()
            self._incoming.abort()
            raise
        self._decoder.accept()
        self._incoming.begin(sink)
        if event.synchronizing:
            self.continuation(b"OK")

    def _bad(self, text: str, code: bytes = b"") -> None:
        """What the client sent makes no sense. After too many of these in a row it is no IMAP client."""
        self._outgoing.tagged(self.tag, b"BAD", printable(text), code)
        self._bad_commands += 1
        if self._bad_commands >= self.settings.bad_commands:
            self.bye(b"Too many commands that make no sense")
