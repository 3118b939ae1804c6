"""One open Maildir folder. What is in memory is answered in the reactor turn, all else goes through the lanes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable, Mapping, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import RECENT, FlagChange, Flags, intern_flags
from mailpost.mail.searchkeys import SearchKey
from mailpost.mail.uidset import UidSet
from mailpost.storage.index import changes
from mailpost.storage.index.messages import Spans
from mailpost.storage.interfaces import IMailpostMailbox
from mailpost.storage.live import LiveMailbox
from mailpost.storage.maildir import writing
from mailpost.storage.maildir.lane import FolderInfo
from mailpost.storage.maildir.reading import Batch, Refused
from mailpost.storage.maildir.searching import Facts, Scans, Search
from mailpost.storage.maildir.watch import FolderWatch
from mailpost.storage.maildir.workers import Workers
from mailpost.storage.records import Attribute, Copied, Fetched, Stored

_FEW, _FEW_WHOLE = 64, 8
"""So many messages (or whole ones) are fetched in one go, without a turn for others."""


def _all_of(batches: Iterable[Batch | None]) -> list[Batch]:
    return [batch for batch in batches if batch is not None]


class Home(Protocol):
    """What a mailbox asks of its workers."""

    async def catch_up(self, mailbox: MaildirMailbox) -> None:
        """Take note of what other programs and processes did."""

    def relist(self, mailbox: MaildirMailbox) -> None:
        """A file was not where it should be."""

    def released(self, mailbox: MaildirMailbox) -> None:
        """The mailbox has one user less."""

    async def copy(self, source: FolderInfo, spans: Spans, target: str, move: bool, origin: object | None) -> Copied:
        """Copy or move messages of a folder."""
        ...

    async def expunge(self, folder: FolderInfo, spans: Spans | None, origin: object | None) -> list[int]:
        """Remove messages with \\Deleted."""
        ...


@implementer(IMailpostMailbox)
class MaildirMailbox:
    """An open folder; made by `MaildirAccount`.

    Args:
        home: the workers.
        workers: its lanes.
        folder: which.
        live: its columns.
    """

    read_only = False
    keywords_allowed = True

    def __init__(self, home: Home, workers: Workers, folder: FolderInfo, live: LiveMailbox) -> None:
        self._home = home
        self._workers = workers
        self.folder = folder
        self.live = live
        self.uses = 0
        """How many have opened it and not released it."""
        self.dirty = True
        """Somebody else may have changed the directories since they were looked at."""
        self.looking: list[Deferred[None]] | None = None
        """Those who wait for a look that is under way; None when none is."""
        self.restless = False
        """Another program changes the directories without pause: nobody waits for looks."""
        self._first_recent = live.first_recent
        self.watch: FolderWatch | None = None
        self._facts = Facts()
        self._scans = Scans(workers.reading, folder)

    @property
    def name(self) -> str:
        """The folder's full name."""
        return self.folder.name

    def moved(self, folder: FolderInfo) -> None:
        """The folder has another name."""
        self.folder = folder
        self._scans = Scans(self._workers.reading, folder)

    async def refresh(self) -> None:
        """Take note of what other programs did."""
        await self._home.catch_up(self)

    def release(self) -> None:
        """One of those who opened it is done."""
        self.uses -= 1
        self._home.released(self)

    @property
    def recent_claimed(self) -> bool:
        """Whether a session has seen recent messages since this was opened."""
        return self.live.first_recent != self._first_recent

    def close(self) -> None:
        """No longer watch the directories."""
        if self.watch is not None:
            self.watch.stop()
            self.watch = None

    def forget_facts(self) -> None:
        """Free what only searches need."""
        self._facts = Facts()

    # -- reading

    async def fetch(self, uids: Sequence[int], attributes: Sequence[Fetched]) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Rows in batches, the next one being made while one is sent; at the end an error for those without one."""
        present = self._present(uids)
        if not attributes:
            if present:
                yield [(uid,) for uid in present]
            return
        refused: MailError | None = None
        workers = self._workers
        made = workers.reading.fetch(self.folder, present, tuple(attributes))
        if len(present) <= (_FEW_WHOLE if Attribute.OCTETS in attributes else _FEW):
            for batch in await workers.read(_all_of, made):
                refused = refused or batch.refused
                if rows := self._taken(batch):
                    yield rows
        else:
            slices = workers.slices(made)
            try:
                async for batch in slices:
                    refused = refused or batch.refused
                    if rows := self._taken(batch):
                        yield rows
            finally:
                await slices.aclose()
        if refused is not None:
            raise refused

    def _taken(self, batch: Batch) -> list[tuple[Any, ...]]:
        """The rows of a batch; what came with them is kept."""
        if batch.summaries or batch.fields:
            self._workers.keep(self.folder, batch.summaries, batch.fields)
        if batch.missed:
            self._home.relist(self)
        return batch.rows

    def _present(self, uids: Sequence[int]) -> Sequence[int]:
        """Those that are here, as a list of its own (not the live column, which changes)."""
        live = self.live
        places = live.positions(uids)
        if isinstance(places, range):
            return live.uids[places.start : places.stop]
        return [live.uids[at] for at in places]

    def _spans(self, uids: Sequence[int]) -> list[tuple[int, int]]:
        """The messages of these UIDs that are here, as spans that hold no other message."""
        live = self.live
        places = live.positions(uids)
        if not places:
            return []
        if isinstance(places, range):
            return [(live.uids[places.start], live.uids[places.stop - 1])]
        spans: list[tuple[int, int]] = []
        first = last = places[0]
        for at in places[1:]:
            if at != last + 1:
                spans.append((live.uids[first], live.uids[last]))
                first = at
            last = at
        spans.append((live.uids[first], live.uids[last]))
        return spans

    async def search(self, key: SearchKey) -> list[int]:
        """The UIDs that match."""
        live = self.live
        search = Search(
            uids=live.uids[:],
            flags=live.flags[:],
            modseqs=live.modseqs[:],
            column=self._column,
            sliced=self._sliced,
            texts=self._texts,
            identities=self._identities,
            scans=self._scans,
        )
        return await search.run(key)

    async def _sliced(self, scan: Generator[None, None, list[int]]) -> list[int]:
        return await self._workers.sliced(scan)

    async def _texts(self, field: str, needle: str, uids: Sequence[int], refused: Refused) -> list[int]:
        found, made = await self._workers.sliced(self._scans.texts(field, needle, uids, refused))
        self._workers.keep(self.folder, made)
        return found

    async def _identities(self, column: str, wanted: bytes, uids: Sequence[int], refused: Refused) -> list[int]:
        found, made = await self._workers.sliced(self._scans.identities(column, wanted, uids, refused))
        self._workers.keep(self.folder, made)
        return found

    async def _column(self, column: str, uids: Sequence[int], refused: Refused) -> Mapping[int, int]:
        facts = self._facts
        lacking = facts.lacking(column, uids)
        if lacking and column in ("internaldate", "saved"):
            facts.columns[column].update(await self._workers.read(self._scans.dates, column, lacking))
        elif lacking:
            found, made = await self._workers.sliced(self._scans.facts(column, lacking, refused))
            self._workers.keep(self.folder, made)
            facts.columns[column].update(found)
        return facts.columns[column]

    # -- changing

    def _check(self) -> None:
        if self.live.gone:
            raise MailError(ErrorKind.NO_SUCH_FOLDER, "The folder is gone")

    async def store(
        self,
        uids: Sequence[int],
        change: FlagChange,
        flags: Flags,
        unchanged_since: int | None = None,
        origin: object | None = None,
    ) -> Stored:
        """Change flags."""
        self._check()
        spans = self._spans(uids)
        if not spans:
            return Stored(())
        return await self._workers.write_in_need(
            writing.store,
            self.folder.number,
            spans,
            change=change,
            named=intern_flags(flags - {RECENT}),
            limit=unchanged_since,
            origin=origin,
        )

    async def expunge(self, uids: Sequence[int] | None = None, origin: object | None = None) -> list[int]:
        """Remove what is deleted."""
        self._check()
        spans = None if uids is None else self._spans(uids)
        if spans is not None and not spans:
            return []
        return await self._home.expunge(self.folder, spans, origin)

    async def remove(self, uids: Sequence[int]) -> list[int]:
        """Remove messages, all or none, whether they have \\Deleted or not."""
        self._check()
        if not (spans := self._spans(uids)):
            return []
        gone = await self._workers.write_in_need(writing.remove, self.folder.number, spans, None)
        self._workers.drop(self.folder, gone)
        return gone

    async def copy(self, uids: Sequence[int], target: str, move: bool = False, origin: object | None = None) -> Copied:
        """Copy or move."""
        self._check()
        return await self._home.copy(self.folder, self._spans(uids), target, move, origin)

    async def vanished(self, since: int) -> UidSet | None:
        """What was expunged above this mod-sequence, as far as that is remembered."""
        return await self._workers.query(changes.vanished, self.folder.number, since)
