"""RFC: 7888 (LITERAL+), 3501 §4.3"""

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire.imap.decoder import (
    CommandLine,
    ContinuationDue,
    Decoder,
    Limits,
    Literal,
    LiteralData,
    LiteralOffered,
    RawLine,
    TooLong,
)
from tests.wire.imap.wireside import cut, events

SMALL = Limits(line=40, literal=10, command=50)
NOOP = CommandLine(b"z NOOP")


def test_lines_are_commands() -> None:
    assert events([b"a NOOP\r\nb NOOP\n\r\n"]) == [CommandLine(b"a NOOP"), CommandLine(b"b NOOP"), CommandLine(b"")]


def test_synchronizing_literals_ask_for_a_continuation_each() -> None:
    found = events([b"a LOGIN {3}\r\nfoo {2}\r\n\r\n\r\n"])
    assert found == [
        ContinuationDue(),
        ContinuationDue(),
        CommandLine(b"a LOGIN {3} {2}", (Literal(11, 3, b"foo"), Literal(15, 2, b"\r\n"))),
    ]


def test_non_synchronizing_literals_just_come() -> None:
    found = events([b"a LOGIN {3+}\r\nfoo ~{0+}\r\n\r\nz NOOP\r\n"])
    assert found == [CommandLine(b"a LOGIN {3+} ~{0+}", (Literal(12, 3, b"foo"), Literal(18, 0, b""))), NOOP]


def test_a_message_goes_by_as_it_comes() -> None:
    decoder = Decoder()
    decoder.feed(b"a APPEND x (\\Seen) {10}\r\n")
    offer = decoder.next_event()
    text = b"a APPEND x (\\Seen) {10}"
    assert offer == LiteralOffered(10, True, False, CommandLine(text, (Literal(23, 10, None),)))
    assert decoder.next_event() is None
    decoder.accept()
    assert decoder.next_event() is None
    decoder.feed(b"12345")
    assert decoder.next_event() == LiteralData(b"12345", False)
    assert decoder.next_event() is None
    decoder.feed(b"67890\r\nz NOOP\r\n")
    assert decoder.next_event() == LiteralData(b"67890", True)
    assert decoder.next_event() == CommandLine(text, (Literal(23, 10, None),))
    assert decoder.next_event() == NOOP
    assert decoder.buffered == 0


def test_the_name_of_a_mailbox_as_literal_is_no_message() -> None:
    found = events([b"a append {1+}\r\nx ~{2+}\r\n\0y\r\n"])
    line = CommandLine(b"a append {1+} ~{2+}", (Literal(13, 1, b"x"), Literal(19, 2, None)))
    assert found == [LiteralOffered(2, False, True, line), LiteralData(b"\0y", True), line]


def test_messages_may_be_many() -> None:
    found = events([b"a APPEND x {1+}\r\n1 (\\Seen) {2}\r\n22\r\n"])
    assert [type(event) for event in found] == [LiteralOffered, LiteralData, LiteralOffered, LiteralData, CommandLine]


def test_an_empty_message_is_told_of() -> None:
    found = events([b"a APPEND x {0+}\r\n\r\n"])
    assert found[1] == LiteralData(b"", True)


@pytest.mark.parametrize(
    ("octets", "offers"),
    [
        (b"a APPEND x {5}\r\n", 1),
        (b"a APPEND x {5+}\r\n12345\r\n", 1),
        (b"a APPEND x {5+}\r\n\r\n\r\n\r {5+}\r\nb\r\nc\r tail {1}\r\n", 1),
        (b"a APPEND x {0+}\r\n)\r\n", 1),
    ],
)
def test_a_refused_message_is_forgotten_with_its_command(octets: bytes, offers: int) -> None:
    found = events([octets + b"z NOOP\r\n"], accept=False)
    assert [type(event) for event in found] == [LiteralOffered] * offers + [CommandLine]
    assert found[-1] == NOOP


