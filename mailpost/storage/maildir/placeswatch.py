"""The watch of the directories in which folders come and go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mailpost.storage.maildir.subscriptions import SUBSCRIPTIONS_FILE
from mailpost.storage.maildir.watch import Watcher

if TYPE_CHECKING:
    from mailpost.storage.maildir.kernelwatch import Event

_LISTS = {SUBSCRIPTIONS_FILE.encode()}
_NO_FOLDERS = {b"new", b"tmp"}
"""What makes a directory a folder is `cur`."""
_OURS = b".."
"""What the names of directories begin with that are on their way out or in."""


class PlacesWatch:
    """Directories of one account under watch.

    Args:
        watcher: who watches.
        dirty: called in the reactor when a folder may have come or gone, or the list of subscriptions may have changed,
            at most once for all that is heard at a time.
    """

    def __init__(self, watcher: Watcher, dirty: Callable[[], None]) -> None:
        self._watcher = watcher
        self.dirty = dirty

    def follow(self, places: Sequence[str]) -> bool:
        """Watch these directories, and no others any more; whether any of them was not watched before."""
        return self._watcher.follow(self, places)

    def is_news(self, event: Event) -> bool:
        """Whether this event may tell of a folder or of subscriptions."""
        if not (event.came or event.went):
            return False  # a directory itself has gone: the one above tells
        if event.directory:
            return event.name not in _NO_FOLDERS and not event.name.startswith(_OURS)
        return event.name in _LISTS

    def hear(self) -> None:
        """Hear of all that happened until now. Costs a microsecond."""
        self._watcher.hear()

    def stop(self) -> None:
        """No longer interested."""
        self._watcher.forget(self)
