from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from mailpost.wire.smtp.data import DataDecoder, has_bare


def stuffed(message: bytes) -> bytes:
    """What a client sends for a message of lines that end in CRLF."""
    return (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def decode(stream: bytes, cuts: list[int]) -> tuple[bytes, int | None, bool]:
    """What comes out of a stream cut there: the message, how many octets it took, whether there was a bare CR or LF."""
    decoder, whole, at = DataDecoder(), b"", 0
    places = sorted({cut % (len(stream) + 1) for cut in cuts} | {0, len(stream)})
    for start, end in pairwise(places):
        octets, used = decoder.feed(stream[start:end])
        whole += octets
        if used is not None:
            return whole, at + used, decoder.bare
        at = end
    return whole, None, decoder.bare


CUTS = some.lists(some.integers(0, 10_000), max_size=30)
LINES = some.lists(
    some.one_of(
        some.sampled_from([b"", b".", b"..", b".x", b"...", b"x."]),
        some.binary(max_size=12).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b"")),
    ),
    max_size=10,
).map(lambda lines: b"".join(line + b"\r\n" for line in lines))


@given(LINES, CUTS)
@example(b".\r\n", [1, 2, 3])
@example(b"", [1, 2])
@example(b"\r\n.\r\n", [1, 2, 3, 4, 5, 6])
def test_a_message_comes_back_whatever_the_pieces(message: bytes, cuts: list[int]) -> None:
    """RFC: 5321 §4.5.2"""
    stream = stuffed(message)
    assert decode(stream + b"NEXT\r\n", cuts) == (message, len(stream), False)
    every = list(range(len(stream)))
    assert decode(stream + b".\r\n", every) == (message, len(stream), False)


ENDS = some.lists(
    some.sampled_from(
        [b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"x", b"\r\n.\r", b"\n.\r\n", b"\r.\r\n", b"\0", b"\xff"]
    ),
    max_size=14,
).map(b"".join)


@given(ENDS, CUTS)
def test_only_crlf_dot_crlf_ends_a_message(stream: bytes, cuts: list[int]) -> None:
    message, used, bare = decode(stream, cuts)
    end = (b"\r\n" + stream).find(b"\r\n.\r\n")
    assert used == (None if end < 0 else end + 3)
    assert decode(stream, []) == (message, used, bare)
    assert decode(stream, list(range(len(stream)))) == (message, used, bare)
    if used is not None:
        raw = stream[: used - 3]
        lone = raw.replace(b"\r\n", b"")
        assert bare == (b"\r" in lone or b"\n" in lone)
        assert message == (b"\r\n" + raw).replace(b"\r\n.", b"\r\n")[2:]


@pytest.mark.parametrize(
    "end",
    [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r.\r", b"\r\n.\r", b"\n\n.\r\n", b"\r\r\n.\n", b"\r\n\0.\r\n"],
)
def test_other_ends_are_told_of(end: bytes) -> None:
    """What a second message can be smuggled behind with: some servers take it for the end, others do not."""
    stream = b"Subject: x\r\n\r\nfirst" + end + b"MAIL FROM:<evil@example.org>\r\n.\r\n"
    for cuts in ([], list(range(len(stream)))):
        message, used, bare = decode(stream, cuts)
        assert used == len(stream)
        assert b"MAIL FROM" in message
        assert bare == (end != b"\r\n\0.\r\n")


def test_memory_between_pieces_is_a_few_octets_and_time_is_linear() -> None:
    decoder, piece = DataDecoder(), (b"." * 997 + b"\r\n") * 66
    began = time.process_time()
    total = 0
    for _ in range(800):
        octets, used = decoder.feed(piece)
        assert used is None
        assert len(decoder._held) <= 4
        total += len(octets)
    assert total == pytest.approx(800 * 66 * 998, abs=10), "one dot less in each line"
    assert time.process_time() - began < 5
    long = DataDecoder()
    for _ in range(800):
        assert long.feed(b"x" * 65536)[1] is None
    assert not long.bare, "a line may have any length"


def test_a_piece_of_64_kib_takes_no_loop_over_lines() -> None:
    piece = b"..\r\n" * (16 << 10)
    decoder = DataDecoder()
    began = time.process_time()
    for _ in range(100):
        decoder.feed(piece)
    assert time.process_time() - began < 1


@given(some.binary(max_size=40) | ENDS, CUTS)
def test_chunks_of_bdat(octets: bytes, cuts: list[int]) -> None:
    places = sorted({cut % (len(octets) + 1) for cut in cuts} | {0, len(octets)})
    found, left = False, b""
    for start, end in pairwise(places):
        bare, left = has_bare(octets[start:end], left)
        found = found or bare
    lone = octets.replace(b"\r\n", b"")
    assert (found or bool(left)) == (b"\r" in lone or b"\n" in lone)
