"""RFC: 3501 §6.3.8"""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.listpatterns import list_matcher


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "A/B", True),
        ("%", "A", True),
        ("%", "A/B", False),
        ("A/%", "A/B", True),
        ("A/%", "A/B/C", False),
        ("A/%", "A", False),
        ("A*", "A/B/C", True),
        ("%/%", "A/B", True),
        ("%/C", "A/B/C", False),
        ("*/C", "A/B/C", True),
        ("FOO", "FOO BAR", False),
        ("foo", "FOO", False),
        ("inbox", "INBOX", True),
        ("Inbox/%", "INBOX/work", True),
        ("inbo%", "INBOX", False),
        ("a.b", "aXb", False),
        ("", "", True),
    ],
)
def test_patterns(pattern: str, name: str, matches: bool) -> None:
    assert list_matcher(pattern, "/")(name) is matches


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=10))
def test_agrees_with_a_regular_expression(pattern: str, name: str) -> None:
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(c, re.escape(c)) for c in pattern)
    assert list_matcher(pattern, "/")(name) is (re.fullmatch(expression, name, re.DOTALL) is not None)


def test_a_nasty_pattern_takes_no_time() -> None:
    match = list_matcher("*a" * 200 + "b", "/")
    begun = time.perf_counter()
    assert not match("a" * 5000)
    assert time.perf_counter() - begun < 1
