"""Threads, and values that may take time: the one place where either is made or awaited.

`settled` is how every caller takes the answer of a plug-in interface (`storage.interfaces.Answer`).

`Offload` runs blocking work for one store. Writing goes through a lane of its own for each account: jobs run one
after the other, and those that came in while the lane was busy share one commit. Reading takes turns: the lanes of
the accounts stand in one queue, each turn is one job or one slice of about 10 ms, so that a long search holds
nobody up. Reading and writing have threads of their own, so that neither waits for the other.

All methods are called in the reactor thread. Results travel back in bulk: many of them wake the reactor once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from inspect import isawaitable
from queue import SimpleQueue
from threading import Lock, Thread
from time import perf_counter
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from mailpost.mail.errors import ErrorKind, MailError

T = TypeVar("T")
P = ParamSpec("P")

LARGEST_BATCH = 64
"""Jobs that share one commit at most, so that the first of them is not kept waiting for ever."""
SLICE = 0.010
"""Seconds that sliced work runs before it lets others have a turn."""


async def settled(answer: T | Awaitable[T]) -> T:
    """The value of an answer that may be a value, a Deferred or a coroutine."""
    if isawaitable(answer):
        return cast("T", await answer)
    return answer


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


class _Unshared:
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


class _Job:
    """Something to do in a thread and the Deferred that waits for it."""

    __slots__ = ("cancelled", "outcome", "waiting", "work")

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work
        self.cancelled = False
        self.outcome: object = None
        self.waiting: Deferred[Any] = Deferred(self._cancel)

    def _cancel(self, _: Deferred[Any]) -> None:
        self.cancelled = True

    def attempt(self, run: Callable[[Callable[[], object]], object]) -> None:
        """In a thread: do it, keeping the value or the failure."""
        try:
            self.outcome = run(self.work)
        except BaseException:  # whatever it is, the one who waits is told, and the thread goes on
            self.outcome = _failure()

    def deliver(self) -> None:
        """In the reactor: tell the one who waits."""
        if not self.cancelled:
            self.waiting.callback(self.outcome)  # a Failure goes to the errbacks


def _failure() -> Failure:
    return Failure()


def _call(work: Callable[[], object]) -> object:
    return work()


class _Lane(Protocol):
    def turn(self) -> None:
        """In a thread: do the next piece of work."""


class _Threads:
    """Some threads that take the lanes which have work in turn; made when first needed."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._threads: list[Thread] = []
        self._ready: SimpleQueue[_Lane | None] = SimpleQueue()

    def need(self, busy: int) -> None:
        """Have threads for this many jobs, as far as allowed. In the reactor."""
        if len(self._threads) < min(busy, self._most):
            thread = Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def ready(self, lane: _Lane) -> None:
        """The lane has work: it gets a turn when those before it have had theirs."""
        self._ready.put(lane)

    def _work(self) -> None:
        while (lane := self._ready.get()) is not None:
            lane.turn()
            del lane  # an idle thread keeps nothing alive

    def end(self) -> None:
        """End the threads; no lane has work any more."""
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()


