"""What is known of the items of one virtual folder, and what a new listing says otherwise."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mailpost.mail.flags import DELETED, NO_FLAGS, SEEN, Flags, intern_flags
from mailpost.storage.virtual.interfaces import Item

UNKNOWN: Final = object()
"""The version of an item that came in through us: whatever the program says next."""


class Entry:
    """One message: which item it is of."""

    __slots__ = ("date", "given", "id", "saved", "size", "version")

    def __init__(self, item: Any, version: Any, date: int, saved: int, given: Flags) -> None:
        self.id = item
        self.version = version
        self.date = date
        """INTERNALDATE: seconds since the epoch."""
        self.saved = saved
        """When it was first seen here."""
        self.given = given
        """The flags that the program listed last."""
        self.size = -1
        """Octets, once the message has been made."""

    def as_listed(self, item: Item) -> Entry:
        """The same message as the program lists it now."""
        entry = Entry(self.id, item.version, self.date, self.saved, intern_flags(item.flags))
        entry.size = self.size
        return entry


@dataclass(slots=True)
class Difference:
    """What has to be done so that entries are as a listing says."""

    new: list[tuple[Item, int]] = field(default_factory=list)
    """Items without a message, in their order; and the UID of the message that was of an earlier version, or 0."""
    gone: list[int] = field(default_factory=list)
    """UIDs of messages whose item is gone, or another one by now."""
    flags: list[tuple[int, Item]] = field(default_factory=list)
    """(UID, item) where the program lists other flags than last, or the first time after the message came in here."""

    def __bool__(self) -> bool:
        return bool(self.new or self.gone or self.flags)


def difference(
    uids: Mapping[Hashable, int], entries: Mapping[int, Entry], items: Mapping[Hashable, Item]
) -> Generator[None, None, Difference]:
    """Compare; yields after some hundred items, so that others may have their turn.

    Args:
        uids: item -> UID of its message.
        entries: UID -> what is known of the message.
        items: what the program lists, by id.
    """
    found = Difference()
    for count, (name, item) in enumerate(items.items()):
        if not count % 512:
            yield
        uid = uids.get(name, 0)
        if not uid:
            found.new.append((item, 0))
            continue
        entry = entries[uid]
        if entry.version is UNKNOWN or (entry.version == item.version and entry.given != item.flags):
            found.flags.append((uid, item))
        elif entry.version != item.version:
            found.new.append((item, uid))
            found.gone.append(uid)
    for count, (name, uid) in enumerate(uids.items()):
        if not count % 4096:
            yield
        if name not in items:
            found.gone.append(uid)
    found.gone.sort()
    found.flags.sort(key=lambda each: each[0])
    return found


def merged(now: Flags, before: Flags, after: Flags) -> Flags:
    """The flags of a message when the program, which listed some before, lists others: what it changed is changed."""
    return intern_flags((now | (after - before)) - (before - after))


def inherited(now: Flags, before: Flags, after: Flags) -> Flags:
    """The flags of a new version of a message: as they were, but that nobody has seen it yet."""
    return intern_flags(merged(now, before, after) - {DELETED, SEEN} | (after & {SEEN})) or NO_FLAGS
