"""Directories that a job of the lane uses stay open, whatever readers open and close meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.maildir import lane as lane_module
from mailpost.storage.maildir import tree, writing
from mailpost.storage.maildir.directories import FolderDirectory, list_folders
from mailpost.storage.maildir.lane import Lane
from mailpost.storage.maildir.layout import Layout
from tests.storage.maildir.lanes import MESSAGE, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "mail", {})
    for number in range(lane_module._MOST_OPEN + 2):
        bench.do(tree.create, f"box{number}", None)
    yield bench
    bench.close()


def test_readers_close_nothing_that_a_job_uses(bench: Bench) -> None:
    infos = list(bench.ears.folders.values())

    def job(lane: Lane) -> os.stat_result:
        descriptor = lane.own_files(lane.folder(bench.number())).directory
        for info in infos:  # as reader lanes do it at the same time
            lane.files(info.number, info.directory)
        return os.fstat(descriptor)

    assert bench.do(job).st_ino == bench.root.stat().st_ino


def test_a_job_may_use_some_folders_at_a_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "_MOST_OPEN", 2)
    for number in range(6):
        bench.append(MESSAGE, MESSAGE, name=f"box{number}")
    uids = list(bench.names("box0"))
    for number in range(1, 6):
        bench.do(
            writing.copy,
            bench.number("box0"),
            bench.number(f"box{number}"),
            [(uids[0], uids[-1])],
            move=False,
            origin=None,
        )
    assert [len(bench.cur(f".box{number}")) for number in range(6)] == [2, 4, 4, 4, 4, 4]


def test_folders_are_listed_when_too_many_files_are_open(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is only kept at hand is let go of first."""
    bench.append(MESSAGE)
    assert bench.lane._own

    def listed(root_fd: int, layout: Layout) -> list[FolderDirectory]:
        if bench.lane._own or bench.lane._open:
            raise MailError(ErrorKind.UNAVAILABLE, "The server has too many files open, try again later")
        return list_folders(root_fd, layout)

    monkeypatch.setattr(lane_module, "list_folders", listed)
    assert len(bench.lane.on_disk()) == lane_module._MOST_OPEN + 3
