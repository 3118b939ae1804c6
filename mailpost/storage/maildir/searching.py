"""Searching a folder: cheap keys narrow the candidates first, what needs a file comes last.

Flags, UIDs and mod-sequences are looked up in memory, in the reactor turn; sizes and dates in columns that are read
once; header texts in the cache; bodies in the files, in turns of a reader lane.

RFC: 3501 §6.4.4, 9051 §6.4.4
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from datetime import date
from operator import ge, gt, lt
from typing import TypeAlias, cast

from mailpost.mail import searchkeys
from mailpost.mail.dates import internal_day
from mailpost.mail.encodings import casemapped
from mailpost.mail.errors import IncompleteError
from mailpost.mail.flags import Flags
from mailpost.mail.headers import end_of
from mailpost.mail.searching import body_holds, compares, has_flag, header_texts, text_holds
from mailpost.mail.searchkeys import Comparison, DateField, SearchKey
from mailpost.mail.summary import KEPT_FIELDS, Summary
from mailpost.storage.index import cache, messages
from mailpost.storage.maildir.lane import FolderInfo
from mailpost.storage.maildir.reading import Reading, Refused

Made: TypeAlias = list[tuple[int, Summary]]

_STRETCH = 4000
"""UIDs of which texts are looked at before others get a turn."""

_COLUMN_OF = {"subject": "subject", "from": "from_", "to": "to_", "cc": "cc", "bcc": "bcc"}
_ATTRIBUTE_OF = {"subject": "subject", "from": "from_", "to": "to", "cc": "cc", "bcc": "bcc"}
_COST: dict[type, int] = {
    searchkeys.Larger: 1,
    searchkeys.Smaller: 1,
    searchkeys.OnDate: 1,
    searchkeys.EmailId: 2,
    searchkeys.ThreadId: 2,
    searchkeys.Header: 2,
    searchkeys.Body: 4,
    searchkeys.Text: 4,
}


def cost(key: SearchKey) -> int:
    """How dear a key is, by the dearest in it."""
    match key:
        case searchkeys.And(keys):
            return max(map(cost, keys), default=0)
        case searchkeys.Or(first, second):
            return max(cost(first), cost(second))
        case searchkeys.Not(negated):
            return cost(negated)
        case searchkeys.Header(name, text) if name.lower() not in _COLUMN_OF or not text:
            return 3
    return _COST.get(type(key), 0)


class Scans:
    """The parts of a search that block; generators for reader lanes, each returning (result, summaries made).

    What cannot be read is put into `refused` and is not found.
    """

    def __init__(self, reading: Reading, folder: FolderInfo) -> None:
        self._reading = reading
        self._folder = folder

    def facts(
        self, column: str, uids: Sequence[int], refused: Refused
    ) -> Generator[None, None, tuple[dict[int, int], Made]]:
        """UID -> size or sent_day."""
        reading, folder = self._reading, self._folder
        with reading.cached.reading() as db:
            number = cache.folder_number(db, folder.cache_key)
            span = (uids[0], uids[-1])
            found = cast("dict[int, int]", cache.values(db, number, "facts", column, span))
        made: Made = []
        for group in reading.summaries(folder, [uid for uid in uids if uid not in found], refused):
            made += group or ()
            yield
        found.update((uid, getattr(summary, column)) for uid, summary in made)
        return found, made

    def dates(self, column: str, uids: Sequence[int]) -> dict[int, int]:
        """UID -> INTERNALDATE or SAVEDATE. (No generator: a few milliseconds.)"""
        with self._reading.state.reading() as db:
            return messages.dates(db, self._folder.number, column, (uids[0], uids[-1]))

    def identities(
        self, column: str, wanted: bytes, uids: Sequence[int], refused: Refused
    ) -> Generator[None, None, tuple[list[int], Made]]:
        """The messages with this EMAILID (column "email") or THREADID ("thread")."""
        found: list[int] = []
        made: Made = []
        for start in range(0, len(uids), _STRETCH):
            stretch = uids[start : start + _STRETCH]
            with self._reading.cached.reading() as db:
                number = cache.folder_number(db, self._folder.cache_key)
                known = cache.values(db, number, "identities", column, (stretch[0], stretch[-1]))
            for group in self._reading.summaries(self._folder, [uid for uid in stretch if uid not in known], refused):
                for uid, summary in group or ():
                    made.append((uid, summary))
                    known[uid] = summary.email_id if column == "email" else summary.thread_id
                yield
            found += [uid for uid in stretch if known.get(uid) == wanted]
            yield
        return found, made

    def texts(
        self, field: str, needle: str, uids: Sequence[int], refused: Refused
    ) -> Generator[None, None, tuple[list[int], Made]]:
        """The messages whose From, To, Cc, Bcc or Subject holds the needle."""
        column = _COLUMN_OF[field]
        found: list[int] = []
        made: Made = []
        for start in range(0, len(uids), _STRETCH):
            stretch = uids[start : start + _STRETCH]
            with self._reading.cached.reading() as db:
                number = cache.folder_number(db, self._folder.cache_key)
                holding, known = cache.holding(db, number, column, needle, (stretch[0], stretch[-1]))
            lacking = [] if known.issuperset(stretch) else [uid for uid in stretch if uid not in known]
            for group in self._reading.summaries(self._folder, lacking, refused):
                for uid, summary in group or ():
                    made.append((uid, summary))
                    if needle in getattr(summary, _ATTRIBUTE_OF[field]):
                        holding.add(uid)
                yield
            found += [uid for uid in stretch if uid in holding]
            yield
        return found, made

    def headers(
        self, field: str, needle: str, uids: Sequence[int], refused: Refused
    ) -> Generator[None, None, list[int]]:
        """The messages with a field of this name that holds the needle."""
        kept: dict[int, object] = {}
        if field.encode() in KEPT_FIELDS and uids:
            with self._reading.cached.reading() as db:
                number = cache.folder_number(db, self._folder.cache_key)
                kept = cache.values(db, number, "headers", "octets", (uids[0], uids[-1]))
        found = set()
        name = field.encode()
        for uid in uids:
            header = kept.get(uid)
            if isinstance(header, bytes) and name in header.lower():
                if any(needle in text for text in header_texts(header, field)):
                    found.add(uid)
                yield
        for uid, octets in self._octets([uid for uid in uids if uid not in kept], refused):
            if any(needle in text for text in header_texts(octets[: end_of(octets)], field)):
                found.add(uid)
            yield
        return [uid for uid in uids if uid in found]

    def bodies(
        self, holds: Callable[[bytes, str], bool], needle: str, uids: Sequence[int], refused: Refused
    ) -> Generator[None, None, list[int]]:
        """The messages whose octets hold the needle by this function."""
        found = []
        for uid, octets in self._octets(uids, refused):
            if holds(octets, needle):
                found.append(uid)
            yield
        return found

    def _octets(self, uids: Sequence[int], refused: Refused) -> Iterator[tuple[int, bytes]]:
        for group in self._reading.octets(self._folder, uids, refused):
            for uid, octets in group:
                if octets is not None:
                    yield uid, octets


class Facts:
    """Sizes and dates of a folder's messages, each read when first searched and then kept."""

    def __init__(self) -> None:
        self.columns: dict[str, dict[int, int]] = {}

    def lacking(self, column: str, uids: Sequence[int]) -> list[int]:
        """Which UIDs the column does not have yet."""
        known = self.columns.setdefault(column, {})
        if len(known) > 2 * len(uids) + 1000:
            known.clear()  # mostly of messages that are gone
        return [uid for uid in uids if uid not in known]


