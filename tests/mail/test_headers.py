"""Header fields. RFC: 5322 §2.2"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail import headers
from tests.corpus import messages

HEADER = b"From: a@b\r\nSUBJECT : one\r\n\ttwo\r\nno colon\r\nX-Empty:\r\nsubject: again\r\n\r\nBody: not a field\r\n"


def test_end_of_a_header() -> None:
    assert HEADER[headers.end_of(HEADER) :] == b"Body: not a field\r\n"
    assert headers.end_of(b"\r\nbody") == 2
    assert headers.end_of(b"\nbody") == 1
    assert headers.end_of(b"a: b\n\nbody\r\n\r\n") == 6
    assert headers.end_of(b"a: b\r\n\r\nbody\n\n") == 8
    assert headers.end_of(b"a: b\r\n") == 6
    assert headers.end_of(b"") == 0


def test_fields_have_names_and_places() -> None:
    end = headers.end_of(HEADER)
    found = [(name, HEADER[first:last]) for name, first, last in headers.fields(HEADER, 0, end)]
    assert found == [
        (b"from", b"From: a@b\r\n"),
        (b"subject", b"SUBJECT : one\r\n\ttwo\r\n"),
        (b"", b"no colon\r\n"),
        (b"x-empty", b"X-Empty:\r\n"),
        (b"subject", b"subject: again\r\n"),
        (b"", b"\r\n"),
    ]


def test_values_are_unfolded() -> None:
    assert headers.value(HEADER, b"subject") == b"one two"
    assert headers.value(HEADER, b"x-empty") == b""
    assert headers.value(HEADER, b"cc") is None
    assert headers.unfolded(b" a\0b\n  c\r\n\td \r\n") == b"ab  c d"


def test_selected_fields_stand_as_they_are() -> None:
    assert headers.select(HEADER, frozenset([b"subject"])) == b"SUBJECT : one\r\n\ttwo\r\nsubject: again\r\n\r\n"
    assert headers.select(HEADER, frozenset([b"subject"]), negate=True) == b"From: a@b\r\nno colon\r\nX-Empty:\r\n\r\n"
    assert headers.select(HEADER, frozenset()) == b"\r\n"
    assert headers.select(b"a: b\nc: d\n\n", frozenset([b"c"])) == b"c: d\n\n"
    assert headers.select(b"", frozenset([b"a"]), negate=True) == b""


def test_an_empty_line_that_is_not_there_is_not_selected() -> None:
    """RFC: 9051 §6.4.5: a message that has no body and no blank line"""
    assert headers.select(b"a: b\r\n", frozenset([b"c"])) == b""
    assert headers.select(b"a: b\r\nc: d", frozenset([b"c"])) == b"c: d"
    assert headers.select(b"a: b\r\n", frozenset([b"c"]), negate=True) == b"a: b\r\n"


@given(st.binary() | st.lists(st.sampled_from([b"a", b":", b"\r\n", b"\n", b" ", b"\t", b"\r"])).map(b"".join))
def test_lines_rebuild_any_header(octets: bytes) -> None:
    assert b"".join(octets[first:last] for _, first, last in headers.fields(octets)) == octets


def test_what_is_selected_and_what_is_not_is_everything() -> None:
    names = frozenset([b"subject", b"received"])
    for octets in messages():
        header = octets[: headers.end_of(octets)]
        empty = header[-2:] if header.endswith(b"\r\n\r\n") or header == b"\r\n" else b""
        both = len(headers.select(header, names)) + len(headers.select(header, names, negate=True))
        assert both == len(header) + len(empty)
