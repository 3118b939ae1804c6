"""Sequence numbers against a plain list of what the client has been told."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mailpost.mail.selected import SequenceView
from mailpost.mail.uidset import UidSet


class Client(RuleBasedStateMachine):
    """The client holds its list of UIDs and changes it as it is told: what it counts must be what we count."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = [2, 3, 5, 8]
        self.next = 10
        self.view = SequenceView(self.shared)
        self.known = list(self.shared)
        self.gone: list[int] = []

    @rule(gaps=st.lists(st.integers(1, 3), min_size=1, max_size=6))
    def arrive(self, gaps: list[int]) -> None:
        for gap in gaps:
            self.next += gap
            self.shared.append(self.next)

    @precondition(lambda self: self.shared)
    @rule(data=st.data())
    def expunge(self, data: st.DataObject) -> None:
        uids = sorted(data.draw(st.sets(st.sampled_from(self.shared), min_size=1, max_size=5)))
        self.shared[:] = [uid for uid in self.shared if uid not in uids]
        self.view.expunge(uids)
        self.gone += [uid for uid in uids if uid in self.known]

    @precondition(lambda self: self.shared)
    @rule(data=st.data())
    def expunge_twice_before_it_is_read(self, data: st.DataObject) -> None:
        batches = [sorted(data.draw(st.sets(st.sampled_from(self.shared), max_size=3))) for _ in range(2)]
        batches[1] = [uid for uid in batches[1] if uid not in batches[0]]
        self.shared[:] = [uid for uid in self.shared if uid not in batches[0] and uid not in batches[1]]
        for uids in batches:
            self.view.expunge(uids)
            self.gone += [uid for uid in uids if uid in self.known]

    @rule()
    def announce_expunges(self) -> None:
        for seq in self.view.take_expunges():
            assert self.known.pop(seq - 1) in self.gone
        self.gone = []

    @rule()
    def announce_arrivals(self) -> None:
        news = [uid for uid in self.shared if uid not in self.known and (not self.known or uid > max(self.known))]
        exists = self.view.take_exists()
        self.known += news
        assert exists == (len(self.known) if news else None)

    @rule(data=st.data())
    def convert(self, data: st.DataObject) -> None:
        numbers = sorted(data.draw(st.sets(st.integers(1, self.next + 3), max_size=12)))
        assert self.view.seqs(numbers) == [self.known.index(uid) + 1 if uid in self.known else 0 for uid in numbers]
        chosen = UidSet.of(data.draw(st.lists(st.integers(1, len(self.known) + 4), max_size=12)))
        assert self.view.uids(chosen) == [self.known[seq - 1] for seq in chosen if seq <= len(self.known)]
        ranges = UidSet.of_ranges(data.draw(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=4)))
        assert self.view.uids(ranges) == [self.known[seq - 1] for seq in ranges if seq <= len(self.known)]
        assert self.view.members(ranges) == [u for u in self.known if u in ranges and u not in self.gone]

    @invariant()
    def agree(self) -> None:
        assert self.view.exists == len(self.known)
        assert self.view.last_uid == (self.known[-1] if self.known else 0)
        assert self.view.ghosts == sorted(self.gone)
        assert [self.view.uid(seq) for seq in range(len(self.known) + 2)] == [0, *self.known, 0]
        assert [self.view.seq(uid) for uid in self.known] == list(range(1, len(self.known) + 1))


Client.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestClient = Client.TestCase


def test_an_empty_folder() -> None:
    view = SequenceView([])
    assert (view.exists, view.last_uid, view.uid(1), view.seq(1), view.seqs([])) == (0, 0, 0, 0, [])
    assert view.take_exists() is None
    assert view.take_expunges() == []


def test_a_message_that_came_and_went_unannounced_is_never_mentioned() -> None:
    shared = [1, 2]
    view = SequenceView(shared)
    shared.append(3)
    shared.remove(3)
    view.expunge([3])
    assert (view.exists, view.take_exists(), view.take_expunges()) == (2, None, [])


def test_all_gone_and_new_ones_come() -> None:
    shared = [1, 2]
    view = SequenceView(shared)
    shared.clear()
    view.expunge([1, 2])
    shared.append(3)
    assert view.take_exists() == 3
    assert view.take_expunges() == [2, 1]
    assert (view.exists, view.uid(1)) == (1, 3)


@pytest.mark.parametrize("ghosts", [0, 10])
@pytest.mark.parametrize("step", [1, 2, 100])
def test_bulk_conversions_are_quick(step: int, ghosts: int) -> None:
    shared = list(range(1, 40_001, 2))
    view = SequenceView(shared)
    gone = shared[100 : 100 + ghosts]
    del shared[100 : 100 + ghosts]
    view.expunge(gone)
    asked = view.uids(UidSet(((1, 20_000),)))[::step]
    best = 1.0
    for _ in range(5):
        begun = perf_counter()
        seqs = view.seqs(asked)
        best = min(best, perf_counter() - begun)
    assert seqs == list(range(1, 20_001, step))
    assert best < 0.05  # some 2 ms on a quiet machine