def test_an_answer_without_an_offer_is_a_bug() -> None:
    with pytest.raises(RuntimeError, match="offer"):
        Decoder().accept()
    with pytest.raises(RuntimeError, match="offer"):
        Decoder().refuse()


@pytest.mark.parametrize(
    ("octets", "before"),
    [
        (b"a LOGIN {11}\r\n", 0),
        (b"a LOGIN {11+}\r\n12345678901 {1+}\r\nx\r\n", 0),
        (b"a LOGIN {11+}\r\n12345678901 {1}\r\n", 0),
        (b"a LOGIN {10+}\r\n1234567890 {10+}\r\n1234567890 {10+}\r\n1234567890\r\n", 0),
        (b"a LOGIN {99999999999999999999}\r\n", 0),
        (b"a LOGIN \0 x\r\n", 0),
        (b"a LOGIN \0 {3+}\r\nb N\r\n", 0),
        (b"a LOGIN {3}\r\nfoo x" + b"x" * 40 + b"\r\n", 1),
        (b"a LOGIN x" + b"x" * 40 + b"\r\n", 0),
        (b"a LOGIN x" + b"x" * 40 + b"{6+}\r\nb NOOP\r\n", 0),
    ],
)
@given(places=st.lists(st.integers(0, 200)))
def test_what_is_too_long_is_dropped_whole(octets: bytes, before: int, places: list[int]) -> None:
    found = events(cut(octets + b"z NOOP\r\n", places), SMALL)
    assert found[:before] == [ContinuationDue()] * before
    verdict, rest = found[before], found[before + 1 :]
    assert isinstance(verdict, TooLong)
    assert verdict.tag == b"a"
    assert not verdict.fatal
    assert rest == [NOOP]


@pytest.mark.parametrize(
    "octets",
    [
        b"a LOGIN {99999999999999999999+}\r\n",
        b"a LOGIN {11+}\r\n12345678901 {9999999999999999999+}\r\n",
        b"a APPEND x {9223372036854775808+}\r\n",
    ],
)
def test_a_literal_that_never_ends_is_fatal(octets: bytes) -> None:
    found = events([octets, b"z NOOP\r\n", b"z NOOP\r\n"], SMALL)
    assert len(found) == 1
    assert isinstance(found[0], TooLong)
    assert found[0].fatal


@pytest.mark.parametrize("size", [b"{-5}", b"{1_0}", b"{+5}", b"{}", b"{ 5}", b"{5-}", b"{5++}", b"{\xb2}"])
def test_what_is_no_literal_is_text(size: bytes) -> None:
    assert events([b"a LOGIN " + size + b"\r\nz NOOP\r\n"]) == [CommandLine(b"a LOGIN " + size), NOOP]


def test_an_endless_line_is_told_of_at_once_and_dropped_in_bounded_memory() -> None:
    decoder = Decoder(SMALL)
    decoder.feed(b"tag1 " + b"x" * 36)
    assert decoder.next_event() is None
    decoder.feed(b"x")
    assert decoder.next_event() == TooLong(b"tag1", "Line over 40 octets")
    for _ in range(100):
        decoder.feed(b"x" * 1000)
        assert decoder.next_event() is None
        assert decoder.buffered == 0
    decoder.feed(b"{4+}\r\nabc\nmore\r\nz NOOP\r\n")
    assert decoder.next_event() == NOOP


def test_raw_lines() -> None:
    decoder = Decoder(SMALL)
    decoder.feed(b"a IDLE\r\nDONE\r\n{5+}\r\n" + b"x" * 50 + b"\r\nz NOOP\r\n")
    assert decoder.next_event() == CommandLine(b"a IDLE")
    decoder.raw_lines = True
    assert decoder.next_event() == RawLine(b"DONE")
    assert decoder.next_event() == RawLine(b"{5+}")
    assert decoder.next_event() == TooLong(None, "Line too long")
    decoder.raw_lines = False
    assert decoder.next_event() == NOOP


