"""IDLE: the client listens until it says DONE.

A sign of life goes out every two minutes, so that a dead connection is found and no NAT forgets a live one. Any line
but DONE is answered with an untagged BAD and changes nothing.

RFC: 2177, 9051 §6.3.13
"""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from mailpost.protocols.imap.commands.context import Context
from mailpost.wire.imap.commands import Idle


class _Bell:
    """Anybody pulls it, any number of times; it rings once, in a later turn of the reactor."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._pulled: IDelayedCall | None = None
        self._rung = False
        self._waiting: Deferred[None] | None = None

    def pull(self) -> None:
        """Let it ring soon."""
        if self._pulled is None:
            self._pulled = self._clock.callLater(0, self._ring)

    def _ring(self) -> None:
        self._pulled = None
        self._rung = True
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    async def heard(self) -> None:
        """Wait for it, unless it has rung since the last time."""
        if not self._rung:
            self._waiting = Deferred()
            await self._waiting
        self._rung = False

    def silence(self) -> None:
        """It rings no more."""
        if self._pulled is not None:
            self._pulled.cancel()
            self._pulled = None


async def idle(context: Context, command: Idle) -> None:
    """Report changes as they come, with or without a mailbox selected, until the client says DONE."""
    bell = _Bell(context.clock)
    lines: deque[bytes | Failure] = deque()

    def listen() -> Deferred[None]:
        return context.client_line().addBoth(hear)

    def hear(line: bytes | Failure) -> None:
        lines.append(line)
        bell.pull()

    def sign_of_life() -> None:
        context.write(b"* OK Still here\r\n")
        bell.pull()

    selected = context.selected
    if selected is not None:
        selected.held = None
        selected.on_wake = bell.pull
    life = LoopingCall(sign_of_life)
    life.clock = context.clock
    life.start(context.settings.idle_interval, now=False)
    context.continuation(b"idling")
    listening = listen()
    try:
        while True:
            if lines:
                line = lines.popleft()
                if isinstance(line, Failure):
                    line.raiseException()
                elif line.upper() == b"DONE":
                    return
                context.write(b"* BAD Expected DONE\r\n")
                listening = listen()
            if selected is not None and selected.gone:
                return
            await context.report_changes(True)
            await context.drained()
            await bell.heard()
    finally:
        if selected is not None:
            selected.on_wake = None
        life.stop()
        listening.cancel()
        bell.silence()
