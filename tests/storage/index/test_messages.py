"""Rows of messages, flags as bits, changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import DELETED, RECENT, SEEN, FlagChange, apply_change, intern_flags
from mailpost.storage.index import changes, messages
from mailpost.storage.index.messages import MOST_KEYWORDS, FlagBits, MessageRow
from mailpost.storage.index.state import StateFile

EVERYTHING = [(1, 0xFFFF_FFFF)]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    state = StateFile(str(tmp_path / "state.sqlite3"))
    yield state.db
    state.close()


def fill(db: sqlite3.Connection, count: int, flags: int = 0) -> None:
    rows = [MessageRow(uid, flags, flags, 1000 + uid, f"name{uid}:2,", 100) for uid in range(1, count + 1)]
    messages.insert(db, 1, rows, modseq=5, saved=9)


def test_flags_are_bits_and_keywords_keep_their_first_spelling(db: sqlite3.Connection) -> None:
    bits = FlagBits(db, 1)
    mask = bits.bits(db, [SEEN, "$Work", RECENT])
    assert bits.flags(mask) == {SEEN, "$Work"}
    assert bits.bits(db, ["$WORK"]) == bits.known(["$work"])
    assert bits.known(["unheard"]) == 0
    assert FlagBits(db, 1).flags(mask) == {SEEN, "$Work"}
    assert FlagBits(db, 1).keywords == ("$Work",)
    assert FlagBits(db, 2).keywords == ()


def test_there_is_an_end_to_keywords(db: sqlite3.Connection) -> None:
    bits = FlagBits(db, 1)
    mask = bits.bits(db, [f"k{number}" for number in range(MOST_KEYWORDS)])
    assert mask < 1 << 63
    fill(db, 1, mask)
    with pytest.raises(MailError) as refused:
        bits.bits(db, ["one more"])
    assert refused.value.kind is ErrorKind.LIMIT
    assert messages.columns(db, 1)[1] == [mask]


FLAG_SETS = st.frozensets(st.sampled_from([SEEN, DELETED, "a", "b"]))


@given(before=st.lists(FLAG_SETS, min_size=1, max_size=6), change=st.sampled_from(list(FlagChange)), named=FLAG_SETS)
def test_changes_are_those_of_the_flag_sets(
    before: list[frozenset[str]], change: FlagChange, named: frozenset[str]
) -> None:
    place = TemporaryDirectory()
    state = StateFile(f"{place.name}/state.sqlite3")
    bits = FlagBits(state.db, 1)
    rows = [MessageRow(uid, bits.bits(state.db, flags), 0, 0, f"n{uid}", 1) for uid, flags in enumerate(before, 1)]
    messages.insert(state.db, 1, rows, modseq=1, saved=1)
    mask = bits.bits(state.db, named)
    changed = messages.change_flags(state.db, 1, EVERYTHING, change=change, bits=mask, modseq=2, limit=None)
    after = [apply_change(intern_flags(flags), change, intern_flags(named)) for flags in before]
    assert [(uid, bits.flags(one)) for uid, one in changed] == [
        (uid, new) for uid, (old, new) in enumerate(zip(before, after, strict=True), 1) if old != new
    ]
    assert [bits.flags(one) for one in messages.columns(state.db, 1)[1]] == after
    _, _, modseqs = messages.columns(state.db, 1)
    assert [uid for uid, at in enumerate(modseqs, 1) if at > 1] == [uid for uid, _ in changed]
    state.close()
    place.cleanup()


def test_a_limit_leaves_newer_messages_alone(db: sqlite3.Connection) -> None:
    fill(db, 4)
    change = {"change": FlagChange.ADD, "bits": 8}
    assert messages.change_flags(db, 1, [(2, 2)], modseq=7, limit=None, **change) == [(2, 8)]
    assert messages.above(db, 1, EVERYTHING, 5) == [2]
    assert messages.change_flags(db, 1, [(1, 1), (2, 4)], modseq=8, limit=5, **change) == [(1, 8), (3, 8), (4, 8)]
    assert messages.columns(db, 1) == ([1, 2, 3, 4], [8] * 4, [8, 7, 8, 8])


def test_what_is_unwritten_is_found_until_it_is_written(db: sqlite3.Connection) -> None:
    fill(db, 5)
    messages.change_flags(db, 1, [(2, 4)], change=FlagChange.ADD, bits=8, modseq=7, limit=None)
    assert messages.folders_unwritten(db) == [1]
    assert messages.unwritten(db, 1, 2, 10) == [(3, 8, "name3:2,"), (4, 8, "name4:2,")]
    messages.rename(db, 1, [(3, "name3:2,S")])
    messages.written(db, 1, [(2, 8), (3, 8), (4, 8)])
    assert messages.unwritten(db, 1, 0, 10) == []
    assert messages.names(db, 1, (3, 3)) == [(3, "name3:2,S")]


def test_counts_and_removal(db: sqlite3.Connection) -> None:
    fill(db, 3)
    messages.change_flags(db, 1, [(1, 2)], change=FlagChange.ADD, bits=4, modseq=6, limit=None)
    assert messages.counts(db, 1, 8, 3) == (3, 1, 3, 2)
    assert messages.counts(db, 2, 8, 1) == (0, 0, 0, 0)
    assert [uid for uid, _ in messages.deleted(db, 1, None)] == [1, 2]
    assert [uid for uid, _ in messages.deleted(db, 1, [(2, 3)])] == [2]
    messages.remove(db, 1, [1, 2])
    changes.note_expunged(db, 1, [1, 2], 9)
    assert messages.columns(db, 1)[0] == [3]
    assert changes.expunged_since(db, 1, 8).ranges == ((1, 2),)
    assert not changes.expunged_since(db, 1, 9)
    assert [one.uid for one in messages.sources(db, 1, EVERYTHING)] == [3]
    assert messages.dates(db, 1, "internaldate", (1, 9)) == {3: 1003}
    assert messages.dates(db, 1, "saved", (1, 9)).keys() == {3}


def test_the_dead_are_known_until_they_are_buried(db: sqlite3.Connection) -> None:
    changes.add_dead(db, 1, ["a", "b", "a"])
    assert changes.dead(db, 1) == {"a", "b"}
    changes.bury(db, 1, ["a"])
    assert changes.dead(db, 1) == {"b"}


def test_intents_last_until_they_end(db: sqlite3.Connection) -> None:
    first = changes.begin_intent(db, "copy", {"folder": 1, "bases": ["a"]})
    second = changes.begin_intent(db, "rename", [["a", "b"]])
    assert [(one.id, one.operation) for one in changes.intents(db)] == [(first, "copy"), (second, "rename")]
    changes.end_intent(db, first)
    assert [one.detail for one in changes.intents(db)] == [[["a", "b"]]]


def test_a_modseq_is_above_the_last_and_not_before_its_time() -> None:
    assert changes.next_modseq(0, 1.5) == 1500
    assert changes.next_modseq(1500, 1.5) == 1501
    assert changes.next_modseq(99_999, 1.5) == 100_000
