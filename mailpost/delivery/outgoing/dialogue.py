"""A connection to an SMTP server as something to await: replies one by one, octets as fast as they are taken.

RFC: 5321 §4.5.3.2 (timeouts)
"""

from __future__ import annotations

from collections import deque
from typing import Any

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mailpost.delivery.outgoing.records import Outcome, Verdict
from mailpost.wire.smtp.client import Reply, ReplyError, ReplyReader


class TroubleError(Exception):
    """The connection is of no more use; the outcome says why, and is of no message in particular."""

    def __init__(self, status: str, text: str, host: str = "") -> None:
        super().__init__(text)
        self.outcome = Outcome(Verdict.LATER, status, text, host)


def why_lost(reason: BaseException | None, name: str) -> str:
    """What a person can do something with, of a connection that failed."""
    if isinstance(reason, VerificationError):
        return f"{name} shows a certificate of another name"
    if isinstance(reason, SSL.Error):
        words = [str(each[-1]) for each in (reason.args[0] if reason.args else ()) if each]
        return f"TLS with {name} fails: {', '.join(words) or 'no reason given'}"
    return f"{name}: {str(reason).rstrip('.') or type(reason).__name__}"


@implementer(IPushProducer)
class Dialogue(Protocol):
    """One connection.

    Args:
        clock: of the reactor.
        name: what the server is called in texts.
    """

    transport: Any

    def __init__(self, clock: IReactorTime, name: str) -> None:
        self._clock = clock
        self._name = name
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()
        self._trouble: TroubleError | None = None
        self._waiting: Deferred[None] | None = None
        """For a reply, for room, or for the end."""
        self._paused = False

    @property
    def lost(self) -> bool:
        """Whether the connection is of no more use."""
        return self._trouble is not None

    @property
    def unread(self) -> bool:
        """Whether the server has said something that nobody asked for."""
        return bool(self._replies) or self._reader.buffered

    # -- for whoever speaks

    def say(self, line: bytes) -> None:
        """Send octets, CRLF included.

        Raises TroubleError for a lost connection, or a server that speaks out of turn: which of its replies is to what
        could not be told any more.
        """
        if self.unread and self._trouble is None:
            said = self._replies[-1] if self._replies else Reply(500)
            self.abort(f"4{said.status[1:]}", f"{self._name} says unasked: {said.text}")
        if self._trouble is not None:
            raise self._trouble
        self.transport.write(line)

    async def reply(self, seconds: float) -> Reply:
        """The next reply, waited for so long. Raises TroubleError."""
        while not self._replies:
            await self._wait(seconds, "does not answer")
        return self._replies.popleft()

    async def drained(self, seconds: float) -> None:
        """Wait while the server takes no more. Raises TroubleError."""
        while self._paused:
            await self._wait(seconds, "takes no more octets")

    def begin_sending(self) -> None:
        """From now on `drained` knows."""
        self.transport.registerProducer(self, True)

    def end_sending(self) -> None:
        """All has been given to the transport."""
        self._paused = False
        self.transport.unregisterProducer()

    def start_tls(self, options: Any) -> None:
        """Begin TLS. Raises TroubleError if there is anything that came before it: it may be of somebody else."""
        if self.unread:
            self.abort("5.5.0", f"{self._name} sends something behind its answer to STARTTLS")
        if self._trouble is not None:
            raise self._trouble
        self.transport.startTLS(options)

    def abort(self, status: str, text: str, host: str = "") -> None:
        """Break the connection off; whoever waits gets TroubleError."""
        self._fail(TroubleError(status, text, host))
        self.transport.abortConnection()

    async def ended(self, seconds: float) -> None:
        """Wait until the server has hung up, or break off."""
        if self._trouble is None:
            self.transport.loseConnection()
        try:
            while True:
                await self._wait(seconds, "does not hang up")
        except TroubleError:
            return

    async def _wait(self, seconds: float, complaint: str) -> None:
        if self._trouble is not None:
            raise self._trouble
        late = self._clock.callLater(seconds, lambda: self.abort("4.4.2", f"{self._name} {complaint}"))
        self._waiting = Deferred()
        try:
            await self._waiting
        finally:
            self._waiting = None
            if late.active():
                late.cancel()

    def _wake(self) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    def _fail(self, trouble: TroubleError) -> None:
        if self._trouble is None:
            self._trouble = trouble
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.errback(self._trouble)

    # -- what Twisted calls

    def dataReceived(self, data: bytes) -> None:
        """Octets have come."""
        if self._trouble is not None:
            return
        try:
            self._replies.extend(self._reader.feed(data))
        except ReplyError as problem:
            self.abort("4.5.0", f"{self._name}: {problem}")
            return
        if len(self._replies) > 2000:  # more than can have been asked for
            self.abort("4.5.0", f"{self._name} answers what nobody asked")
        elif self._replies:
            self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        if self._replies and self._trouble is None:  # it has answered, and hung up
            text = self._replies[-1].text
            self._fail(TroubleError("4.4.2", f"{self._name} hung up after: {text}"))
        self._fail(TroubleError("4.4.2", why_lost(reason.value, self._name)))

    def pauseProducing(self) -> None:
        """The server reads more slowly than is written."""
        self._paused = True

    def resumeProducing(self) -> None:
        """It has caught up."""
        self._paused = False
        self._wake()

    def stopProducing(self) -> None:
        """The connection is going."""
        self._paused = False
