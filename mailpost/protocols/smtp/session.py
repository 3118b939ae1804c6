"""One client's session: its state, its commands one after the other, and what it is answered.

Errors become replies in `handle`, and nowhere else: CommandError has its own, MailError gets that of its kind, anything
else is a bug: logged with its traceback and a number, of which the client sees the number.

RFC: 5321 §3, §4.1.4, 2920 §3.2 (answers to pipelined commands in order, and together)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.delivery.interfaces import IReceiver
from mailpost.mail.errors import MailError
from mailpost.mail.transport import Client, ReversePath
from mailpost.protocols.commandqueue import CommandQueue, Line
from mailpost.protocols.connection import ConnectionRecord, note_trouble
from mailpost.protocols.outflow import Outflow
from mailpost.protocols.smtp.dialect import Dialect, State
from mailpost.protocols.smtp.incoming import Commit, IncomingMessage, bug_reply
from mailpost.protocols.smtp.settings import SmtpSettings
from mailpost.wire.smtp import replies
from mailpost.wire.smtp.commands import Hello, parse
from mailpost.wire.smtp.errors import CommandError
from mailpost.wire.smtp.replies import Reply

log = Logger()


class Connection(Protocol):
    """What a session asks of its connection."""

    record: ConnectionRecord

    @property
    def receiver(self) -> IReceiver:
        """Who takes the messages."""

    @property
    def commits(self) -> set[Commit]:
        """Messages that are being taken, of all connections."""

    def send(self, data: bytes) -> None:
        """Write to the transport."""

    def set_reading(self, reading: bool) -> None:
        """Stop reading from the transport, or go on."""

    def restart_idle_time(self) -> None:
        """The client is there, and it is its turn: its idle time begins anew."""

    def hang_up(self, reason: str) -> None:
        """Close when all is written."""


class Session:
    """The state of a session; `commandqueue` gives it the client's lines.

    Attributes:
        hello: what the client called itself by, None before it did.
        client: who hands messages over, as far as it is known before MAIL.
        message: the one under way.
    """

    def __init__(
        self, connection: Connection, dialect: Dialect, settings: SmtpSettings, clock: IReactorTime, outflow: Outflow
    ) -> None:
        self.connection = connection
        self.dialect = dialect
        self.settings = settings
        self.queue = CommandQueue(self, clock, line_length=settings.line_length, ahead=settings.pipelined_octets)
        self.state = State.CONNECTED
        self.hello: Hello | None = None
        self.client = Client("", connection.record.address)
        self.message: IncomingMessage | None = None
        self._outflow = outflow
        self._unsent: list[bytes] = []
        self._bad_commands = 0
        self._lost = False
        self._closing = False
        self._goodbye: tuple[Reply | None, str] = (None, "")
        """What is still to be said when the connection is to end, and why it does."""

    # -- what the connection tells

    def connection_lost(self) -> None:
        """The connection is gone: give everything back."""
        self._lost = True
        self.queue.connection_lost()
        self.reset()

    def say_goodbye(self, text: str, reason: str) -> None:
        """Say 421 and close; a command that is at work is answered first. RFC: 5321 §3.8"""
        if not self._closing:
            self._closing = True
            self._goodbye = (Reply(421, "4.3.2" if reason != "idle too long" else "4.4.2", text), reason)
            if not self.queue.busy:
                self._end()

    # -- for the handlers of commands

    def reply(self, *answers: Reply) -> None:
        """Answer; what is written together goes out together."""
        self._unsent += [each.render() for each in answers]

    def write(self, line: bytes) -> None:
        """Write a line that is no ordinary reply."""
        self._unsent.append(line)

    def reply_to(self, error: MailError) -> Reply:
        """The reply to an error, by its kind."""
        note_trouble(self.dialect.name, self.client if self.client.user else None, error)
        return replies.of_error(error, over_quota_permanent=self.settings.over_quota_permanent)

    def reset(self) -> None:
        """Forget the message under way. RFC: 5321 §4.1.1.5"""
        message, self.message = self.message, None
        if message is not None:
            message.give_up()
        if self.state is not State.CONNECTED:
            self.state = State.READY

    def greet(self) -> None:
        """Say who is here. RFC: 5321 §4.2 (220)"""
        self.reply(Reply(220, "", f"{self.settings.hostname} {self.dialect.name} mailpost ready"))

    def begin_anew(self) -> None:
        """Forget all that the client has said, as if it had just come. RFC: 3207 §4.2"""
        self.reset()
        self.state = State.CONNECTED
        self.hello = None

    def client_of(self, sender: ReversePath) -> Client:
        """Who hands this message over. RFC: 3848 and 6531 §3.7.3 (names of protocols)"""
        name = self.dialect.name
        if self.hello is not None and self.hello.verb == "HELO":
            name = "SMTP"
        if sender.smtputf8:
            name = "UTF8" + name.removeprefix("E")
        record = self.connection.record
        marks = ("S" if record.encrypted else "") + ("A" if record.user else "")
        return replace(self.client, protocol=name + marks, name=self.client.name or (self.hello or _NOBODY).name)

    def close(self, answer: Reply, reason: str) -> None:
        """Answer, and close behind that; nothing that follows is read."""
        self.reply(answer)
        self._closing = True
        self._goodbye = (None, reason)

    # -- commandqueue.Session

    async def handle(self, line: Line) -> None:
        """Run a command and write its answer."""
        try:
            await self._run(line)
            self._bad_commands = 0
        except CommandError as error:
            self._bad(error)
        except MailError as error:
            self.reply(self.reply_to(error))
        except Exception:  # a bug: `bug_reply` logs it under the number that the client is told
            if self._lost:
                raise
            self.reply(bug_reply(f"a command of {self.dialect.name}"))
        self.connection.restart_idle_time()
        if self._closing:
            self._end()
        elif self._outflow.paused:
            self.flush()
            await self._outflow.resumed()

    def flush(self) -> None:
        """Send what was written."""
        if self._unsent:
            data = b"".join(self._unsent)
            self._unsent.clear()
            self.connection.send(data)

    def set_reading(self, reading: bool) -> None:
        """Stop reading from the transport, or go on."""
        self.connection.set_reading(reading)

    def broken(self, failure: Failure) -> None:
        """The loop itself has failed."""
        log.failure("The loop of an SMTP session broke", failure)
        self.connection.hang_up("internal error")

    # -- inside

    async def _run(self, line: Line) -> None:
        if line.too_long:
            raise CommandError(500, "5.5.2", f"A line may have {self.settings.line_length} octets at most")
        if line.bare_lf:
            raise CommandError(500, "5.5.2", "Lines end in CR LF, not in LF alone")
        command = parse(line.octets, self.dialect.extensions)
        await self.dialect.rule(command, self.state).handler(self, command)

    def _bad(self, error: CommandError) -> None:
        """What the client sent makes no sense. After too many of these in a row it is no client of ours."""
        self.reply(error.reply)
        self._bad_commands += 1
        if error.fatal:
            self.close(Reply(421, "4.7.0", "Cannot go on behind that"), "commands that cannot be told apart")
        elif self._bad_commands >= self.settings.bad_commands:
            self.close(Reply(421, "4.7.0", "Too many commands that make no sense"), "too many bad commands")

    def _end(self) -> None:
        answer, reason = self._goodbye
        if answer is not None:
            self.reply(answer)
        self.queue.stop()
        self.flush()
        self.connection.hang_up(reason)


_NOBODY = Hello("", "")