class Search:
    """One search.

    Args:
        uids: of all messages, ascending.
        flags: of all messages, parallel.
        modseqs: likewise.
        column: gives a column of `Facts` for these UIDs, complete.
        sliced: runs one of `Scans`' generators in a reader lane.
        texts: the messages whose header texts hold a needle.
        identities: the messages with an EMAILID or THREADID.
        scans: the blocking part.
    """

    def __init__(
        self,
        *,
        uids: list[int],
        flags: list[Flags],
        modseqs: list[int],
        column: Callable[[str, Sequence[int], Refused], Awaitable[Mapping[int, int]]],
        sliced: Callable[[Generator[None, None, list[int]]], Awaitable[list[int]]],
        texts: Callable[[str, str, Sequence[int], Refused], Awaitable[list[int]]],
        identities: Callable[[str, bytes, Sequence[int], Refused], Awaitable[list[int]]],
        scans: Scans,
    ) -> None:
        self._uids = uids
        self._flags = flags
        self._modseqs = modseqs
        self._column = column
        self._sliced = sliced
        self._texts = texts
        self._identities = identities
        self._scans = scans
        self._flag_of: dict[int, Flags] | None = None
        self._refused: Refused = {}

    async def run(self, key: SearchKey) -> list[int]:
        """The UIDs that match, ascending. Raises IncompleteError where messages could not be read."""
        found = await self._narrow(key, self._uids)
        for reason in self._refused.values():
            raise IncompleteError(reason, [uid for uid in found if uid not in self._refused])
        return found

    async def _narrow(self, key: SearchKey, uids: list[int]) -> list[int]:
        """Those of these that match."""
        if not uids:
            return uids
        match key:
            case searchkeys.All():
                return uids
            case searchkeys.And(keys):
                for each in sorted(keys, key=cost):
                    uids = await self._narrow(each, uids)
                return uids
            case searchkeys.Or(first, second):
                one, other = (first, second) if cost(first) <= cost(second) else (second, first)
                found = set(await self._narrow(one, uids))
                found.update(await self._narrow(other, [uid for uid in uids if uid not in found]))
                return [uid for uid in uids if uid in found]
            case searchkeys.Not(negated):
                found = set(await self._narrow(negated, uids))
                return [uid for uid in uids if uid not in found]
            case searchkeys.Header() | searchkeys.Body() | searchkeys.Text():
                return await self._text(key, uids)
        return await self._plain(key, uids)

    async def _text(self, key: searchkeys.Header | searchkeys.Body | searchkeys.Text, uids: list[int]) -> list[int]:
        needle = casemapped(key.text)
        match key:
            case searchkeys.Header(name) if cost(key) == 2:
                return await self._texts(name.lower(), needle, uids, self._refused)
            case searchkeys.Header(name):
                return await self._sliced(self._scans.headers(name.lower(), needle, uids, self._refused))
            case searchkeys.Body():
                return await self._sliced(self._scans.bodies(body_holds, needle, uids, self._refused))
            case searchkeys.Text():
                return await self._sliced(self._scans.bodies(text_holds, needle, uids, self._refused))

    async def _plain(self, key: SearchKey, uids: list[int]) -> list[int]:
        match key:
            case searchkeys.HasFlag(flag):
                return self._flagged(flag, uids)
            case searchkeys.Uids(wanted):
                return wanted.members(uids)
            case searchkeys.ModSeq(least):
                known = dict(zip(self._uids, self._modseqs, strict=True))
                return [uid for uid in uids if known[uid] >= least]
            case searchkeys.Larger(octets):
                return await self._compared("size", gt, octets, uids)
            case searchkeys.Smaller(octets):
                return await self._compared("size", lt, octets, uids)
            case searchkeys.EmailId(wanted_id):
                return await self._identities("email", wanted_id, uids, self._refused)
            case searchkeys.ThreadId(wanted_id):
                return await self._identities("thread", wanted_id, uids, self._refused)
            case searchkeys.OnDate(field, comparison, day):
                return await self._dated(field, comparison, day, uids)
        raise ValueError(f"a session has to resolve {type(key).__name__}")

    def _flagged(self, flag: str, uids: list[int]) -> list[int]:
        having = {flags for flags in set(self._flags) if has_flag(flags, flag)}
        if not having:
            return []
        if uids is self._uids:
            return [uid for uid, flags in zip(uids, self._flags, strict=True) if flags in having]
        if self._flag_of is None:
            self._flag_of = dict(zip(self._uids, self._flags, strict=True))
        flag_of = self._flag_of
        return [uid for uid in uids if flag_of[uid] in having]

    async def _compared(
        self, column: str, compare: Callable[[int, int], bool], limit: int, uids: list[int]
    ) -> list[int]:
        values = await self._column(column, uids, self._refused)
        if compare is gt:
            return [uid for uid in uids if values.get(uid, -1) > limit]
        if compare is lt:
            return [uid for uid in uids if values.get(uid, limit) < limit]
        return [uid for uid in uids if values.get(uid, -1) >= limit]

    async def _dated(self, field: DateField, comparison: Comparison, day: date, uids: list[int]) -> list[int]:
        wanted = day.toordinal()
        if field is DateField.SENT:
            days = await self._column("sent_day", uids, self._refused)
            return [uid for uid in uids if (sent := days.get(uid)) is not None and compares(sent, comparison, wanted)]
        column = "saved" if field is DateField.SAVED else "internaldate"
        first = (wanted - internal_day(0)) * 86_400
        if comparison is Comparison.SINCE:
            return await self._compared(column, ge, first, uids)
        if comparison is Comparison.BEFORE:
            return await self._compared(column, lt, first, uids)
        since = await self._compared(column, ge, first, uids)
        return await self._compared(column, lt, first + 86_400, since)
