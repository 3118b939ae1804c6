"""Two sessions that move and expunge the same messages at once: each message is in one place, or gone by a command.

On one server, and on two that serve one Maildir. RFC: 9051 §6.4.8 (MOVE: no message twice, none lost), 6851 §3.3,
2180 §4
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import NamedTuple

import pytest

from tests.acceptance.mirror import Mirror, fresh, numbers, written
from tests.acceptance.server import CONFIG, Twistd, configured, free_port
from tests.faults.client import Client

ROUNDS = 25
COUNT = 24
LETTER = b"From: ann@example.org\r\nSubject: number %d\r\n\r\ntext\r\n"
_COPYUID = re.compile(rb"\[COPYUID \d+ ([0-9:,]+) ([0-9:,]+)\]")


class Session:
    """A client with INBOX selected, and what it knows of it."""

    def __init__(self, port: int, *enabled: str) -> None:
        self.client = Client(port)
        self.view = Mirror()
        if enabled:
            self.client.ok(f"ENABLE {' '.join(enabled)}")
        self.view.take(self.client.ok("SELECT INBOX (CONDSTORE)"))

    def learns(self) -> list[int]:
        """The UIDs that it knows of after a NOOP; those of messages that are new to it are asked for."""
        self.view.take(self.client.ok("NOOP"))
        if self.view.uids:
            self.view.take(self.client.ok("UID FETCH 1:* (FLAGS MODSEQ)"))
        return list(self.view.uids)

    def does(self, command: str, start: Barrier) -> tuple[bytes, list[bytes]]:
        """Run a command when the other is ready, too: the tagged line, and the lines before it."""
        start.wait(60)
        done, lines = self.client.do(command)
        self.view.take(lines)
        return done, lines


class Pair(NamedTuple):
    """Two sessions, and where others can ask."""

    first: Session
    """Is told EXPUNGE."""
    second: Session
    """Is told VANISHED."""
    port: int


@pytest.fixture(params=["one server", "two servers"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with configured(tmp_path) as first:
        if request.param == "one server":
            yield Pair(Session(first.port), Session(first.port, "QRESYNC"), first.port)
            return
        port = free_port()
        (tmp_path / "second.toml").write_text(CONFIG.format(port=port))
        with Twistd(tmp_path, "--config", str(tmp_path / "second.toml"), port=port) as second:
            yield Pair(Session(first.port), Session(second.port, "QRESYNC"), second.port)


def filled(session: Session, first: int) -> None:
    """Put so many messages into INBOX, which is empty."""
    letters = b"".join(b" {%d+}\r\n%b" % (len(each), each) for each in (LETTER % (first + n) for n in range(COUNT)))
    session.view.take(session.client.ok("APPEND INBOX" + letters.decode()))
    session.learns()


def subjects(client: Client, folder: str) -> Counter[int]:
    """How often each message is in a folder."""
    if not any(line.endswith(b" EXISTS") and line != b"* 0 EXISTS" for line in client.ok(f"EXAMINE {folder}")):
        return Counter()
    lines = client.ok("FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
    return Counter(int(each[1]) for line in lines if (each := re.search(rb"number (\d+)", line)))


def at_once(first: Session, second: Session, commands: tuple[str, str]) -> list[tuple[bytes, list[bytes]]]:
    """Both do something at the same time."""
    start = Barrier(2)
    with ThreadPoolExecutor(2) as threads:
        work = [threads.submit(each.does, what, start) for each, what in zip((first, second), commands, strict=True)]
        return [each.result() for each in work]


def moved(lines: list[bytes], done: bytes) -> list[int]:
    """The UIDs that a MOVE says it has moved."""
    found = [each for line in (*lines, done) if (each := _COPYUID.search(line))]
    for each in found:
        assert len(numbers(each[1])) == len(numbers(each[2]))
    return [uid for each in found for uid in numbers(each[1])]


def seen_by_all(first: Session, second: Session, port: int) -> list[int]:
    """The UIDs that are there, which both know."""
    seen = first.learns(), second.learns(), fresh(port).uids
    assert seen[0] == seen[1] == seen[2], seen
    return seen[2]


@pytest.mark.parametrize("by", ["UID", "number"])
def test_a_move_and_an_expunge(pair: Pair, by: str) -> None:
    mover, other, port = pair
    mover.client.ok("CREATE Target")
    for turn in range(ROUNDS):
        filled(mover, turn * COUNT)
        before = other.learns()
        assert before == mover.learns()
        deleted = before[turn % 3 :: 2] if turn % 4 else before
        other.view.take(other.client.ok(f"UID STORE {written(deleted)} +FLAGS (\\Deleted)"))
        mover.learns()
        move = f"UID MOVE {written(before)} Target" if by == "UID" else f"MOVE 1:{len(before)} Target"
        if turn % 5 == 0:
            time.sleep(0.05)  # what is written behind is done
        (done, lines), (expunged, _) = at_once(mover, other, (move, "EXPUNGE"))
        assert expunged.startswith(b"OK"), expunged
        gone = moved(lines, done)
        if by == "number" and done.startswith(b"NO [EXPUNGEISSUED]"):  # some numbers had no messages any more
            assert gone == []
            done, lines = mover.client.do(f"UID MOVE {written(before)} Target")
            mover.view.take(lines)
            gone = moved(lines, done)
        assert done.startswith(b"OK"), done
        assert set(before) - set(gone) <= set(deleted), "what nobody deleted is moved"
        assert seen_by_all(mover, other, port) == []
        with Client(port) as third:
            expected = Counter(turn * COUNT + before.index(uid) for uid in gone)
            assert subjects(third, "Target") == expected
            third.ok("SELECT Target")
            if gone:
                third.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            third.ok("CLOSE")


def test_two_moves(pair: Pair) -> None:
    first, second, port = pair
    first.client.ok("CREATE One")
    second.client.ok("CREATE Two")
    here: dict[str, Counter[int]] = {"One": Counter(), "Two": Counter()}
    for turn in range(ROUNDS):
        filled(first, turn * COUNT)
        before = second.learns()
        commands = f"UID MOVE {written(before)} One", f"UID MOVE {written(before[::-1][turn % 2 :])} Two"
        answers = at_once(first, second, commands)
        for name, (done, lines) in zip(here, answers, strict=True):
            assert done.startswith(b"OK"), done
            here[name].update(turn * COUNT + before.index(uid) for uid in moved(lines, done))
        assert seen_by_all(first, second, port) == []
        with Client(port) as third:
            assert {name: subjects(third, name) for name in here} == here
        assert here["One"] + here["Two"] == Counter(range((turn + 1) * COUNT)), "each is in one place, once"
