"""Threads: order, grouping, fairness, failure, and an orderly end."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Generator
from time import perf_counter, sleep
from typing import TypeVar

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults, succeed
from twisted.trial.unittest import TestCase

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.lanes import LARGEST_BATCH
from mailpost.storage.offload import Offload, settled

T = TypeVar("T")


class Recorder:
    """A runner that notes what is asked of it."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.fail_commit = False

    def begin(self) -> None:
        self.log.append("begin")

    def run(self, job: Callable[[], T]) -> T:
        try:
            return job()
        except Exception:
            self.log.append("undo")
            raise

    def commit(self) -> None:
        if self.fail_commit:
            raise OSError("disk on fire")
        self.log.append("commit")

    def abort(self) -> None:
        self.log.append("abort")


class Case(TestCase):
    def setUp(self) -> None:
        self.offload = Offload(reactor, threads=2)  # type: ignore[arg-type]
        self.addCleanup(self.offload.close)


class SettledTests(TestCase):
    async def test_values_deferreds_and_coroutines(self) -> None:
        async def coroutine() -> int:
            return 3

        self.assertEqual([await settled(1), await settled(succeed(2)), await settled(coroutine())], [1, 2, 3])


class WriterTests(Case):
    async def test_runs_in_a_thread_and_answers_in_the_reactor(self) -> None:
        lane = self.offload.writer()
        there = await lane.run(threading.current_thread)
        self.assertNotEqual(there, threading.current_thread())

    async def test_jobs_that_wait_share_a_commit(self) -> None:
        runner = Recorder()
        lane = self.offload.writer(runner)
        gate = threading.Event()
        first = lane.run(gate.wait)
        while not runner.log:
            await self.offload.read("x", sleep, 0.001)
        rest = [lane.run(runner.log.append, str(number)) for number in range(5)]
        gate.set()
        await first
        await gatherResults(rest)
        self.assertEqual(runner.log, ["begin", "commit", "begin", "0", "1", "2", "3", "4", "commit"])

    async def test_answers_come_only_behind_the_commit_and_in_order(self) -> None:
        runner = Recorder()
        lane = self.offload.writer(runner)
        answered: list[tuple[int, int]] = []
        jobs = []
        for number in range(3 * LARGEST_BATCH):
            job = lane.run(runner.log.append, "job")
            job.addCallback(lambda _, number=number: answered.append((number, runner.log.index("commit"))))
            jobs.append(job)
        await gatherResults(jobs)
        self.assertEqual([number for number, _ in answered], list(range(3 * LARGEST_BATCH)))
        self.assertLessEqual(runner.log.count("job") / LARGEST_BATCH, runner.log.count("commit"))

    async def test_a_failing_job_harms_no_other(self) -> None:
        runner = Recorder()
        lane = self.offload.writer(runner)

        def bad() -> None:
            raise MailError(ErrorKind.READ_ONLY, "no")

        before, failing, after = lane.run(int), lane.run(bad), lane.run(str)
        self.assertEqual((await before, await after), (0, ""))
        error = await self.assertFailure(failing, MailError)
        self.assertIn("in bad", "".join(traceback.format_tb(error.__traceback__)))
        self.assertNotIn("abort", runner.log)

    async def test_a_failing_commit_fails_the_whole_batch_and_only_that(self) -> None:
        runner = Recorder()
        lane = self.offload.writer(runner)
        runner.fail_commit = True
        await self.assertFailure(lane.run(int), OSError)
        runner.fail_commit = False
        self.assertEqual(await lane.run(int), 0)
        self.assertEqual(runner.log, ["begin", "abort", "begin", "commit"])

    async def test_a_runner_that_cannot_even_abort_does_not_stop_the_lane(self) -> None:
        runner = Recorder()
        runner.fail_commit = True
        runner.abort = lambda: 1 // 0  # type: ignore[method-assign,assignment,return-value]
        lane = self.offload.writer(runner)
        await self.assertFailure(lane.run(int), OSError)
        runner.fail_commit = False
        self.assertEqual(await lane.run(int), 0)

    async def test_a_job_cancelled_in_time_is_never_done(self) -> None:
        lane = self.offload.writer()
        gate = threading.Event()
        done: list[str] = []
        first = lane.run(gate.wait)
        second, third = lane.run(done.append, "second"), lane.run(done.append, "third")
        second.cancel()
        gate.set()
        await first
        await third
        await self.assertFailure(second, CancelledError)
        self.assertEqual(done, ["third"])

    async def test_a_job_cancelled_late_is_done_unheard(self) -> None:
        lane = self.offload.writer()
        begun, gate = threading.Event(), threading.Event()

        def job() -> None:
            begun.set()
            gate.wait()

        first = lane.run(job)
        begun.wait()
        first.cancel()
        gate.set()
        await self.assertFailure(first, CancelledError)
        self.assertEqual(await lane.run(int), 0)

    async def test_accounts_write_at_the_same_time(self) -> None:
        barrier = threading.Barrier(2, timeout=5)
        await gatherResults([self.offload.writer().run(barrier.wait) for _ in range(2)])
        self.assertFalse(barrier.broken)


