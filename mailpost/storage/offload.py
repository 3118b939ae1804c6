"""Threads, and values that may take time: the one place where either is made or awaited.

`settled` is how every caller takes the answer of a plug-in interface (`storage.interfaces.Answer`).
"""

from __future__ import annotations

from collections.abc import Awaitable
from inspect import isawaitable
from typing import TypeVar, cast

T = TypeVar("T")


async def settled(answer: T | Awaitable[T]) -> T:
    """The value of an answer that may be a value, a Deferred or a coroutine."""
    if isawaitable(answer):
        return cast("T", await answer)
    return cast("T", answer)
