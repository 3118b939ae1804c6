"""Whether more may come into an account: by the disk, and by its quota.

RFC: 9208 §5.1 (STORAGE), §5.2 (MESSAGE)
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from mailpost.mail.errors import MailError
from mailpost.storage.index import folders, usage
from mailpost.storage.maildir.looking import Looking
from mailpost.storage.maildir.registry import Registry
from mailpost.storage.maildir.workers import Workers
from mailpost.storage.records import QuotaLimit, Usage


class Room:
    """How much one account holds, and may hold.

    What lies in a folder is counted when it is looked at. In a tree that another server left, or whose state is lost,
    that has happened to none: so all are looked at before the sum is told or relied on.

    Args:
        workers: who counts.
        registry: the folders.
        looking: looks at them.
        quota: how much it may hold, asked each time.
    """

    def __init__(self, workers: Workers, registry: Registry, looking: Looking, quota: Callable[[], QuotaLimit]) -> None:
        self._workers = workers
        self._registry = registry
        self._looking = looking
        self._quota = quota
        self._counted: set[int] = set()
        """Numbers of folders whose messages are in the sum."""

    @property
    def limit(self) -> QuotaLimit:
        """How much the account may hold."""
        return self._quota()

    async def usage(self) -> Usage:
        """What the account holds."""
        await self._count()
        return await self._workers.query(usage.usage)

    async def needed(self) -> QuotaLimit:
        """Mail is about to come in.

        Returns:
            The limit that it is to keep to; what is there already is counted by then.

        Raises:
            MailError: DISK_FULL.
        """
        await self._workers.need_room()
        if limit := self.limit:
            await self._count()
        return limit

    async def _count(self) -> None:
        """Look at the folders at which nobody has looked yet."""
        uncounted = [number for number in self._registry.numbers() if number not in self._counted]
        if not uncounted:
            return
        unseen = set(await self._workers.query(folders.never_listed))
        for number in uncounted:
            folder = self._registry.of(number)
            with suppress(MailError):  # whoever opens it is told; it counts as soon as it can be read
                if folder is not None and number in unseen:
                    await self._looking.look(folder)
                self._counted.add(number)
