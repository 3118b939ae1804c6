"""A session's view of a mailbox. RFC: 3501 §2.3.1, §5.2, §7.4.1"""

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailpost.mail.searchkeys import All, And, HasFlag, Not, Or, Recent, SavedResult, Uids, UidSequence
from mailpost.mail.searchkeys import Sequence as SequenceKey
from mailpost.mail.uidset import STAR, SequenceSet, UidSet
from mailpost.protocols.imap.selected import SelectedMailbox
from mailpost.storage.live import LONGEST_JOURNAL
from mailpost.wire.imap.commands import ParseError
from tests.protocols.imap.commands.dialogue import MESSAGE, Client, account, add


def selected(messages: int = 5, **named) -> SelectedMailbox:
    return SelectedMailbox(account(messages).open("INBOX"), **{"read_only": False, **named})


def expunge(view: SelectedMailbox, *uids: int) -> None:
    """As another session does it."""
    live = view.live
    live.expunged(list(uids), live.highest_modseq + 1)


def flag(view: SelectedMailbox, *uids: int, origin=None) -> None:
    view.live.flagged(list(uids), [frozenset({"\\Flagged"})] * len(uids), view.live.highest_modseq + 1, origin)


def numbers(*parts: tuple[int, int]) -> SequenceSet:
    return SequenceSet(parts)


def test_nothing_to_tell_at_first():
    assert selected().report_changes(True) == []


def test_expunges_wait_until_they_may_be_told():
    view = selected()
    expunge(view, 2, 4)
    assert view.report_changes(False) == []
    assert view.view.exists == 5
    assert view.report_changes(True) == [b"* 4 EXPUNGE\r\n* 2 EXPUNGE\r\n"]
    assert view.view.exists == 3


def test_a_message_whose_flags_changed_and_that_then_went_is_only_expunged():
    view = selected()
    flag(view, 2, 3)
    expunge(view, 2)
    assert view.report_changes(False) == [b"* 3 FETCH (UID 3 FLAGS (\\Flagged \\Recent))\r\n"]
    assert view.report_changes(True) == [b"* 2 EXPUNGE\r\n"]


def test_ones_own_changes_are_not_told():
    view = selected()
    flag(view, 2, origin=view)
    assert view.report_changes(True) == []
    flag(view, 2, origin=object())
    assert len(view.report_changes(True)) == 1


def test_mod_sequences_are_told_as_soon_as_they_are_enabled():
    enabled: set[str] = set()
    view = selected(enabled=enabled)
    view.recent = UidSet()
    enabled.add("CONDSTORE")
    flag(view, 2)
    assert view.report_changes(True) == [b"* 2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ (3))\r\n"]


def test_recent_messages_belong_to_the_first_who_hears_of_them():
    made = account(1)
    reader = SelectedMailbox(made.open("INBOX"), read_only=True)
    first = SelectedMailbox(made.open("INBOX"), read_only=False)
    second = SelectedMailbox(made.open("INBOX"), read_only=False)
    assert (reader.recent_count, first.recent_count, second.recent_count) == (1, 1, 0)
    add(made, [MESSAGE % (2, 2)])
    assert reader.report_changes(True) == [b"* 2 EXISTS\r\n* 2 RECENT\r\n"]
    assert second.report_changes(True) == [b"* 2 EXISTS\r\n* 1 RECENT\r\n"]
    assert first.report_changes(True) == [b"* 2 EXISTS\r\n* 1 RECENT\r\n"]


def test_numbers_name_messages():
    view = selected()
    assert view.named(numbers((2, 3), (STAR, STAR)), uid=False) == ([2, 3, 5], False)
    assert view.named(numbers((4, STAR)), uid=True) == ([4, 5], False)
    assert view.named(numbers((9, STAR)), uid=True) == ([5], False)
    expunge(view, 2, 5)
    assert view.named(numbers((1, 2), (5, 5)), uid=False) == ([1], True)
    assert view.named(numbers((1, 5)), uid=True) == ([1, 3, 4], False)
    with pytest.raises(ParseError):
        view.named(numbers((1, 6)), uid=False)


def test_what_is_not_announced_cannot_be_named():
    made = account(1)
    view = SelectedMailbox(made.open("INBOX"), read_only=False)
    add(made, [MESSAGE % (2, 2)])
    assert view.named(numbers((1, STAR)), uid=True) == ([1], False)
    assert view.present([1, 2]) == [1]
    with pytest.raises(ParseError):
        view.named(numbers((2, 2)), uid=False)
    view.report_changes(False)
    assert view.named(numbers((2, 2)), uid=False) == ([2], False)


def test_search_keys_lose_all_that_the_store_cannot_know():
    view = selected()
    expunge(view, 2)
    view.recent = UidSet.of([4])

    def uids(*ranges):
        return Uids(UidSet(ranges))

    key = And(
        (
            SequenceKey(numbers((2, 3))),
            Or(
                Recent(),
                Not(UidSequence(numbers((STAR, 4)))),
            ),
            All(),
        )
    )
    assert view.resolved(key) == And((uids((2, 3)), Or(uids((4, 4)), Not(uids((4, 5)))), All()))
    assert view.resolved(SequenceKey(numbers((4, 99)))) == uids((4, 5))
    assert view.resolved(HasFlag("\\Seen")) == HasFlag("\\Seen")
    assert view.resolved(SavedResult()) == uids()
    view.saved = UidSet.of([1, 4])
    assert view.resolved(SavedResult()) == uids((1, 1), (4, 4))
    assert view.resolved(UidSequence(SequenceSet((), saved=True))) == uids((1, 1), (4, 4))
    empty = selected(0)
    assert empty.resolved(SequenceKey(numbers((1, STAR)))) == uids()


