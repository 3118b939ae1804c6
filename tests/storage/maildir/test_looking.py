from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailpost.storage.maildir.looking import PAUSE_SECONDS, Looking


@pytest.mark.parametrize(
    ("changes", "polled", "pauses"),
    [
        ([], False, 1),
        ([True], False, 2),
        ([True, True, True, True, True], False, 4),
        ([], True, 4),
    ],
)
def test_a_restless_folder_is_looked_at_again_when_it_is_quiet(changes: list[bool], polled: bool, pauses: int) -> None:
    clock = Clock()
    mailbox = SimpleNamespace(dirty=True)

    def up_to_date() -> bool:
        mailbox.dirty = changes.pop() if changes else False
        return not polled

    mailbox.watch = SimpleNamespace(up_to_date=up_to_date)
    nothing = cast("Any", None)
    looking = Looking(nothing, nothing, clock, sync=nothing, stale=nothing, looked=nothing)
    waited = Deferred.fromCoroutine(looking._until_quiet(cast("Any", mailbox)))
    count = 0
    while not waited.called:
        clock.advance(PAUSE_SECONDS)
        count += 1
    assert count == pauses
