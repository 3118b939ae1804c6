"""The Maildir store: accounts in their directories, opened when asked for, closed when long unused."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.summary import Summariser
from mailpost.storage.interfaces import IMailStore
from mailpost.storage.maildir.account import MaildirAccount
from mailpost.storage.maildir.layout import Hierarchy, layout_of
from mailpost.storage.maildir.opening import open_files
from mailpost.storage.maildir.shape import OtherLayoutError, some
from mailpost.storage.maildir.watch import Watcher
from mailpost.storage.offload import Offload
from mailpost.storage.records import DEFAULT_FOLDERS, NO_LIMIT, QuotaLimit, SpecialUse
from mailpost.storage.troubles import Troubles

MOST_WARM = 32
"""Accounts that stay open although nobody uses them."""


@implementer(IMailStore)
class MaildirStore:
    """All accounts of one place.

    Args:
        reactor: where everything is answered.
        root: user -> the directory of the Maildir; raises MailError where there can be none.
        summariser: octets -> summary (`wire.imap.structures.summarise`).
        index: user -> the directory for the index; None keeps it in the root.
        hierarchy: how folders below folders lie on the disk.
        separator: one character between the levels of a folder's name.
        utf8: directories of folders are named in UTF-8, not modified UTF-7.
        default_folders: what a new account gets beside INBOX, subscribed.
        quota: user -> how much may be in the account, asked each time that something is to come in.
        threads: so many for reading, and as many for writing.
        use_inotify: False to poll directories (network file systems).
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        root: Callable[[str], Path],
        summariser: Summariser,
        *,
        index: Callable[[str], Path] | None = None,
        hierarchy: Hierarchy = Hierarchy.MAILDIR_PLUS_PLUS,
        separator: str = "/",
        utf8: bool = False,
        default_folders: Mapping[str, SpecialUse | None] = DEFAULT_FOLDERS,
        quota: Callable[[str], QuotaLimit] = lambda _: NO_LIMIT,
        threads: int = 4,
        use_inotify: bool = sys.platform == "linux",
    ) -> None:
        self._reactor = reactor
        self._root = root
        self._index = index
        self._summariser = summariser
        self._layout = layout_of(hierarchy, separator, utf8)
        self._default_folders = dict(default_folders)
        self._quota = quota
        self._offload = Offload(reactor, threads)
        self._watcher = Watcher(reactor, self._offload, use_inotify)
        self._accounts: dict[str, MaildirAccount] = {}
        self._troubles: dict[str, Troubles] = {}
        """Of users whose accounts could not be opened."""
        self._busy: dict[str, list[Deferred[None]]] = {}
        """Accounts that are being opened or closed, with those who wait for that."""
        self._warm: OrderedDict[str, None] = OrderedDict()
        self._closing = False

    async def account(self, user: str) -> MaildirAccount:
        """Open the account of this user, making it if it is new."""
        await self._settled(user)
        account = self._accounts.get(user)
        asleep = account is not None and not account.uses
        if account is None:
            account = await self._open(user)
        account.uses += 1  # before anything is waited for: now it is not closed for being unused
        self._warm.pop(user, None)
        if asleep:
            try:
                await account.wake()
            except BaseException:  # cancelled too: raised again, with the account given back
                account.release()
                raise
        return account

    async def _settled(self, user: str) -> None:
        """Wait while the account is being opened or closed."""
        while (waiters := self._busy.get(user)) is not None:
            waiting: Deferred[None] = Deferred()
            waiters.append(waiting)
            await waiting
        if self._closing:
            raise MailError(ErrorKind.UNAVAILABLE, "The mail store is closing")

    def _settle(self, user: str) -> None:
        for waiter in self._busy.pop(user):
            waiter.callback(None)

    async def _open(self, user: str) -> MaildirAccount:
        root, index = self._root(user), self._index(user) if self._index is not None else None
        self._busy[user] = []
        try:
            try:
                opened = await self._offload.read(user, open_files, root, index, self._layout)
            except MailError as error:
                self._refused(user, error)
                raise
            self._troubles.pop(user, None)
            if opened.strangers:
                self._log.warn(
                    "{root} holds {directories}: no folders in the layout {layout}, though they look like it",
                    root=opened.root,
                    directories=some(opened.strangers),
                    layout=self._layout.hierarchy.value,
                )
            if opened.set_aside is not None:
                self._log.error(
                    "the index of {user} was damaged: it is rebuilt, the old one is {path}",
                    user=user,
                    path=opened.set_aside,
                )
            if opened.is_rebuilt:
                self._log.warn("the index of {user} was not there: it is made from the Maildir", user=user)
            account = MaildirAccount(
                user,
                opened,
                layout=self._layout,
                offload=self._offload,
                watcher=self._watcher,
                clock=self._reactor,
                summariser=self._summariser,
                quota=partial(self._quota, user),
                released=self._released,
            )
            try:
                await account.begin(self._default_folders)
            except BaseException:  # raised again, and told by who asked; cancelled too, nothing may stay open
                await account.close()
                raise
            self._accounts[user] = account
            return account
        finally:
            self._settle(user)

    def _refused(self, user: str, error: MailError) -> None:
        """An account cannot be opened: say so once, however often its user tries."""
        troubles = self._troubles.setdefault(user, Troubles(user))
        if not isinstance(error, OtherLayoutError):
            troubles.note(error)
        elif troubles.is_news(0, error.advice):
            self._log.error("the account of {user} is not opened: {advice}", user=user, advice=error.advice)

    def _released(self, account: MaildirAccount) -> None:
        """Keep an account that nobody uses, for a while."""
        if account.uses or self._closing:
            return
        self._warm[account.user] = None
        if len(self._warm) > MOST_WARM:
            user, _ = self._warm.popitem(last=False)
            Deferred.fromCoroutine(self._close(user)).addErrback(self._failed, user)

    def _failed(self, failure: Any, user: str) -> None:
        self._log.failure("the account of {user} could not be closed well", failure=failure, user=user)

    async def _close(self, user: str) -> None:
        account = self._accounts.pop(user)
        self._busy[user] = []
        try:
            await account.close()
        finally:
            self._settle(user)

    async def close(self) -> None:
        """Flush everything that is behind and free all resources."""
        if self._closing:
            return
        for user in list(self._busy):
            await self._settled(user)
        self._closing = True
        for user in list(self._accounts):
            try:
                await self._close(user)
            except Exception:  # the others are to be closed all the same
                self._log.failure("the account of {user} could not be closed well", user=user)
        self._watcher.close()
        await self._offload.close()
