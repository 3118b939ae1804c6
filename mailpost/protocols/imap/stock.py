"""Runs a command of Twisted's kind: a tuple of a function and argument parsers, fed from a whole decoded command.

The parsers expect a line that ends in the announcement of a literal, and the rest of the line with the literal. They
get that, with literals that have long arrived. The command has ended when it has sent its tagged response.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import IO, Any, Protocol

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from mailpost.protocols.imap.commands.context import LiteralSink
from mailpost.protocols.imap.compat import MessageFile
from mailpost.wire.imap.decoder import CommandLine

_ANNOUNCEMENT = re.compile(rb"~?\{(\d+)\+?\}\Z")
_FINAL = (b"OK", b"NO", b"BAD")


class Server(Protocol):
    """The `imap4.IMAP4Server` whose command it is."""

    parseState: str

    def parse_command(self, line: bytes) -> Any:
        """Begin the command on this line."""

    def lineReceived(self, line: bytes) -> None:
        """Give it another line."""


class Lines(Protocol):
    """Where further lines come from."""

    def client_line(self) -> Deferred[bytes]:
        """The next line from the client that is no command."""


class StockRun:
    """One such command on its way."""

    def __init__(self, line: CommandLine, literals: Sequence[LiteralSink]) -> None:
        self._tag = line.text.partition(b" ")[0]
        self._done: Deferred[None] = Deferred()
        self._literals: deque[tuple[Any, bytes]] = deque()
        files = iter(literals)
        ends = [*(literal.end for literal in line.literals), len(line.text)]
        self._first = _plain(line.text[: ends[0]])
        for literal, end in zip(line.literals, ends[1:], strict=True):
            rest = _plain(line.text[literal.end : end])
            self._literals.append((next(files) if literal.octets is None else literal.octets, rest))

    async def run(self, server: Server, lines: Lines, clock: IReactorTime) -> None:
        """Run it to its tagged response."""
        server.parse_command(self._first)
        if self._done.called:
            return
        while not self._ended:
            if server.parseState == "command":
                await self._done
            else:
                await self._pass_line(server, lines)
        # The base class answers first and changes its state then.
        await deferLater(clock, 0)

    @property
    def _ended(self) -> bool:
        return bool(self._done.called)

    async def _pass_line(self, server: Server, lines: Lines) -> None:
        line = lines.client_line()
        either: list[Deferred[Any]] = [line, self._done]
        await DeferredList(either, fireOnOneCallback=True, fireOnOneErrback=True)
        if line.called:
            server.lineReceived(await line)
        else:
            line.addErrback(lambda _: None)
            line.cancel()

    def responded(self, state: bytes, tag: bytes | None) -> None:
        """A response was sent."""
        if state in _FINAL and tag == self._tag and not self._done.called:
            self._done.callback(None)

    def next_string(self) -> Deferred[tuple[bytes, bytes]]:
        """The next literal, and the line behind it."""
        value, rest = self._literals.popleft()
        return succeed((value.opened().read() if isinstance(value, MessageFile) else value, rest))

    def next_file(self) -> Deferred[tuple[IO[bytes], bytes]]:
        """The next literal as a file, and the line behind it."""
        value, rest = self._literals.popleft()
        file = value if isinstance(value, MessageFile) else MessageFile.of(value)
        return succeed((file.opened(), rest))


def _plain(line: bytes) -> bytes:
    """The line with the literal announced at its end as the base class knows it: `{5}`."""
    return _ANNOUNCEMENT.sub(rb"{\1}", line)
