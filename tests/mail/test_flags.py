"""Flags. RFC: 3501 §2.3.2"""

from __future__ import annotations

from mailpost.mail.flags import NO_FLAGS, SEEN, FlagChange, apply_change, canonical, intern_flags


def test_spelling() -> None:
    assert canonical("\\sEEN") == SEEN
    assert canonical("$Forwarded") == "$Forwarded"


def test_equal_sets_are_one() -> None:
    assert intern_flags([SEEN, "a"]) is intern_flags(["a", SEEN])
    assert intern_flags([]) == NO_FLAGS


def test_any_number_of_sets_can_be_interned() -> None:
    for number in range(70_000):
        assert intern_flags([str(number)]) == {str(number)}


def test_changes() -> None:
    old, named = intern_flags(["a", "b"]), intern_flags(["b", "c"])
    assert apply_change(old, FlagChange.ADD, named) == {"a", "b", "c"}
    assert apply_change(old, FlagChange.REMOVE, named) == {"a"}
    assert apply_change(old, FlagChange.REPLACE, named) is named
