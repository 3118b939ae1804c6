"""Keeping numbers and flags: in memory alone, or in a ledger too."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.offload import Offload
from mailpost.storage.virtual.ledger import FolderRow, ItemRow, Ledger, LedgerError

T = TypeVar("T")
_log = Logger()


class Keeping:
    """The ledger, if there is one, and the thread that writes it.

    All raise MailError: UNAVAILABLE when the database cannot be used; the log says why.
    """

    def __init__(self, reactor: IReactorFromThreads, path: Path | None) -> None:
        self._ledger = Ledger(path) if path is not None else None
        self._offload = Offload(reactor, threads=1) if path is not None else None
        self._lane = self._offload.writer() if self._offload is not None else None

    @property
    def lasts(self) -> bool:
        """Whether anything is kept over a restart."""
        return self._ledger is not None

    async def folders(self, user: str) -> tuple[dict[str, FolderRow], frozenset[str]]:
        """What is known of a user's folders, and what is unsubscribed from."""
        return await self._run(self._ledger.folders, user) if self._ledger is not None else ({}, frozenset())

    async def add_folders(self, user: str, rows: Sequence[tuple[str, FolderRow]]) -> None:
        """New folders."""
        if self._ledger is not None:
            await self._run(self._ledger.add_folders, user, rows)

    async def items(self, row: FolderRow) -> list[ItemRow]:
        """The messages of a folder."""
        return await self._run(self._ledger.items, row) if self._ledger is not None else []

    async def write(self, row: FolderRow, gone: Sequence[int], kept: Sequence[ItemRow]) -> None:
        """What has changed in a folder."""
        if self._ledger is not None:
            await self._run(self._ledger.write, row, gone, kept)

    async def subscribe(self, user: str, name: str, subscribed: bool) -> None:
        """A name was subscribed to, or no longer."""
        if self._ledger is not None:
            await self._run(self._ledger.subscribe, user, name, subscribed)

    async def close(self) -> None:
        """Close the database, behind all that was asked for."""
        if self._ledger is not None and self._offload is not None:
            await self._run(self._ledger.close)
            await self._offload.close()

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        assert self._lane is not None
        try:
            return await self._lane.run(work, *arguments)
        except (OSError, sqlite3.Error, LedgerError) as problem:
            _log.error("the numbers of virtual folders cannot be kept: {problem}", problem=problem)
            raise MailError(ErrorKind.UNAVAILABLE, "The folder cannot be used at the moment") from None
