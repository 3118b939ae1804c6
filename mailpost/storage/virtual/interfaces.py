"""What a virtual folder has to offer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from typing import TypeAlias

from zope.interface import Attribute, Interface

from mailpost.mail.flags import NO_FLAGS
from mailpost.storage.interfaces import Answer

ItemId: TypeAlias = str | int
"""What a program calls an item by."""
Version: TypeAlias = str | int | None


@dataclass(frozen=True, slots=True)
class Item:
    """Something that a virtual folder has, which is one message."""

    id: ItemId
    """The program's own name for it, in this folder: text or a number."""
    version: Version = None
    """Another one than before says that the message is another one (an ETag, a time, a count)."""
    date: datetime | float | None = None
    """INTERNALDATE, as a time or as seconds since the epoch; None: when it was first seen."""
    flags: Iterable[str] = NO_FLAGS
    """What it has when it is first seen. What a later listing has more or less, the message gets or loses."""


class IVirtualFolder(Interface):
    """What a virtual folder needs; `VirtualFolder` has all but the two methods.

    All are called in the reactor thread and must not block it; those that answer may return a value, a Deferred or a
    coroutine. A `MailError` that they raise is what the client is told. Anything else is a bug: it is logged, and the
    client learns no more than that.

    Three more may be there, and without them nothing of the kind is possible:

    - `remove(item)`: the item of this id goes, since somebody has expunged its message.
    - `add(message)`: somebody has appended or copied this `NewMessage`, whose `octets` are bytes. The answer is the id
      of the item that it has become; None if it has become none.
    - `flag(item, flags)`: the item's message has these flags from now on, a frozenset. They are kept for the program in
      any case; this is for one that wants to know.
    """

    poll = Attribute("float | None: `list` is asked again after so many seconds; None: only when something was said.")
    special_use = Attribute("SpecialUse | None: what the folder is for.")

    def list() -> Answer[Iterable[Item | ItemId]]:
        """What there is now, in the order in which new ones are numbered."""

    def fetch(item: ItemId) -> Answer[Message | bytes | None]:
        """The message of the item of this id; None if it is gone.

        The same octets each time, as long as the version is the same.
        """

    def watch(changed: Callable[[], None]) -> None:
        """Call this, in the reactor thread, when what `list` answers is another; it only takes note."""

    def unwatch(changed: Callable[[], None]) -> None:
        """Call it no more."""
