"""The live mailbox: parallel columns, a journal, and cursors that read it at their own pace."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mailpost.mail.flags import FLAGGED, NO_FLAGS, SEEN, Flags, intern_flags
from mailpost.storage import live as live_module
from mailpost.storage.live import LONGEST_JOURNAL, Change, ChangeKind, LiveMailbox
from mailpost.testing.contract.base import Watching

SEEN_SET = intern_flags([SEEN])


def live_mailbox(count: int = 0) -> LiveMailbox:
    return LiveMailbox(
        uidvalidity=1,
        uidnext=count + 1,
        highest_modseq=1,
        mailbox_id="M1",
        uids=list(range(1, count + 1)),
        flags=[NO_FLAGS] * count,
        modseqs=[1] * count,
        first_recent=count + 1,
    )


class LiveModel(RuleBasedStateMachine):
    """Columns against a dictionary; each session rebuilds the folder from what it reads in the journal."""

    def __init__(self) -> None:
        super().__init__()
        self.live = live_mailbox(3)
        self.truth: dict[int, tuple[Flags, int]] = dict.fromkeys((1, 2, 3), (NO_FLAGS, 1))
        self.sessions: list[tuple[Watching, set[int]]] = []

    def modseq(self) -> int:
        return self.live.highest_modseq + 1

    def some(self, data: st.DataObject) -> list[int]:
        return sorted(data.draw(st.sets(st.sampled_from(sorted(self.truth)), max_size=6)))

    @rule(count=st.integers(0, 4), gap=st.integers(0, 2))
    def arrive(self, count: int, gap: int) -> None:
        uids = list(range(self.live.uidnext + gap, self.live.uidnext + gap + count))
        modseq = self.modseq()
        self.live.arrived(uids, [NO_FLAGS] * count, modseq)
        self.truth.update((uid, (NO_FLAGS, modseq)) for uid in uids)

    @precondition(lambda self: self.truth)
    @rule(data=st.data(), flags=st.sampled_from([SEEN_SET, intern_flags([FLAGGED, "$x"])]))
    def flag(self, data: st.DataObject, flags: Flags) -> None:
        uids, modseq = self.some(data), self.modseq()
        self.live.flagged(uids, [flags] * len(uids), modseq)
        self.truth.update((uid, (flags, modseq)) for uid in uids)

    @precondition(lambda self: self.truth)
    @rule(data=st.data())
    def expunge(self, data: st.DataObject) -> None:
        uids = self.some(data)
        self.live.expunged(uids, self.modseq())
        for uid in uids:
            del self.truth[uid]

    @rule()
    def attach(self) -> None:
        self.sessions.append((Watching(self.live), set(self.live.uids)))

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        session, _ = self.sessions.pop(data.draw(st.integers(0, len(self.sessions) - 1)))
        session.cursor.close()

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        session, known = data.draw(st.sampled_from(self.sessions))
        for change in session.read():
            if change.kind is ChangeKind.ARRIVED:
                known.update(change.uids)
            elif change.kind is ChangeKind.EXPUNGED:
                known.difference_update(change.uids)
        assert known == set(self.truth)
        assert not session.cursor.behind

    @invariant()
    def columns_agree(self) -> None:
        columns = zip(self.live.uids, zip(self.live.flags, self.live.modseqs, strict=True), strict=True)
        assert list(columns) == sorted(self.truth.items())
        assert self.live.uidnext > max(self.truth, default=0)
        unseen = [at for at, flags in enumerate(self.live.flags) if SEEN not in flags]
        assert self.live.first_unseen() == (unseen[0] if unseen else -1)
        assert self.live.unseen == len(unseen)
        for since in {0, *self.live.modseqs, self.live.highest_modseq}:
            wanted = [uid for uid, (_, modseq) in sorted(self.truth.items()) if modseq > since]
            assert self.live.changed_since(since) == wanted
        assert self.live.keywords() == ({"$x"} if any("$x" in flags for flags in self.live.flags) else set())


class LiveModelOfFew(LiveModel):
    """The same where only the last two messages that changed are known as such."""

    def __init__(self) -> None:
        self._most, live_module._MOST_LATEST = live_module._MOST_LATEST, 2
        super().__init__()

    def teardown(self) -> None:
        live_module._MOST_LATEST = self._most


LiveModelOfFew.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestLiveModelOfFew = LiveModelOfFew.TestCase
LiveModel.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestLiveModel = LiveModel.TestCase


def test_little_is_looked_through_where_little_has_changed() -> None:
    live = live_mailbox(200_000)
    live.changed_since(1)
    live.flagged([5, 150_000], [SEEN_SET, SEEN_SET], 2)
    begun = perf_counter()
    for _ in range(100):
        assert live.changed_since(1) == [5, 150_000]
    assert perf_counter() - begun < 0.5


class Counted(list):  # type: ignore[type-arg]
    """A column that counts how often it is gone through, and how many of its elements are looked at singly."""

    walks = 0
    looks = 0

    def __iter__(self) -> Iterator[Any]:
        self.walks += 1
        return super().__iter__()

    def __getitem__(self, at: Any) -> Any:
        self.looks += 1
        return super().__getitem__(at)


@pytest.mark.parametrize("count", [1_000, 100_000])
def test_what_a_returning_client_is_told_costs_nothing_in_proportion_to_the_folder(count: int) -> None:
    columns = Counted(range(1, count + 1)), Counted([SEEN_SET] * count), Counted([7] * count)
    live = LiveMailbox(
        uidvalidity=1,
        uidnext=count + 1,
        highest_modseq=7,
        mailbox_id="M1",
        uids=columns[0],
        flags=columns[1],
        modseqs=columns[2],
        first_recent=count + 1,
    )
    flagged, gone = live.uids[:: count // 60][:60], live.uids[1 :: count // 20][:20]
    live.flagged(flagged, [intern_flags([SEEN, FLAGGED, "$x"])] * len(flagged), 8)
    live.expunged(gone, 9)
    live.arrived(list(range(count + 1, count + 21)), [SEEN_SET] * 20, 10)
    for column in columns:
        column.walks = column.looks = 0
    assert live.first_unseen() == -1
    assert live.keywords() == {"$x"}
    assert len(live.changed_since(7)) == len({*flagged} - {*gone}) + 20
    assert [column.walks for column in columns] == [0, 0, 0]
    assert sum(column.looks for column in columns) < 100


def test_the_first_unseen_message_is_found_again_when_it_is_seen_or_one_before_it_is_not() -> None:
    live = live_mailbox(6)
    assert live.first_unseen() == 0
    live.flagged([1, 2, 3], [SEEN_SET] * 3, 2)
    assert live.first_unseen() == 3
    live.flagged([2], [NO_FLAGS], 3)
    assert live.first_unseen() == 1
    live.expunged([2, 4], 4)
    assert (live.first_unseen(), live.uids[2]) == (2, 5)
    live.flagged([5, 6], [SEEN_SET] * 2, 5)
    assert live.first_unseen() == -1
    live.arrived([7, 8], [SEEN_SET, NO_FLAGS], 6)
    assert live.first_unseen() == 5


def test_modseqs_that_do_not_ascend_are_not_lost() -> None:
    live = live_mailbox(4)
    live.flagged([1], [SEEN_SET], 9)
    live.flagged([2], [SEEN_SET], 5)
    live.flagged([3], [SEEN_SET], 10)
    assert [live.changed_since(since) for since in (1, 4, 5, 9, 10)] == [[1, 2, 3], [1, 2, 3], [1, 3], [3], []]


def test_positions() -> None:
    live = live_mailbox(10)
    live.expunged([4], 2)
    assert live.positions([1, 2, 3]) == range(3)
    assert list(live.positions([3, 4, 5, 99])) == [2, 3]
    assert list(live.positions([])) == []
    assert (live.position(5), live.position(4), live.position(99)) == (3, -1, -1)


def test_a_change_of_nothing_is_no_change() -> None:
    live = live_mailbox(1)
    session = Watching(live)
    live.arrived([], [], 5)
    live.flagged([], [], 6)
    live.expunged([], 7)
    assert (session.read(), session.woken, live.highest_modseq) == ([], 0, 1)


def test_a_session_hears_only_what_came_after_it() -> None:
    live = live_mailbox(1)
    live.arrived([2], [NO_FLAGS], 2)
    session = Watching(live)
    live.flagged([1], [SEEN_SET], 3, origin="me")
    assert session.read() == [Change(ChangeKind.FLAGS, [1], 3, "me")]
    assert session.woken == 1


def test_a_lagging_session_is_told_to_catch_up_and_the_journal_stays_short() -> None:
    live = live_mailbox(1)
    sleepy, awake = Watching(live), Watching(live)
    heard = 0
    for number in range(3 * LONGEST_JOURNAL):
        live.flagged([1], [SEEN_SET], number + 2)
        heard += len(awake.read())
        assert len(live._journal) <= LONGEST_JOURNAL
    assert sleepy.told_to_catch_up == 2
    assert [change.modseq for change in sleepy.read()] == list(range(2, 3 * LONGEST_JOURNAL + 2))
    assert heard == 3 * LONGEST_JOURNAL


def test_nothing_is_kept_for_sessions_that_left() -> None:
    live = live_mailbox(1)
    session = Watching(live)
    live.flagged([1], [SEEN_SET], 2)
    session.cursor.close()
    session.cursor.close()
    assert live._journal == []
    live.flagged([1], [NO_FLAGS], 3)
    assert live._journal == []
    late = Watching(live)
    live.flagged([1], [SEEN_SET], 4)
    assert [change.modseq for change in late.read()] == [4]
    assert session.woken == 1


def test_recent_messages_are_claimed_once() -> None:
    live = live_mailbox(3)
    live.arrived([4, 5], [NO_FLAGS] * 2, 2)
    assert (live.claim_recent(), live.claim_recent()) == (4, 6)


def test_a_vanished_folder_wakes_its_sessions() -> None:
    live = live_mailbox(1)
    session = Watching(live)
    live.vanish()
    assert (live.gone, session.woken, session.read()) == (True, 1, [])
