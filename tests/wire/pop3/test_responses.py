from __future__ import annotations

from itertools import pairwise
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailpost.mail.errors import ErrorKind
from mailpost.mail.headers import end_of
from mailpost.wire.pop3.responses import DotStuffer, code_of, default_uidl, error, is_uidl, lines, ok, top

MESSAGES = st.lists(
    st.sampled_from([b".", b"..", b"\r\n", b"\r\n.", b"x", b"\n", b"\r", b"\r\n.\r\n", b"\r\n\r\n"]), max_size=20
).map(b"".join)


def sent(message: bytes, cuts: list[int]) -> bytes:
    stuffer = DotStuffer()
    places = [0, *sorted({cut % (len(message) + 1) for cut in cuts}), len(message)]
    pieces = [message[a:b] for a, b in pairwise(places)]
    return b"".join([stuffer.feed(piece) for piece in pieces]) + stuffer.end()


@given(MESSAGES, st.lists(st.integers(0, 1000), max_size=10))
@example(b".", [])
@example(b"", [])
@example(b"a\r\n.\r\n", [3])
@example(b"a\r\n.\r\n", [1, 2, 3, 4])
def test_a_client_reads_what_was_fed(message: bytes, cuts: list[int]) -> None:
    octets = sent(message, cuts)
    assert octets == sent(message, [])
    assert octets.endswith(b"\r\n.\r\n") or octets == b".\r\n"
    read = octets.split(b"\n")
    assert read.index(b".\r") == len(read) - 2
    unstuffed = b"\n".join(line[1:] if line.startswith(b".") else line for line in read[:-2])
    unstuffed += b"\n" if len(read) > 2 else b""
    assert unstuffed == message if message.endswith(b"\r\n") or not message else unstuffed == message + b"\r\n"


@given(MESSAGES, st.integers(0, 30))
def test_top_is_the_header_and_so_many_lines(message: bytes, count: int) -> None:
    body = end_of(message)
    whole = message[body:].splitlines(True) if b"\r" not in message[body:].replace(b"\r\n", b"") else None
    taken = top(message, count)
    assert message.startswith(taken)
    assert taken[body:].count(b"\n") == min(count, message[body:].count(b"\n"))
    if whole is not None:
        assert taken == message[:body] + b"".join(whole[:count])


@pytest.mark.parametrize("count", [0, 1, 8191, 8192, 8193, 100_000, 4_000_000_000])
def test_top_of_a_long_message(count: int) -> None:
    head = b"Subject: x\r\n\r\n"
    message = head + b"y\r\n" * 20_000 + b"z" * 40_000 + b"\r\n" + b"end"
    expected = [*([b"y"] * 20_000), b"z" * 40_000]
    wanted = b"".join(line + b"\r\n" for line in expected[:count]) + (b"end" if count > 20_001 else b"")
    assert top(message, count) == head + wanted


def test_top_is_quick() -> None:
    message = b"Subject: x\r\n\r\n" + b"\n" * 20_000_000
    started = process_time()
    assert len(top(message, 19_999_999)) == len(message) - 1
    assert process_time() - started < 0.5


def test_answers() -> None:
    assert ok() == b"+OK\r\n"
    assert ok(b"two\r\nlines") == b"+OK two  lines\r\n"
    assert error(b"no") == b"-ERR no\r\n"
    assert error(b"no", b"IN-USE") == b"-ERR [IN-USE] no\r\n"
    assert lines([b"a", b"b"]) == b"a\r\nb\r\n.\r\n"
    assert len(error(b"x" * 5000)) <= 512


def test_codes() -> None:
    """RFC: 2449 §8, 3206 §4, §5"""
    assert code_of(ErrorKind.IN_USE) == b"IN-USE"
    assert code_of(ErrorKind.AUTHENTICATION_FAILED) == b"AUTH"
    assert code_of(ErrorKind.UNAVAILABLE) == b"SYS/TEMP"
    assert code_of(ErrorKind.CORRUPT) == b"SYS/PERM"
    assert code_of(ErrorKind.EXPUNGED) == b""


def test_uidls() -> None:
    assert default_uidl(10, 0x6B0631DE) == b"0000000a6b0631de"
    assert default_uidl(0xFFFF_FFFF, 1) == b"ffffffff00000001"
    assert all(map(is_uidl, ["a", "x" * 70, "!~"]))
    assert not any(map(is_uidl, ["", "x" * 71, "a b", "\x7f", "é", "a\n"]))
