from __future__ import annotations

from itertools import pairwise
from time import process_time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure

from mailpost.protocols.commandqueue import LONGEST_TURN, PIECE, CommandQueue, Line

LIMIT = 20
AHEAD = 100


class Session:
    """Notes what it is given. WAIT takes a second, ASK takes a line, TAKE n octets, DATA all up to a full stop."""

    def __init__(self, clock: Clock, limit: int = LIMIT, ahead: int = AHEAD) -> None:
        self.clock = clock
        self.queue = CommandQueue(self, clock, line_length=limit, ahead=ahead)
        self.seen: list[Any] = []
        self.unsent: list[Any] = []
        self.sent: list[list[Any]] = []
        self.reading: list[bool] = []
        self.failures: list[Failure] = []
        self.slow_consumer = False

    def note(self, what: Any) -> None:
        self.seen.append(what)
        self.unsent.append(what)

    async def handle(self, line: Line) -> None:
        word, _, argument = line.octets.partition(b" ")
        if word == b"WAIT":
            await deferLater(self.clock, 1)
        elif word == b"SLOW":
            self.clock.rightNow += LONGEST_TURN * 2
        elif word == b"ASK":
            self.note(("answer", await self.queue.line(int(argument) if argument.isdigit() else None)))
        elif word == b"TAKE":
            left, whole = int(argument) if argument.isdigit() else 0, b""
            while left:
                octets = await self.queue.octets(left)
                assert 0 < len(octets) <= left
                whole += octets
                left -= len(octets)
            self.note(("octets", whole))
        elif word == b"DATA":
            await self.data()
        elif word == b"STOP":
            self.queue.stop()
        elif word == b"RAISE":
            raise ValueError("a bug")
        self.note(line)

    async def data(self) -> None:
        whole = b""

        def feed(piece: bytes) -> Any:
            nonlocal whole
            at = piece.find(b".") + 1
            whole += piece[:at] if at else piece
            taken = at or None
            return deferLater(self.clock, 1, lambda: taken) if self.slow_consumer else taken

        await self.queue.consume(feed)
        self.note(("data", whole))

    def flush(self) -> None:
        if self.unsent:
            self.sent.append(self.unsent)
            self.unsent = []

    def set_reading(self, reading: bool) -> None:
        self.reading.append(reading)

    def broken(self, failure: Failure) -> None:
        self.failures.append(failure)


def run(pieces: list[bytes], slow_consumer: bool = False) -> list[Any]:
    """What a session sees of these pieces; time passes when there are no more."""
    session = Session(Clock(), ahead=1 << 30)
    session.slow_consumer = slow_consumer
    for piece in pieces:
        session.queue.data_received(piece)
    for _ in range(1000):
        session.clock.advance(1)
    assert not session.failures
    return session.seen


COMMANDS = st.sampled_from(
    [
        b"NOOP",
        b"",
        b"WAIT",
        b"ASK",
        b"ASK 3",
        b"TAKE 7",
        b"TAKE 0",
        b"DATA",
        b"a" * LIMIT,
        b"b" * (LIMIT + 1),
        b"c" * 90,
    ]
) | st.binary(max_size=LIMIT + 5).filter(lambda text: not text.startswith((b"TAKE", b"ASK")))
STREAMS = st.lists(st.tuples(COMMANDS, st.sampled_from([b"\r\n", b"\n", b"", b"\r", b".\r\n"]))).map(
    lambda lines: b"".join(text + end for text, end in lines)
)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[a:b] for a, b in pairwise(at)]


@given(STREAMS, st.lists(st.integers(0, 10_000), max_size=12), st.booleans())
@example(b"x" * LIMIT + b"\r\n" + b"y" * (LIMIT + 1) + b"\n", [LIMIT, LIMIT + 1], False)
@example(b"y" * (LIMIT + 1) + b"\r\nNOOP\r\n", [LIMIT + 1, LIMIT + 2], False)
@example(b"DATA\r\nab.NOOP\r\n", [7, 8], True)
def test_chunks_make_no_difference(stream: bytes, places: list[int], slow_consumer: bool) -> None:
    whole = run([stream])
    assert run(cut(stream, places), slow_consumer) == whole
    assert run([stream[at : at + 1] for at in range(len(stream))]) == whole


@given(st.lists(st.binary(max_size=30).map(lambda text: text.replace(b"\n", b"")), max_size=8))
def test_every_line_comes_once_and_in_order(lines: list[bytes]) -> None:
    session = Session(Clock())
    texts = [b"#" + line for line in lines]
    session.queue.data_received(b"".join(text + b"\r\n" for text in texts))
    assert session.seen == [Line(text) if len(text) <= LIMIT else Line(b"", too_long=True) for text in texts]


def test_a_line_without_cr_is_told_of() -> None:
    assert run([b"a\nb\r\n\n\r\r\nc\rd\r\n"]) == [
        Line(b"a", bare_lf=True),
        Line(b"b"),
        Line(b"", bare_lf=True),
        Line(b"\r"),
        Line(b"c\rd"),
    ]


def test_commands_wait_for_the_one_before() -> None:
    session = Session(Clock())
    session.queue.data_received(b"WAIT\r\nNOOP\r\n")
    session.queue.data_received(b"LAST\r\n")
    assert session.seen == []
    assert session.queue.busy
    assert session.queue.buffered == len(b"NOOP\r\nLAST\r\n")
    session.clock.advance(1)
    assert [line.octets for line in session.seen] == [b"WAIT", b"NOOP", b"LAST"]
    assert not session.queue.busy


def test_answers_to_commands_in_one_chunk_go_out_together() -> None:
    session = Session(Clock())
    session.queue.data_received(b"A\r\nB\r\nC\r\n")
    assert [len(sent) for sent in session.sent] == [3]


