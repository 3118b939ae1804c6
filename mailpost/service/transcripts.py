"""What was said on each connection of a server, without passwords: for the report of a test that failed, and the page.

Secrets are left out as lines come in, so that they are never kept. What is left out: what stands behind LOGIN, PASS,
APOP and the name of a SASL mechanism, and all that the client says until the server has answered that.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.interfaces import IProtocolFactory
from zope.interface import implementer

MOST_LINES = 400
"""Lines kept of a connection: the first half of them, and the latest."""
MOST_CONNECTIONS = 100
LONGEST_LINE = 500
"""Octets of a line."""
LARGEST_PIECE = 8 << 10
"""Octets that a server sends at once of which all lines are kept."""

_MECHANISM = r"(?: [A-Z0-9_-]{1,40})?"
_SASL = re.compile(rf"(AUTH{_MECHANISM})(| \S*)".encode(), re.IGNORECASE)
_SECRETS = {
    "imap": re.compile(rf"(\S{{1,100}} (?:LOGIN|AUTHENTICATE{_MECHANISM}))(| .*)".encode(), re.IGNORECASE | re.DOTALL),
    "pop3": re.compile(rf"(PASS|APOP|AUTH{_MECHANISM})(| .*)".encode(), re.IGNORECASE | re.DOTALL),
}
"""By protocol: commands, and behind them what is secret."""
_LITERAL = re.compile(rb"\{\d+\+?\}\Z")
_CONTINUES = re.compile(rb"\+( |\Z)|334|\* ")
"""A server's line that does not end a dialogue about passwords. POP3's +OK does."""
_HIDDEN = b"***"


class Lines:
    """The octets of one direction, cut into lines."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._rest = bytearray()
        self._inside = False
        """The rest of a line is to come whose beginning was left out."""

    def feed(self, data: bytes) -> None:
        """Take octets, and give the lines that are whole."""
        self._rest += data
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            if self._inside:
                self._inside = False
            else:
                self._take(line.removesuffix(b"\r"))
        if len(rest) > LARGEST_PIECE:
            self._rest.clear()
            if not self._inside:
                self._take(rest)
            self._inside = True