def test_an_endless_raw_line() -> None:
    decoder = Decoder(SMALL)
    decoder.raw_lines = True
    decoder.feed(b"a " + b"x" * 50)
    assert decoder.next_event() == TooLong(None, "Line over 40 octets")
    decoder.feed(b"\r\nDONE\r\n")
    assert decoder.next_event() == RawLine(b"DONE")


def test_limits_can_change() -> None:
    decoder = Decoder(SMALL)
    decoder.limits = Limits()
    line = b"a " + b"x" * 1000
    decoder.feed(line + b"\r\n")
    assert decoder.next_event() == CommandLine(line)


def test_clear_forgets_what_nobody_asked_for() -> None:
    decoder = Decoder()
    decoder.feed(b"a STARTTLS\r\nb LOGIN x y\r\n")
    assert decoder.next_event() == CommandLine(b"a STARTTLS")
    assert decoder.buffered == 13
    decoder.clear()
    assert decoder.next_event() is None


ANNOUNCED = [b"{3+}\r\n", b"{2}\r\n", b"{12+}\r\n", b"~{1+}\r\n", b"{99999999999999999999+}\r\n"]
PIECE = st.sampled_from(
    [b"a ", b"APPEND ", b"x ", b"LOGIN ", b"ab", b"\r\n", b"\n", b"\r", b"\0", b"}", b"x" * 45, *ANNOUNCED]
)


@given(st.lists(PIECE, max_size=15).map(b"".join), st.lists(st.integers(0, 500), max_size=20), st.booleans())
def test_pieces_make_no_difference(octets: bytes, places: list[int], accept: bool) -> None:
    whole = events([octets], SMALL, accept)
    byte_by_byte = events([octets[at : at + 1] for at in range(len(octets))], SMALL, accept)
    some = events(cut(octets, places), SMALL, accept)

    def shown(found: list[object]) -> list[object]:
        # How an over-long line is found out differs with the pieces; and a literal that has not ended comes as far
        # as it has come.
        return [(TooLong, event.tag, event.fatal) if isinstance(event, TooLong) else event for event in found]

    assert shown(list(byte_by_byte)) == shown(list(some)) == shown(list(whole))


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r\r\n"])
@pytest.mark.parametrize("digits", [2, 43, 44, 45, 46, 47, 48, 70])
def test_how_a_line_that_is_dropped_ends_makes_no_difference_with_the_pieces(digits: int, end: bytes) -> None:
    octets = b"a " + b"x" * 60 + b" {" + b"3" * digits + b"+}" + end + b"b NOOP\r\n" * 10

    def told(pieces: list[bytes]) -> list[object]:
        return [event.fatal if isinstance(event, TooLong) else event for event in events(pieces, SMALL)]

    whole = told([octets])
    assert whole[0] is False
    for at in range(len(octets)):
        assert told([octets[:at], octets[at:]]) == whole, at
    assert told([octets[at : at + 1] for at in range(len(octets))]) == whole


@given(st.binary(max_size=300), st.booleans())
def test_any_octets_make_events(octets: bytes, accept: bool) -> None:
    found = events([octets, b"\r\n"], SMALL, accept)
    assert all(len(event.text) <= 40 for event in found if isinstance(event, CommandLine))


@pytest.mark.parametrize(
    "octets",
    [
        b"a " + b"x" * 65_000 + b"\r\n",
        b"a X " + b"{1+}\r\nx " * 7_000 + b"\r\n",
        b"a APPEND x" + b" {1+}\r\nx" * 3_000 + b"\r\n",
        b"a LOGIN {65536+}\r\n" + b"x" * 65_536 + b" x\r\n",
        b"\r\n" * 50_000,
        b"{1}" * 21_000 + b"\r\n",
        b"x" * 200_000 + b"\r\n",
    ],
    ids=["line", "literals", "messages", "literal", "empty", "braces", "endless"],
)
def test_octet_by_octet_takes_linear_time(octets: bytes) -> None:
    start = perf_counter()
    found = events(octets[at : at + 1] for at in range(len(octets)))
    assert found
    assert perf_counter() - start < 5
