"""What is fetched and searched of a virtual folder: messages are made by the program when they are asked for.

Several are asked for at a time, so that a program which takes long for each is not waited for one by one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Sequence
from inspect import isawaitable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from mailpost.mail.errors import IncompleteError, MailError
from mailpost.mail.flags import Flags
from mailpost.mail.headers import end_of, select
from mailpost.mail.searching import header_texts, matches
from mailpost.mail.searchkeys import (
    All,
    And,
    DateField,
    HasFlag,
    ModSeq,
    Not,
    OnDate,
    Or,
    SearchKey,
    Uids,
)
from mailpost.mail.summary import KEPT_FIELDS, Summary
from mailpost.storage.live import LiveMailbox
from mailpost.storage.records import Attribute, Fetched, HeaderFields
from mailpost.storage.virtual.entries import Entry
from mailpost.storage.virtual.pauses import Pauses
from mailpost.storage.virtual.source import Source

AT_ONCE = 8
"""Messages that are asked for at a time."""
_BATCH_OCTETS = 256 * 1024
_BATCH_ROWS = 500
_OF_SUMMARIES: dict[Fetched, str] = {
    Attribute.SIZE: "size",
    Attribute.EMAILID: "email_id",
    Attribute.THREADID: "thread_id",
    Attribute.PREVIEW: "preview",
    Attribute.ENVELOPE: "envelope",
    Attribute.BODYSTRUCTURE: "bodystructure",
}

T = TypeVar("T")
Row = tuple[Any, ...]


class Folder(Protocol):
    """What is read of."""

    source: Source
    entries: dict[int, Entry]
    live: LiveMailbox

    @property
    def pauses(self) -> Pauses:
        """Turns for others."""
        ...

    async def refresh(self, anew: bool = False, doubt: bool = False) -> None:
        """Ask the program what there is."""


class NeedsMessageError(Exception):
    """What is to be told of a message cannot be told without it."""


class Troubles:
    """Messages that could not be made; in the end, those that are still there."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._failures: dict[int, Failure] = {}

    def note(self, uid: int, failure: Failure) -> None:
        """A message could not be made."""
        self._failures[uid] = failure

    async def verdict(self) -> MailError | None:
        """What to raise behind all others: None where those messages turn out to be gone."""
        if not self._failures:
            return None
        folder = self._folder
        names = {uid: folder.entries[uid] for uid in self._failures if uid in folder.entries}
        await folder.refresh(doubt=True)
        verdict: MailError | None = None
        for uid, entry in names.items():
            if folder.entries.get(uid) is entry:
                failure = self._failures[uid]
                if isinstance(failure.value, MailError):
                    verdict = failure.value
                else:
                    verdict = folder.source.failed(("fetch", entry.id), failure)
        return verdict


