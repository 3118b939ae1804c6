"""What a session needs of the connection it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Protocol

from mailpost.protocols.imap.commands.context import LiteralSink
from mailpost.protocols.imap.commands.table import CommandSpec
from mailpost.protocols.login import LoggedIn
from mailpost.wire.imap.decoder import CommandLine


class Stock(Enum):
    """A command in the way of Twisted's tables: a tuple of a function and the parsers of its arguments."""

    STOCK = "stock"


STOCK = Stock.STOCK


class Connection(Protocol):
    """What a session needs of its connection, which is an `imap4.IMAP4Server`."""

    state: str
    account: Any
    mbox: Any

    def send(self, data: bytes) -> None:
        """Write to the transport."""

    def listCapabilities(self) -> list[bytes]:
        """What is announced now."""

    def find(self, words: list[bytes]) -> CommandSpec | Stock | None:
        """The command of this name (and of the word behind it, for UID) in the present state."""

    async def run_stock(self, line: CommandLine, literals: Sequence[LiteralSink]) -> None:
        """Run a command whose entry is one of Twisted's tuples."""

    def stock_sink(self, size: int) -> LiteralSink:
        """Where a message literal for such a command goes."""

    def logged_in(self, login: LoggedIn) -> None:
        """Somebody is in: remember how to log out."""

    def logged_out(self) -> None:
        """Nobody is in any more: give back what the login took."""

    def upgrade(self) -> None:
        """Begin TLS."""

    @property
    def compressed(self) -> bool:
        """Whether COMPRESS is active."""

    def compress(self) -> None:
        """Begin compression."""

    def uncompress(self) -> None:
        """End compression."""

    def acknowledge_at_once(self) -> None:
        """The client is about to send more of a command."""

    def set_reading(self, reading: bool) -> None:
        """Stop reading from the transport, or go on."""

    def command_came(self) -> None:
        """The client is there: the idle time begins anew."""

    def hang_up(self, reason: str) -> None:
        """Close when all is written."""
