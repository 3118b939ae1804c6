"""Line ends of stored files and of messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.lineends import all_lf, normalised, to_crlf, to_stored

OCTETS = st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"\n\n", b"\0"])).map(b"".join)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (b"", b""),
        (b"no end", b"no end"),
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"a\r\nb\n", b"a\r\nb\n"),
        (b"a\nb\r\nc\n", b"a\r\nb\r\nc\r\n"),
        (b"\n\r\n", b"\r\n\r\n"),
        (b"\r\n", b"\r\n"),
        (b"a\rb\n", b"a\rb\r\n"),
    ],
)
def test_the_octet_rule(stored: bytes, message: bytes) -> None:
    assert to_crlf(stored) == message


@pytest.mark.parametrize(
    ("message", "stored"),
    [
        (b"a\r\nb\r\n", b"a\nb\n"),
        (b"a\r\r\nb\r\n", b"a\r\r\nb\r\n"),
        (b"a\r\nb\nc\r\n", b"a\r\nb\nc\r\n"),
        (b"a\rb\r\n", b"a\rb\n"),
        (b"a", b"a"),
    ],
)
def test_the_smaller_form_is_stored_where_it_can_be(message: bytes, stored: bytes) -> None:
    assert to_stored(message) == stored


def test_what_no_file_can_hold_is_normalised() -> None:
    assert normalised(b"a\nb\r\n") == b"a\r\nb\r\n"
    assert normalised(b"a\r\nb\n") == b"a\r\nb\n"
    assert normalised(b"a\nb\r") == b"a\r\nb\r"


@given(OCTETS | st.binary())
def test_what_is_stored_is_what_is_read(octets: bytes) -> None:
    message = normalised(octets)
    assert to_crlf(to_stored(message)) == message
    assert normalised(message) == message
    assert to_crlf(octets) == normalised(to_crlf(octets))


@given(OCTETS)
def test_lone_line_ends_have_no_lf_form(octets: bytes) -> None:
    pairs = octets.count(b"\r\n")
    lone = octets.count(b"\r") != pairs or octets.count(b"\n") != pairs
    assert all_lf(octets) == (None if lone else octets.replace(b"\r\n", b"\n"))
