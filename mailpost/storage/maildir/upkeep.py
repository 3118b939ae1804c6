"""What an account does behind its answers: file names, UID lists, removed folders, and summaries for the cache."""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.summary import Summary
from mailpost.storage.maildir import behind, tree
from mailpost.storage.maildir.lane import FolderInfo
from mailpost.storage.maildir.looking import Looking
from mailpost.storage.maildir.reading import Refused
from mailpost.storage.maildir.registry import Registry
from mailpost.storage.maildir.workers import Workers

BEHIND_SECONDS = 0.3
"""How long after a change the tree is brought in line with the state."""
VERIFY_SECONDS = 5.0
"""How long a folder is to be quiet before it is listed once more."""
PAUSE_SECONDS = 0.02
"""Between two slices of work that nobody waits for."""
QUIET_SECONDS = 0.1
"""How long nothing is to come in before summaries are begun; they would only be in the way."""
_MOST_PAUSES = 50
_MOST_HELD = 100
"""Messages whose octets are kept at hand until then; others are read again."""
_GROUP = 50


@contextmanager
def _folder_may_go() -> Iterator[None]:
    """The block works on a folder that may be deleted meanwhile: then there is nothing to be done."""
    try:
        yield
    except MailError as error:
        if error.kind is not ErrorKind.NO_SUCH_FOLDER:
            raise


@dataclass(slots=True)
class _Fresh:
    """Messages of one folder that are to be summarised. Of a large folder they are many: no object for each."""

    uids: list[int] = field(default_factory=list)
    octets: dict[int, bytes] = field(default_factory=dict)


