"""A file that is read again when it has changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.logger import globalLogPublisher

from mailpost.accounts.reread import RereadFile


@dataclass(frozen=True)
class Words:
    words: Sequence[str] = ()
    warnings: Sequence[str] = ()


def parse(text: str) -> Words:
    words = text.split()
    return Words(words, [f"line 1: {word} is bad" for word in words if word.startswith("!")])


class Source:
    """A file with a clock that the test moves."""

    def __init__(self, path: Path) -> None:
        self.path, self.time, self.jobs = path, 0.0, 0
        self.file: RereadFile[Words] = RereadFile(
            path, parse, Words(("none",)), what="words file", run=self.run, seconds=lambda: self.time
        )

    def run(self, work: Callable[[], Any]) -> Deferred[Any]:
        self.jobs += 1
        return succeed(work())

    def says(self) -> list[str]:
        outcome: list[Words] = []
        Deferred.fromCoroutine(self.file.current()).addCallback(outcome.append)
        return list(outcome[0].words)


@pytest.fixture
def logged():
    lines: list[str] = []

    def note(event: Any) -> None:
        if str(event["log_namespace"]).startswith("mailpost"):
            lines.append(str(event["log_format"]).format(**event))

    globalLogPublisher.addObserver(note)
    yield lines
    globalLogPublisher.removeObserver(note)


def test_it_is_looked_at_once_a_second(tmp_path):
    source = Source(tmp_path / "words")
    source.path.write_text("one")
    assert source.says() == ["one"]
    source.path.write_text("one two")
    source.time = 0.9
    assert source.says() == ["one"]
    assert source.jobs == 1
    source.path.write_text("three")
    source.time = 2.0
    assert source.says() == ["three"]


def test_what_has_not_changed_is_not_read_again(tmp_path, logged):
    source = Source(tmp_path / "words")
    source.path.write_text("!bad good")
    for source.time in (0.0, 2.0, 4.0):
        assert source.says() == ["!bad", "good"]
    assert logged == [f"{source.path}: line 1: !bad is bad"]
    replaced = tmp_path / "new"
    replaced.write_text("!bad good")
    os.utime(replaced, ns=(0, source.path.stat().st_mtime_ns))
    replaced.replace(source.path)
    source.time = 6.0
    source.says()
    assert len(logged) == 2, "another file is read though it has the same size and time"


def test_what_cannot_be_read_leaves_what_was_there(tmp_path, logged):
    source = Source(tmp_path / "words")
    assert source.says() == ["none"]
    source.time = 2.0
    assert source.says() == ["none"]
    assert logged == [f"{source.path}: the words file cannot be read: No such file or directory"]
    source.path.write_bytes(b"one \xff")
    source.time = 4.0
    assert source.says() == ["one", "\udcff"]
    source.path.unlink()
    source.time = 6.0
    assert source.says() == ["one", "\udcff"]
    assert len(logged) == 2