def test_a_session_that_never_asks_keeps_no_journal_for_ever():
    view = selected(1)
    for _ in range(LONGEST_JOURNAL + 10):
        flag(view, 1)
    assert len(view.live._journal) < LONGEST_JOURNAL
    assert view.report_changes(True) == [b"* 1 FETCH (UID 1 FLAGS (\\Flagged \\Recent))\r\n"]


def test_release_gives_all_back():
    view = selected()
    view.release()
    assert view.live._cursors == {}
    flag(view, 1)


class Slow:
    """A mailbox whose store takes its time: every answer waits until it is let through."""

    def __init__(self, mailbox) -> None:
        self._mailbox = mailbox
        self.waiting: list[Deferred[None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mailbox, name)

    def _turn(self) -> Deferred[None]:
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def step(self, which: int) -> None:
        """Let one through."""
        if self.waiting:
            self.waiting.pop(which % len(self.waiting)).callback(None)

    async def store(self, *arguments, **named):
        await self._turn()
        changed = self._mailbox.store(*arguments, **named)
        await self._turn()
        return changed

    async def expunge(self, *arguments, **named):
        await self._turn()
        return self._mailbox.expunge(*arguments, **named)

    async def copy(self, *arguments, **named):
        await self._turn()
        copied = self._mailbox.copy(*arguments, **named)
        await self._turn()
        return copied

    async def search(self, key):
        found = self._mailbox.search(key)
        await self._turn()
        return found

    async def fetch(self, uids, attributes):
        for start in range(0, len(uids), 2):
            async for batch in self._mailbox.fetch(uids[start : start + 2], attributes):
                await self._turn()
                yield batch


class Model:
    """What a client believes of its mailbox: the UID of each number, None where it has not been told."""

    def __init__(self, made) -> None:
        self.client = Client(made, "INBOX")
        self.uids: list[int | None] = list(made.open("INBOX").live.uids)
        self.busy = False
        self.failures: list[Failure] = []

    def begins(self, command: str) -> None:
        """Send a command unless one is running."""
        if self.busy:
            return
        self.busy = True
        by_number = not command.startswith("UID") and command.split(maxsplit=1)[0] in ("FETCH", "STORE", "SEARCH")
        self.client.begins(command).addCallback(lambda _: self.ends(command, by_number)).addErrback(
            self.failures.append
        )

    def ends(self, command: str, by_number: bool) -> None:
        self.busy = False
        for line in self.client.heard().split(b"\r\n")[:-1]:
            if found := re.match(rb"\* (\d+) (EXPUNGE|EXISTS|FETCH)(.*UID (\d+))?", line):
                assert not (by_number and found[2] == b"EXPUNGE"), command
                self.hear(int(found[1]), found[2], found[4])
            else:
                assert re.match(rb"\* (SEARCH|ESEARCH|\d+ RECENT|FLAGS|OK)|a (OK|NO)", line), line

    def hear(self, number: int, what: bytes, uid: bytes | None) -> None:
        if what == b"EXPUNGE":
            del self.uids[number - 1]
        elif what == b"EXISTS":
            assert number >= len(self.uids)
            self.uids += [None] * (number - len(self.uids))
        elif uid:
            assert self.uids[number - 1] in (None, int(uid)), "a number has changed its meaning"
            self.uids[number - 1] = int(uid)


def command(operation: str, numbers: str) -> str:
    return {
        "STORE +": f"STORE {numbers} +FLAGS.SILENT (\\Deleted)",
        "STORE -": f"STORE {numbers} -FLAGS (\\Deleted)",
        "EXPUNGE": "EXPUNGE",
        "FETCH": f"FETCH {numbers} (UID FLAGS)",
        "FETCH BODY": f"FETCH {numbers} (UID BODY[9])",
        "UID FETCH": "UID FETCH 1:* (RFC822.SIZE)",
        "SEARCH": f"SEARCH {numbers} DELETED",
        "COPY": f"COPY {numbers} INBOX",
        "MOVE": f"MOVE {numbers} Other",
    }[operation]


OPERATIONS = [
    "deliver",
    "STORE +",
    "STORE -",
    "EXPUNGE",
    "FETCH",
    "FETCH BODY",
    "UID FETCH",
    "SEARCH",
    "COPY",
    "MOVE",
]
STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(OPERATIONS), st.integers(0, 30), st.integers(0, 30)), max_size=30
)


@settings(max_examples=60, deadline=timedelta(seconds=2))
@given(STEPS, st.booleans())
def test_three_clients_always_mean_the_same_messages(steps, slow):
    made = account(4)
    made.create("Other")
    mailbox = made.open("INBOX")
    slowly = Slow(mailbox)
    if slow:
        made.open = lambda name: slowly
    models = [Model(made) for _ in range(3)]
    for who, operation, low, high in steps:
        slowly.step(low)
        model = models[who]
        exists = len(model.uids)
        if operation == "deliver":
            add(made, [MESSAGE % (low, high)])
        elif exists:
            model.begins(command(operation, f"{low % exists + 1}:{high % exists + 1}"))
    while slowly.waiting:
        slowly.step(0)
    for model in models:
        for _ in range(2):
            model.begins("UID FETCH 1:* (UID)")
        for failure in model.failures:
            failure.raiseException()
        assert not model.busy
        assert model.uids == mailbox.live.uids
