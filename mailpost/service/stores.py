"""Stores of mail and lists of users, made of plain values.

The service adds to stores what IMAP wants of a message: envelope and body structure, ready for the wire.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mailpost.accounts.account import UserNameError
from mailpost.accounts.memory import MemoryDirectory
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.service.config import Config
from mailpost.service.places import place
from mailpost.storage.interfaces import IMailStore
from mailpost.storage.memory.store import MemoryStore
from mailpost.storage.records import DEFAULT_FOLDERS, NO_LIMIT, QuotaLimit, SpecialUse
from mailpost.wire.imap.structures import summarise

if TYPE_CHECKING:
    from mailpost.storage.virtual import Folders

Quota = Callable[[str], QuotaLimit]
"""User -> how much may be in the account."""


class KnowsQuota(Protocol):
    """A directory with limits of single users."""

    def quota(self, name: str) -> QuotaLimit | None:
        """How much mail this user may have; None where nothing is said."""


def memory_store(
    *,
    default_folders: Mapping[str, SpecialUse] = DEFAULT_FOLDERS,
    quota: Quota = lambda _: NO_LIMIT,
    separator: str = "/",
    now: Callable[[], float] = time.time,
) -> MemoryStore:
    """Mail in memory, gone with the program.

    Args:
        default_folders: what a new account gets beside INBOX.
        quota: how much may be in an account.
        separator: one character between the levels of a folder's name.
        now: seconds since the epoch.
    """
    return MemoryStore(summarise, default_folders, now, separator, quota)


def maildir_store(
    reactor: Any,
    root: Callable[[str], Path],
    *,
    index: Callable[[str], Path] | None = None,
    layout: str = "maildir++",
    separator: str = "/",
    utf8: bool = False,
    default_folders: Mapping[str, SpecialUse] = DEFAULT_FOLDERS,
    quota: Quota = lambda _: NO_LIMIT,
) -> IMailStore:
    """Mail in Maildirs, which other programs may share.

    Args:
        reactor: where the results of threads are delivered.
        root: user -> the Maildir.
        index: user -> where the index is kept; None: in the Maildir.
        layout: "maildir++" or "fs", as `config.Storage` has it.
        separator: one character between the levels of a folder's name.
        utf8: folders of the file system are named in UTF-8.
        default_folders: what a new account gets beside INBOX.
        quota: how much may be in an account.
    """
    # A third of what is loaded for a server, and not needed where mail is in memory.
    from mailpost.storage.maildir.layout import Hierarchy  # noqa: PLC0415
    from mailpost.storage.maildir.store import MaildirStore  # noqa: PLC0415

    return MaildirStore(
        reactor,
        root=root,
        index=index,
        hierarchy=Hierarchy(layout),
        separator=separator,
        utf8=utf8,
        default_folders=default_folders,
        summariser=summarise,
        quota=quota,
    )


def virtual_store(
    reactor: Any,
    folders: Folders,
    *,
    beside: IMailStore | None = None,
    path: Path | None = None,
    cache_octets: int = 32 << 20,
    separator: str = "/",
    now: Callable[[], float] = time.time,
) -> IMailStore:
    """Folders whose messages are a program's data.

    Args:
        reactor: timers and turns.
        folders: name -> `IVirtualFolder` for everybody; or a function, user -> such a mapping, which is asked again
            whenever a client looks at folders, and may answer with a Deferred or a coroutine.
        beside: a store that has all other folders, with the same separator; closed with this one. Without one there is
            nothing else but an INBOX, empty if the program has none.
        path: a file of this store's own, where UIDs and flags outlive the program. None: they are kept in memory, and
            clients forget what they knew when it starts again.
        cache_octets: of messages and what is shown of them in lists that are kept so as not to be asked for again.
        separator: one character between the levels of a folder's name.
        now: seconds since the epoch.

    Raises:
        TypeError: a folder has not the methods `list` and `fetch`.
    """
    from mailpost.storage.virtual import MountedStore, VirtualStore  # noqa: PLC0415 (few have such folders)

    virtual = VirtualStore(
        reactor,
        folders,
        summarise,
        path=path,
        has_inbox=beside is None,
        cache_octets=cache_octets,
        separator=separator,
        now=now,
    )
    return virtual if beside is None else MountedStore(beside, virtual)


def memory_users(passwords: Mapping[str, str]) -> MemoryDirectory:
    """Users by name, with the passwords that they type; more can be added later. Raises UserNameError."""
    return MemoryDirectory.of(passwords)


def default_folders(config: Config) -> dict[str, SpecialUse]:
    """The folders of a new account, and what they are for."""
    named = {each.name: getattr(config.folders, each.name) for each in fields(config.folders)}
    return {name: SpecialUse[use.upper()] for use, name in named.items() if name}


def open_store(config: Config, reactor: Any, directory: KnowsQuota | None) -> IMailStore:
    """The store of a configuration; whoever opens it closes it. Users of the directory may have limits of their own."""
    storage, for_all = config.storage, QuotaLimit(config.limits.quota)

    def quota(user: str) -> QuotaLimit:
        own = directory.quota(user) if directory is not None else None
        return for_all if own is None else own

    def folder(pattern: str) -> Callable[[str], Path]:
        def of(user: str) -> Path:
            try:
                return place(pattern, user)
            except UserNameError as problem:
                raise MailError(ErrorKind.UNAVAILABLE, f"There is no place for this user's mail: {problem}") from None

        return of

    return maildir_store(
        reactor,
        folder(storage.maildir),
        index=folder(storage.index) if storage.index else None,
        layout=storage.layout,
        separator=storage.separator,
        utf8=storage.utf8,
        default_folders=default_folders(config),
        quota=quota,
    )