class Upkeep:
    """The chores of one workers.

    Args:
        workers: who does them.
        registry: its folders.
        looking: looks at them.
        clock: when.
    """

    _log = Logger()

    def __init__(self, workers: Workers, registry: Registry, looking: Looking, clock: IReactorTime) -> None:
        self._workers = workers
        self._registry = registry
        self._looking = looking
        self._clock = clock
        self._changed: dict[int, None] = {}
        self._verify: dict[int, None] = {}
        self._failed: dict[int, None] = {}
        self._removed = False
        self._fresh: dict[int, _Fresh] = {}
        self._arrivals = 0
        self._timer: Any = None
        self._verifier: Any = None
        self._writing = False
        self._summarising = False
        self._running: set[Deferred[None]] = set()
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether anything is being done or about to be done, but for listing once more."""
        return bool(self._running or self._timer is not None)

    # -- taking note

    def changed(self, folder: int) -> None:
        """Something is to be written behind in this folder."""
        self._changed[folder] = None
        self._soon()

    def folder_removed(self) -> None:
        """There are files of a removed folder to be freed."""
        self._removed = True
        self._soon()

    def fresh(self, folder: int, uids: Sequence[int], octets: Mapping[int, bytes] | None = None) -> None:
        """Messages to be summarised; the octets of those that are at hand."""
        self._arrivals += 1
        held = self._fresh.setdefault(folder, _Fresh())
        held.uids += uids
        if octets and len(held.octets) < _MOST_HELD:
            held.octets.update(octets)
        if not self._summarising and not self._closed:
            self._summarising = True
            self._run(self._summarise())

    def _soon(self) -> None:
        if self._timer is None and not self._writing and not self._closed:
            self._timer = self._clock.callLater(BEHIND_SECONDS, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._writing = True
        self._run(self._write())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this; what goes wrong is logged, unless the account is closing."""
        running = Deferred.fromCoroutine(work)
        self._running.add(running)

        def done(result: Any) -> None:
            self._running.discard(running)
            if not isinstance(result, Failure):
                return
            if not isinstance(result.value, MailError):
                self._log.failure("upkeep of {user} failed", failure=result, user=self._workers.user)
            elif result.value.kind is not ErrorKind.UNAVAILABLE and not result.value.noted:
                user, reason = self._workers.user, result.value.text
                self._log.warn("upkeep of {user}: {reason}", user=user, reason=reason)

        running.addBoth(done)

    # -- writing behind

    async def _write(self) -> None:
        """Work off what is noted, a slice at a time."""
        try:
            while self._changed or self._removed:
                folders, self._changed = list(self._changed), {}
                for folder in folders:
                    await self._write_folder(folder)
                if self._removed:
                    self._removed = False  # first: another folder may be removed meanwhile
                    rows_left = await self._workers.chore(tree.forget_removed)
                    files_left = not await self._workers.purge_trash()
                    self._removed |= rows_left or files_left
        finally:
            self._writing = False
            if self._changed:
                self._soon()
            if self._verify and self._verifier is None and not self._closed:
                self._verifier = self._clock.callLater(VERIFY_SECONDS, self._begin_verifying)

    async def _write_folder(self, folder: int) -> None:
        workers = self._workers
        mailbox = self._registry.mailboxes.get(folder)
        recent = mailbox.live.first_recent if mailbox is not None else 0
        try:
            for work in (behind.write_flags, behind.remove_files):
                jobs = workers.jobs
                while await workers.chore(work, folder):
                    if workers.jobs != jobs and not self._closed:
                        await self._pause(PAUSE_SECONDS)  # somebody else is at work
                    jobs = workers.jobs
            await workers.chore(behind.finish, folder, recent)
        except MailError as error:
            closing = error.kind is ErrorKind.UNAVAILABLE and not error.noted
            if error.kind is not ErrorKind.NO_SUCH_FOLDER and not closing:
                if not error.noted:
                    self._log.warn("{user}: the tree could not be written: {text}", user=workers.user, text=error.text)
                self._verify[folder] = None  # and tried again then
                self._failed[folder] = None
            return
        self._verify[folder] = None

    def _begin_verifying(self) -> None:
        self._verifier = None
        folders, self._verify = list(self._verify), {}
        failed, self._failed = list(self._failed), {}
        for folder in failed:
            self.changed(folder)
        self._run(self._verify_all(folders))

    async def _verify_all(self, folders: list[int]) -> None:
        for folder in folders:
            if folder in self._changed:
                self._verify[folder] = None
            else:
                info = self._registry.of(folder)
                if info is not None:
                    with _folder_may_go():
                        await self._looking.look(info, doubt=True, waited=False)

    # -- summaries

    async def _summarise(self) -> None:
        """Summarise what is fresh, in slices with pauses: those that need the reactor come first."""
        try:
            await self._until_quiet()
            while self._fresh and not self._closed:
                number, fresh = self._fresh.popitem()
                info = self._registry.of(number)
                if info is not None:
                    with _folder_may_go():
                        await self._summarise_folder(info, fresh)
        finally:
            self._summarising = False

    async def _until_quiet(self) -> None:
        """Wait until nothing has come in for a moment, but not for long."""
        for _ in range(_MOST_PAUSES):
            before = self._arrivals
            await self._pause(QUIET_SECONDS)
            if self._arrivals == before:
                return

    async def _summarise_folder(self, info: FolderInfo, fresh: _Fresh) -> None:
        workers = self._workers
        lacking = await workers.read(workers.reading.unsummarised, info, fresh.uids)
        refused: Refused = {}
        for start in range(0, len(lacking), _GROUP):
            made = await workers.sliced(self._made(info, lacking[start : start + _GROUP], fresh.octets, refused))
            workers.keep(info, made)
            await workers.kept()
            await self._pause(PAUSE_SECONDS)
            if self._closed:
                return
        for problem in refused.values():
            raise problem

    def _made(
        self, info: FolderInfo, group: Sequence[int], octets: Mapping[int, bytes], refused: Refused
    ) -> Generator[None, None, list[tuple[int, Summary]]]:
        reading = self._workers.reading
        made: list[tuple[int, Summary]] = []
        for uid in group:
            if uid in octets:
                made.append((uid, reading.summarise(octets[uid])))
                yield
        for some in reading.summaries(info, [uid for uid in group if uid not in octets], refused, chase=0):
            made += some or ()
            yield
        return made

    def _pause(self, seconds: float) -> Deferred[None]:
        pause: Deferred[None] = Deferred()
        self._clock.callLater(seconds if not self._closed else 0, pause.callback, None)
        return pause

    # -- the end

    async def close(self) -> None:
        """Write all that is behind, now."""
        self._closed = True
        self._fresh.clear()
        for timer in (self._timer, self._verifier):
            if timer is not None:
                timer.cancel()
        self._timer = self._verifier = None
        for number, mailbox in self._registry.mailboxes.items():
            if mailbox.recent_claimed:
                self._changed[number] = None
        while self._running:
            await next(iter(self._running))
        await self._write()
