"""One connection, as interceptors have it in hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from mailpost.wire.dialogue import Command, Dialogue


class Between(Protocol):
    """What stands between the connection and its session."""

    def send(self, octets: bytes) -> None:
        """Send to the client, behind what has been passed on."""

    def close(self) -> None:
        """Close when that has been sent; nothing is passed on any more."""

    def stall(self) -> None:
        """Pass nothing on to the client any more."""

    def pace(self, delay: float, rate: float) -> None:
        """Let octets take so many seconds, and so many go a second."""


class Conversation:
    """What client and server say on one connection.

    Attributes:
        protocol: imap, pop3, lmtp, submission, smtp.
        number: of the connection, from 1, among those of its protocol.
        address: the client's, such as "192.0.2.1"; "" if it is not known.
        commands: how many have come, the greeting not counted.
        dialogue: how the protocol writes its commands and answers.
        clock: what delays go by.
        session: what speaks the protocol; None when the connection has gone.
    """

    def __init__(self, protocol: str, number: int, address: str, dialogue: Dialogue, clock: IReactorTime) -> None:
        self.protocol = protocol
        self.number = number
        self.address = address
        self.commands = 0
        self.dialogue = dialogue
        self.clock = clock
        self.session: Any = None
        self.between: Between | None = None
        self._calls: list[Any] = []

    @property
    def user(self) -> str:
        """Who has logged in; "" before that."""
        return getattr(getattr(self.session, "record", None), "user", "")

    @property
    def encrypted(self) -> bool:
        """Whether TLS is on."""
        return getattr(getattr(self.session, "record", None), "encrypted", False)

    def answer(self, command: Command, text: str) -> bytes:
        """Answer a command in the server's place; answers with b"", to be returned: the command is not passed on.

        `text` is `NO [OVERQUOTA] Too much`, `-ERR No`, `452 4.3.1 No room`; of several lines perhaps. Behind BYE and
        421 the connection is closed.
        """
        self.send(self.dialogue.answer(command, text))
        if self.dialogue.closes(text):
            self.close()
        return b""

    def send(self, octets: bytes) -> None:
        """Say something to the client, behind what has been passed on."""
        if self.between is not None:
            self.between.send(octets)

    def bye(self, text: str) -> None:
        """Close in the server's place, as the protocol has it: BYE, 421."""
        self.send(self.dialogue.goodbye(text))
        self.close()

    def close(self) -> None:
        """Close when the client has been sent what was said so far; nothing is passed on any more."""
        if self.between is not None:
            self.between.close()

    def stall(self) -> None:
        """Say nothing to the client any more, and leave the connection open."""
        if self.between is not None:
            self.between.stall()

    def pace(self, delay: float = 0.0, rate: float = 0.0) -> None:
        """Make the connection slow from now on.

        Args:
            delay: seconds that it takes what the server says to arrive.
            rate: octets a second, in each direction; 0 for as many as there are.
        """
        if self.between is not None:
            self.between.pace(delay, rate)

    def sleep(self, seconds: float) -> Deferred[None]:
        """Something to await: by the server's clock."""
        return deferLater(self.clock, seconds)

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """Call a function then, if the connection is still there."""
        self._calls = [call for call in self._calls if call.active()]
        self._calls.append(self.clock.callLater(seconds, function))

    def ended(self) -> None:
        """The connection is gone."""
        self.between = self.session = None
        for call in self._calls:
            if call.active():
                call.cancel()
