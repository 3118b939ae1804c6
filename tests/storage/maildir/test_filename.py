from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.flags import ANSWERED, DELETED, DRAFT, FLAGGED, NO_FLAGS, SEEN, SYSTEM_FLAGS, intern_flags
from mailpost.storage.maildir.filename import (
    FlagLetters,
    UniqueNames,
    base_of,
    letters_of,
    merge_letters,
    sizes_of,
    with_letters,
)

LETTERS = st.sets(st.sampled_from("DFPRSTabcxyzQ9")).map(lambda letters: "".join(sorted(letters)))


@pytest.mark.parametrize(
    ("name", "base", "letters"),
    [
        ("1.M2P3.host,S=4,W=5:2,FS", "1.M2P3.host,S=4,W=5", "FS"),
        ("1.host", "1.host", ""),
        ("1.host:2,", "1.host", ""),
        ("1.host:1,X", "1.host", ""),
        ("1.host:2,S:2,T", "1.host", "S:2,T"),
    ],
)
def test_a_name_is_a_base_and_letters(name: str, base: str, letters: str) -> None:
    assert base_of(name) == base
    assert letters_of(name) == letters


def test_other_letters_keep_the_base() -> None:
    assert with_letters("1.host,S=4:2,S", "FST") == "1.host,S=4:2,FST"
    assert with_letters("1.host", "") == "1.host:2,"


@pytest.mark.parametrize(
    ("base", "sizes"),
    [
        ("1.host,S=25,W=29", (25, 29)),
        ("1.host,W=29", (None, 29)),
        ("1.host,S=25:2,S", (25, None)),
        ("1.host", (None, None)),
        ("1.host,S=x,W=-1", (None, None)),
        ("1.host,S=" + "9" * 40, (None, None)),
    ],
)
def test_sizes_are_read_from_the_base(base: str, sizes: tuple[int | None, int | None]) -> None:
    assert sizes_of(base) == sizes


def test_unique_names_are_unique_and_carry_sizes() -> None:
    names = UniqueNames("host")
    bases = [names.base(10, 12) for _ in range(1000)]
    assert len(set(bases)) == 1000
    assert sizes_of(bases[0]) == (10, 12)
    assert f"P{os.getpid()}Q" in bases[0]
    assert ".host,S=" in bases[0]


@pytest.mark.parametrize("host", ["a/b:c,d", "", "\n", "back\\slash"])
def test_a_host_name_cannot_break_a_name(host: str) -> None:
    base = UniqueNames(host).base(1, 2)
    assert base_of(base) == base
    assert "/" not in base
    assert base.isprintable()
    assert sizes_of(base) == (1, 2)


def test_two_makers_differ() -> None:
    assert UniqueNames("h").plain().partition("R")[2] != UniqueNames("h").plain().partition("R")[2]


def test_letters_stand_for_flags() -> None:
    table = FlagLetters(("$Forwarded", "Junk"))
    assert table.flags("DFRST") == {*SYSTEM_FLAGS}
    assert table.flags("Sb") == {SEEN, "Junk"}
    assert table.flags("a") == table.flags("P") == {"$Forwarded"}
    assert table.flags("cQ") == NO_FLAGS
    assert table.flags("SF") is table.flags("FS")


def test_forwarded_is_one_flag_however_it_is_spelt() -> None:
    table = FlagLetters(("$forwarded",))
    assert table.flags("Pa") == {"$forwarded"}
    assert table.letters(intern_flags(("$Forwarded",))) == "Pa"


def test_flags_become_letters() -> None:
    table = FlagLetters(("$Forwarded", "", "Junk"))
    assert table.letters(intern_flags((SEEN, ANSWERED, FLAGGED, DELETED, DRAFT))) == "DFRST"
    assert table.letters(intern_flags(("$Forwarded", "junk", SEEN))) == "PSac"
    assert table.letters(NO_FLAGS, "QSTbc") == "Qb"
    assert table.unlettered(intern_flags((SEEN, "Junk", "Other"))) == {"Other"}
    assert FlagLetters().letters(intern_flags(("$forwarded",))) == "P"


def test_only_26_keywords_have_letters() -> None:
    table = FlagLetters([f"k{number}" for number in range(30)])
    assert table.letters(intern_flags(("k25", "k26"))) == "z"
    assert table.unlettered(intern_flags(("k25", "k26"))) == {"k26"}


@given(LETTERS)
def test_letters_survive_the_way_through_flags(letters: str) -> None:
    table = FlagLetters(("One", "Two"))
    assert table.letters(table.flags(letters), letters) == letters


def test_the_caches_are_bounded() -> None:
    table = FlagLetters([f"k{number}" for number in range(26)])
    for number in range(5000):
        letters = "".join(chr(97 + bit) for bit in range(13) if number >> bit & 1)
        assert table.letters(table.flags(letters)) == letters
    assert len(table._flags_of) <= 4096
    assert len(table._letters_of) <= 4096


@given(LETTERS, LETTERS, LETTERS)
def test_merging_keeps_both_changes(before: str, theirs: str, ours: str) -> None:
    merged = set(merge_letters(before, theirs, ours))
    for letter in set(before) | set(theirs) | set(ours):
        changed_by_us = (letter in before) != (letter in ours)
        assert (letter in merged) == (letter in ours if changed_by_us else letter in theirs)
    assert merge_letters(before, before, ours) == ours