class Reading:
    """Fetches and searches one folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def _present(self, uids: Sequence[int]) -> list[int]:
        live = self._folder.live
        return [live.uids[at] for at in live.positions(uids)]

    async def fetch(self, uids: Sequence[int], attributes: Sequence[Fetched]) -> AsyncIterator[list[Row]]:
        """Rows in batches; behind them it raises where messages that are there could not be made."""
        folder, troubles = self._folder, Troubles(self._folder)
        batch: list[Row] = []
        octets = 0
        whole = Attribute.OCTETS in attributes
        rows = self._made(self._present(uids), lambda uid: self._row(uid, attributes), troubles)
        try:
            async for row in rows:
                if row is None or row[0] not in folder.entries:
                    continue
                batch.append(row)
                octets += folder.entries[row[0]].size if whole else 0
                if octets >= _BATCH_OCTETS or len(batch) >= _BATCH_ROWS:
                    yield batch
                    batch, octets = [], 0
        finally:
            await rows.aclose()
        if batch:
            yield batch
        if (verdict := await troubles.verdict()) is not None:
            raise verdict

    async def _made(
        self, uids: Iterable[int], make: Callable[[int], Coroutine[Any, Any, T]], troubles: Troubles
    ) -> AsyncGenerator[T, None]:
        """What is made of each message, in their order, some ahead; those that fail are noted."""
        pauses = self._folder.pauses
        under_way: deque[tuple[int, Deferred[T]]] = deque()
        coming = iter(uids)
        try:
            while True:
                while len(under_way) < AT_ONCE and (uid := next(coming, 0)):
                    under_way.append((uid, Deferred.fromCoroutine(make(uid))))
                if not under_way:
                    return
                uid, first = under_way.popleft()
                try:
                    made = await first
                except CancelledError:
                    raise
                except Exception:  # of the program: told when it is known whether the message is still there
                    troubles.note(uid, Failure())
                else:
                    yield made
                if pauses.due:
                    await pauses.pause()
        finally:
            for _, each in under_way:
                each.addErrback(lambda _: None)
                each.cancel()

    async def _row(self, uid: int, attributes: Sequence[Fetched]) -> Row | None:
        """The row of a message; None if it is gone."""
        entry = self._folder.entries.get(uid)
        if entry is None:
            return None
        try:
            return uid, *(self._value(entry, attribute) for attribute in attributes)
        except NeedsMessageError:
            octets = await self._octets(entry)
        if octets is None:
            return None
        return uid, *(self._value(entry, attribute, octets) for attribute in attributes)

    async def _octets(self, entry: Entry) -> bytes | None:
        """The message; None if it is gone."""
        answer = self._folder.source.octets(entry.id, entry.version)
        octets = await answer if isawaitable(answer) else answer
        if octets is not None:
            entry.size = len(octets)
        return octets

    def _value(self, entry: Entry, attribute: Fetched, octets: bytes | None = None) -> int | bytes:
        """One value, of the message where it must be. Raises NeedsMessageError where it is not given."""
        match attribute:
            case Attribute.INTERNALDATE:
                return entry.date
            case Attribute.SAVEDATE:
                return entry.saved
            case Attribute.SIZE if entry.size >= 0:
                return entry.size
            case Attribute.OCTETS:
                return _required(octets)
            case Attribute.PREVIEW_AT_HAND:
                known = self._folder.source.summary_at_hand(entry.id, entry.version)
                return known.preview if known else b"NIL"
            case HeaderFields(names) if not KEPT_FIELDS.issuperset(names):
                whole = _required(octets)
                return select(whole[: end_of(whole)], frozenset(names))
            case HeaderFields(names):
                return select(self.summary(entry, octets).header, frozenset(names))
        found: int | bytes = getattr(self.summary(entry, octets), _OF_SUMMARIES[attribute])
        return found

    def summary(self, entry: Entry, octets: bytes | None) -> Summary:
        """The summary of a message. Raises NeedsMessageError."""
        known = self._folder.source.summary_at_hand(entry.id, entry.version)
        return known or self._folder.source.summarised(entry.id, entry.version, _required(octets))

    async def sizes(self) -> dict[int, int]:
        """Octets of each message by UID. Raises MailError where one cannot be made."""
        found: dict[int, int] = {}
        async for batch in self.fetch(self._folder.live.uids[:], (Attribute.SIZE,)):
            found.update(batch)
        return found

    # -- searching

    async def search(self, key: SearchKey) -> list[int]:
        """The UIDs that match: what can be told from memory is, and for the rest messages are made."""
        live, key = self._folder.live, light_first(key)
        found: list[int] = []
        asked: dict[int, tuple[Flags, int]] = {}
        for uid, flags, modseq in zip(live.uids[:], live.flags[:], live.modseqs[:], strict=True):
            if (entry := self._folder.entries.get(uid)) is None:
                continue
            try:
                if matches(key, _Facts(uid, entry, self, flags=flags, modseq=modseq)):
                    found.append(uid)
            except NeedsMessageError:
                asked[uid] = flags, modseq
            if self._folder.pauses.due:
                await self._folder.pauses.pause()
        if not asked:
            return found

        async def test(uid: int) -> int:
            entry = self._folder.entries.get(uid)
            octets = None if entry is None else await self._octets(entry)
            if entry is None or octets is None:
                return 0
            flags, modseq = asked[uid]
            facts = _Facts(uid, entry, self, flags=flags, modseq=modseq, octets=octets)
            return uid if matches(key, facts) else 0

        troubles = Troubles(self._folder)
        found += [uid async for uid in self._made(asked, test, troubles) if uid]
        found.sort()
        if (verdict := await troubles.verdict()) is not None:
            raise IncompleteError(verdict, found)
        return found


def _required(octets: bytes | None) -> bytes:
    if octets is None:
        raise NeedsMessageError
    return octets


def _is_light(key: SearchKey) -> bool:
    """Whether a key needs no message."""
    match key:
        case All() | HasFlag() | Uids() | ModSeq():
            return True
        case OnDate(field, _, _):
            return field is not DateField.SENT
        case Not(inner):
            return _is_light(inner)
        case And(keys):
            return all(map(_is_light, keys))
        case Or(first, second):
            return _is_light(first) and _is_light(second)
    return False


def light_first(key: SearchKey) -> SearchKey:
    """The same key, in which what needs no message is looked at before what does."""
    match key:
        case And(keys):
            return And(tuple(sorted(map(light_first, keys), key=lambda each: not _is_light(each))))
        case Or(first, second):
            pair = sorted((light_first(first), light_first(second)), key=lambda each: not _is_light(each))
            return Or(pair[0], pair[1])
        case Not(inner):
            return Not(light_first(inner))
    return key


class _Facts:
    """A message, as a search sees it."""

    __slots__ = ("_entry", "_octets", "_reading", "flags", "modseq", "uid")

    def __init__(
        self, uid: int, entry: Entry, reading: Reading, *, flags: Flags, modseq: int, octets: bytes | None = None
    ) -> None:
        self.uid = uid
        self.flags = flags
        self.modseq = modseq
        self._entry = entry
        self._reading = reading
        self._octets = octets

    @property
    def _summary(self) -> Summary:
        return self._reading.summary(self._entry, self._octets)

    @property
    def size(self) -> int:
        return self._entry.size if self._entry.size >= 0 else len(_required(self._octets))

    @property
    def internaldate(self) -> int:
        return self._entry.date

    @property
    def savedate(self) -> int:
        return self._entry.saved

    @property
    def email_id(self) -> bytes:
        return self._summary.email_id

    @property
    def thread_id(self) -> bytes:
        return self._summary.thread_id

    @property
    def sent_day(self) -> int | None:
        return self._summary.sent_day

    def header_texts(self, name: str) -> list[str]:
        if name.encode() in KEPT_FIELDS:
            return header_texts(self._summary.header, name)
        octets = _required(self._octets)
        return header_texts(octets[: end_of(octets)], name)

    def octets(self) -> bytes:
        return _required(self._octets)
