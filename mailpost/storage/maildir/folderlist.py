"""Which folders an account has, whoever makes and removes them: other programs, other processes, our own clients.

While somebody has the account open, the directories in which folders come and go are watched. What is heard there
causes a look behind (so that sessions are told which wait for nothing), and whoever asks for the folders meanwhile
has a look of his own. Without inotify a list of folders causes one now and then.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.maildir import tree
from mailpost.storage.maildir.directories import folder_places
from mailpost.storage.maildir.lane import FolderInfo
from mailpost.storage.maildir.layout import Layout
from mailpost.storage.maildir.opening import OpenedFiles
from mailpost.storage.maildir.placeswatch import PlacesWatch
from mailpost.storage.maildir.registry import Registry
from mailpost.storage.maildir.watch import Watcher
from mailpost.storage.maildir.workers import Workers
from mailpost.storage.records import Folder, SpecialUse

LOOK_SECONDS = 2.0
"""How old the knowledge of which folders there are may be before a list of them causes a look."""
PAUSE_SECONDS = 0.02
"""Between two looks that follow each other: a program that makes many folders is not looked at for each."""
MOST_PLACES = 256
"""Directories of one account that are watched for folders that come and go. What is made in others is found later."""


class FolderList:
    """The folders of one account.

    Args:
        opened: the account's files.
        layout: how folders are named on the disk.
        registry: what is known of folders.
        workers: who does the work.
        watcher: of directories.
        clock: of the reactor.
    """

    _log = Logger()

    def __init__(
        self,
        opened: OpenedFiles,
        layout: Layout,
        *,
        registry: Registry,
        workers: Workers,
        watcher: Watcher,
        clock: IReactorTime,
    ) -> None:
        self._opened = opened
        self._layout = layout
        self._registry = registry
        self._workers = workers
        self._watcher = watcher
        self._clock = clock
        self._looked = clock.seconds()
        self._watch: PlacesWatch | None = None
        self._heard = 0
        """Counts what was heard."""
        self._known = 0
        """Up to which count all is known."""
        self._going: Deferred[None] | None = None

    # -- watching

    def watch(self) -> None:
        """Somebody has the account open: hear of folders that come and go. A look is to follow."""
        if self._watch is None:
            self._watch = PlacesWatch(self._watcher, self._hear)
            self._watch.follow([self._opened.root])
            self._go_on()

    def unwatch(self) -> None:
        """Nobody has the account open: hear of nothing."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _hear(self) -> None:
        self._heard += 1
        self._go_on()

    def _go_on(self) -> None:
        if self._going is None:
            self._going = Deferred.fromCoroutine(self._look_behind())
            self._going.addBoth(self._gone_on)

    def _gone_on(self, result: Any) -> None:
        self._going = None
        # What workers tell of by themselves needs no other word; the next list of folders has a look again.
        if isinstance(result, Failure) and not result.check(MailError):
            self._log.failure("looking for folders of {user} failed", failure=result, user=self._workers.user)

    async def _look_behind(self) -> None:
        """Watch the places there are, and look, until nothing new has been heard meanwhile."""
        while (watch := self._watch) is not None:
            places = await self._workers.read(folder_places, self._opened.root_fd, self._layout, MOST_PLACES)
            if self._watch is not watch:
                continue
            if watch.follow([f"{self._opened.root}/{place}" for place in places]):
                self._heard += 1  # something may have been made there just before
            if self._known == self._heard:
                return
            await self._sync(waited=False)
            await self._pause()

    def _pause(self) -> Deferred[None]:
        pause: Deferred[None] = Deferred()
        self._clock.callLater(PAUSE_SECONDS, pause.callback, None)
        return pause

    async def sync(self) -> None:
        """Take note of folders that other programs made or removed."""
        await self._sync(waited=True)

    async def _sync(self, *, waited: bool) -> None:
        heard, self._looked = self._heard, self._clock.seconds()
        await (self._workers.write if waited else self._workers.chore)(tree.sync_tree)
        self._known = max(self._known, heard)

    def is_stale(self) -> bool:
        """Whether something was heard that is not known yet."""
        return self._known != self._heard

    @property
    def _is_news(self) -> bool:
        """Whether something has happened up to this moment that is not known yet."""
        if self._watch is not None:
            self._watch.hear()
        return self.is_stale()

    async def refresh(self) -> None:
        """Take note of what other processes did to folders, and of what other programs did."""
        if self._clock.seconds() - self._looked > LOOK_SECONDS:
            await self.sync()
            if self._watch is not None:
                self._go_on()  # there may be other places now
        elif self._is_news or self._going is not None:  # what is new is watched only when that has ended
            await self.sync()
        elif self._opened.generation.moved:
            await self._workers.chore(tree.nothing)  # a batch begins with what others committed

    async def close(self) -> None:
        """Look no more."""
        self.unwatch()
        while self._going is not None:
            await self._going

    # -- folders

    async def known(self, name: str) -> FolderInfo:
        """The folder of this name, which another program may have made or removed just now."""
        if self._is_news:
            await self.sync()
        try:
            return self._registry.selectable(name)
        except MailError:
            await self.sync()
            return self._registry.selectable(name)

    async def subscribe(self, name: str, subscribed: bool) -> None:
        """Put a name on the list or take it off."""
        if subscribed and not self._registry.known(name):
            raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such folder")
        await self._workers.write(tree.subscribe, name, subscribed)

    async def create(self, name: str, special_use: SpecialUse | None = None) -> Folder:
        """Make a folder."""
        await self._workers.write(tree.create, name, special_use)
        info = self._registry.selectable(name)
        return Folder(info.name, True, info.special_use, info.mailbox_id)

    async def delete(self, name: str) -> None:
        """Delete a folder; its files are to be freed behind."""
        info = self._registry.find(name)
        await self._workers.write(tree.delete, name)
        if info is not None:
            self._workers.drop(info)

    async def rename(self, old: str, new: str) -> None:
        """Rename a folder and those below it."""
        await self._workers.write(tree.rename, old, new)
