"""The live mailbox: parallel columns, a journal, and cursors that read it at their own pace."""

from __future__ import annotations

from time import perf_counter

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
        for since in {0, *self.live.modseqs, self.live.highest_modseq}:
            wanted = [uid for uid, (_, modseq) in sorted(self.truth.items()) if modseq > since]
            assert self.live.changed_since(since) == wanted
        assert self.live.keywords() == ({"$x"} if any("$x" in flags for flags in self.live.flags) else set())


class LiveModelInSmallBlocks(LiveModel):
    """The same where what has changed is looked for in blocks of two."""

    def __init__(self) -> None:
        self._block, live_module._BLOCK = live_module._BLOCK, 2
        super().__init__()

    def teardown(self) -> None:
        live_module._BLOCK = self._block


LiveModelInSmallBlocks.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestLiveModelInSmallBlocks = LiveModelInSmallBlocks.TestCase
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
