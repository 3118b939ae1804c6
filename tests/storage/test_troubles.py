"""What the system refuses is said once while it lasts."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage import troubles as module
from mailpost.storage.troubles import Troubles


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        lines.append(str(formatEvent(event)))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def error(number: int, path: str | None = None, kind: ErrorKind = ErrorKind.UNAVAILABLE) -> MailError:
    made = MailError(kind, "It cannot be done")
    made.__cause__ = OSError(number, os.strerror(number), path)
    return made


def test_a_trouble_is_said_once(said: list[str]) -> None:
    troubles = Troubles("ann")
    for path in ("a", "b", "a"):
        told = error(errno.EROFS, path)
        troubles.note(told)
        assert told.noted
    assert said == ["ann: It cannot be done: Read-only file system (a)"]


def test_permission_is_of_one_place(said: list[str]) -> None:
    troubles = Troubles("ann")
    for path in (".A", ".B", ".A"):
        troubles.note(error(errno.EACCES, path))
    assert [line[-4:] for line in said] == ["(.A)", "(.B)"]


def test_what_is_over_is_said_and_may_come_again(said: list[str]) -> None:
    troubles = Troubles("ann")
    troubles.flushed()
    for _ in range(2):
        troubles.note(error(errno.EROFS))
        troubles.note(error(errno.EMFILE))
        troubles.flushed()
        troubles.flushed()
    assert said == [
        "ann: It cannot be done: Read-only file system",
        "ann: It cannot be done: Too many open files",
        "ann: the disk takes changes again",
        "ann: It cannot be done: Read-only file system",
        "ann: the disk takes changes again",
    ]


def test_what_lasts_is_said_again(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN_SECONDS", -1)
    troubles = Troubles("ann")
    troubles.note(error(errno.EMFILE))
    troubles.note(error(errno.EMFILE))
    assert len(said) == 2


def test_what_is_no_trouble_of_the_system_is_not_said(said: list[str]) -> None:
    troubles = Troubles("ann")
    troubles.note(MailError(ErrorKind.UNAVAILABLE, "closing"))
    troubles.note(ValueError("a bug"))
    troubles.note(error(errno.ENAMETOOLONG, "x", ErrorKind.BAD_FOLDER_NAME))
    assert said == []
    damaged = MailError(ErrorKind.UNAVAILABLE, "The disk could not be read or written")
    damaged.__cause__ = sqlite3.OperationalError("disk I/O error")
    troubles.note(damaged)
    assert said == ["ann: The disk could not be read or written: disk I/O error"]


def test_many_troubles_take_little_memory(said: list[str]) -> None:
    troubles = Troubles("ann")
    for number in range(1000):
        troubles.note(error(errno.EACCES, str(number)))
    assert len(troubles._said) <= module._MOST
