"""When folders are looked at, to take note of what other programs did, and who waits for that.

A look is a glance in the writer lane; if that finds the directories changed it is a survey in a reader lane, which is
then applied in the writer lane, a slice at a time. So nobody else waits for a large folder.

A program that changes a large folder without pause would have every command wait for a look. Once looks have shown
that (`restless`), commands are answered with what is known, and looks go on behind, with pauses, until the folder is
quiet. One look proves nothing where it is quick: our own renames may have been in its way.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.index.generation import Generation
from mailpost.storage.maildir import scan, tree
from mailpost.storage.maildir.lane import FolderInfo
from mailpost.storage.maildir.mailbox import MaildirMailbox
from mailpost.storage.maildir.scan import Then
from mailpost.storage.maildir.survey import Survey
from mailpost.storage.maildir.workers import Workers

PATIENCE = 0.04
"""Seconds: looks that take longer, of a folder that is changed meanwhile, are not waited for again and again."""
LARGE = 5000
"""Messages: a look at more of them takes so long that one in the way of which there was something is enough."""
PAUSE_SECONDS = 0.01
"""Of quiet, after which a restless folder is looked at again."""
_MOST_PAUSES = 4
"""Of which none was quiet: then it is looked at in any case."""
_MOST_SURVEYS = 8
"""In one look. More would mean that what is found never settles: the next look goes on."""


class Looking:
    """Looks at the folders of one account.

    Args:
        workers: who does it.
        generation: moved by other processes.
        clock: of the reactor.
        sync: takes note of which folders there are.
        stale: whether something was heard of folders that come and go which is not known yet.
        looked: called with the number of an open folder when it has been looked at.
    """

    _log = Logger()

    def __init__(
        self,
        workers: Workers,
        generation: Generation,
        clock: IReactorTime,
        *,
        sync: Callable[[], Coroutine[Any, Any, None]],
        stale: Callable[[], bool],
        looked: Callable[[int], None],
    ) -> None:
        self._workers = workers
        self._generation = generation
        self._clock = clock
        self._sync = sync
        self._stale = stale
        self._looked = looked
        self._hearing = False
        self._behind: set[Deferred[None]] = set()
        self._closed = False

    def dirty(self, mailbox: MaildirMailbox) -> None:
        """Somebody has changed the directories, perhaps we: have a look, so that idling sessions hear of it."""
        if not mailbox.dirty:
            mailbox.dirty = True
            self._go_on(self.catch_up(mailbox))

    def relist(self, mailbox: MaildirMailbox) -> None:
        """A file was not where it should be: list the folder, whatever its mtimes say."""
        mailbox.dirty = True
        self._workers.chore(scan.relist, mailbox.folder.number).addErrback(lambda _: None)  # it is gone, or closing
        self._go_on(self.catch_up(mailbox))

    def committed(self) -> None:
        """The generation has moved, mostly by our own hand: what another process did, idling sessions are told."""
        if self._generation.moved and not self._hearing:
            self._hearing = True
            self._workers.chore(tree.nothing).addBoth(self._heard)

    def _heard(self, _: object) -> None:
        self._hearing = False

    async def catch_up(self, mailbox: MaildirMailbox) -> None:
        """Take note of what other programs and processes did; answers at once when they did nothing."""
        if mailbox.restless:
            return
        if mailbox.watch is not None and not mailbox.watch.up_to_date():
            mailbox.dirty = True
        if self._stale():  # an open directory is not heard of when it is removed: the one above tells
            await self._sync()
        while mailbox.looking is not None:
            waiting: Deferred[None] = Deferred()
            mailbox.looking.append(waiting)
            await waiting
        if mailbox.restless or mailbox.live.gone or not (mailbox.dirty or self._generation.moved):
            return
        asked: Deferred[None] = Deferred()
        mailbox.looking = [asked]
        self._go_on(self._look(mailbox, mailbox.looking))
        await asked

    async def _look(self, mailbox: MaildirMailbox, waiters: list[Deferred[None]]) -> None:
        """Look at an open folder, until it is quiet if it is restless; that keeps nobody waiting."""
        begun = self._clock.seconds()
        unsteady = 0
        problem: Failure | None = None

        def surveyed(found: Survey) -> None:
            nonlocal unsteady
            unsteady = 0 if found.steady else unsteady + (self._clock.seconds() - begun > PATIENCE)
            if unsteady > (len(found.seen) < LARGE) and not mailbox.restless:
                mailbox.restless = True
                self._wake(mailbox, waiters)

        try:
            again = True
            while again:
                mailbox.dirty = False
                steady = await self.look(mailbox.folder, waited=False, surveyed=surveyed)
                self._looked(mailbox.folder.number)
                gone = mailbox.live.gone or mailbox.watch is None or self._closed
                again = not (steady or gone) and unsteady > 0
                if again and mailbox.restless:
                    await self._until_quiet(mailbox)
        except MailError as error:
            mailbox.dirty = True
            if error.kind is not ErrorKind.NO_SUCH_FOLDER:
                problem = Failure()
            else:
                await self._sync()  # it is gone: then `live` says so
        except Exception:  # a bug: whoever asked for the look has it logged, if anybody still waits
            problem = Failure()
            if not waiters:
                self._log.failure("looking at {name} failed", failure=problem, name=mailbox.name)
        missed = mailbox.restless and mailbox.dirty
        mailbox.restless = False
        self._wake(mailbox, waiters, problem)
        if missed:
            await self.catch_up(mailbox)

    @staticmethod
    def _wake(mailbox: MaildirMailbox, waiters: list[Deferred[None]], problem: Failure | None = None) -> None:
        """Let those go on who wait for a look. What went wrong is told to who asked for it; the others ask again."""
        if mailbox.looking is waiters:
            mailbox.looking = None
        waiting, waiters[:] = list(waiters), []
        for waiter in waiting:
            waiter.callback(problem)  # a Failure goes to the errbacks
            problem = None

    async def _until_quiet(self, mailbox: MaildirMailbox) -> None:
        """Wait until nothing more is heard from the directories, but not for long."""
        for _ in range(_MOST_PAUSES):
            mailbox.dirty = False
            pause: Deferred[None] = Deferred()
            self._clock.callLater(PAUSE_SECONDS, pause.callback, None)
            await pause
            if mailbox.watch is not None and mailbox.watch.up_to_date() and not mailbox.dirty:
                return

    async def look(
        self,
        folder: FolderInfo,
        *,
        doubt: bool = False,
        waited: bool = True,
        surveyed: Callable[[Survey], None] = lambda found: None,
    ) -> bool:
        """Look at a folder.

        Args:
            folder: which.
            doubt: as for `scan.glance`.
            waited: whether somebody waits for it (`Workers.write`).
            surveyed: told of each survey before it is applied.

        Returns:
            Whether it stood still meanwhile, so that all is known.
        """
        workers, number = self._workers, folder.number
        job = workers.write if waited else workers.chore
        steady = True
        for _ in range(_MOST_SURVEYS):
            while (then := await job(scan.glance, number, doubt)) is Then.THE_SAME:
                pass
            if then is Then.NOTHING:
                return steady
            found = await workers.sliced(workers.reading.survey(folder))
            steady = found.steady
            surveyed(found)
            while (then := await job(scan.apply, number, found)) is Then.THE_SAME:
                pass
            if then is Then.NOTHING:
                return steady
        return False

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this behind; what goes wrong the next command tells."""
        going = Deferred.fromCoroutine(work)
        self._behind.add(going)
        going.addBoth(lambda _: self._behind.discard(going))

    async def close(self) -> None:
        """Look no more."""
        self._closed = True
        while self._behind:
            await next(iter(self._behind))