def test_what_was_written_goes_out_before_a_wait() -> None:
    session = Session(Clock())
    session.queue.data_received(b"A\r\nWAIT\r\nB\r\n")
    assert session.sent == [[Line(b"A")]]
    session.clock.advance(1)
    assert [line for sent in session.sent for line in sent] == session.seen
    session.queue.data_received(b"C\r\nASK\r\n")
    assert session.sent[-1] == [Line(b"C")]


def test_a_client_that_sends_too_far_ahead_is_not_read_from() -> None:
    session = Session(Clock())
    session.queue.data_received(b"WAIT\r\n" + b"N\r\n" * 30)
    assert session.reading == []
    session.queue.data_received(b"N\r\n" * 30)
    session.queue.data_received(b"N\r\n")
    assert session.reading == [False]
    session.clock.advance(1)
    assert session.reading == [False, True]
    assert len(session.seen) == 62


def test_a_slow_consumer_holds_up_the_client() -> None:
    session = Session(Clock())
    session.slow_consumer = True
    session.queue.data_received(b"DATA\r\n" + b"x" * 50)
    session.queue.data_received(b"y" * (AHEAD + 1))
    assert session.reading == [False]
    session.clock.advance(1)
    session.clock.advance(1)
    assert session.reading == [False, True]
    session.queue.data_received(b".QUICK\r\n")
    session.clock.advance(1)
    assert session.seen == [("data", b"x" * 50 + b"y" * (AHEAD + 1) + b"."), Line(b"DATA"), Line(b"QUICK")]


def test_a_command_that_asks_for_a_line_gets_it_though_reading_was_stopped() -> None:
    session = Session(Clock())
    session.queue.data_received(b"WAIT\r\nASK\r\n" + b"x" * AHEAD)
    assert session.reading == [False]
    session.clock.advance(1)
    assert session.reading == [False, True]
    assert session.seen == [Line(b"WAIT"), ("answer", Line(b"", too_long=True)), Line(b"ASK")]
    session.queue.data_received(b"\r\nNOOP\r\n")
    assert session.seen[-1] == Line(b"NOOP")


def test_an_answer_may_have_a_limit_of_its_own() -> None:
    assert run([b"ASK 90\r\n" + b"x" * 90 + b"\r\nNOOP\r\n"]) == [
        ("answer", Line(b"x" * 90)),
        Line(b"ASK 90"),
        Line(b"NOOP"),
    ]


def test_an_endless_line_takes_no_memory_and_is_told_of_once() -> None:
    session = Session(Clock())
    started = process_time()
    for _ in range(2000):
        session.queue.data_received(b"x" * PIECE)
        assert session.queue.buffered <= LIMIT + 1
    assert session.seen == [Line(b"", too_long=True)]
    assert process_time() - started < 2
    session.queue.data_received(b"\r\nNOOP\r\n")
    assert session.seen[1:] == [Line(b"NOOP")]


def test_many_commands_let_other_connections_have_a_turn() -> None:
    session = Session(Clock())
    session.queue.data_received(b"SLOW\r\n" * 3)
    assert len(session.seen) == 1
    session.clock.callLater(0, session.note, "another")
    session.clock.advance(0)
    assert session.seen == [Line(b"SLOW"), Line(b"SLOW"), "another", Line(b"SLOW")]
    assert not session.queue.busy


def test_nothing_is_taken_behind_the_end() -> None:
    session = Session(Clock())
    session.queue.data_received(b"STOP\r\nNOOP\r\n")
    session.queue.data_received(b"NOOP\r\n")
    assert session.seen == [Line(b"STOP")]
    assert session.queue.buffered == 0


def test_an_end_while_reading_is_stopped_lets_the_client_answer_to_the_end_of_tls() -> None:
    session = Session(Clock())
    session.queue.data_received(b"WAIT\r\nSTOP\r\n" + b"x" * AHEAD)
    session.clock.advance(1)
    assert session.reading == [False, True]


@pytest.mark.parametrize("command", [b"WAIT\r\n", b"ASK\r\n", b"TAKE 4\r\n", b"DATA\r\n"])
def test_a_lost_connection_cancels_what_runs(command: bytes) -> None:
    cancelled = []

    class Patient(Session):
        async def handle(self, line: Line) -> None:
            try:
                await super().handle(line)
            except CancelledError:
                cancelled.append(line.octets)
                raise

    session = Patient(Clock())
    session.queue.data_received(command + b"x")
    session.queue.connection_lost()
    session.queue.data_received(b"NOOP\r\n")
    assert cancelled == [command[:-2]]
    assert session.failures == []
    assert session.seen == []


def test_a_connection_lost_while_its_command_begins() -> None:
    class Sudden(Session):
        async def handle(self, line: Line) -> None:
            self.queue.connection_lost()
            await Deferred()

    session = Sudden(Clock())
    session.queue.data_received(b"A\r\nB\r\n")
    assert not session.queue.busy
    assert session.failures == []


def test_a_handler_that_raises_ends_the_queue() -> None:
    session = Session(Clock())
    session.queue.data_received(b"RAISE\r\nNOOP\r\n")
    session.queue.data_received(b"NOOP\r\n")
    assert [failure.type for failure in session.failures] == [ValueError]
    assert session.seen == []


def test_octet_by_octet_takes_linear_time() -> None:
    session = Session(Clock(), limit=100_000)
    started = process_time()
    for _ in range(100_000):
        session.queue.data_received(b"x")
    session.queue.data_received(b"\r\n")
    assert session.seen == [Line(b"x" * 100_000)]
    assert process_time() - started < 3
