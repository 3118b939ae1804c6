"""The clock that a test moves on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from mailpost.testing.clock import MovingClock


class Timers:
    """A moving clock over a reactor's clock that stands still, and what its timers have done."""

    def __init__(self) -> None:
        self.reactor = Clock()
        self.clock = MovingClock(self.reactor)
        self.done: list[tuple[str, float]] = []

    def note(self, name: str) -> Callable[[], None]:
        return lambda: self.done.append((name, self.clock.seconds()))


def test_it_goes_by_itself() -> None:
    timers = Timers()
    timers.clock.callLater(2, timers.note("two"))
    timers.clock.callLater(1, timers.note("one"))
    timers.reactor.advance(1)
    assert timers.done == [("one", 1)]
    timers.reactor.advance(5)
    assert timers.done == [("one", 1), ("two", 6)]
    assert timers.reactor.getDelayedCalls() == timers.clock.getDelayedCalls() == []


def test_it_is_moved_on() -> None:
    timers = Timers()
    for seconds in (30, 10, 20, 40):
        timers.clock.callLater(seconds, timers.note(str(seconds)))
    timers.clock.advance(35)
    assert timers.done == [("10", 10), ("20", 20), ("30", 30)]
    assert timers.clock.seconds() == 35
    timers.reactor.advance(5)
    assert timers.done[-1] == ("40", 40)


def test_a_timer_that_sets_itself_again_is_due_as_often_as_it_would_be() -> None:
    timers = Timers()

    def tick() -> None:
        timers.note("tick")()
        timers.clock.callLater(10, tick)

    timers.clock.callLater(10, tick)
    timers.clock.advance(35)
    assert timers.done == [("tick", 10), ("tick", 20), ("tick", 30)]


def test_what_is_asked_for_at_once_waits_for_the_next_turn() -> None:
    timers = Timers()

    def again() -> None:
        timers.note("again")()
        if len(timers.done) < 3:
            timers.clock.callLater(0, again)

    timers.clock.callLater(0, again)
    timers.clock.advance(1)
    assert timers.done == [("again", 0)]
    timers.reactor.advance(0)
    assert timers.done == [("again", 0), ("again", 1), ("again", 1)]


def test_timers_are_cancelled_and_put_off() -> None:
    timers = Timers()
    cancelled = timers.clock.callLater(10, timers.note("cancelled"))
    late = timers.clock.callLater(10, timers.note("late"))
    early = timers.clock.callLater(100, timers.note("early"))
    late.delay(10)
    early.reset(5)
    cancelled.cancel()
    timers.reactor.advance(5)
    assert timers.done == [("early", 5)]
    timers.clock.advance(10)
    assert timers.done == [("early", 5)]
    timers.clock.advance(5)
    assert timers.done[1:] == [("late", 20)]


def test_a_timer_may_cancel_another_that_is_due() -> None:
    timers = Timers()
    second = timers.clock.callLater(10, timers.note("second"))
    timers.clock.callLater(5, second.cancel)
    timers.clock.advance(20)
    assert timers.done == []


def test_a_timer_that_fails_stops_no_other() -> None:
    timers = Timers()
    events: list[str] = []

    def observe(event: dict[str, object]) -> None:
        events.append(str(event["log_format"]))

    globalLogPublisher.addObserver(observe)
    try:
        timers.clock.callLater(1, lambda: 1 / 0)
        timers.clock.callLater(2, timers.note("next"))
        timers.clock.advance(3)
    finally:
        globalLogPublisher.removeObserver(observe)
    assert timers.done == [("next", 2)]
    assert any("a timer failed" in event for event in events)


def test_it_does_not_go_back_and_it_stops() -> None:
    timers = Timers()
    with pytest.raises(ValueError, match="does not go back"):
        timers.clock.advance(-1)
    timers.clock.callLater(1, timers.note("never"))
    timers.clock.stop()
    timers.reactor.advance(2)
    assert timers.done == []
    assert timers.reactor.getDelayedCalls() == []
