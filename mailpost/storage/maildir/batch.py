"""The runner of an account's writer lane: one transaction, one flush and one word to other processes a batch.

What jobs want done once for all of them they note here: directories to be flushed before the commit, files to be
unlinked after it, and news for the reactor, in the order of the changes. A job that fails takes its news with it.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.failpoints import passed
from mailpost.storage.index.generation import Generation
from mailpost.storage.index.state import StateFile
from mailpost.storage.maildir.files import fsync_directory, mail_errors

T = TypeVar("T")

News = Callable[[], object]


class Batches:
    """Runs the batches of one account.

    Args:
        state: the account's state.
        generation: told of every batch that changed something.
    """

    def __init__(self, state: StateFile, generation: Generation) -> None:
        self.state = state
        self.db = state.db
        self._generation = generation
        self._version = self._data_version()
        self._noted = generation.seen
        self._changes = 0
        self._durable = False
        self._directories: dict[int, object] = {}
        self._afterwards: list[Callable[[], object]] = []
        self._undo: list[Callable[[], object]] = []
        self._news: list[News] = []
        self._marks = 0, 0, 0
        self.jobs = 0
        """How many jobs have begun: within one of them a thing that costs a look at the disk is looked at once."""
        self.flushed = 0
        """How many batches have made files in the tree and were committed."""
        self._makes = self._made = False
        self.told: deque[News] = deque()
        """News of committed batches, to be called in the reactor, oldest first."""
        self.foreign: Callable[[], None] = lambda: None
        """Called at the start of a batch when another process has committed since the last one."""
        self.doubt: Callable[[], None] = lambda: None
        """Called when something was rolled back: what is in memory may not be what is in the state."""

    # -- for jobs

    def durable(self, fd: int | None = None, held: object = None) -> None:
        """Let this batch survive a power cut, with the entries of a directory; `held` keeps the descriptor open."""
        self._durable = True
        if fd is not None:
            self._makes = True
            self._directories[fd] = held

    def afterwards(self, work: Callable[[], object]) -> None:
        """Do this when the batch has been committed, before anybody is answered. It raises nothing."""
        self._afterwards.append(work)

    def undo(self, work: Callable[[], object]) -> None:
        """Do this if the job, or the whole batch, fails: files that were made must not be taken for messages."""
        self._undo.append(work)

    def news(self, item: News) -> None:
        """Call this in the reactor when the batch has been committed."""
        self._news.append(item)

    # -- for the lane

    def begin(self) -> None:
        """Begin the transaction, and take note of what other processes did."""
        with self.state.errors():
            self.db.execute("BEGIN IMMEDIATE")
            self._changes = self.db.total_changes
            value = self._generation.value  # first: what is committed later than this shows as moved
            version = self._data_version()
            if version != self._version:
                self._version = version
                self.doubt()
                self.foreign()
            if value != self._noted:
                self._tell_noted(value)

    def run(self, job: Callable[[], T]) -> T:
        """Do one job in a savepoint."""
        self._marks = len(self._news), len(self._afterwards), len(self._undo)
        self._makes = False
        self.jobs += 1
        with mail_errors(), self.state.errors():
            self.db.execute("SAVEPOINT job")
            try:
                value = job()
            except BaseException:  # raised again, with nothing left of the job
                news, afterwards, undo = self._marks
                del self._news[news:], self._afterwards[afterwards:]
                with suppress(sqlite3.Error):  # a full disk may have ended the transaction: then commit says so
                    self.db.execute("ROLLBACK TO job")
                    self.db.execute("RELEASE job")
                self._undo_from(undo)
                self.doubt()
                raise
            self.db.execute("RELEASE job")
            self._made = self._made or self._makes
            return value

    def commit(self) -> None:
        """Flush directories, commit, flush the log if anybody wants that, tell other processes, unlink."""
        if not self.db.in_transaction:
            raise MailError(ErrorKind.UNAVAILABLE, "The server could not write, try again later")
        with mail_errors(), self.state.errors():
            for fd in self._directories:
                fsync_directory(fd)
            passed("batch.flushed")
            self.db.execute("COMMIT")
            passed("batch.committed")
            if self._durable:
                self.state.harden()
                passed("batch.hardened")
        if self.db.total_changes != self._changes:
            self._tell_others()
            self.flushed += self._made
        passed("batch.told")
        afterwards = self._afterwards
        self.told.extend(self._news)
        self._reset()
        for work in afterwards:
            work()

    def _tell_others(self) -> None:
        try:
            value = self._generation.bump()
        except OSError:  # a read-only disk: all that was changed has been rolled back
            return
        if self._data_version() == self._version:  # else somebody was between: it stays moved, the next begin looks
            self._tell_noted(value)

    def divide(self) -> None:
        """In a job: commit, durably, what it and those before it have done so far, and go on in a new transaction.

        What the job holds of rows is to be read again, since another process may have been between.
        """
        self._durable = True
        self.db.execute("RELEASE job")
        self.commit()
        passed("intent.noted")
        self._marks = 0, 0, 0
        self.jobs += 1
        self.begin()
        self.db.execute("SAVEPOINT job")

    def abort(self) -> None:
        """Undo what is left of a batch."""
        with suppress(sqlite3.Error):  # nothing was begun, or the failure has ended it
            self.db.execute("ROLLBACK")
        self._undo_from(0)
        self._reset()
        self._version, self._noted = -1, b""  # what others did has been told to nobody
        self.doubt()

    def _tell_noted(self, value: bytes) -> None:
        """Have the generation noted behind the news that belong to it: until then commands wait for the lane."""
        self._noted = value
        self._news.append(partial(self._generation.note, value))

    def _undo_from(self, place: int) -> None:
        """Call what was registered from here on, the last first."""
        while len(self._undo) > place:
            with suppress(OSError, sqlite3.Error):  # what is left behind is found when the account is opened next
                self._undo.pop()()

    def _reset(self) -> None:
        self._durable = self._made = False
        self._directories = {}
        self._afterwards = []
        self._undo = []
        self._news = []

    def _data_version(self) -> int:
        row: tuple[int] = self.db.execute("PRAGMA data_version").fetchone()
        return row[0]
