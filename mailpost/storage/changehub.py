"""Waking those who watch, later: a change never runs a listener in the call of the one who made it.

A delivery, a STORE or a watcher of the file system only notes who is to be woken; one later reactor turn wakes all
of them, each once, however much has happened by then. Events of an account (a folder came, went or was renamed, a
message arrived somewhere) travel the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.logger import Logger


@dataclass(frozen=True, slots=True)
class FolderCreated:
    """A folder came into being."""

    name: str


@dataclass(frozen=True, slots=True)
class FolderDeleted:
    """A folder is gone; its name may live on for the folders below it."""

    name: str


@dataclass(frozen=True, slots=True)
class FolderRenamed:
    """A folder has another name; those below it are told of one by one."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class SubscriptionChanged:
    """A name was put on the list of subscriptions, or taken off."""

    name: str
    subscribed: bool


@dataclass(frozen=True, slots=True)
class MailboxChanged:
    """Messages of a folder came, went or changed their flags. RFC: 5465 §5 (what NOTIFY tells)"""

    name: str


Event = FolderCreated | FolderDeleted | FolderRenamed | SubscriptionChanged | MailboxChanged


class ChangeHub:
    """Wakes and events of one account.

    Args:
        later: runs a function in a later reactor turn (`lambda wake: reactor.callLater(0, wake)`).
    """

    _log = Logger()

    def __init__(self, later: Callable[[Callable[[], None]], object]) -> None:
        self._later = later
        self._wakes: dict[Callable[[], None], None] = {}
        self._events: list[Event] = []
        self._listeners: dict[Callable[[Event], None], None] = {}
        self._scheduled = False

    def wake_later(self, wake: Callable[[], None]) -> None:
        """Call this once in a later turn, however often it is asked for until then."""
        self._wakes[wake] = None
        self._schedule()

    def forget(self, wake: Callable[[], None]) -> None:
        """Do not call this after all."""
        self._wakes.pop(wake, None)

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Tell this listener of all events from now on."""
        self._listeners[listener] = None

    def unsubscribe(self, listener: Callable[[Event], None]) -> None:
        """Tell it nothing more, not even of what is on its way."""
        self._listeners.pop(listener, None)

    def publish(self, event: Event) -> None:
        """Tell all listeners in a later turn; free when there are none. A repeat of the last one is not told."""
        if self._listeners and (not self._events or self._events[-1] != event):
            self._events.append(event)
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._later(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        wakes, self._wakes = self._wakes, {}
        events, self._events = self._events, []
        for event in events:
            for listener in list(self._listeners):
                if listener in self._listeners:  # an earlier one may have taken it off
                    with self._log.failuresHandled("a listener failed"):
                        listener(event)
        for wake in wakes:
            with self._log.failuresHandled("a watcher failed"):
                wake()