class Transcript:
    """One connection."""

    def __init__(self, protocol: str, peer: str, encrypted: bool, number: int = 1) -> None:
        self.protocol = protocol
        self.number = number
        """Another for each connection of a server."""
        self._about = f"{protocol} from {peer}{', inside TLS' if encrypted else ''}"
        self._begun = time.monotonic()
        self._first: list[tuple[float, str, bytes]] = []
        self._latest: deque[tuple[float, str, bytes]] = deque(maxlen=MOST_LINES // 2)
        self._left_out = 0
        self._command = _SECRETS.get(protocol, _SASL)
        self._secret = False
        self._client = Lines(self._client_line)
        self._server = Lines(self._server_line)

    def received(self, data: bytes) -> None:
        """The client has sent this."""
        self._client.feed(data)

    def sent(self, data: bytes) -> None:
        """The server has sent this."""
        if len(data) > LARGEST_PIECE and not self._secret:
            self._server.feed(data[:LARGEST_PIECE] + b"\n")
            self.note(f"{len(data) - LARGEST_PIECE} octets more")
        else:
            self._server.feed(data)

    def note(self, text: str) -> None:
        """Something has happened that nobody said."""
        self._add("--", text.encode())

    def lines(self) -> list[str]:
        """All of it, to be read."""
        kept = [*self._first, *self._latest]
        shown = [f"{at:8.3f} {who} {line[:LONGEST_LINE].decode(errors='replace')}" for at, who, line in kept]
        if self._left_out:
            shown.insert(len(self._first), f"         -- {self._left_out} lines left out")
        return [self._about, *shown]

    def _client_line(self, line: bytes) -> None:
        found = self._command.fullmatch(line)
        if self._secret:
            line = _HIDDEN
        elif found is not None:
            line = found[1] + (b" " + _HIDDEN if found[2] else b"")
            # Behind LOGIN, PASS and APOP there is more only where a literal is announced.
            self._secret = b"AUTH" in found[1].upper() or _LITERAL.search(found[2]) is not None
        self._add("C:", line)

    def _server_line(self, line: bytes) -> None:
        if self._secret and not _CONTINUES.match(line):
            self._secret = False
        self._add("S:", _HIDDEN if self._secret and line[:1] in b"+3" else line)

    def _add(self, who: str, line: bytes) -> None:
        entry = (time.monotonic() - self._begun, who, line[: LONGEST_LINE + 1])
        if len(self._first) < MOST_LINES // 2:
            self._first.append(entry)
        else:
            self._left_out += len(self._latest) == self._latest.maxlen
            self._latest.append(entry)


class Transcripts:
    """All connections of a server, the latest of them."""

    def __init__(self) -> None:
        self._all: deque[Transcript] = deque(maxlen=MOST_CONNECTIONS)
        self._numbers = count(1)
        self._by_connection: WeakKeyDictionary[Any, Transcript] = WeakKeyDictionary()
        self._early: WeakKeyDictionary[Any, list[str]] = WeakKeyDictionary()
        """What happened before a connection was made."""

    def around(self, protocol: str, factory: Any) -> TappedFactory:
        """A factory whose connections are written down."""
        return TappedFactory(protocol, factory, self)

    def begin(self, connection: Any, protocol: str, peer: str, encrypted: bool) -> Transcript:
        """A connection was made."""
        made = Transcript(protocol, peer, encrypted, next(self._numbers))
        self._by_connection[connection] = made
        self._all.append(made)
        for text in self._early.pop(connection, ()):
            made.note(text)
        return made

    def all(self) -> Sequence[Transcript]:
        """Those that are kept, oldest first."""
        return list(self._all)

    def note(self, connection: Any, text: str) -> None:
        """Something has happened on a connection, or is about to when it is made, that nobody said."""
        if connection in self._by_connection:
            self._by_connection[connection].note(text)
        else:
            self._early.setdefault(connection, []).append(text)

    def of(self, protocol: str) -> Sequence[Transcript]:
        """Those of one protocol, oldest first."""
        return [each for each in self._all if each.protocol == protocol]

    def __str__(self) -> str:
        return "\n\n".join("\n".join(each.lines()) for each in list(self._all))


@implementer(IProtocolFactory)
class TappedFactory:
    """Makes the connections of another factory, and listens to what they read and write inside TLS."""

    noisy = False

    def __init__(self, protocol: str, factory: Any, transcripts: Transcripts) -> None:
        self._protocol = protocol
        self._factory = factory
        self._transcripts = transcripts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._factory, name)

    def buildProtocol(self, addr: Any) -> Any:
        """A connection."""
        connection = self._factory.buildProtocol(addr)
        if connection is not None:
            self._tap(connection, addr)
        return connection

    def _tap(self, connection: Any, addr: Any) -> None:
        """Stand between a connection and its transport, without being one: it asks a transport what it can do."""
        make, receive, lose = connection.makeConnection, connection.dataReceived, connection.connectionLost
        peer = f"{getattr(addr, 'host', 'here')}:{getattr(addr, 'port', '')}"

        def made(transport: Any) -> None:
            transcript = self._transcripts.begin(
                connection, self._protocol, peer, hasattr(transport, "getPeerCertificate")
            )
            write = transport.write

            def note(data: bytes, take: Callable[[bytes], None], way: str) -> None:
                if getattr(connection, "compressed", False):
                    transcript.note(f"{len(data)} octets {way} the client, compressed")
                else:
                    take(data)

            def tapped_write(data: bytes) -> None:
                note(data, transcript.sent, "to")
                write(data)

            def tapped_receive(data: bytes) -> None:
                note(data, transcript.received, "from")
                receive(data)

            def tapped_lose(*reason: Any) -> None:
                transcript.note("closed")
                del connection.dataReceived, connection.connectionLost
                lose(*reason)

            transport.write = tapped_write
            transport.writeSequence = lambda pieces: tapped_write(b"".join(pieces))
            connection.dataReceived, connection.connectionLost = tapped_receive, tapped_lose
            del connection.makeConnection
            make(transport)

        connection.makeConnection = made
