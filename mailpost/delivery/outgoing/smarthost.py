"""The server that takes all mail for elsewhere: connected to, made safe, logged in to, and given messages.

Twisted's own `smtp.ESMTPClient` is not used: it knows no parameters of MAIL and RCPT, has one timeout for all that is
waited for, believes what was sent before TLS, and stuffs dots only inside the pieces that a message happens to be read
in, so that a message can end early and go on as commands.

RFC: 5321 §3 (the dialogue), §4.5.3.2 (timeouts), 3207 §4 (STARTTLS), 6409 §4.3, 4954 §4 (AUTH), 2920 §3.1 (PIPELINING)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from mailpost.delivery.body import Run
from mailpost.delivery.outgoing.authentication import Credentials, authenticate
from mailpost.delivery.outgoing.dialogue import Dialogue, TroubleError, why_lost
from mailpost.delivery.outgoing.files import MessageFile
from mailpost.delivery.outgoing.records import Envelope, Outcome, Verdict
from mailpost.mail.transport import ForwardPath
from mailpost.wire.smtp.client import DotStuffing, Extensions, Reply, extensions, mail_from, rcpt_to, size_limit

GREETING, COMMAND, DATA_BEGINS, DATA_BLOCK, DATA_ENDS = 300.0, 300.0, 120.0, 180.0, 600.0
"""Seconds that each is waited for. RFC: 5321 §4.5.3.2"""
_GOODBYE = 5.0
_PIECE = 64 << 10
_AT_ONCE = 50
"""Commands that are sent ahead."""


class Security(Enum):
    """How the connection is encrypted."""

    STARTTLS = "starttls"
    """By STARTTLS, with a certificate that is verified; else nothing is sent."""
    IMPLICIT = "implicit"
    """From the first octet, with a certificate that is verified. RFC: 8314 §3.3"""
    OPPORTUNISTIC = "opportunistic"
    """By STARTTLS where it is offered, whatever the certificate is."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Smarthost:
    """How to come to the server."""

    clock: IReactorTime
    endpoint: IStreamClientEndpoint
    """With TLS around it for `Security.IMPLICIT`."""
    name: str
    """Of the server, for the log and reports."""
    hostname: str
    """Of this server, for EHLO."""
    security: Security
    tls: Any
    """What STARTTLS is done with: `twisted.internet.ssl.optionsForClientTLS(...)`."""
    run: Run
    credentials: Callable[[], Credentials] | None = None
    """User and password, read in a thread; None for no login."""
    local: bool = False
    """It is this machine, so that a password needs no TLS."""

    async def connect(self) -> Connection:
        """A connection that is ready for messages. Raises TroubleError."""
        try:
            dialogue: Any = await self.endpoint.connect(_Dialogues(self.clock, self.name))
        except Exception as problem:  # an endpoint can fail in any way
            raise TroubleError("4.4.1", f"cannot connect to {why_lost(problem, self.name)}") from problem
        connection = Connection(dialogue, self.name, self.run)
        try:
            await self._prepare(connection)
        except BaseException:  # cancelled too: raised again, with nothing left open
            dialogue.abort("4.4.2", "given up")
            raise
        return connection

    async def _prepare(self, connection: Connection) -> None:
        await connection.expect(2, GREETING)
        await connection.greet(self.hostname)
        encrypted = self.security is Security.IMPLICIT
        if self.security in (Security.STARTTLS, Security.OPPORTUNISTIC) and "STARTTLS" in connection.extensions:
            await connection.ask(b"STARTTLS\r\n", 2)
            connection.dialogue.start_tls(self.tls)
            encrypted = True
            # What was announced before may be of somebody in between. RFC: 3207 §4.2
            await connection.greet(self.hostname)
        elif self.security is Security.STARTTLS:
            raise TroubleError("4.7.4", f"{self.name} offers no STARTTLS")
        if self.credentials is not None:
            if not (encrypted or self.local):
                raise TroubleError("4.7.11", f"{self.name} offers no TLS, and a password is not sent without it")
            try:
                credentials = await self.run(self.credentials)
            except (OSError, ValueError) as problem:
                raise TroubleError("4.3.5", f"the password for {self.name} cannot be read: {problem}") from problem
            await authenticate(connection, connection.extensions.get("AUTH", ""), credentials, self.run)


