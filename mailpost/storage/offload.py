"""Threads, and values that may take time: the one place where either is made or awaited.

`settled` is how every caller takes the answer of a plug-in interface (`storage.interfaces.Answer`).

`Offload` runs blocking work for one store. Writing goes through a lane of its own for each account: jobs run one
after the other, and those that came in while the lane was busy share one commit. Reading takes turns: the lanes of
the accounts stand in one queue, each turn is one job or one slice of about 10 ms, so that a long search holds
nobody up. Reading and writing have threads of their own, so that neither waits for the other.

All methods are called in the reactor thread. What it is made of is in `lanes` (what is done when) and `threads` (who
does it, and the way back); nothing else makes a thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from inspect import isawaitable
from typing import ParamSpec, TypeVar, cast
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads

from mailpost.storage.lanes import BatchRunner, ReaderLane, Slices, Unshared, WriterLane
from mailpost.storage.threads import Side, Threads

T = TypeVar("T")
P = ParamSpec("P")


async def settled(answer: T | Awaitable[T]) -> T:
    """The value of an answer that may be a value, a Deferred or a coroutine."""
    if isawaitable(answer):
        return cast("T", await answer)
    return answer


class Offload:
    """The threads of one store.

    Args:
        reactor: where results are delivered.
        threads: so many at most for reading, and as many again for writing.
    """

    def __init__(self, reactor: IReactorFromThreads, threads: int = 4) -> None:
        self._reading = Side(reactor, Threads(threads, "mailpost-reader"), self._settled_one)
        self._writing = Side(reactor, Threads(threads, "mailpost-writer"), self._settled_one)
        self._readers: WeakValueDictionary[str, ReaderLane] = WeakValueDictionary()  # kept by their work
        self._closing: list[Deferred[None]] | None = None

    def writer(self, runner: BatchRunner | None = None) -> WriterLane:
        """A lane for the writing of one account; the caller keeps it as long as the account is open."""
        return WriterLane(self._writing, runner or Unshared())

    def read(self, account_key: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Do this, which changes nothing, when it is this account's turn; for work of a few milliseconds."""
        return self._reader(account_key).run(function, *args, **kwargs)

    def sliced(self, account_key: str, generator: Generator[None, None, T]) -> Deferred[T]:
        """Run a generator to its end in turns of about 10 ms: the value that it returns.

        It yields where others may have their turn; from turn to turn the thread may be another. A cancelled Deferred
        closes it at its next yield.
        """
        return self._reader(account_key).sliced(generator)

    def slices(self, account_key: str, generator: Generator[T | None, None, object]) -> Slices[T]:
        """The items of a generator that runs in turns, like `sliced`; it yields items, or None to let others run."""
        return Slices(self._reader(account_key), generator)

    def close(self) -> Deferred[None]:
        """Do all that was asked for, then end the threads. Whatever is asked for later fails with UNAVAILABLE."""
        if self._closing is None:
            self._closing = []
            self._reading.closing = self._writing.closing = True
        elif not self._closing:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._closing.append(closed)
        self._settled_one()
        return closed

    def _reader(self, account_key: str) -> ReaderLane:
        lane = self._readers.get(account_key)
        if lane is None:
            lane = self._readers[account_key] = ReaderLane(self._reading)
        return lane

    def _settled_one(self) -> None:
        if self._closing and not (self._reading.under_way or self._writing.under_way):
            self._reading.threads.end()
            self._writing.threads.end()
            waiting, self._closing[:] = list(self._closing), []
            for closed in waiting:
                closed.callback(None)
