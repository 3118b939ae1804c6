"""One client's session: commands one after the other, from lines to answers.

Errors become answers in `handle`, and nowhere else: MailError is -ERR with a code, CommandError -ERR without one, and
anything else is a bug: logged with its traceback and a number, of which the client sees the number.

RFC: 1939 §3, §6, 2449 §8 (response codes), 3206
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import signature
from secrets import token_hex
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.mail.pop3 import POP3Error
from twisted.python.failure import Failure

from mailpost.mail.errors import MailError
from mailpost.protocols.commandqueue import CommandQueue, Line
from mailpost.protocols.connection import note_trouble
from mailpost.protocols.login import LoggedIn
from mailpost.protocols.outflow import Outflow
from mailpost.protocols.pop3.maildrop import Maildrop
from mailpost.protocols.pop3.settings import Pop3Settings
from mailpost.storage.offload import settled
from mailpost.wire.pop3 import responses
from mailpost.wire.pop3.commands import CommandError, parse

log = Logger()


class Connection(Protocol):
    """What a session needs of its connection."""

    def send(self, data: bytes) -> None:
        """Write to the transport."""

    def set_reading(self, reading: bool) -> None:
        """Stop reading from the transport, or go on."""

    def command_came(self) -> None:
        """The client is there: the idle time begins anew."""

    def find(self, name: str) -> Callable[..., Any]:
        """What runs the command of this name in the present state. Raises CommandError."""
        ...

    def entered(self, maildrop: Maildrop) -> None:
        """Somebody has logged in."""

    def hang_up(self, reason: str) -> None:
        """Close when all is written."""


class Session:
    """The state of a session, and what every command of it needs."""

    def __init__(self, connection: Connection, settings: Pop3Settings, clock: IReactorTime, outflow: Outflow) -> None:
        self.settings = settings
        self.maildrop: Maildrop | None = None
        """What the client sees, in the TRANSACTION state; None in all others."""
        self.queue = CommandQueue(self, clock, line_length=settings.line_length, ahead=settings.pipelined_octets)
        self._connection = connection
        self._outflow = outflow
        self._pieces: list[bytes] = []
        self._logged_in: LoggedIn | None = None
        self._bad_commands = 0
        self._closing = ""
        self._lost = False
        self.set_reading = connection.set_reading

    # -- what the connection tells

    def connection_lost(self) -> None:
        """The connection is gone. Nothing is deleted: that is for QUIT alone. RFC: 1939 §6"""
        self._lost = True
        self.queue.connection_lost()
        if self.maildrop is not None:
            self._leave(self.maildrop, update=False).addErrback(lambda _: None)  # it is in the log

    def say_goodbye(self, text: bytes, reason: str) -> None:
        """Close; a command that is at work is answered first. Between commands the client is told why."""
        if self._closing:
            return
        self._closing = reason
        if not self.queue.busy:
            if text:
                self.write(responses.error(text, b"SYS/TEMP"))
            self._end()

    # -- for commands: the client

    def write(self, octets: bytes) -> None:
        """Add whole or part lines to what is sent next."""
        self._pieces.append(octets)

    def flush(self) -> None:
        """Hand all that was written to the transport, in one piece."""
        if self._pieces:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            if not self._lost:
                self._connection.send(data)

    async def send(self, octets: bytes) -> None:
        """Write much: in pieces, each when the client has taken those before."""
        step = self.settings.output_octets
        for at in range(0, len(octets), step):
            self.write(octets[at : at + step])
            await self.drained()

    async def drained(self) -> None:
        """Hand everything over; wait while the client is not reading."""
        self.flush()
        if self._outflow.paused:
            await self._outflow.resumed()

    def close(self, reason: str) -> None:
        """Close the connection when this command is answered."""
        self._closing = self._closing or reason

    # -- for commands: logging in and out

    async def log_in(self, attempt: Awaitable[LoggedIn]) -> Maildrop:
        """Enter the TRANSACTION state. Raises MailError, with nothing held, where that is not to be. RFC: 1939 §4"""
        logged_in = await attempt
        try:
            maildrop = self.maildrop = await Maildrop.open(logged_in.avatar)
        except BaseException:  # cancelled too: raised again, with the login given back
            logged_in.log_out()
            raise
        self._logged_in = logged_in
        self._connection.entered(maildrop)
        return maildrop

    async def update(self, maildrop: Maildrop) -> int:
        """Carry out what the session has marked, and leave: how many messages were removed. RFC: 1939 §6

        It goes on to its end though the connection is lost meanwhile: the client has said QUIT.
        """
        removed: Deferred[int] = Deferred()
        self._leave(maildrop, update=True).addCallbacks(removed.callback, removed.errback)
        return await removed

    def _leave(self, maildrop: Maildrop, update: bool) -> Deferred[int]:
        self.maildrop = None
        logged_in, self._logged_in = self._logged_in, None

        async def leave() -> int:
            try:
                try:
                    return await maildrop.update() if update else 0
                finally:
                    await _note_seen(maildrop)
            except Exception:  # raised again
                if self._lost:  # nobody is there to be told
                    log.failure("A POP3 session did not end well")
                raise
            finally:
                maildrop.release()
                if logged_in is not None:
                    logged_in.log_out()

        return Deferred.fromCoroutine(leave())

    # -- CommandQueue's session

    async def handle(self, line: Line) -> None:
        """Run one command; what it raises becomes its answer."""
        self._connection.command_came()
        try:
            await self._run(line)
            self._bad_commands = 0
        except MailError as error:
            note_trouble("POP3", getattr(self._logged_in, "avatar", None), error)
            self.write(responses.error(error.text.encode("ascii", "replace"), responses.code_of(error.kind)))
        except CommandError as error:
            self._misunderstood(error.text.encode("ascii", "replace"))
        except POP3Error as error:
            self._misunderstood(b" ".join(each for each in error.args if isinstance(each, bytes)))
        except Exception as error:
            if self._lost:
                raise
            self._bug(Failure(error))
        if self._closing:
            self._end()
        elif self._outflow.paused:
            await self.drained()

    def broken(self, failure: Failure) -> None:
        """The loop of commands has come to an end that nobody foresaw."""
        self._bug(failure)
        self.say_goodbye(b"", "internal error")

    async def _run(self, line: Line) -> None:
        if line.too_long:
            raise CommandError("This line is too long")
        command = parse(line.octets)
        run = self._connection.find(command.name)
        try:
            signature(run).bind(*command.arguments)
        except TypeError:
            raise CommandError(f"{command.name} has too few or too many arguments") from None
        self._outflow.register()
        await settled(run(*command.arguments))

    def _misunderstood(self, text: bytes) -> None:
        """What the client sent makes no sense. After too many of these in a row it is no POP3 client."""
        self.write(responses.error(text))
        self._bad_commands += 1
        if self._bad_commands >= self.settings.bad_commands:
            self.close("too many bad commands")

    def _bug(self, failure: Failure) -> None:
        incident = token_hex(4)
        log.failure("Bug {incident} in a POP3 command", failure, incident=incident)
        self.write(responses.error(b"Internal error " + incident.encode(), b"SYS/TEMP"))

    def _end(self) -> None:
        if self._lost:
            return
        self.flush()
        self.queue.stop()
        self._connection.hang_up(self._closing)


async def _note_seen(maildrop: Maildrop) -> None:
    try:
        await maildrop.note_seen()
    except MailError as error:  # not worth an answer: no mail is lost by it
        log.warn("What POP3 has retrieved could not be marked as seen: {reason}", reason=error.text)


def not_now(state: str) -> CommandError:
    """The refusal of a command that belongs to another state."""
    return CommandError(f"This is possible {state} only")
