"""Standing between one connection and its session.

Not as a transport of its own, since sessions ask a transport what it can do: some methods of both are put aside for
ours. Octets go from the transport through a slow line, a `Dialogue` and the interceptor to the session, and back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from inspect import isawaitable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.protocols.interception.conversation import Conversation
from mailpost.protocols.interception.interceptor import Interceptor
from mailpost.protocols.interception.slowline import SlowLine
from mailpost.protocols.interception.valve import Valve
from mailpost.protocols.interception.worker import Worker
from mailpost.wire.dialogue import Command

AHEAD = 64 << 10
"""Octets that wait here before no more are taken, in each direction."""
LINGER = 10.0
"""Seconds for what is still to be sent when an interceptor has closed a connection."""

log = Logger()


class Interception:
    """What stands between one connection and its session, from before it is made to its end."""

    def __init__(self, session: Any, conversation: Conversation, interceptor: Interceptor) -> None:
        """Stand before a session that has no transport yet."""
        self._session = session
        self._conversation = conversation
        self._interceptor = interceptor
        self._dialogue = conversation.dialogue
        self._make, self._receive, self._lose_session = (
            session.makeConnection,
            session.dataReceived,
            session.connectionLost,
        )
        session.makeConnection, session.dataReceived, session.connectionLost = self._made, self._received, self._lost
        conversation.session = session
        self._hidden = frozenset(self._dialogue.refused)
        self._inlet = SlowLine(conversation.clock, self._arrived)
        self._outlet = SlowLine(conversation.clock, self._sent)
        self._out: list[bytes] = []
        self._asker = Worker(self._requests, self._hold, self._failed)
        self._answerer = Worker(self._responses, self._answered, self._failed)
        self._next_turn: IDelayedCall | None = None
        self._last_call: IDelayedCall | None = None
        self._begin_tls: Callable[[], None] | None = None
        """To be called when what is to be sent without it has been."""
        self._connected = False
        self._finishing = False
        """The session has closed."""
        self._close_due = False
        self._closing = False
        """An interceptor has closed: nothing is passed on any more."""
        self._stall_due = False
        self._silent = False

    # -- the connection

    def _made(self, transport: Any) -> None:
        self._write, self._lose = transport.write, transport.loseConnection
        self._abort: Callable[[], None] = getattr(transport, "abortConnection", transport.loseConnection)
        self._register, self._unregister = transport.registerProducer, transport.unregisterProducer
        self._upgrade: Callable[..., None] | None = getattr(transport, "startTLS", None)
        self._reading = Valve(transport.pauseProducing, transport.resumeProducing)
        self._writing: Valve | None = None
        self._transport = transport
        ours: dict[str, Callable[..., None]] = {
            "write": self._written,
            "writeSequence": lambda pieces: self._written(b"".join(pieces)),
            "loseConnection": self._session_closes,
            "abortConnection": self._cut,
            "pauseProducing": lambda: self._reading.set("session", True),
            "resumeProducing": lambda: self._reading.set("session", False),
            "registerProducer": self._producer_comes,
            "unregisterProducer": self._producer_goes,
            **({"startTLS": self._start_tls} if self._upgrade is not None else {}),
        }
        self._ours = tuple(ours)
        for name, method in ours.items():
            setattr(transport, name, method)
        vars(self._session).pop("makeConnection", None)
        self._conversation.between = self
        self._make(transport)

    def _lost(self, *reason: Any) -> None:
        for name in self._ours:
            vars(self._transport).pop(name, None)
        for name in ("dataReceived", "connectionLost"):
            vars(self._session).pop(name, None)
        self._closing = True
        self._inlet.stop()
        self._outlet.stop()
        for call in (self._next_turn, self._last_call):
            if call is not None and call.active():
                call.cancel()
        self._asker.cancel()
        self._answerer.cancel()
        with log.failuresHandled("An interceptor failed at the end of a connection"):
            self._interceptor.closed(self._conversation)
        self._conversation.ended()
        self._lose_session(*reason)

    # -- from the client

    def _received(self, octets: bytes) -> None:
        if not (self._closing or self._finishing):
            self._inlet.put(octets)
            self._hold()

    def _arrived(self, octets: bytes) -> None:
        # Until TLS begins, what comes was not sent inside it.
        if self._begin_tls is None:
            self._dialogue.client(octets)
            self._ask()

    def _ask(self) -> None:
        self._next_turn = None
        if not self._closing:
            self._asker.run()

    async def _requests(self) -> None:
        """Pass on what the client says, as far as it is due."""
        conversation, dialogue = self._conversation, self._dialogue
        while not (self._answerer.running or self._closing):
            request = dialogue.next_request()
            if request is None:
                return
            if isinstance(request, Command):
                await self._pass_command(request)
            elif not dialogue.skipping:
                passed = self._interceptor.content(conversation, request.octets)
                octets = await passed if isawaitable(passed) else passed
                self._deliver(request.octets if octets is None else octets)

    async def _pass_command(self, command: Command) -> None:
        conversation, dialogue = self._conversation, self._dialogue
        conversation.commands += 1
        refused = dialogue.refused.get(command.verb)
        if refused is not None:
            conversation.answer(command, refused)
            dialogue.skip()
            return
        passed = self._interceptor.command(conversation, command)
        octets = await passed if isawaitable(passed) else passed
        if octets == b"":
            dialogue.skip()
            return
        if octets is None:
            octets = command.octets
        elif octets != command.octets:
            dialogue.change(octets)
        self._deliver(octets)

    def _deliver(self, octets: bytes) -> None:
        if octets and not self._closing:
            self._receive(octets)

    def _hold(self) -> None:
        """Read no more while there is too much here."""
        if not self._closing:
            self._reading.set("held", self._inlet.held + self._dialogue.waiting > AHEAD)

    # -- from the session

    def _written(self, octets: bytes) -> None:
        if not self._closing:
            self._dialogue.server(octets)
            self._answerer.run()
            self._press()

    async def _responses(self) -> None:
        """Pass on what the server says, as far as it is whole."""
        conversation, dialogue = self._conversation, self._dialogue
        if not self._connected:
            self._connected = True
            waiting = self._interceptor.connected(conversation)
            if isawaitable(waiting):
                await waiting
            if self._close_due:
                self._end()
        while not self._closing:
            response = dialogue.next_response()
            if response is None:
                return
            if self._hidden:
                response = replace(response, octets=dialogue.without(response, self._hidden))
            passed = self._interceptor.response(conversation, response)
            if isawaitable(passed):
                self._flush()
                passed = await passed
            if not self._silent:
                self._out.append(response.octets if passed is None else passed)
            self._silent = self._silent or self._stall_due
            if self._close_due:
                self._end()

    def _answered(self) -> None:
        """All that was whole has been passed on."""
        self._flush()
        if self._close_due:
            self._end()
        elif self._begin_tls is not None or self._finishing:
            self._finish()
        elif self._dialogue.waiting and not self._asker.running and self._next_turn is None:
            self._next_turn = self._conversation.clock.callLater(0, self._ask)

    def _flush(self) -> None:
        octets = b"".join(self._out)
        self._out.clear()
        self._outlet.put(octets)
        self._press()

    def _sent(self, octets: bytes) -> None:
        self._write(octets)
        self._press()

    def _press(self) -> None:
        """Let the session write no more while there is too much here."""
        if self._writing is not None and not self._closing:
            much = self._outlet.held > AHEAD or (self._answerer.running and self._dialogue.unsaid > AHEAD)
            self._writing.set("held", much)

    def _producer_comes(self, producer: Any, streaming: bool) -> None:
        if streaming:
            self._writing = producer = Valve(producer.pauseProducing, producer.resumeProducing, producer.stopProducing)
        self._register(producer, streaming)
        self._press()

    def _producer_goes(self) -> None:
        self._writing = None
        self._unregister()

    def _start_tls(self, *context: Any) -> None:
        upgrade = self._upgrade
        assert upgrade is not None, "it stands in for a method that is there"
        self._dialogue.drop_waiting()  # it came without TLS, and must not be taken for what comes inside
        self._begin_tls = lambda: upgrade(*context)
        self._finish()

    def _session_closes(self) -> None:
        self._finishing = True
        self._dialogue.drop_waiting()
        self._reading.open()  # TLS ends when the client has agreed, which must be read
        self._finish()

    def _finish(self) -> None:
        """Do what is to be done when all has been sent."""
        if not (self._answerer.running or self._closing):
            if self._finishing and not self._silent:
                self._out.append(self._dialogue.rest())
                self._flush()
            self._outlet.when_empty(self._emptied)

    def _emptied(self) -> None:
        begin_tls, self._begin_tls = self._begin_tls, None
        if begin_tls is not None:
            begin_tls()
        if self._finishing:
            self._lose()

    def _cut(self) -> None:
        self._closing = True
        self._outlet.stop()
        self._abort()

    # -- what interceptors want (conversation.Between)

    def send(self, octets: bytes) -> None:
        """Send to the client, behind what has been passed on."""
        if not (self._closing or self._silent):
            self._out.append(octets)
            if not self._answerer.running:
                self._flush()

    def close(self) -> None:
        """Close when that has been sent; a response that is being looked at is passed on before."""
        self._close_due = True
        if not self._answerer.running:
            self._end()

    def stall(self) -> None:
        """Pass nothing on to the client any more, behind a response that is being looked at."""
        self._stall_due = True
        self._silent = self._silent or not self._answerer.running

    def pace(self, delay: float, rate: float) -> None:
        """Let octets take so many seconds, and so many go a second."""
        self._outlet.delay = delay
        self._outlet.rate = self._inlet.rate = rate

    def _end(self) -> None:
        if self._closing:
            return
        self._flush()
        self._closing = True
        if self._writing is not None:
            self._unregister()
            self._writing.open()
            self._writing = None
        self._reading.open()  # TLS ends when the client has agreed, which must be read
        self._last_call = self._conversation.clock.callLater(LINGER, self._abort)
        self._outlet.when_empty(self._lose)

    def _failed(self, failure: Failure) -> None:
        if not self._closing:
            log.failure("An interceptor of {protocol} failed", failure, protocol=self._conversation.protocol)
            self._cut()
