"""Search keys as keywords."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.searchkeys import All, And, HasFlag, Header, Larger, Not, OnDate, Or, Uids
from mailpost.testing.criteria import Criteria, CriteriaError, criteria


def keys(wanted: Criteria) -> list[object]:
    return [each.key for each in wanted.all]


def test_keywords() -> None:
    wanted = criteria(
        "", {"from_": 'a "quote" \\', "seen": True, "answered": False, "larger": 7, "on": date(2024, 2, 9)}
    )
    assert str(wanted) == 'FROM "a \\"quote\\" \\\\" SEEN NOT ANSWERED LARGER 7 ON 9-Feb-2024'
    assert keys(wanted)[:4] == [
        Header("from", 'a "quote" \\'),
        HasFlag("\\Seen"),
        Not(HasFlag("\\Answered")),
        Larger(7),
    ]
    assert isinstance(keys(criteria("", {"since": datetime(2024, 2, 9, 12)}))[0], OnDate)


def test_raw_searches_and_keywords_together() -> None:
    wanted = criteria("OR SEEN (FLAGGED DRAFT)", {"not_": "SUBJECT x"})
    assert keys(wanted) == [
        Or(HasFlag("\\Seen"), And((HasFlag("\\Flagged"), HasFlag("\\Draft")))),
        Not(Header("subject", "x")),
    ]
    assert criteria() == Criteria(())
    assert criteria().key == And(())


def test_what_belongs_to_a_session() -> None:
    assert keys(criteria("RECENT")) == [All()]
    (found,) = keys(criteria("", {"uid": "3:*"}))
    assert isinstance(found, Uids)
    assert 3 in found.uids and 4_000_000_000 in found.uids and 2 not in found.uids
    for search in ("$", "2,4", "NOT 1:*"):
        with pytest.raises(CriteriaError, match="session"):
            criteria(search)


@given(st.text(alphabet=st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=50))
def test_any_text_is_searched_for_as_it_is(text: str) -> None:
    assert keys(criteria("", {"subject": text})) == [Header("subject", text)]


@given(st.text(max_size=40))
def test_whatever_is_no_search_is_refused(search: str) -> None:
    try:
        wanted = criteria(search)
    except CriteriaError:
        return
    assert isinstance(wanted, Criteria)
