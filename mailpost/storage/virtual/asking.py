"""What a program is asked to do for clients: flag items, remove them, take messages."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from mailpost.mail.errors import MailError
from mailpost.mail.flags import Flags
from mailpost.storage.records import NewMessage
from mailpost.storage.virtual.entries import Entry
from mailpost.storage.virtual.folder import checked
from mailpost.storage.virtual.pauses import Pauses
from mailpost.storage.virtual.source import Source

Outcome = tuple[list[int], MailError | None]
"""UIDs of the messages for which it is done, and what went wrong with any other."""


async def flag(source: Source, entries: Mapping[int, Entry], flags: Mapping[int, Flags], pauses: Pauses) -> Outcome:
    """Tell the program which flags messages have now, if it wants to know."""
    if not source.can("flag"):
        return list(flags), None
    return await _each(source, "flag", {uid: (entries[uid].id, value) for uid, value in flags.items()}, pauses)


async def remove(source: Source, entries: Mapping[int, Entry], uids: Sequence[int], pauses: Pauses) -> Outcome:
    """Let the program remove the items of messages."""
    source.ours += 1
    try:
        return await _each(source, "remove", {uid: (entries[uid].id,) for uid in uids}, pauses)
    finally:
        source.ours += 1


async def _each(source: Source, ability: str, wanted: Mapping[int, tuple[Any, ...]], pauses: Pauses) -> Outcome:
    """Ask for each of these messages, whatever becomes of the others. `wanted`: UID -> the arguments."""
    done: list[int] = []
    failure = None
    for uid, arguments in wanted.items():
        try:
            await source.asked(ability, *arguments)
        except MailError as error:
            failure = error
        else:
            done.append(uid)
        if pauses.due:
            await pauses.pause()
    return done, failure


async def add(source: Source, messages: Sequence[NewMessage]) -> list[Hashable]:
    """Let the program take messages: the items that they have become, None where it is none.

    Where one is not taken, those before it are removed again, if that can be. Raises MailError.
    """
    taken: list[Hashable] = []
    source.ours += 1
    try:
        for message in messages:
            item = await _added(source, message)
            taken.append(item)
    except MailError:
        for item in taken:
            await _undone(source, item)
        raise
    finally:
        source.ours += 1
    return taken


async def _added(source: Source, message: NewMessage) -> Any:
    item = await source.asked("add", message)
    try:
        return None if item is None else checked(item).id
    except TypeError:
        raise source.failed("add") from None


async def _undone(source: Source, item: Hashable) -> None:
    if item is not None and source.can("remove"):
        try:
            await source.asked("remove", item)
        except MailError:  # it has been logged; what went wrong first is told
            return