class WriterLane:
    """Serial work of one account with one commit for all that came in meanwhile."""

    def __init__(self, offload: Offload, runner: BatchRunner) -> None:
        self._offload = offload
        self._runner = runner
        self._jobs: deque[_Job] = deque()
        self._lock = Lock()
        self._queued = False

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Do this in its turn; answers when the batch that it was part of has been committed.

        Cancelled before its turn it is never done; cancelled later it is done but nobody hears of it.
        """
        if refused := self._offload._refused(self._offload._writing):
            return refused
        job = _Job(lambda: function(*args, **kwargs))
        with self._lock:
            self._jobs.append(job)
            queue, self._queued = not self._queued, True
        if queue:
            self._offload._writing.threads.ready(self)
        return job.waiting

    def turn(self) -> None:
        """In a thread: work off one batch."""
        with self._lock:
            jobs = [self._jobs.popleft() for _ in range(min(len(self._jobs), LARGEST_BATCH))]
        self._batch([job for job in jobs if not job.cancelled])
        self._offload._writing.done(jobs)
        with self._lock:
            again = self._queued = bool(self._jobs)
        if again:
            self._offload._writing.threads.ready(self)

    def _batch(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        try:
            self._runner.begin()
            for job in jobs:
                job.attempt(self._runner.run)
            self._runner.commit()
        except BaseException:  # nothing was made durable, so every job of the batch has failed
            failure = _failure()
            for job in jobs:
                if not isinstance(job.outcome, Failure):
                    job.outcome = failure
            _Job(self._runner.abort).attempt(_call)


class _ReaderLane:
    """Work of one account that changes nothing; several jobs of it may run at once."""

    def __init__(self, threads: _Threads) -> None:
        self._threads = threads
        self._turns: deque[Callable[[], None]] = deque()
        self._lock = Lock()
        self._queued = False

    def add(self, turn: Callable[[], None]) -> None:
        """One more turn to take. In any thread."""
        with self._lock:
            self._turns.append(turn)
            queue, self._queued = not self._queued, True
        if queue:
            self._threads.ready(self)

    def turn(self) -> None:
        """In a thread: take one turn, having gone to the end of the queue for the next."""
        with self._lock:
            turn = self._turns.popleft()
            again = self._queued = bool(self._turns)
        if again:
            self._threads.ready(self)
        turn()


class _Side:
    """The threads of one side (reading or writing), what they have under way, and the way of results back."""

    def __init__(self, reactor: IReactorFromThreads, threads: _Threads, settled_one: Callable[[], None]) -> None:
        self._reactor = reactor
        self.threads = threads
        self.under_way = 0
        self._settled_one = settled_one
        self._finished: deque[list[_Job]] = deque()
        self._woken = False

    def done(self, jobs: list[_Job]) -> None:
        """In a thread: these have been done. The reactor is woken unless that has been done already."""
        self._finished.append(jobs)
        if not self._woken:  # two threads here at once wake it twice: harmless
            self._woken = True
            self._reactor.callFromThread(self._deliver)

    def _deliver(self) -> None:
        self._woken = False  # first: whatever is finished from now on wakes the reactor again
        for _ in range(len(self._finished)):
            jobs = self._finished.popleft()
            self.under_way -= len(jobs)
            for job in jobs:
                job.deliver()
        self._settled_one()


class Slices(Generic[T]):
    """The items of a generator that runs in threads, as an async iterator; one item is made ahead."""

    def __init__(self, offload: Offload, lane: _ReaderLane, generator: Generator[T | None, None, object]) -> None:
        self._offload = offload
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
        except BaseException:
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
            await self._offload._turns(self._lane, self._close())

    def _next(self) -> Deferred[tuple[T] | None]:
        return self._offload._turns(self._lane, self._until_item())

    def _until_item(self) -> Generator[None, None, tuple[T] | None]:
        for item in self._generator:
            if item is not None or self._ended:
                return None if item is None else (item,)
            yield
        return None

    def _close(self) -> Generator[None, None, None]:
        self._generator.close()
        yield from ()


class Offload:
    """The threads of one store.

    Args:
        reactor: where results are delivered.
        threads: so many at most for reading, and as many again for writing.
    """

    def __init__(self, reactor: IReactorFromThreads, threads: int = 4) -> None:
        self._reading = _Side(reactor, _Threads(threads, "mailpost-reader"), self._settled_one)
        self._writing = _Side(reactor, _Threads(threads, "mailpost-writer"), self._settled_one)
        self._readers: WeakValueDictionary[str, _ReaderLane] = WeakValueDictionary()  # kept by their work
        self._closing: list[Deferred[None]] | None = None

    def writer(self, runner: BatchRunner | None = None) -> WriterLane:
        """A lane for the writing of one account; the caller keeps it as long as the account is open."""
        return WriterLane(self, runner or _Unshared())

    def read(self, account_key: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Do this, which changes nothing, when it is this account's turn; for work of a few milliseconds."""
        if refused := self._refused(self._reading):
            return refused
        job = _Job(lambda: function(*args, **kwargs))

        def turn() -> None:
            if not job.cancelled:
                job.attempt(_call)
            self._reading.done([job])

        self._reader(account_key).add(turn)
        return job.waiting

    def sliced(self, account_key: str, generator: Generator[None, None, T]) -> Deferred[T]:
        """Run a generator to its end in turns of about 10 ms: the value that it returns.

        It yields where others may have their turn; from turn to turn the thread may be another. A cancelled Deferred
        closes it at its next yield.
        """
        return self._turns(self._reader(account_key), generator)

    def slices(self, account_key: str, generator: Generator[T | None, None, object]) -> Slices[T]:
        """The items of a generator that runs in turns, like `sliced`; it yields items, or None to let others run."""
        return Slices(self, self._reader(account_key), generator)

    def close(self) -> Deferred[None]:
        """Do all that was asked for, then end the threads. Whatever is asked for later fails with UNAVAILABLE."""
        if self._closing is None:
            self._closing = []
        elif not self._closing:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._closing.append(closed)
        self._settled_one()
        return closed

    # -- for the lanes

    def _reader(self, account_key: str) -> _ReaderLane:
        lane = self._readers.get(account_key)
        if lane is None:
            lane = self._readers[account_key] = _ReaderLane(self._reading.threads)
        return lane

    def _refused(self, side: _Side) -> Deferred[Any] | None:
        """Count one more thing to do, unless the store is closing: then the answer to it."""
        if self._closing is not None:
            return fail(MailError(ErrorKind.UNAVAILABLE, "The mail store is closing"))
        side.under_way += 1
        side.threads.need(side.under_way)
        return None

    def _turns(self, lane: _ReaderLane, generator: Generator[None, None, T]) -> Deferred[T]:
        if refused := self._refused(self._reading):
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
            job.attempt(_call)
            if job.outcome is unfinished:
                lane.add(turn)
            else:
                self._reading.done([job])

        job = _Job(advance)
        lane.add(turn)
        return job.waiting

    def _settled_one(self) -> None:
        if self._closing and not (self._reading.under_way or self._writing.under_way):
            self._reading.threads.end()
            self._writing.threads.end()
            waiting, self._closing[:] = list(self._closing), []
            for closed in waiting:
                closed.callback(None)
