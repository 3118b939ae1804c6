"""What a program writes: a folder that lists its items and makes a message of each."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from zope.interface import implementer

from mailpost.mail.flags import DELETED, NO_FLAGS, RECENT, SYSTEM_FLAGS, Flags, canonical, intern_flags
from mailpost.storage.records import SpecialUse
from mailpost.storage.virtual.interfaces import Item, ItemId, IVirtualFolder

_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")


@implementer(IVirtualFolder)
class VirtualFolder(ABC):
    """A folder over a program's data: write `list` and `fetch`, call `changed` when something is new.

    RFC: 9051 §2.3.1.1 (a message never changes, so an item of another version is another message)
    """

    poll: float | None = 30.0
    special_use: SpecialUse | None = None

    @abstractmethod
    def list(self) -> Any:
        """See `IVirtualFolder`."""

    @abstractmethod
    def fetch(self, item: Any) -> Any:
        """See `IVirtualFolder`."""

    def changed(self) -> None:
        """What `list` answers is another now: sessions in the folder are told soon. In the reactor thread, at once."""
        for changed in list(self._watchers()):
            changed()

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this on changes."""
        self._watchers()[changed] = None

    def unwatch(self, changed: Callable[[], None]) -> None:
        """Call it no more."""
        self._watchers().pop(changed, None)

    def _watchers(self) -> dict[Callable[[], None], None]:
        # A subclass need not know that there is an __init__ to be called.
        found: dict[Callable[[], None], None] = self.__dict__.setdefault("_those_who_watch", {})
        return found


class NoMessages(VirtualFolder):
    """A folder that stays empty."""

    poll = None

    def list(self) -> tuple[Item, ...]:
        """Nothing."""
        return ()

    def fetch(self, item: ItemId) -> None:
        """Nothing."""


def checked(item: Item | ItemId) -> Item:
    """An item as it is compared: the date in whole seconds, flags canonical, without \\Recent and \\Deleted.

    Raises:
        TypeError: it is none.
        ValueError: it has a flag that no message can have.
    """
    if not isinstance(item, Item):
        item = Item(item)
    if not isinstance(item.id, str | int):
        raise TypeError(f"the id of an item is text or a number, not {item.id!r}")
    if not isinstance(item.version, str | int | None):
        raise TypeError(f"the version of an item is text, a number or None, not {item.version!r}")
    date, flags = item.date, item.flags
    if date is None and flags is NO_FLAGS:
        return item
    seconds = date.timestamp() if isinstance(date, datetime) else date
    return Item(item.id, item.version, None if seconds is None else int(seconds), _flags(flags))


def _flags(flags: Iterable[str]) -> Flags:
    if not flags:
        return NO_FLAGS
    found = {canonical(flag) for flag in flags} - {RECENT, DELETED}
    for flag in found:
        if flag not in SYSTEM_FLAGS and not _KEYWORD.fullmatch(flag):
            raise ValueError(f"{flag!r} is no flag that a message can have")
    return intern_flags(found)
