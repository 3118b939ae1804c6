"""The threads behind the lanes: who is woken, and how they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Event, get_ident

import pytest

from mailpost.storage.threads import Threads


class OneTurn:
    """A lane with one piece of work, which says what thread did it."""

    def __init__(self) -> None:
        self.done: SimpleQueue[int] = SimpleQueue()
        self.go_on = Event()

    def turn(self) -> None:
        self.done.put(get_ident())
        assert self.go_on.wait(10)


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads(4, "test")
    yield made
    made.end()


def until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + 10
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.001)


def all_asleep(threads: Threads) -> None:
    for busy in range(1, 5):
        threads.need(busy)
    until(lambda: len(threads._asleep) == 4)


def test_what_becomes_ready_wakes_one_thread(threads: Threads) -> None:
    all_asleep(threads)
    lane = OneTurn()
    threads.ready(lane)
    lane.done.get(timeout=10)
    asleep = list(threads._asleep)
    assert len(asleep) == 3
    time.sleep(0.05)
    assert threads._asleep == asleep, "nobody else has been up"
    lane.go_on.set()
    until(lambda: len(threads._asleep) == 4)


def test_who_went_to_sleep_last_is_woken_first(threads: Threads) -> None:
    all_asleep(threads)
    workers = set()
    for _ in range(20):
        lane = OneTurn()
        lane.go_on.set()
        threads.ready(lane)
        workers.add(lane.done.get(timeout=10))
        until(lambda: len(threads._asleep) == 4)
    assert len(workers) == 1


def test_each_lane_gets_a_turn_in_order_and_all_threads_work(threads: Threads) -> None:
    all_asleep(threads)
    lanes = [OneTurn() for _ in range(6)]
    for lane in lanes:
        threads.ready(lane)
    workers = {lane.done.get(timeout=10) for lane in lanes[:4]}
    assert len(workers) == 4
    assert lanes[4].done.empty()
    lanes[2].go_on.set()
    assert lanes[4].done.get(timeout=10) in workers
    assert lanes[5].done.empty()
    for lane in lanes:
        lane.go_on.set()
    lanes[5].done.get(timeout=10)


def test_they_end_when_they_have_done_what_was_ready() -> None:
    made = Threads(2, "test")
    made.need(1)
    made.need(2)
    lanes = [OneTurn() for _ in range(3)]
    for lane in lanes:
        lane.go_on.set()
        made.ready(lane)
    threads = list(made._threads)
    made.end()
    assert not any(thread.is_alive() for thread in threads)
    assert not any(lane.done.empty() for lane in lanes)
