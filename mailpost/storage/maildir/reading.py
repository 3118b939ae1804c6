"""Fetching: what the index knows comes from there, the rest from the files. Generators for reader lanes, blocking.

What had to be worked out is handed back with the rows, for the cache. No statement stays open across a `yield`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mailpost.mail.errors import MailError
from mailpost.mail.headers import end_of, select
from mailpost.mail.summary import KEPT_FIELDS, Summariser, Summary
from mailpost.storage.index import cache, messages
from mailpost.storage.index.state import Readers
from mailpost.storage.maildir.chasing import LONG_CHASE
from mailpost.storage.maildir.filename import sizes_of
from mailpost.storage.maildir.folder import FileFacts
from mailpost.storage.maildir.lane import FolderInfo, HeldFiles
from mailpost.storage.maildir.survey import Survey, survey
from mailpost.storage.records import Attribute, Fetched, HeaderFields

BATCH_ROWS = 1000
BATCH_OCTETS = 256 * 1024

Refused: TypeAlias = dict[int, MailError]
"""UID -> why its file, which is there, could not be read. Whoever reads goes on with the other messages."""

_DATES: dict[Fetched, str] = {Attribute.INTERNALDATE: "internaldate", Attribute.SAVEDATE: "saved"}
_FROM_STATE: frozenset[Fetched] = frozenset({Attribute.OCTETS, *_DATES})
_NOT_FROM_FILES: frozenset[Fetched] = _FROM_STATE | {Attribute.PREVIEW_AT_HAND}

_COLUMNS = {
    Attribute.SIZE: ("facts", "size"),
    Attribute.ENVELOPE: ("envelopes", "octets"),
    Attribute.BODYSTRUCTURE: ("structures", "octets"),
    Attribute.EMAILID: ("identities", "email"),
    Attribute.THREADID: ("identities", "thread"),
    Attribute.PREVIEW: ("previews", "octets"),
    Attribute.PREVIEW_AT_HAND: ("previews", "octets"),
}
_SUMMARISED: dict[Fetched, Callable[[Summary], int | bytes]] = {
    Attribute.SIZE: lambda summary: summary.size,
    Attribute.ENVELOPE: lambda summary: summary.envelope,
    Attribute.BODYSTRUCTURE: lambda summary: summary.bodystructure,
    Attribute.EMAILID: lambda summary: summary.email_id,
    Attribute.THREADID: lambda summary: summary.thread_id,
    Attribute.PREVIEW: lambda summary: summary.preview,
}


@dataclass(slots=True)
class Batch:
    """Rows for the client and what is worth keeping."""

    rows: list[tuple[Any, ...]]
    summaries: list[tuple[int, Summary]] = field(default_factory=list)
    fields: list[tuple[tuple[bytes, ...], list[tuple[int, bytes]]]] = field(default_factory=list)
    missed: bool = False
    """A file was not where the index has it: the folder is worth a look."""
    refused: MailError | None = None
    """Why a message that is there has no row."""


class Reading:
    """Reads messages of one account, in any thread.

    Args:
        state: readers of the state.
        cached: readers of the cache.
        files: opens a folder's directories (`Lane.files`).
        summarise: octets -> summary.
    """

    def __init__(
        self, state: Readers, cached: Readers, files: Callable[[int, str], HeldFiles], summarise: Summariser
    ) -> None:
        self.state = state
        self.cached = cached
        self._files = files
        self.summarise = summarise

    def fetch(
        self, folder: FolderInfo, uids: Sequence[int], attributes: Sequence[Fetched]
    ) -> Generator[Batch | None, None, None]:
        """Batches of rows in the order of `uids`; None lets others have a turn."""
        for start in range(0, len(uids), BATCH_ROWS):
            run = _Fetch(self, folder, uids[start : start + BATCH_ROWS], attributes)
            yield from run.batches()

    def octets(
        self, folder: FolderInfo, uids: Sequence[int], refused: Refused, chase: float = LONG_CHASE
    ) -> Iterator[list[tuple[int, bytes | None]]]:
        """The octets of messages in groups of about 256 KiB: (UID, octets) each, None for one that is not found.

        Those that cannot be read are put into `refused` instead. `chase`: seconds for missing ones.
        """
        for start in range(0, len(uids), BATCH_ROWS):
            chunk = uids[start : start + BATCH_ROWS]
            with self.state.reading() as db:
                names = dict(_pick(chunk, lambda span: messages.names(db, folder.number, span)))
            yield from self._read(folder, [(uid, names[uid]) for uid in chunk if uid in names], refused, chase)

    def _read(
        self, folder: FolderInfo, named: list[tuple[int, str]], refused: Refused, chase: float
    ) -> Iterator[list[tuple[int, bytes | None]]]:
        files = self._files(folder.number, folder.directory)
        group: list[tuple[int, tuple[str, int]]] = []
        total = 0
        for uid, name in named:
            size = sizes_of(name)[0] or 0
            if group and total + size > BATCH_OCTETS:
                yield self._group(files, group, refused, chase)
                group, total = [], 0
            group.append((uid, (name, size)))
            total += size or BATCH_OCTETS // 8
        if group:
            yield self._group(files, group, refused, chase)

    @staticmethod
    def _group(
        files: HeldFiles, group: list[tuple[int, tuple[str, int]]], refused: Refused, chase: float
    ) -> list[tuple[int, bytes | None]]:
        come: list[tuple[int, bytes | None]] = []
        for (uid, _), octets in zip(group, files.read([wanted for _, wanted in group], chase), strict=True):
            if isinstance(octets, MailError):
                refused[uid] = octets
            else:
                come.append((uid, octets))
        return come

    def survey(self, folder: FolderInfo) -> Generator[None, None, Survey]:
        """The folder's directories compared with its rows."""
        return (yield from survey(self._files(folder.number, folder.directory), self.state.reading(), folder.number))

    def facts(self, folder: FolderInfo, names: Sequence[str]) -> list[FileFacts | None]:
        """What the file system says of messages of these file names, in the same order."""
        return self._files(folder.number, folder.directory).facts(names)

    def summaries(
        self, folder: FolderInfo, uids: Sequence[int], refused: Refused, chase: float = LONG_CHASE
    ) -> Generator[list[tuple[int, Summary]] | None, None, None]:
        """Summaries of messages whose files are read for that, in groups; None lets others have a turn."""
        for group in self.octets(folder, uids, refused, chase):
            made = []
            for uid, octets in group:
                if octets is not None:
                    made.append((uid, self.summarise(octets)))
                    yield None
            yield made

    def unsummarised(self, folder: FolderInfo, uids: Sequence[int]) -> list[int]:
        """Which of these messages the cache does not know, ascending."""
        if not uids:
            return []
        uids = sorted(set(uids))
        with self.cached.reading() as db:
            number = cache.folder_number(db, folder.cache_key)
            known = cache.values(db, number, "facts", "size", (uids[0], uids[-1]))
        return [uid for uid in uids if uid not in known]


