"""A mail store of virtual folders alone."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.summary import Summariser, Summary
from mailpost.storage.interfaces import IMailStore
from mailpost.storage.virtual.account import VirtualAccount
from mailpost.storage.virtual.cache import Cache
from mailpost.storage.virtual.keeping import Keeping
from mailpost.storage.virtual.pauses import Pauses
from mailpost.storage.virtual.source import Shared, Source, answered, is_folder

Folders: TypeAlias = "Mapping[str, Any] | Callable[[str], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]"
"""Name -> `IVirtualFolder`, the same for everybody; or user -> such a mapping, now or later."""

MOST_IDLE = 64
"""Accounts that stay in memory though nobody has them open, where there is a file to have them from again."""
_log = Logger()


@implementer(IMailStore)
class VirtualStore:
    """Folders that a program has for its users.

    Args:
        reactor: timers, turns and, with a path, a thread.
        folders: by name; or user -> folders by name. A function is asked again whenever a client looks at folders.
        summariser: what ENVELOPE and BODYSTRUCTURE come from (`wire.imap.structures.summarise`).
        path: where UIDs and flags are kept over a restart, a file of its own; None: in memory, and after a restart
            UIDVALIDITY is another one.
        has_inbox: there is an INBOX in any case, an empty one if the program has none.
        cache_octets: of messages and their summaries that are kept so as not to be made again.
        separator: one character between the levels of a folder's name.
        now: seconds since the epoch.
        clock: for the times that programs are waited for, and their folders' `poll`; the reactor if None.
    """

    def __init__(
        self,
        reactor: Any,
        folders: Folders,
        summariser: Summariser,
        *,
        path: Path | None = None,
        has_inbox: bool = True,
        cache_octets: int = 32 << 20,
        separator: str = "/",
        now: Callable[[], float] = time.time,
        clock: IReactorTime | None = None,
    ) -> None:
        if isinstance(folders, Mapping):
            for name, folder in folders.items():
                if not is_folder(folder):
                    raise TypeError(f"{name!r} needs the methods list and fetch, which {folder!r} has not")
        self.separator = separator
        self.has_inbox = has_inbox
        self.summariser = summariser
        self.now = now
        self.clock: IReactorTime = reactor if clock is None else clock
        self.pauses = Pauses(reactor)
        self.keeping = Keeping(reactor, path)
        self.bodies: Cache[bytes] = Cache(cache_octets * 3 // 4)
        self.summaries: Cache[Summary] = Cache(cache_octets // 4)
        self._folders = folders
        self._sources: WeakValueDictionary[int, Source] = WeakValueDictionary()
        self._accounts: dict[str, VirtualAccount] = {}
        self._opening: dict[str, Shared[None]] = {}
        self._closing: dict[str, Shared[None]] = {}
        self._idle: OrderedDict[str, VirtualAccount] = OrderedDict()
        self._failing: set[str] = set()

    async def account(self, user: str) -> VirtualAccount:
        """The account of this user."""
        while (account := self._accounts.get(user)) is None:
            opening = self._opening.get(user)
            if opening is None:
                opening = Shared(self._open(user))
                if not opening.done:
                    self._opening[user] = opening
            await opening.wait()
        self._idle.pop(user, None)
        account.uses += 1
        return account

    async def _open(self, user: str) -> None:
        """Open an account, when it has been closed."""
        try:
            if (closing := self._closing.get(user)) is not None:
                await closing.wait()
            account = VirtualAccount(user, self)
            await account.begin()
            self._accounts[user] = account
        finally:
            self._opening.pop(user, None)

    async def close(self) -> None:
        """Keep what is to be kept."""
        for closing in list(self._closing.values()):
            await closing.wait()
        for account in self._accounts.values():
            await account.close()
        self._accounts.clear()
        await self.keeping.close()

    # -- of accounts

    async def folders_of(self, user: str) -> Mapping[str, Any]:
        """What the program has for this user. Raises MailError: the program's own, or BUG."""
        if not callable(self._folders):
            return self._folders
        try:
            found = await answered(self._folders(user), self.clock)
            if not isinstance(found, Mapping):
                raise TypeError(f"the folders of a user are a mapping, not {found!r}")
        except MailError:
            raise
        except Exception as problem:  # a bug of the program's: logged once as long as it goes on
            if user not in self._failing:
                self._failing.add(user)
                _log.failure("Bug in the folders of {user}", user=user)
            raise MailError(ErrorKind.BUG, "Internal error") from problem
        self._failing.discard(user)
        return found

    def source(self, folder: Any) -> Source:
        """The source of a folder, shared by all who see it."""
        found = self._sources.get(id(folder))  # a source keeps its folder, so no other has its id
        if found is None:
            found = self._sources[id(folder)] = Source(folder, self)
        return found

    def released(self, account: VirtualAccount) -> None:
        """Somebody is done with an account. Without a file it stays: its numbers are nowhere else."""
        if not self.keeping.lasts or account.uses:
            return
        self._idle[account.user] = account
        while len(self._idle) > MOST_IDLE:
            user, idle = self._idle.popitem(last=False)
            if idle.is_idle and self._accounts.get(user) is idle:
                del self._accounts[user]
                closing = Shared(self._close_one(idle))
                if not closing.done:
                    self._closing[user] = closing

    async def _close_one(self, account: VirtualAccount) -> None:
        try:
            await account.close()
        finally:
            self._closing.pop(account.user, None)