class ReaderTests(Case):
    async def test_value_and_failure(self) -> None:
        self.assertEqual(await self.offload.read("a", divmod, 7, 2), (3, 1))
        await self.assertFailure(self.offload.read("a", divmod, 7, 0), ZeroDivisionError)

    async def test_accounts_take_turns(self) -> None:
        gate = threading.Event()
        order: list[str] = []
        blocked = [self.offload.read("gate", gate.wait) for _ in range(2)]
        greedy = [self.offload.read("greedy", order.append, "greedy") for _ in range(20)]
        modest = self.offload.read("modest", order.append, "modest")
        gate.set()
        await gatherResults([*blocked, *greedy, modest])
        self.assertLess(order.index("modest"), 6)

    async def test_reading_does_not_wait_for_writing(self) -> None:
        gate = threading.Event()
        writing = [self.offload.writer().run(gate.wait) for _ in range(4)]
        self.assertEqual(await self.offload.read("a", int), 0)
        gate.set()
        await gatherResults(writing)

    async def test_a_cancelled_read_is_not_done(self) -> None:
        gate = threading.Event()
        done: list[int] = []
        blocked = [self.offload.read("a", gate.wait) for _ in range(2)]
        unwanted = self.offload.read("a", done.append, 1)
        unwanted.cancel()
        gate.set()
        await gatherResults(blocked)
        await self.offload.read("a", int)
        await self.assertFailure(unwanted, CancelledError)
        self.assertEqual(done, [])


def spin(seconds: float) -> Generator[None, None, str]:
    end = perf_counter() + seconds
    while perf_counter() < end:
        yield
    return "spun"


class SlicedTests(Case):
    async def test_long_work_lets_others_have_turns(self) -> None:
        long = [self.offload.sliced("long", spin(0.3)) for _ in range(4)]
        begun = perf_counter()
        await self.offload.read("short", int)
        self.assertLess(perf_counter() - begun, 0.2)
        self.assertEqual(await gatherResults(long), ["spun"] * 4)

    async def test_failure(self) -> None:
        def broken() -> Generator[None, None, None]:
            yield
            raise LookupError("lost")

        await self.assertFailure(self.offload.sliced("a", broken()), LookupError)

    async def test_cancelling_closes_the_generator(self) -> None:
        closed: Deferred[None] = Deferred()

        def endless() -> Generator[None, None, None]:
            try:
                while True:
                    yield
            finally:
                reactor.callFromThread(closed.callback, None)  # type: ignore[attr-defined]

        work = self.offload.sliced("a", endless())
        await self.offload.read("b", sleep, 0.02)
        work.cancel()
        await closed
        await self.assertFailure(work, CancelledError)


class SlicesTests(Case):
    def items(self, count: int) -> Generator[int | None, None, None]:
        try:
            for number in range(count):
                self.made = number
                yield None
                yield number
        finally:
            self.closed = threading.current_thread()

    async def test_items_in_order(self) -> None:
        items = [item async for item in self.offload.slices("a", self.items(50))]
        self.assertEqual(items, list(range(50)))

    async def test_one_is_made_ahead_and_no_more(self) -> None:
        items = self.offload.slices("a", self.items(50))
        self.assertEqual(await anext(items), 0)
        await self.offload.read("a", sleep, 0.02)
        self.assertEqual(self.made, 1)
        await items.aclose()
        self.assertNotEqual(self.closed, threading.current_thread())
        self.assertEqual([item async for item in items], [])
        await items.aclose()

    async def test_closing_stops_work_ahead(self) -> None:
        def work() -> Generator[int | None, None, None]:
            yield 1
            while True:
                yield None

        items = self.offload.slices("a", work())
        self.assertEqual(await anext(items), 1)
        await items.aclose()
        self.assertEqual(await self.offload.read("a", int), 0)

    async def test_closing_it_behind_the_store_does_no_harm(self) -> None:
        items = self.offload.slices("a", self.items(50))
        self.assertEqual(await anext(items), 0)
        await self.offload.close()
        await items.aclose()
        with self.assertRaises(StopAsyncIteration):
            await anext(items)

    async def test_a_failure_ends_it(self) -> None:
        def work() -> Generator[int, None, None]:
            yield 1
            raise MailError(ErrorKind.CORRUPT, "broken")

        items = self.offload.slices("a", work())
        self.assertEqual(await anext(items), 1)
        with self.assertRaises(MailError):
            await anext(items)
        with self.assertRaises(StopAsyncIteration):
            await anext(items)


class CloseTests(TestCase):
    async def test_finishes_what_was_asked_for_and_refuses_more(self) -> None:
        before = threading.active_count()
        offload = Offload(reactor, threads=2)  # type: ignore[arg-type]
        done: list[int] = []
        jobs = [offload.writer().run(done.append, 1), offload.read("a", done.append, 2)]
        first, second = offload.close(), offload.close()
        lane = offload.writer()
        for late in (lane.run(int), offload.read("a", int), offload.sliced("a", spin(0))):
            error = await self.assertFailure(late, MailError)
            self.assertIs(error.kind, ErrorKind.UNAVAILABLE)
        await gatherResults([*jobs, first, second, offload.close()])
        await offload.close()
        self.assertEqual(sorted(done), [1, 2])
        self.assertEqual(threading.active_count(), before)

    async def test_without_work_there_are_no_threads(self) -> None:
        before = threading.active_count()
        offload = Offload(reactor)  # type: ignore[arg-type]
        await offload.close()
        self.assertEqual(threading.active_count(), before)
