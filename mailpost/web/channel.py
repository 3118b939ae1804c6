"""HTTP: connections that are counted, and requests without bodies that are answered by a coroutine.

What changes something is asked for in the address of a POST; so no request needs a body, and none is kept.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request, datetimeToString

from mailpost.protocols.connection import Connections, address_of, is_encrypted
from mailpost.web.replies import ALWAYS, RefusedError, Reply

MOST_PARAMETERS = 300
LONGEST_BODY = 64 << 10
"""Octets that are read, and thrown away, before the connection is closed."""

Query = dict[str, list[str]]
"""The parameters of a request, by name."""


class Asked(Request):
    """A request."""

    _log = Logger()
    channel: Any
    path: bytes

    def gotLength(self, length: int | None) -> None:
        """A body is no reason to open a file."""
        self.content = BytesIO()
        self._passed_over = 0

    def handleContentChunk(self, data: bytes) -> None:
        """Pass over a body."""
        self._passed_over += len(data)
        if self._passed_over > LONGEST_BODY:
            self.channel.cut()

    def process(self) -> None:
        """Answer it."""
        answering = Deferred.fromCoroutine(self._answer())
        self.notifyFinish().addErrback(lambda _: answering.cancel())
        answering.addErrback(self._failed)

    async def _answer(self) -> None:
        reply = await self.channel.factory.answer(self)
        if reply is not None:
            self.send(reply)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError, ConnectionDone, ConnectionLost) is None:
            self._log.failure("a request could not be answered", failure)
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection, since no more of an answer comes."""
        if not self._disconnected and not self.finished:
            self.channel.loseConnection()

    # -- what is asked

    def parameters(self) -> Query:
        """What stands behind the "?". Raises RefusedError where there is too much."""
        query = self.uri.partition(b"?")[2].decode("ascii", "replace")
        try:
            return parse_qs(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS, errors="replace")
        except ValueError:
            raise RefusedError(400, f"There are more than {MOST_PARAMETERS} parameters.") from None

    def header(self, name: str) -> str:
        """A header field; "" where there is none."""
        return self.getHeader(name) or ""

    @property
    def address(self) -> str:
        """The client's."""
        return address_of(self.channel.transport)

    @property
    def encrypted(self) -> bool:
        """Whether it came inside TLS."""
        return is_encrypted(self.channel.transport)

    # -- what is answered

    def begin(self, reply: Reply) -> None:
        """Write the header."""
        self.setResponseCode(reply.status)
        fields = {
            "Server": "mailpost",
            "Date": datetimeToString().decode(),
            "Content-Type": reply.type + ("; charset=utf-8" if reply.type.startswith("text/") else ""),
            "Content-Security-Policy": reply.policy,
            "Cache-Control": "no-store",
        }
        for name, value in (fields | dict(reply.fields)).items():
            self.responseHeaders.setRawHeaders(name, [value])
        for key, text in ALWAYS.items():
            self.responseHeaders.setRawHeaders(key, [text])

    def send(self, reply: Reply) -> None:
        """Write all of a reply."""
        self.begin(reply)
        self.responseHeaders.setRawHeaders("Content-Length", [str(len(reply.body))])
        if self.method != b"HEAD" and reply.body:
            self.write(reply.body)
        self.finish()


class Channel(HTTPChannel):
    """A connection."""

    requestFactory = Asked
    factory: Any
    transport: Any

    def connectionMade(self) -> None:
        """Count it."""
        super().connectionMade()
        self._from = address_of(self.transport)
        connections: Connections = self.factory.connections
        self._counted = connections.enter(self, self._from)
        if not self._counted:
            self.cut()

    def connectionLost(self, reason: Any = None) -> None:
        """Count it no more."""
        super().connectionLost(reason)
        if self._counted:
            self._counted = False
            self.factory.connections.leave(self, self._from)

    def say_goodbye(self, text: bytes) -> None:
        """Close."""
        self.loseConnection()

    def cut(self) -> None:
        """Close at once."""
        self.transport.abortConnection()


def first(query: Query, name: str, otherwise: str = "") -> str:
    """The first value of a parameter."""
    return query.get(name, [otherwise])[0]


def number(query: Query, name: str) -> int:
    """The first value of a parameter, as a number; 0 without one. Raises RefusedError."""
    text = first(query, name, "0")
    if not re.fullmatch(r"-?[0-9]{1,15}", text, re.ASCII):
        raise RefusedError(400, f"{name} is a number.")
    return int(text)


def uids(query: Query, name: str = "uid") -> list[int]:
    """All values of a parameter, as UIDs, ascending, each once. Raises RefusedError."""
    texts = query.get(name, [])
    if not all(re.fullmatch(r"[0-9]{1,10}", each, re.ASCII) for each in texts):
        raise RefusedError(400, f"{name} is a UID, a number.")
    return sorted({int(each) for each in texts})