class _Dialogues(Factory):
    """Makes dialogues."""

    noisy = False

    def __init__(self, clock: IReactorTime, name: str) -> None:
        self._clock = clock
        self._name = name

    def buildProtocol(self, address: object) -> Dialogue:
        """One more."""
        return Dialogue(self._clock, self._name)


class Connection:
    """A connection on which messages are sent, one after the other.

    Args:
        dialogue: the connection.
        name: of the server.
        run: runs a blocking function in a thread.
    """

    def __init__(self, dialogue: Dialogue, name: str, run: Run) -> None:
        self.dialogue = dialogue
        self.extensions: Extensions = {}
        self._name = name
        self._run = run
        self._sent = 0

    async def ready(self) -> bool:
        """Whether one more message can be sent; a server may hang up between two."""
        try:
            if self._sent:
                await self.ask(b"RSET\r\n", 2)
        except TroubleError as trouble:
            self.dialogue.abort("4.4.2", trouble.outcome.text)
        return not self.dialogue.lost

    async def ask(self, command: bytes, expected: int, seconds: float = COMMAND) -> Reply:
        """Say something, and have a reply of this class. Raises TroubleError."""
        self.dialogue.say(command)
        return await self.expect(expected, seconds)

    async def expect(self, expected: int, seconds: float = COMMAND) -> Reply:
        """The next reply, which must be of this class. Raises TroubleError."""
        reply = await self.dialogue.reply(seconds)
        if reply.code // 100 != expected:
            raise TroubleError(reply.status, reply.text, self._name)
        return reply

    async def greet(self, hostname: str) -> None:
        """EHLO, and HELO to a server that does not know it. RFC: 5321 §3.2"""
        self.dialogue.say(f"EHLO {hostname}\r\n".encode())
        reply = await self.dialogue.reply(COMMAND)
        if reply.code in (500, 502, 504):
            await self.ask(f"HELO {hostname}\r\n".encode(), 2)
            self.extensions = {}
        elif reply.code // 100 == 2:
            self.extensions = extensions(reply)
        else:
            raise TroubleError(reply.status, reply.text, self._name)

    async def close(self) -> None:
        """Say QUIT."""
        if not self.dialogue.lost:
            with suppress(TroubleError):
                await self.ask(b"QUIT\r\n", 2, _GOODBYE)
            await self.dialogue.ended(_GOODBYE)

    def abort(self) -> None:
        """Break it off."""
        self.dialogue.abort("4.4.2", "broken off")

    # -- messages

    async def send(self, envelope: Envelope, recipients: Sequence[ForwardPath], message: MessageFile) -> list[Outcome]:
        """Send a message: what came of it for each of these recipients, in their order.

        What goes wrong is an outcome, and raises nothing.
        """
        self._sent += 1
        outcomes: dict[int, Outcome] = {}
        impossible = self._impossible(envelope)
        if impossible is not None:
            return [impossible] * len(recipients)
        if "SMTPUTF8" not in self.extensions:
            for number, each in enumerate(recipients):
                if not each.address.isascii():
                    outcomes[number] = _no_smtputf8(self._name)
        try:
            await self._transaction(envelope, recipients, message, outcomes)
        except TroubleError as trouble:
            rest = trouble.outcome
            self.dialogue.abort(rest.status, rest.text)
        else:
            rest = Outcome(Verdict.LATER, "4.3.0", "not tried")
        return [outcomes.get(number, rest) for number in range(len(recipients))]

    def _impossible(self, envelope: Envelope) -> Outcome | None:
        """Why this server cannot take this message at all."""
        most = size_limit(self.extensions)
        if most is not None and envelope.size > most:
            return Outcome(
                Verdict.REFUSED, "5.3.4", f"the message has {envelope.size} octets, {self._name} takes {most} at most"
            )
        if envelope.eight_bit and "8BITMIME" not in self.extensions:
            return Outcome(Verdict.REFUSED, "5.6.3", f"{self._name} takes no message with other octets than ASCII")
        if _needs_utf8(envelope) and "SMTPUTF8" not in self.extensions:
            return _no_smtputf8(self._name)
        return None

    async def _transaction(
        self, envelope: Envelope, recipients: Sequence[ForwardPath], message: MessageFile, outcomes: dict[int, Outcome]
    ) -> None:
        """Fill in the outcomes."""
        numbers = [number for number in range(len(recipients)) if number not in outcomes]
        if not numbers:
            return
        utf8 = _needs_utf8(envelope) or not all(recipients[number].address.isascii() for number in numbers)
        commands = [
            mail_from(
                envelope.sender, self.extensions, size=envelope.size, eight_bit=envelope.eight_bit, smtputf8=utf8
            ),
            *(rcpt_to(recipients[number], self.extensions) for number in numbers),
        ]
        begun, *replies = await self._ask_all(commands)
        if begun.code // 100 != 2:
            outcomes.update(dict.fromkeys(numbers, self._refusal(begun)))
            return
        accepted = []
        for number, reply in zip(numbers, replies, strict=True):
            if reply.code // 100 == 2:
                accepted.append(number)
            elif reply.code == 552:  # too many of them. RFC: 5321 §4.5.3.1.10
                outcomes[number] = Outcome(Verdict.LATER, "4.5.3", reply.text, self._name)
            else:
                outcomes[number] = self._refusal(reply)
        if accepted:
            outcome = await self._data(message)
            outcomes.update(dict.fromkeys(accepted, outcome))

    async def _ask_all(self, commands: Sequence[bytes]) -> list[Reply]:
        """The replies to commands, sent ahead where the server allows it; after a refused first one none matters."""
        at_once = _AT_ONCE if "PIPELINING" in self.extensions else 1
        replies: list[Reply] = []
        for start in range(0, len(commands), at_once):
            group = commands[start : start + at_once]
            self.dialogue.say(b"".join(group))
            for _ in group:
                reply = await self.dialogue.reply(COMMAND)
                if reply.code == 421:  # it hangs up. RFC: 5321 §3.8
                    raise TroubleError(reply.status, reply.text, self._name)
                replies.append(reply)
            if replies[0].code // 100 != 2:
                break
        return replies

    async def _data(self, message: MessageFile) -> Outcome:
        """DATA and the message: the server's last word. RFC: 5321 §4.1.1.4"""
        self.dialogue.say(b"DATA\r\n")
        reply = await self.dialogue.reply(DATA_BEGINS)
        if reply.code != 354:
            return self._refusal(reply)
        stuffing = DotStuffing()
        self.dialogue.begin_sending()
        try:
            at = 0
            while piece := await self._read(message, at):
                at += len(piece)
                self.dialogue.say(stuffing.add(piece))
                await self.dialogue.drained(DATA_BLOCK)
            if at != message.size:  # better no end at all than one too early
                self.dialogue.abort("4.3.0", "the message could not be read")
            self.dialogue.say(stuffing.end())
        finally:
            self.dialogue.end_sending()
        reply = await self.dialogue.reply(DATA_ENDS)
        if reply.code // 100 == 2:
            return Outcome(Verdict.SENT, reply.status, reply.text, self._name, told="DSN" in self.extensions)
        return self._refusal(reply)

    async def _read(self, message: MessageFile, at: int) -> bytes:
        """The next octets; none at the end, or where they cannot be read."""
        try:
            piece: bytes = await self._run(lambda: message.read(at, _PIECE))
        except OSError:
            return b""
        return piece

    def _refusal(self, reply: Reply) -> Outcome:
        """What a reply that is no success means for a message. Raises TroubleError for one that makes no sense."""
        if reply.code // 100 not in (4, 5):
            raise TroubleError("4.5.0", f"{self._name} gives a reply that has no place here: {reply.text}")
        verdict = Verdict.LATER if reply.code // 100 == 4 else Verdict.REFUSED
        return Outcome(verdict, reply.status, reply.text, self._name)


def _needs_utf8(envelope: Envelope) -> bool:
    """Whether the message can only go to a server that knows SMTPUTF8. RFC: 6531 §3.2"""
    return envelope.sender.smtputf8 and (envelope.utf8_header or not envelope.sender.address.isascii())


def _no_smtputf8(name: str) -> Outcome:
    return Outcome(Verdict.REFUSED, "5.6.7", f"{name} takes no addresses and header fields that are not ASCII")
