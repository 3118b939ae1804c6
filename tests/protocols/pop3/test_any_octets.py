"""Whatever a client sends, in whatever chunks: one answer a command, no bug, nothing lost that was not asked for."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogLevel, globalLogPublisher

from mailpost.protocols.pop3.settings import Pop3Settings
from tests.protocols.pop3.harness import Client, Server

NUMBERS = st.integers(0, 6).map(lambda n: b"%d" % n) | st.sampled_from([b"-1", b"x", b"4294967296", b""])
WORDS = st.sampled_from(
    [
        *(b"STAT", b"LIST", b"UIDL", b"RETR", b"TOP", b"DELE", b"NOOP", b"RSET", b"CAPA", b"LANG", b"UTF8", b"USER"),
        *(b"PASS", b"AUTH", b"STLS", b"APOP", b"list", b"BOGUS", b"*", b"AUTH PLAIN", b"AUTH LOGIN", b"\xff"),
    ]
)
LINES = st.tuples(WORDS, st.lists(NUMBERS, max_size=2)).map(lambda line: b" ".join((line[0], *line[1]))) | st.binary(
    max_size=300
)


class Bugs:
    """What was logged as a bug."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __enter__(self) -> list[Any]:
        globalLogPublisher.addObserver(self._note)
        return self.seen

    def __exit__(self, *_: object) -> None:
        globalLogPublisher.removeObserver(self._note)

    def _note(self, event: Any) -> None:
        if event.get("log_level") == LogLevel.critical:
            self.seen.append(event)


def run(server: Server, client: Client, pieces: list[bytes]) -> bytes:
    heard = client.heard()
    for piece in pieces:
        client.sends(piece)
        server.clock.advance(0)
        heard += client.heard()
    for _ in range(200):
        server.clock.advance(0.1)
    return heard + client.heard()


def prepared(logged_in: bool) -> tuple[Server, Client]:
    server = Server(Pop3Settings(bad_commands=1000, failed_logins=1000, login_timeout=10_000), tls=object())
    server.holds(b"Subject: 1\r\n\r\n.\r\nx", b".\r\n", b"", b"Subject: 4\r\n\r\n" + b"y\r\n" * 400)
    return server, server.logged_in() if logged_in else server.connect()


@given(st.lists(LINES, max_size=12), st.lists(st.integers(1, 10_000), max_size=8), st.booleans())
def test_chunks_make_no_difference(lines: list[bytes], cuts: list[int], logged_in: bool) -> None:
    stream = b"".join(line + b"\r\n" for line in lines)
    with Bugs() as bugs:
        whole = run(*prepared(logged_in), [stream])
        places = [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]
        if b"STLS" in stream.upper():
            return  # what is behind it in one chunk is refused
        assert run(*prepared(logged_in), [stream[a:b] for a, b in pairwise(places)]) == whole
    assert not bugs


@given(st.binary(max_size=2000), st.booleans())
def test_any_octets_harm_nothing(octets: bytes, logged_in: bool) -> None:
    server, client = prepared(logged_in)
    with Bugs() as bugs:
        answers = run(server, client, [octets, b"\r\n*\r\n"])
        client.leaves()
        server.clock.advance(60)
    assert not bugs
    assert all(answer[:1] in (b"+", b"-", b".") for answer in answers.split(b"\r\n")[:1] if answer)
    assert server.realm.inside == 0
    assert server.left() == [1, 2, 3, 4]


@given(st.lists(st.sampled_from(["DELE 1", "DELE 2", "DELE 4", "DELE 5", "RSET", "STAT", "RETR 1"]), max_size=10))
def test_what_is_deleted_is_what_is_marked_at_quit(commands: list[str]) -> None:
    server, client = prepared(True)
    marked: set[int] = set()
    for command in commands:
        word, _, number = command.partition(" ")
        answer = client.says(command.encode())
        if word == "DELE":
            fine = number != "5" and int(number) not in marked
            marked |= {int(number)} if fine else set()
            assert answer.startswith(b"+OK" if fine else b"-ERR")
        elif word == "RSET":
            marked.clear()
        elif word == "STAT":
            assert answer.startswith(b"+OK %d " % (4 - len(marked)))
    assert client.says(b"QUIT").startswith(b"+OK")
    assert server.left() == [n for n in (1, 2, 3, 4) if n not in marked]
