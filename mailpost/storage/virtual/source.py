"""A program's folder as the store asks it: together what is asked for together, and nothing twice.

What goes wrong in the program is logged once, with its traceback, under a number; who asked gets a `MailError` with no
more than that number.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Hashable
from dataclasses import dataclass
from email.message import Message
from hashlib import blake2b
from inspect import isawaitable
from secrets import token_hex
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.lineends import normalised
from mailpost.mail.summary import Summariser, Summary
from mailpost.storage.offload import settled
from mailpost.storage.virtual.cache import Cache
from mailpost.storage.virtual.folder import checked
from mailpost.storage.virtual.interfaces import Item, IVirtualFolder
from mailpost.storage.virtual.pauses import Pauses

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds that a program may take for an answer."""
_MOST_INCIDENTS = 1000
_log = Logger()


class Home(Protocol):
    """What all folders of a store share."""

    clock: IReactorTime
    pauses: Pauses
    bodies: Cache[bytes]
    summaries: Cache[Summary]
    summariser: Summariser


@dataclass(frozen=True, slots=True)
class Listing:
    """What a program has listed."""

    items: dict[Hashable, Item]
    """By id."""
    number: int
    """Listings that began later have higher ones."""
    changes: int
    """`Source.changes` when it began."""
    ours: int
    """`Source.ours` when it began."""


class Shared(Generic[T]):
    """Work that any number wait for; who is cancelled waits no longer, and the work goes on."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._waiting: list[Deferred[T]] = []
        self._outcome: list[T | Failure] = []
        Deferred.fromCoroutine(work).addBoth(self._done)

    @property
    def done(self) -> bool:
        """Whether it has come to an end."""
        return bool(self._outcome)

    def wait(self) -> Deferred[T]:
        """Its outcome."""
        waiting: Deferred[T] = Deferred()
        if self._outcome:
            waiting.callback(self._outcome[0])
        else:
            self._waiting.append(waiting)
        return waiting

    def _done(self, outcome: T | Failure) -> None:
        self._outcome.append(outcome)
        for each in self._waiting:
            if not each.called:
                each.callback(outcome)
        self._waiting.clear()


class Source:
    """One folder of a program, shared by all who see it: its listing, its messages, and what is wrong with it."""

    def __init__(self, folder: Any, home: Home) -> None:
        self.folder = folder
        self.changes = 0
        """How often the program has said that it changed."""
        self.ours = 0
        """How often something was begun or done that changes what is listed: such a listing is of before or after."""
        self._home = home
        self._watching: dict[Any, None] = {}
        self._listing: tuple[tuple[int, int], Shared[Listing]] | None = None
        self._number = 0
        self._gone = 0
        """How often an item went: what was asked for before is not kept."""
        self._fetching: dict[Hashable, Shared[bytes | None]] = {}
        self._incidents: dict[Hashable, str] = {}

    # -- changes

    @property
    def poll(self) -> float | None:
        """Seconds after which it is listed again."""
        seconds: float | None = getattr(self.folder, "poll", None)
        return seconds

    def attach(self, changed: Any) -> None:
        """Call this when the program says that something changed."""
        if not self._watching and hasattr(self.folder, "watch"):
            self.folder.watch(self._changed)
        self._watching[changed] = None

    def detach(self, changed: Any) -> None:
        """Call it no more."""
        self._watching.pop(changed, None)
        if not self._watching and hasattr(self.folder, "unwatch"):
            self.folder.unwatch(self._changed)

    def _changed(self) -> None:
        self.changes += 1
        for changed in list(self._watching):
            changed()

    def can(self, ability: str) -> bool:
        """Whether the program has written this method."""
        return callable(getattr(self.folder, ability, None))

    # -- asking

    def listing(self) -> Deferred[Listing]:
        """What there is now. Whoever asks while one that is as new is under way gets that."""
        state = self.changes, self.ours
        under_way = self._listing
        if under_way is None or under_way[0] != state or under_way[1].done:
            under_way = state, Shared(self._list(*state))
            self._listing = None if under_way[1].done else under_way
        return under_way[1].wait()

    async def _list(self, changes: int, ours: int) -> Listing:
        number = self._number = self._number + 1
        found: dict[Hashable, Item] = {}
        twice = None
        try:
            for each in await answered(self.folder.list(), self._home.clock):
                item = checked(each)
                if item.id in found:
                    twice = item.id
                else:
                    found[item.id] = item
                if self._home.pauses.due:
                    await self._home.pauses.pause()
        except MailError:
            raise
        except Exception:  # a bug of the program's, which `failed` logs
            raise self.failed("list") from None
        if twice is not None and "twice" not in self._incidents:
            self._incidents["twice"] = ""
            _log.warn("{folder} lists {id!r} twice: what comes later is passed over", folder=self.folder, id=twice)
        self.works("list")
        return Listing(found, number, changes, ours)

    def octets(self, item: Hashable, version: Hashable) -> Awaitable[bytes | None] | bytes:
        """The message of an item: octets at once where they are at hand; None if the item is gone.

        Raises what the program raises: the caller knows whether the item is still there.
        """
        key = self, item, version
        found = self._home.bodies.get(key)
        if found is not None:
            return found
        under_way = self._fetching.get(key)
        if under_way is None:
            under_way = Shared(self._fetch(item, version))
            if not under_way.done:
                self._fetching[key] = under_way
        return under_way.wait()

    async def _fetch(self, item: Hashable, version: Hashable) -> bytes | None:
        key, gone = (self, item, version), self._gone
        try:
            message = await answered(self.folder.fetch(item), self._home.clock)
            if message is None:
                return None
            octets = octets_of(message, f"{item!r} {version!r}")
        finally:
            self._fetching.pop(key, None)
        if gone == self._gone:
            self._home.bodies.put(key, octets, len(octets))
        self.works(("fetch", item))
        return octets

    def forget(self, item: Hashable, version: Hashable) -> None:
        """An item is gone: what is called so from now on is another."""
        key = self, item, version
        self._gone += 1
        self._fetching.pop(key, None)
        self._home.bodies.drop(key)
        self._home.summaries.drop(key)

    def summary_at_hand(self, item: Hashable, version: Hashable) -> Summary | None:
        """The summary of a message, if it need not be made."""
        return self._home.summaries.get((self, item, version))

    def summarised(self, item: Hashable, version: Hashable, octets: bytes) -> Summary:
        """The summary of these octets, which are this item's message."""
        key = self, item, version
        found = self._home.summaries.get(key)
        if found is None:
            found = self._home.summariser(octets)
            self._home.summaries.put(key, found, _octets_of_summary(found))
        return found

    async def asked(self, ability: str, *arguments: Any) -> Any:
        """Let the program remove, add or flag something. Raises MailError: its own, or BUG."""
        try:
            return await answered(getattr(self.folder, ability)(*arguments), self._home.clock)
        except MailError:
            raise
        except Exception:  # a bug of the program's, which `failed` logs
            raise self.failed((ability, arguments[0] if ability != "add" else None)) from None

    # -- what goes wrong

    def failed(self, what: Hashable, failure: Failure | None = None) -> MailError:
        """What to raise for an exception of the program, which is logged unless it has been since this last worked."""
        incident = self._incidents.get(what)
        if incident is None:
            if len(self._incidents) >= _MOST_INCIDENTS:
                self._incidents.clear()
            incident = self._incidents[what] = token_hex(4)
            _log.failure(
                "Bug {incident} in {folder}: {what}", failure, incident=incident, folder=self.folder, what=what
            )
        return MailError(ErrorKind.BUG, f"Internal error {incident}")

    def works(self, what: Hashable) -> None:
        """What has failed perhaps has not this time: when it fails again, that is news."""
        if self._incidents:
            self._incidents.pop(what, None)


