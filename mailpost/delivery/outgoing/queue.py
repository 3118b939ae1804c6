"""The queue at work: what is due is sent, what could not be sent waits for its next turn, who sent it is told.

A message stays in the queue until all that there is to be done about it has been done: a process that dies leaves it
there, and the next one does it again. So a message can be sent twice, and a sender told twice; neither is ever lost.

In memory is a bounded list of what is due next, whatever there is on the disk. One process sends at a time; any may
put messages in.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from heapq import heapify, heappop, heappush, nsmallest

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.delivery.body import Run
from mailpost.delivery.outgoing.attempts import Attempts, Connection, Loaded, Relay
from mailpost.delivery.outgoing.dialogue import TroubleError
from mailpost.delivery.outgoing.files import Due, QueueFiles
from mailpost.delivery.outgoing.records import Outcome, Verdict
from mailpost.delivery.outgoing.reports import Reports
from mailpost.delivery.outgoing.schedule import Schedule
from mailpost.mail.errors import MailError
from mailpost.storage.offload import settled

MOST_KNOWN = 1000
"""Messages that are known in memory; when they are sent, the next ones are looked up."""
LOOK_SECONDS = 1.0
"""How often it is looked for what is due, and whether another process wants something."""
NET_SECONDS = 300.0
"""How often what is in memory is made anew without any reason."""
LOCKED_SECONDS = 5.0
"""How often it is looked whether the process that sends is gone."""
MOST_A_CONNECTION = 100
"""Messages that are sent through one connection."""
GRACE = 5.0
"""Seconds for what is being sent when the server stops."""
_ROUNDED = 0.001
"""Seconds by which a time on the disk may be rounded."""

_NO_CONNECTION = Outcome(Verdict.LATER, "4.4.1", "there is no connection")

_log = Logger()


class OutgoingQueue:
    """Sends what is in the queue; a `service.server.Runner`.

    Args:
        files: the queue.
        relay: takes the messages.
        reports: tells senders what became of them.
        schedule: how patient it is.
        connections: so many to the relay at most.
        clock: of the reactor.
        run: runs a blocking function in a thread.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        files: QueueFiles,
        relay: Relay,
        reports: Reports,
        schedule: Schedule,
        *,
        connections: int,
        clock: IReactorTime,
        run: Run,
        now: Callable[[], float],
    ) -> None:
        self._files = files
        self._relay = relay
        self._attempts = Attempts(files, reports, schedule, run, now)
        self._pause = schedule.retry_after[-1]
        self._most = connections
        self._clock = clock
        self._run = run
        self._now = now
        self._due: list[tuple[float, str]] = []
        """A heap; what is not due yet, or is there twice, or gone, does no harm."""
        self._known_until = float("-inf")
        self._fresh: list[tuple[float, str]] | None = None
        """What has come in while it is being looked up."""
        self._busy: set[str] = set()
        self._workers: set[Deferred[None]] = set()
        self._beginning: Deferred[None] | None = None
        self._looking = LoopingCall(lambda: Deferred.fromCoroutine(self._look()))
        self._looking.clock = clock
        self._woken = 0
        self._looked = float("-inf")
        self._sending = False
        """This is the process that sends."""
        self._closing = False

    # -- beginning and end

    def start(self) -> None:
        """Begin, as soon as no other process sends."""
        self._beginning = Deferred.fromCoroutine(self._begin())
        self._beginning.addErrback(self._failed)

    async def _begin(self) -> None:
        said = ""
        while True:
            try:
                if await self._run(self._files.begin_sending):
                    break
                trouble = "another server sends this queue"
            except (OSError, MailError) as problem:
                trouble = f"the queue cannot be opened: {problem}"
            if trouble != said:
                _log.warn("{place}: {trouble}; waiting", place=str(self._files.root), trouble=trouble)
            said = trouble
            await deferLater(self._clock, LOCKED_SECONDS, lambda: None)
        if not self._closing:
            self._sending = True
            self._looking.start(LOOK_SECONDS).addErrback(self._failed)

    async def close(self) -> None:
        """Stop; what is being sent has some seconds to be done."""
        self._closing = True
        self._sending = False
        if self._beginning is not None:
            self._beginning.cancel()
        if self._looking.running:
            self._looking.stop()
        working = DeferredList(list(self._workers))
        timer = self._clock.callLater(GRACE, self._break_off)
        await working
        if timer.active():
            timer.cancel()
        await self._run(self._files.end_sending)

    def _break_off(self) -> None:
        for each in list(self._workers):
            each.cancel()

    def _failed(self, failure: Failure) -> None:
        if not self._closing:
            _log.failure("the queue stands still", failure)

    def added(self, name: str, due: float) -> None:
        """A message is to be tried at this time."""
        if not self._sending:  # another process does, or this one will, when it looks at the disk
            Deferred.fromCoroutine(settled(self._run(self._files.wake))).addErrback(lambda _: None)
            return
        if self._fresh is not None:
            self._fresh.append((due, name))
        if due <= max(self._known_until, self._now()):  # what is due now need not wait for a look at the disk
            heappush(self._due, (due, name))
            if len(self._due) > 2 * MOST_KNOWN:
                self._due, until = _first(self._due)
                self._known_until = min(until, self._known_until)
            self._work()

    # -- looking

    async def _look(self) -> None:
        """Once a second: what is due now is sent; what is in memory is made anew when there is reason to."""
        try:
            woken = await self._run(self._files.woken)
            now = self._now()
            used_up = not self._due and self._known_until < now + LOOK_SECONDS
            if woken != self._woken or used_up or now >= self._looked + NET_SECONDS:
                self._woken, self._looked = woken, now
                await self._look_up()
        except Exception:  # a disk that fails now may not fail the next time
            _log.failure("the queue cannot be looked at")
        self._work()

    async def _look_up(self) -> None:
        """Find what is due next."""
        self._fresh = []
        try:
            found: Due = await self._run(lambda: self._files.due(MOST_KNOWN))
        finally:
            fresh, self._fresh = self._fresh, None
        self._known_until = found.until
        self._due = [*found.entries, *(each for each in fresh if each[0] <= max(found.until, self._now()))]
        heapify(self._due)

    def _work(self) -> None:
        """Have as many at work as there is work for."""
        while self._sending and len(self._workers) < self._most and self._has_work():
            worker = Deferred.fromCoroutine(self._send_some())
            self._workers.add(worker)
            worker.addErrback(self._failed)
            worker.addBoth(self._done, worker)

    def _has_work(self) -> bool:
        while self._due and self._due[0][1] in self._busy:
            heappop(self._due)
        return bool(self._due) and self._due[0][0] <= self._now() + _ROUNDED

    def _done(self, result: object, worker: Deferred[None]) -> None:
        self._workers.discard(worker)
        self._work()

    def _take(self) -> str | None:
        """The name of a message that is due; the caller gives it back."""
        if not self._sending or not self._has_work():
            return None
        _, name = heappop(self._due)
        self._busy.add(name)
        return name

    # -- sending

    async def _send_some(self) -> None:
        """Send what is due, through one connection; where none is to be had, all that is due has been tried."""
        connection: Connection | None = None
        trouble: Outcome | None = None
        try:
            for _ in range(MOST_A_CONNECTION):
                name = self._take()
                if name is None:
                    break
                due = None
                try:
                    loaded = await self._load(name)
                    if isinstance(loaded, Loaded):
                        if loaded.needs_connection and trouble is None:
                            connection, trouble = await self._connected(connection)
                        due = await self._attempt(loaded, connection, trouble or _NO_CONNECTION)
                    else:
                        due = loaded
                finally:
                    self._busy.discard(name)
                if due is not None:
                    self.added(name, due)
        except BaseException:  # cancelled: raised again, with nothing left open
            if connection is not None:
                connection.abort()
            raise
        if connection is not None:
            await connection.close()

    async def _connected(self, connection: Connection | None) -> tuple[Connection | None, Outcome | None]:
        """The same connection if it is still good, else a new one, or why there is none."""
        if connection is not None and await connection.ready():
            return connection, None
        try:
            return await self._relay.connect(), None
        except TroubleError as trouble:
            _log.warn("no mail goes out: {reason}", reason=trouble.outcome.text)
            return None, trouble.outcome
        except CancelledError:
            raise
        except Exception:  # the messages wait meanwhile
            _log.failure("no mail goes out: a bug")
            return None, Outcome(Verdict.LATER, "4.3.0", "internal error")

    async def _load(self, name: str) -> Loaded | float | None:
        """A message that is due; when it is, if it is not yet; None if there is none."""
        try:
            found = await self._run(lambda: self._files.load(name))
        except OSError:
            _log.failure("{name} cannot be read now", name=name)
            return self._now() + self._pause
        if found is None:
            return None
        envelope, due, message = found
        if due > self._now() + _ROUNDED:
            message.close()
            return float(due)
        return Loaded(envelope, message)

    async def _attempt(self, loaded: Loaded, connection: Connection | None, trouble: Outcome) -> float | None:
        """Try a message, whatever happens: when it is due again."""
        name = loaded.envelope.name
        try:
            return await self._attempts.make(loaded, connection, trouble)
        except CancelledError:
            raise
        except Exception:  # concerns this message alone: not now
            _log.failure("{name} in the queue: a bug, or the disk", name=name)
            due = self._now() + self._pause
            with suppress(Exception):
                await self._run(lambda: self._files.retry(name, due))
            return due
        finally:
            loaded.message.close()


def _first(due: list[tuple[float, str]]) -> tuple[list[tuple[float, str]], float]:
    """The earliest, and up to when they are all."""
    *kept, (until, _) = nsmallest(MOST_KNOWN + 1, due)
    return kept, until
