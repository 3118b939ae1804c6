"""A slow line: everything arrives, in its order, as late as it should."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.internet.task import Clock

from mailpost.protocols.interception.slowline import SlowLine

RATES = some.sampled_from([0.0, 7.0, 100.0, 8000.0])
DELAYS = some.sampled_from([0.0, 0.3, 2.0])
SENT = some.lists(some.tuples(some.binary(max_size=300), DELAYS, RATES, some.floats(0, 2)), max_size=8)


@given(SENT)
def test_all_of_it_arrives_in_its_order(sent: list[tuple[bytes, float, float, float]]) -> None:
    clock = Clock()
    arrived: list[bytes] = []
    line = SlowLine(clock, arrived.append)
    for octets, delay, rate, pause in sent:
        line.delay, line.rate = delay, rate
        line.put(octets)
        clock.advance(pause)
    ends: list[float] = []
    line.when_empty(lambda: ends.append(clock.seconds()))
    for _ in range(1000):
        clock.advance(0.5)
    assert b"".join(arrived) == b"".join(octets for octets, *_ in sent)
    assert line.held == 0
    assert len(ends) == 1
    assert not clock.getDelayedCalls()


@given(some.binary(min_size=1, max_size=2000), DELAYS, RATES)
def test_it_takes_its_time(octets: bytes, delay: float, rate: float) -> None:
    clock = Clock()
    arrived: list[tuple[float, int]] = []
    line = SlowLine(clock, lambda piece: arrived.append((clock.seconds(), len(piece))))
    line.delay, line.rate = delay, rate
    line.put(octets)
    while line.held:
        clock.advance(0.01)
    took = delay + (len(octets) / rate if rate else 0.0)
    assert took - 1e-6 <= arrived[-1][0] <= took + 0.02
    so_far = 0
    for at, count in arrived:
        so_far += count
        assert so_far <= (at - delay) * rate + 1e-6 if rate else at >= delay - 1e-6


def test_what_is_under_way_is_forgotten() -> None:
    clock = Clock()
    line = SlowLine(clock, lambda _: None)
    line.delay = 1
    line.put(b"x")
    line.when_empty(lambda: None)
    line.stop()
    assert not clock.getDelayedCalls()
    assert line.held == 0
