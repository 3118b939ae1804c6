"""The lanes of one account: writing in its order, reading side by side, the cache behind both."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.summary import Summary
from mailpost.storage.index.cache import CacheFile
from mailpost.storage.lanes import Slices
from mailpost.storage.maildir.batch import News
from mailpost.storage.maildir.directories import purge_trash
from mailpost.storage.maildir.files import Ballast
from mailpost.storage.maildir.lane import FolderInfo, Lane
from mailpost.storage.maildir.reading import Reading
from mailpost.storage.offload import Offload
from mailpost.storage.troubles import Troubles

T = TypeVar("T")
P = ParamSpec("P")

_MOST_PURGED = 200
"""Files of removed folders that are unlinked in one go: a few milliseconds."""


class Workers:
    """Runs what an account has to do in threads.

    Args:
        user: whose account it is.
        offload: the threads.
        lane: what jobs of the writer lane work on.
        cache: the writing side of the cache.
        reading: what reader lanes work with.
        ballast: the room that is given up for changes of what is there when the disk is full.
    """

    _log = Logger()

    def __init__(
        self, user: str, offload: Offload, lane: Lane, cache: CacheFile, reading: Reading, *, ballast: Ballast
    ) -> None:
        self.user = user
        self.reading = reading
        self.jobs = 0
        """How many jobs the writer lane was ever given that somebody waits for."""
        self._offload = offload
        self._lane = lane
        self._told: deque[News] = lane.batches.told
        self._cache = cache
        self._writer = offload.writer(lane.batches)
        self._cache_writer = offload.writer(cache)
        self._ballast = ballast
        self._ballast_spent = False
        self._troubles = Troubles(user)

    def write(self, job: Callable[Concatenate[Lane, P], T], *args: P.args, **named: P.kwargs) -> Deferred[T]:
        """Do a job of the writer lane; its news are applied when this answers. Cancelling only stops the waiting."""
        self.jobs += 1
        return self.chore(job, *args, **named)

    async def write_in_need(self, job: Callable[Concatenate[Lane, P], T], *args: P.args, **named: P.kwargs) -> T:
        """Do a job like `write` which is to be possible on a full disk too: the ballast goes first."""
        try:
            return await self.write(job, *args, **named)
        except MailError as error:
            if error.kind not in {ErrorKind.DISK_FULL, ErrorKind.OVER_QUOTA}:
                raise
        if not self._ballast_spent:
            self._ballast_spent = True
            self._log.warn("{user}: the disk is full: flags and expunges go on, new mail is refused", user=self.user)
        await self.read(self._ballast.release)
        return await self.write(job, *args, **named)

    async def need_room(self) -> None:
        """Before mail comes in: when the ballast was spent there is to be room for it again.

        Raises:
            MailError: DISK_FULL.
        """
        if self._ballast_spent:
            if not await self.read(self._ballast.ensure):
                raise MailError(ErrorKind.DISK_FULL, "The disk is full")
            self._ballast_spent = False
            self._log.info("{user}: there is room on the disk again", user=self.user)

    def chore(self, job: Callable[Concatenate[Lane, P], T], *args: P.args, **named: P.kwargs) -> Deferred[T]:
        """Do a job of the writer lane like `write`, which nobody waits for."""
        answer: Deferred[T] = Deferred()
        work = self._writer.run(partial(job, self._lane, *args, **named))

        flushed = self._lane.batches.flushed

        def done(result: Any) -> None:
            while self._told:
                self._told.popleft()()
            if isinstance(result, Failure):
                self._troubles.note(result.value)
            elif self._lane.batches.flushed != flushed:
                self._troubles.flushed()
            answer.callback(result)

        work.addBoth(done)
        return answer

    def purge_trash(self) -> Deferred[bool]:
        """Free the space of removed folders, which nobody else works on: some files; True when nothing is left."""
        return self.read(purge_trash, self._lane.root_fd, self._lane.layout, _MOST_PURGED)

    def read(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> Deferred[T]:
        """Do something short in a reader lane."""
        return self._noting(self._offload.read(self.user, function, *args, **named))

    def query(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **named: P.kwargs
    ) -> Deferred[T]:
        """Ask the state something short in a reader lane."""

        def ask() -> T:
            with self.reading.state.reading() as db:
                return function(db, *args, **named)

        return self.read(ask)

    def sliced(self, generator: Generator[None, None, T]) -> Deferred[T]:
        """Do something long in a reader lane, in turns."""
        return self._noting(self._offload.sliced(self.user, generator))

    def _noting(self, work: Deferred[T]) -> Deferred[T]:
        def failed(failure: Failure) -> Failure:
            self._troubles.note(failure.value)
            return failure

        return work.addErrback(failed)

    def slices(self, generator: Generator[T | None, None, None]) -> Slices[T]:
        """The items of a generator that runs in a reader lane."""
        return self._offload.slices(self.user, generator)

    # -- the cache, written behind the answers

    def keep(
        self,
        folder: FolderInfo,
        summaries: Sequence[tuple[int, Summary]],
        fields: Iterable[tuple[tuple[bytes, ...], list[tuple[int, bytes]]]] = (),
    ) -> None:
        """Put into the cache what was worked out."""
        if summaries:
            self._cached(self._cache.put, folder.cache_key, summaries)
        for names, rows in fields:
            self._cached(self._cache.put_fields, folder.cache_key, names, rows)

    def keep_copies(self, folder: FolderInfo, target: FolderInfo, pairs: Sequence[tuple[int, int]]) -> None:
        """Messages were copied: (UID, UID in the target) each, ascending."""
        if pairs:
            self._cached(self._cache.copy, folder.cache_key, target.cache_key, pairs)

    def drop(self, folder: FolderInfo, uids: Sequence[int] | None = None) -> None:
        """These messages, or all of the folder, are gone."""
        if uids is None:
            self._cached(self._cache.remove_folder, folder.cache_key)
        elif uids:
            self._cached(self._cache.remove, folder.cache_key, _runs(uids))

    def kept(self) -> Deferred[None]:
        """Wait until all that was to be kept is in the cache, or it is known that there is no room for it."""
        return self._cache_writer.run(lambda: None).addErrback(self._not_kept)

    def _not_kept(self, failure: Failure) -> None:
        """A cache may lack anything; but that its disk is full is news."""
        failure.trap(sqlite3.Error)
        refused = MailError(ErrorKind.DISK_FULL, "The cache cannot be written")
        refused.__cause__ = failure.value
        self._troubles.note(refused)

    def _cached(self, job: Callable[P, None], *args: P.args, **named: P.kwargs) -> None:
        self._cache_writer.run(job, *args, **named).addErrback(lambda _: None)  # a cache may lack anything


def _runs(uids: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending UIDs as spans without gaps."""
    runs: list[tuple[int, int]] = []
    for uid in uids:
        if runs and runs[-1][1] == uid - 1:
            runs[-1] = (runs[-1][0], uid)
        else:
            runs.append((uid, uid))
    return runs
