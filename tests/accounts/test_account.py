from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.accounts.account import LONGEST_NAME, UserNameError, checked_user


@pytest.mark.parametrize("name", ["joe", "joe@example.org", "j.o.e", "Jörg", "a b", "x" * LONGEST_NAME, "joe+tag"])
def test_names_that_people_have(name: str) -> None:
    assert checked_user(name) == name
    assert checked_user(name.encode()) == name


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", ".joe", "a/b", "/etc", "a\\b", "../x", "a..b", "a\0b", "a\nb", "a\tb", "a\x7fb", "a\x85b", " a",
        "a ", "a\u2028b", "a\u202eb", "a:b", "#joe", "x" * (LONGEST_NAME + 1), "é" * LONGEST_NAME, "\ud800",
        b"\xff\xfe",
    ],
)  # fmt: skip
def test_names_that_are_refused(name: str | bytes) -> None:
    with pytest.raises(UserNameError) as caught:
        checked_user(name)
    assert "\0" not in str(caught.value)


@given(st.text() | st.binary())
def test_a_checked_name_is_one_part_of_a_path_and_one_field_of_a_line(name: str | bytes) -> None:
    try:
        good = checked_user(name)
    except UserNameError:
        return
    assert good.isprintable()
    assert good not in {"", ".", ".."}
    assert not {"/", ":", "\0", "\n"} & set(good)