def _pick(
    uids: Sequence[int], read: Callable[[tuple[int, int]], Iterable[tuple[int, Any]]]
) -> Iterator[tuple[int, Any]]:
    """Read by one range if the UIDs are dense, else by one for each."""
    if uids[-1] - uids[0] < 4 * len(uids) + 16:
        yield from read((uids[0], uids[-1]))
    else:
        for uid in uids:
            yield from read((uid, uid))


class _Fetch:
    """One chunk of a fetch."""

    def __init__(
        self, reading: Reading, folder: FolderInfo, uids: Sequence[int], attributes: Sequence[Fetched]
    ) -> None:
        self._reading = reading
        self._folder = folder
        self._uids = uids
        self._attributes = attributes
        self._columns: list[dict[int, Any]] = []
        self._summaries: list[tuple[int, Summary]] = []
        self._fields: dict[tuple[bytes, ...], list[tuple[int, bytes]]] = {}
        self._missed = False
        self._refused: Refused = {}

    def batches(self) -> Generator[Batch | None, None, None]:
        """The rows of the chunk, in one batch or in several of 256 KiB."""
        self._load()
        wanted = [
            column
            for column, attribute in zip(self._columns, self._attributes, strict=True)
            if attribute not in _NOT_FROM_FILES
        ]
        lacking = [uid for uid in self._uids if any(uid not in column for column in wanted)] if wanted else []
        if Attribute.OCTETS in self._attributes:
            yield from self._with_octets(set(lacking))
            return
        for group in self._reading.octets(self._folder, lacking, self._refused):
            for uid, octets in group:
                self._work_out(uid, octets)
                yield None
        yield self._batch(self._uids)

    def _load(self) -> None:
        """Take from the index what it has."""
        number = self._folder.number
        self._columns = [{} for _ in self._attributes]
        if not _FROM_STATE.issuperset(self._attributes):
            self._load_cached()
        for at, attribute in enumerate(self._attributes):
            if attribute in _DATES:
                self._columns[at] = self._dated(number, _DATES[attribute])

    def _dated(self, number: int, column: str) -> dict[int, Any]:
        with self._reading.state.reading() as db:
            return dict(_pick(self._uids, lambda span: messages.dates(db, number, column, span).items()))

    def _load_cached(self) -> None:
        with self._reading.cached.reading() as db:
            cached = cache.folder_number(db, self._folder.cache_key)
            for at, attribute in enumerate(self._attributes):
                if attribute in _FROM_STATE:
                    continue
                if isinstance(attribute, HeaderFields):
                    self._columns[at] = self._selected(db, cached, attribute.names)
                else:
                    table, column = _COLUMNS[attribute]
                    self._columns[at] = self._values(db, cached, table, column)

    def _values(self, db: sqlite3.Connection, cached: int, table: str, column: str) -> dict[int, Any]:
        return dict(_pick(self._uids, lambda span: cache.values(db, cached, table, column, span).items()))

    def _selected(self, db: sqlite3.Connection, cached: int, names: tuple[bytes, ...]) -> dict[int, Any]:
        """Selections of header fields that are kept, or that the kept header fields give."""
        fields = cache.fieldset_number(db, names)
        found = dict(_pick(self._uids, lambda span: cache.selected_fields(db, cached, fields, span).items()))
        if KEPT_FIELDS.issuperset(names) and any(uid not in found for uid in self._uids):
            wanted = frozenset(names)
            for uid, header in self._values(db, cached, "headers", "octets").items():
                if uid not in found:
                    found[uid] = select(header, wanted)
                    self._keep(names, uid, found[uid])
        return found

    def _keep(self, names: tuple[bytes, ...], uid: int, octets: bytes) -> None:
        self._fields.setdefault(names, []).append((uid, octets))

    def _with_octets(self, lacking: set[int]) -> Generator[Batch | None, None, None]:
        place = [at for at, attribute in enumerate(self._attributes) if attribute is Attribute.OCTETS]
        for group in self._reading.octets(self._folder, self._uids, self._refused):
            for uid, octets in group:
                if octets is None:
                    self._missed = True
                    continue
                for at in place:
                    self._columns[at][uid] = octets
                if uid in lacking:
                    self._work_out(uid, octets)
                    yield None
            batch = self._batch([uid for uid, octets in group if octets is not None])
            if batch.rows or batch.missed or batch.refused:
                yield batch
            for at in place:
                self._columns[at].clear()

    def _work_out(self, uid: int, octets: bytes | None) -> None:
        """Fill the columns of one message from its octets."""
        if octets is None:
            self._missed = True
            return
        summary = None
        for column, attribute in zip(self._columns, self._attributes, strict=True):
            if uid in column or attribute in _NOT_FROM_FILES:
                continue
            if isinstance(attribute, HeaderFields):
                column[uid] = select(octets[: end_of(octets)], frozenset(attribute.names))
                self._keep(attribute.names, uid, column[uid])
                continue
            if summary is None:
                summary = self._reading.summarise(octets)
                self._summaries.append((uid, summary))
            column[uid] = _SUMMARISED[attribute](summary)

    def _batch(self, uids: Sequence[int]) -> Batch:
        for column, attribute in zip(self._columns, self._attributes, strict=True):
            if attribute is Attribute.PREVIEW_AT_HAND:
                for uid in uids:
                    column.setdefault(uid, b"NIL")
        rows = list(zip(uids, *(map(column.get, uids) for column in self._columns), strict=True))
        if any(None in row for row in rows):
            rows = [row for row in rows if None not in row]
        refused = next(iter(self._refused.values()), None)
        batch = Batch(rows, self._summaries, list(self._fields.items()), self._missed, refused)
        self._summaries, self._fields = [], {}
        return batch