async def answered(answer: T | Awaitable[T], clock: IReactorTime) -> T:
    """What a program answers, which may take time, but not for ever. Raises MailError: UNAVAILABLE."""
    if not isawaitable(answer):
        return answer
    deferred: Deferred[T] = Deferred.fromCoroutine(settled(answer))
    try:
        return await deferred.addTimeout(PATIENCE, clock)
    except (defer.TimeoutError, defer.CancelledError):
        raise MailError(ErrorKind.UNAVAILABLE, "What this folder shows does not answer") from None


def octets_of(message: Message | bytes, seed: str) -> bytes:
    """A message as a client gets it, with CRLF line ends.

    Python gives parts a boundary that is another one each time; this one depends on the seed alone.
    """
    if isinstance(message, bytes | bytearray):
        return normalised(bytes(message))
    if not isinstance(message, Message):
        raise TypeError(f"a message is an EmailMessage or bytes, not {message!r}")
    for number, part in enumerate(message.walk()):
        if part.is_multipart() and part.get_content_maintype() == "multipart" and part.get_boundary() is None:
            digest = blake2b(f"{seed} {number}".encode(errors="replace"), digest_size=15).hexdigest()
            part.set_boundary(f"=_{digest}")
    return normalised(message.as_bytes(policy=message.policy.clone(linesep="\r\n")))


def _octets_of_summary(summary: Summary) -> int:
    texts = len(summary.subject) + len(summary.from_) + len(summary.to) + len(summary.cc) + len(summary.bcc)
    return 700 + texts + sum(map(len, (summary.envelope, summary.bodystructure, summary.header, summary.preview)))


def is_folder(thing: Any) -> bool:
    """Whether something can be a virtual folder."""
    return IVirtualFolder.providedBy(thing) or all(callable(getattr(thing, each, None)) for each in ("list", "fetch"))
