from time import perf_counter

from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire.receivebuffer import ReceiveBuffer


def lines(pieces: list[bytes]) -> list[bytes]:
    buffer = ReceiveBuffer()
    found = []
    for piece in pieces:
        buffer.feed(piece)
        while (line := buffer.line()) is not None:
            found.append(line)
    return found


def test_a_line_ends_in_crlf_or_lf() -> None:
    assert lines([b"a\r\nb\nc\r\r\n\r\n\nrest"]) == [b"a", b"b", b"c\r", b"", b""]


@given(st.lists(st.binary(max_size=20).map(lambda piece: piece.replace(b"\r", b""))))
def test_pieces_make_no_difference(pieces: list[bytes]) -> None:
    assert lines(pieces) == b"".join(pieces).split(b"\n")[:-1]


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=9), st.integers(0, 12), st.just("line"))))
def test_lines_and_counts_mix(steps: list[bytes | int | str]) -> None:
    buffer, expected = ReceiveBuffer(), b""
    for step in steps:
        if isinstance(step, bytes):
            buffer.feed(step)
            expected += step
        elif isinstance(step, int):
            assert buffer.peek(step) == expected[:step]
            assert buffer.take(step) == expected[:step]
            expected = expected[step:]
        else:
            line, end, rest = expected.partition(b"\n")
            assert buffer.line() == ((line[:-1] if line.endswith(b"\r") else line) if end else None)
            expected = rest if end else expected
        assert len(buffer) == len(expected)


def test_clear_drops_everything() -> None:
    buffer = ReceiveBuffer()
    buffer.feed(b"half a line")
    assert buffer.line() is None
    buffer.clear()
    buffer.feed(b"x\r\n")
    assert buffer.line() == b"x"
    assert len(buffer) == 0


def test_octet_by_octet_takes_linear_time() -> None:
    buffer = ReceiveBuffer()
    start = perf_counter()
    for _ in range(200_000):
        buffer.feed(b"x")
        assert buffer.line() is None
    buffer.feed(b"\n")
    assert buffer.line() == b"x" * 200_000
    assert perf_counter() - start < 2


@given(st.lists(st.binary(max_size=9), min_size=1), st.integers(0, 30))
def test_what_is_put_back_is_read_again(pieces: list[bytes], most: int) -> None:
    buffer = ReceiveBuffer()
    for piece in pieces:
        buffer.feed(piece)
        taken = buffer.take(most)
        buffer.put_back(taken[len(taken) // 2 :])
        buffer.feed(b"")
        buffer.put_back(taken[: len(taken) // 2])
    assert buffer.take(1000) == b"".join(pieces)


def test_a_whole_line_has_its_end() -> None:
    buffer = ReceiveBuffer()
    buffer.feed(b"a\r\nb\n\nc")
    assert [buffer.whole_line() for _ in range(4)] == [b"a\r\n", b"b\n", b"\n", None]
    assert buffer.ends_with(b"c")
    assert not buffer.ends_with(b"\nc")
