"""A jump of the clock is said once."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from mailpost.service.clockwatch import LOOK_SECONDS, ClockWatch


def test_a_clock_that_is_set_is_told_of_once() -> None:
    reactor, set_by = Clock(), [0.0]
    watch = ClockWatch(reactor, lambda: 1_000_000 + reactor.seconds() + set_by[0], reactor.seconds)
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        watch.start()
        for jump in (0, 30, -86_400, 0, 86_400, -0.5):
            set_by[0] += jump
            reactor.advance(LOOK_SECONDS)
            reactor.advance(LOOK_SECONDS)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [str(formatEvent(event))[:45] for event in events] == [
        "the clock was set back by 86400 s: dates of n",
        "the clock was set forward by 86400 s: dates o",
    ]
    Deferred.fromCoroutine(watch.close())
    assert not reactor.getDelayedCalls()
    Deferred.fromCoroutine(watch.close())
