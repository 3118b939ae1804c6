"""Named places between two system calls, where a test ends the process as `kill -9` would.

`MAILPOST_FAILPOINT=name` or `name:count` in the environment arms one place: the process dies when it comes there for
the `count`-th time. Without the variable `passed` does nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from itertools import count

FAILPOINTS = (
    "message.written",
    "message.flushed",
    "message.renamed",
    "message.linked",
    "message.accepted",
    "message.removed",
    "flags.renamed",
    "directory.made",
    "directory.placed",
    "directory.renamed",
    "directory.removed",
    "small.written",
    "small.flushed",
    "small.replaced",
    "uidlist.appended",
    "intent.noted",
    "intent.undone",
    "batch.flushed",
    "batch.committed",
    "batch.hardened",
    "batch.told",
)
"""All places, by what has just been done: to the file of a message, the directory of a folder, a small file that is
replaced (UID list, keywords, subscriptions), an intent, or a batch (flushed: its directories; hardened: its commit)."""

QUEUE_FAILPOINTS = (
    "queue.written",
    "queue.placed",
    "queue.accepted",
    "queue.sent",
    "queue.told",
    "queue.updated",
    "queue.removed",
)
"""The same for the outgoing queue: a message has been written and placed, its envelope too (accepted); it has been
sent, its sender told of what could not be; its envelope has been changed, or removed before the message."""


def armed(setting: str, die: Callable[[], object]) -> Callable[[str], None]:
    """What `passed` is under this setting: "", or the name of a place and how often it is to be passed.

    Raises:
        ValueError: there is no such place.
    """
    name, _, times = setting.partition(":")
    if not name:
        return lambda place: None
    if name not in (*FAILPOINTS, *QUEUE_FAILPOINTS):
        raise ValueError(f"there is no failpoint {name}")
    last = int(times or 1)
    passes = count(1)

    def passed(place: str) -> None:
        if place == name and next(passes) == last:
            die()

    return passed


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


passed = armed(os.environ.get("MAILPOST_FAILPOINT", ""), _die)
"""Called with the name of the place where the process is now."""
