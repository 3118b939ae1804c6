from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire.pop3.commands import (
    Command,
    CommandError,
    initial_response,
    number,
    parse,
    response,
    text,
)


@pytest.mark.parametrize(
    ("line", "name", "arguments"),
    [
        (b"STAT", "STAT", ()),
        (b"stat", "STAT", ()),
        (b"Top 1  20 ", "TOP", (b"1", b"20")),
        (b"USER  joe ", "USER", (b"joe",)),
        (b"USER joe doe", "USER", (b"joe doe",)),
        (b"PASS  two words ", "PASS", (b" two words ",)),
        (b"PASS", "PASS", ()),
        (b"PASS \xc3\xa9", "PASS", (b"\xc3\xa9",)),
        (b"UTF8", "UTF8", ()),
        (b"AUTH PLAIN =", "AUTH", (b"PLAIN", b"=")),
    ],
)
def test_a_line_is_read(line: bytes, name: str, arguments: tuple[bytes, ...]) -> None:
    assert parse(line) == Command(name, arguments)


@pytest.mark.parametrize(
    "line", [b"", b" STAT", b"NO", b"TOOLONG", b"ST\xffT", b"RETR \xb9", b"USER a\0b", b"NOOP\rx", b"A.B", b"RETR 1\r"]
)
def test_a_line_that_makes_no_sense(line: bytes) -> None:
    with pytest.raises(CommandError):
        parse(line)


@given(st.binary(max_size=300))
def test_any_line_is_read_or_refused(line: bytes) -> None:
    try:
        command = parse(line)
    except CommandError as error:
        assert error.text
    else:
        assert line.upper().startswith(command.name.encode())


def test_a_password_is_in_no_log() -> None:
    assert "secret" not in repr(parse(b"PASS secret"))


@given(st.integers(0, 0xFFFF_FFFF))
def test_numbers(value: int) -> None:
    assert number(b"%d" % value) == value


@pytest.mark.parametrize("octets", [b"", b"-1", b"1.5", b"x", b"4294967296", b"9" * 5000, b"\xb2", b" 1"])
def test_no_numbers(octets: bytes) -> None:
    with pytest.raises(CommandError):
        number(octets)


def test_responses() -> None:
    assert initial_response(b"=") == b""
    assert response(b"") == b""
    assert response(b"AGpvZQ==") == b"\0joe"
    for octets in (b"=", b"A", b"AA A", b"A\xff=="):
        with pytest.raises(CommandError):
            response(octets)
    with pytest.raises(CommandError):
        text(b"\xff")
