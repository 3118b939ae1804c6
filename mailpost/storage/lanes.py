"""The lanes of one account: its writing, with one commit for many jobs, and its reading, in turns.

For `storage.offload` alone, which says what they are for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from threading import Lock
from time import perf_counter
from typing import Generic, ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailpost.mail.errors import MailError
from mailpost.storage.threads import Job, Side, call

T = TypeVar("T")
P = ParamSpec("P")

LARGEST_BATCH = 64
"""Jobs that share one commit at most, so that the first of them is not kept waiting for ever."""
SLICE = 0.010
"""Seconds that sliced work runs before it lets others have a turn."""


class BatchRunner(Protocol):
    """What surrounds the jobs of a writer lane; called in the lane's thread, never in two at once."""

    def begin(self) -> None:
        """A batch of jobs begins."""

    def run(self, job: Callable[[], T]) -> T:
        """Do one job so that its failure leaves the others unharmed (a savepoint), and pass its exception on."""
        ...

    def commit(self) -> None:
        """Make durable what the jobs did that did not fail."""

    def abort(self) -> None:
        """`begin` or `commit` failed: undo what is left of the batch. Raises nothing."""


class Unshared:
    """The runner of a lane whose jobs share nothing."""

    def begin(self) -> None:
        """Nothing to prepare."""

    def run(self, job: Callable[[], T]) -> T:
        """Do the job."""
        return job()

    def commit(self) -> None:
        """Every job has done all it wanted."""

    def abort(self) -> None:
        """Nothing to undo."""


class WriterLane:
    """Serial work of one account with one commit for all that came in meanwhile."""

    def __init__(self, side: Side, runner: BatchRunner) -> None:
        self._side = side
        self._runner = runner
        self._jobs: deque[Job] = deque()
        self._lock = Lock()
        self._queued = False

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Do this in its turn; answers when the batch that it was part of has been committed.

        Cancelled before its turn it is never done; cancelled later it is done but nobody hears of it.
        """
        if refused := self._side.refused():
            return refused
        job = Job(lambda: function(*args, **kwargs))
        with self._lock:
            self._jobs.append(job)
            queue, self._queued = not self._queued, True
        if queue:
            self._side.threads.ready(self)
        return job.waiting

    def turn(self) -> None:
        """In a thread: work off one batch."""
        with self._lock:
            jobs = [self._jobs.popleft() for _ in range(min(len(self._jobs), LARGEST_BATCH))]
        self._batch([job for job in jobs if not job.cancelled])
        self._side.done(jobs)
        with self._lock:
            again = self._queued = bool(self._jobs)
        if again:
            self._side.threads.ready(self)

    def _batch(self, jobs: list[Job]) -> None:
        if not jobs:
            return
        try:
            self._runner.begin()
            for job in jobs:
                job.attempt(self._runner.run)
            self._runner.commit()
        except BaseException:  # nothing was made durable, so every job of the batch has failed
            failure = Failure()
            for job in jobs:
                if not isinstance(job.outcome, Failure):
                    job.outcome = failure
            Job(self._runner.abort).attempt(call)


class ReaderLane:
    """Work of one account that changes nothing; several jobs of it may run at once."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._turns: deque[Callable[[], None]] = deque()
        self._lock = Lock()
        self._queued = False

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Do this in its turn, see `Offload.read`."""
        if refused := self._side.refused():
            return refused
        job = Job(lambda: function(*args, **kwargs))

        def turn() -> None:
            if not job.cancelled:
                job.attempt(call)
            self._side.done([job])

        self._add(turn)
        return job.waiting

    def sliced(self, generator: Generator[None, None, T]) -> Deferred[T]:
        """Run a generator to its end in turns, see `Offload.sliced`."""
        if refused := self._side.refused():
            return refused
        unfinished = object()

        def advance() -> object:
            until = perf_counter() + SLICE
            try:
                while not job.cancelled:
                    next(generator)
                    if perf_counter() >= until:
                        return unfinished
            except StopIteration as stop:
                return stop.value
            generator.close()
            return None

        def turn() -> None:
            job.attempt(call)
            if job.outcome is unfinished:
                self._add(turn)
            else:
                self._side.done([job])

        job = Job(advance)
        self._add(turn)
        return job.waiting

    def turn(self) -> None:
        """In a thread: take one turn, having gone to the end of the queue for the next."""
        with self._lock:
            turn = self._turns.popleft()
            again = self._queued = bool(self._turns)
        if again:
            self._side.threads.ready(self)
        turn()

    def _add(self, turn: Callable[[], None]) -> None:
        """One more turn to take. In any thread."""
        with self._lock:
            self._turns.append(turn)
            queue, self._queued = not self._queued, True
        if queue:
            self._side.threads.ready(self)


class Slices(Generic[T]):
    """The items of a generator that runs in threads, as an async iterator; one item is made ahead."""

    def __init__(self, lane: ReaderLane, generator: Generator[T | None, None, object]) -> None:
        self._lane = lane
        self._generator = generator
        self._ahead: Deferred[tuple[T] | None] | None = None
        self._ended = False

    def __aiter__(self) -> Slices[T]:
        return self

    async def __anext__(self) -> T:
        if self._ended:
            raise StopAsyncIteration
        coming = self._ahead or self._next()
        self._ahead = None
        try:
            item = await coming
        except BaseException:  # cancelled too: raised again, and nothing comes behind it
            self._ended = True
            raise
        if item is None:
            self._ended = True
            raise StopAsyncIteration
        self._ahead = self._next()
        return item[0]

    async def aclose(self) -> None:
        """Stop, and close the generator in a thread at its next yield."""
        if self._ended:
            return
        self._ended = True
        if self._ahead is not None:
            await self._ahead.addErrback(lambda _: None)
        with suppress(MailError):  # when the store is closing the generator goes with its last reference
            await self._lane.sliced(self._close())

    def _next(self) -> Deferred[tuple[T] | None]:
        return self._lane.sliced(self._until_item())

    def _until_item(self) -> Generator[None, None, tuple[T] | None]:
        for item in self._generator:
            if item is not None or self._ended:
                return None if item is None else (item,)
            yield
        return None

    def _close(self) -> Generator[None, None, None]:
        self._generator.close()
        yield from ()
