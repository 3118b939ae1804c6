from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.maildir.upkeep import Upkeep


@pytest.mark.parametrize(
    ("problem", "logged"),
    [
        (MailError(ErrorKind.DISK_FULL, "The disk is full"), (LogLevel.warn, "upkeep of ann: The disk is full")),
        (MailError(ErrorKind.UNAVAILABLE, "The account is closing"), None),
        (ZeroDivisionError(), (LogLevel.critical, "upkeep of ann failed")),
    ],
)
def test_what_the_machine_refuses_is_no_bug(problem: Exception, logged: tuple[object, str] | None) -> None:
    upkeep = Upkeep(cast("Any", SimpleNamespace(user="ann")), cast("Any", None), cast("Any", None), Clock())

    async def work() -> None:
        raise problem

    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        upkeep._run(work())
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [(event["log_level"], formatEvent(event)) for event in events] == ([logged] if logged else [])
    assert not upkeep.busy
