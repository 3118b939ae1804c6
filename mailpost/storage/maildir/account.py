"""One person's Maildir: its folders, who has them open, and the lanes through which all work on it goes.

Every change is a job of the account's writer lane. What changed comes back as news, in the order of the commits, and
is applied to the live mailboxes before anybody is answered.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import RECENT, intern_flags
from mailpost.mail.foldertree import INBOX
from mailpost.mail.summary import Summariser, Summary
from mailpost.storage.changehub import ChangeHub
from mailpost.storage.index.messages import Spans
from mailpost.storage.interfaces import IMailAccount
from mailpost.storage.live import LiveMailbox
from mailpost.storage.maildir import counting, scan, tree, writing
from mailpost.storage.maildir.batch import Batches
from mailpost.storage.maildir.delivery import Spool
from mailpost.storage.maildir.lane import FolderInfo, Lane
from mailpost.storage.maildir.layout import Layout
from mailpost.storage.maildir.mailbox import MaildirMailbox
from mailpost.storage.maildir.opening import OpenedFiles
from mailpost.storage.maildir.reading import Reading
from mailpost.storage.maildir.registry import Registry
from mailpost.storage.maildir.spool import MaildirSpool
from mailpost.storage.maildir.upkeep import Upkeep
from mailpost.storage.maildir.watch import Watcher
from mailpost.storage.maildir.writing import Incoming
from mailpost.storage.offload import Offload, Slices
from mailpost.storage.records import Appended, Copied, Folder, NewMessage, SpecialUse, Status

T = TypeVar("T")
P = ParamSpec("P")

MOST_WARM = 8
"""Folders of one account whose columns stay in memory although nobody has them open."""
_EVERYTHING = (1, 0xFFFF_FFFF)


@implementer(IMailAccount)
class MaildirAccount:
    """An open account; made by `MaildirStore`.

    Args:
        user: whose it is.
        opened: its files.
        layout: how folders are named on the disk.
        offload: the threads.
        watcher: of directories.
        clock: of the reactor.
        summariser: octets -> summary.
        released: called when the last one has released it.
    """

    def __init__(
        self,
        user: str,
        opened: OpenedFiles,
        *,
        layout: Layout,
        offload: Offload,
        watcher: Watcher,
        clock: IReactorTime,
        summariser: Summariser,
        released: Callable[[MaildirAccount], None],
    ) -> None:
        self.user = user
        self.separator = layout.separator
        self.uses = 0
        self.jobs = 0
        """How many jobs the writer lane was ever given."""
        self._opened = opened
        self._offload = offload
        self._watcher = watcher
        self._released = released
        self.hub = ChangeHub(lambda work: clock.callLater(0, work))
        self.upkeep = Upkeep(self, clock)
        self.registry = Registry(
            layout.separator, self.hub, opened=self._mailbox, changed=self.upkeep.changed, found=self._came_in
        )
        batches = Batches(opened.state, opened.generation)
        self._told = batches.told
        self._lane = Lane(opened.root_fd, layout, batches, self.registry)
        self._writer = offload.writer(batches)
        self._cache_writer = offload.writer(opened.cache)
        self._warm: OrderedDict[int, None] = OrderedDict()
        self.reading = Reading(opened.state_readers, opened.cache_readers, self._lane.files, summariser)

    # -- the lanes

    def write(self, job: Callable[Concatenate[Lane, P], T], *args: P.args, **named: P.kwargs) -> Deferred[T]:
        """Do a job of the writer lane; its news are applied when this answers. Cancelling only stops the waiting."""
        self.jobs += 1
        answer: Deferred[T] = Deferred()
        work = self._writer.run(partial(job, self._lane, *args, **named))

        def done(result: Any) -> None:
            while self._told:
                self._told.popleft()()
            answer.callback(result)

        work.addBoth(done)
        return answer

    def read(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> Deferred[T]:
        """Do something short in a reader lane."""
        return self._offload.read(self.user, function, *args, **named)

    def sliced(self, generator: Generator[None, None, T]) -> Deferred[T]:
        """Do something long in a reader lane, in turns."""
        return self._offload.sliced(self.user, generator)

    def slices(self, generator: Generator[T | None, None, None]) -> Slices[T]:
        """The items of a generator that runs in a reader lane."""
        return self._offload.slices(self.user, generator)

    def keep(
        self,
        folder: FolderInfo,
        summaries: Sequence[tuple[int, Summary]],
        fields: Iterable[tuple[tuple[bytes, ...], list[tuple[int, bytes]]]],
    ) -> None:
        """Put what was worked out into the cache, behind the answer."""
        cache, key = self._opened.cache, folder.cache_key
        if summaries:
            self._cached(cache.put, key, summaries)
        for names, rows in fields:
            self._cached(cache.put_fields, key, names, rows)

    def kept(self) -> Deferred[None]:
        """Wait until all that was to be kept is in the cache."""
        return self._cache_writer.run(lambda: None)

    def _cached(self, job: Callable[P, None], *args: P.args, **named: P.kwargs) -> None:
        self._cache_writer.run(job, *args, **named).addErrback(lambda _: None)  # a cache may lack anything

    # -- opening and closing

    async def begin(self, defaults: Mapping[str, SpecialUse | None]) -> None:
        """The first thing to be done with a new object: find the folders, finish what was interrupted."""
        behind = await self.write(tree.open_account, defaults if self._opened.is_new else None)
        for number in behind:
            self.upkeep.changed(number)
        self.upkeep.folder_removed()

    async def sync(self) -> None:
        """Take note of folders that other programs made or removed."""
        await self.write(tree.sync_tree)

    async def close(self) -> None:
        """Write all that is behind and free everything."""
        for mailbox in self.registry.mailboxes.values():
            mailbox.close()
        try:
            await self.upkeep.close()
            await self.kept()
        finally:
            await self._offload.read(self.user, self._close)

    def _close(self) -> None:
        self._lane.close()
        self._opened.close()

    def release(self) -> None:
        """One of those who opened it is done."""
        self.uses -= 1
        self._released(self)

    # -- folders

    def folders(self) -> list[Folder]:
        """All folders."""
        return self.registry.folders()

    def subscriptions(self) -> frozenset[str]:
        """All subscribed names."""
        return self.registry.subscriptions

    async def subscribe(self, name: str, subscribed: bool) -> None:
        """Put a name on the list or take it off."""
        if subscribed and not self.registry.known(name):
            raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such folder")
        await self.write(tree.subscribe, name, subscribed)

    async def create(self, name: str, special_use: SpecialUse | None = None) -> Folder:
        """Make a folder."""
        await self.write(tree.create, name, special_use)
        info = self.registry.selectable(name)
        return Folder(info.name, True, info.special_use, info.mailbox_id)

    async def delete(self, name: str) -> None:
        """Delete a folder."""
        info = self.registry.find(name)
        await self.write(tree.delete, name)
        if info is not None:
            self._cached(self._opened.cache.remove_folder, info.cache_key)
        self.upkeep.folder_removed()

    async def rename(self, old: str, new: str) -> None:
        """Rename a folder and those below it; INBOX's messages are moved."""
        info = self.registry.find(old)
        if info is not None and info.name == INBOX:
            await self.write(tree.create, new, None)
            await self.copy(info, [_EVERYTHING], new, True, None)
            return
        await self.write(tree.rename, old, new)

    # -- open folders

    async def open(self, name: str) -> MaildirMailbox:
        """Open a folder; quick when it is warm."""
        try:
            info = self.registry.selectable(name)
        except MailError:
            await self.sync()  # another program may have made it just now
            info = self.registry.selectable(name)
        mailbox = self.registry.mailboxes.get(info.number)
        if mailbox is None:
            await self.write(scan.load, info.number)
            mailbox = self.registry.mailboxes.get(info.number)
            if mailbox is None:
                raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such folder")
        mailbox.uses += 1
        self._warm.pop(info.number, None)
        try:
            await self.refresh(mailbox)
        except BaseException:
            mailbox.release()
            raise
        return mailbox

    def _mailbox(self, info: FolderInfo, live: LiveMailbox) -> MaildirMailbox:
        """A folder's columns have come: watch its directories from now on."""
        mailbox = MaildirMailbox(self, info, live)
        place = f"{self._opened.root}/{info.directory}"
        mailbox.watch = self._watcher.watch([f"{place}/cur", f"{place}/new"], partial(self._dirty, mailbox))
        self._came_in(info.number, live.uids)
        return mailbox

    def _dirty(self, mailbox: MaildirMailbox) -> None:
        """Somebody has changed the directories, perhaps we: have a look, so that idling sessions hear of it."""
        if not mailbox.dirty:
            mailbox.dirty = True
            Deferred.fromCoroutine(self.refresh(mailbox)).addErrback(lambda _: None)  # the next command will tell

    async def refresh(self, mailbox: MaildirMailbox) -> None:
        """Take note of what other programs and processes did; answers at once when they did nothing."""
        while mailbox.looking is not None:
            waiting: Deferred[None] = Deferred()
            mailbox.looking.append(waiting)
            await waiting
        if mailbox.live.gone or not (mailbox.dirty or self._opened.generation.moved):
            return
        mailbox.dirty = False
        mailbox.looking = []
        try:
            await self.write(scan.look, mailbox.folder.number)
        except MailError as error:
            mailbox.dirty = True
            if error.kind is not ErrorKind.NO_SUCH_FOLDER:
                raise
            await self.sync()  # it is gone: then `live` says so
        finally:
            waiters, mailbox.looking = mailbox.looking, None
            for waiter in waiters:
                waiter.callback(None)

    def released(self, mailbox: MaildirMailbox) -> None:
        """A mailbox has one user less: with none it stays warm, unless too many are."""
        if mailbox.recent_claimed:
            self.upkeep.changed(mailbox.folder.number)
        if mailbox.uses or mailbox.live.gone:
            return
        self._warm[mailbox.folder.number] = None
        while len(self._warm) > MOST_WARM:
            number, _ = self._warm.popitem(last=False)
            cold = self.registry.mailboxes.pop(number, None)
            if cold is not None:
                cold.close()
                self.write(scan.unload, number, cold.live.first_recent).addErrback(lambda _: None)  # closing anyway

    def _came_in(self, number: int, uids: Sequence[int]) -> None:
        self.upkeep.fresh(number, [(uid, None) for uid in uids])

    async def status(self, name: str) -> Status:
        """Counts of a folder, up to date with outside changes."""
        info = self.registry.selectable(name)
        mailbox = self.registry.mailboxes.get(info.number)
        if mailbox is not None:
            await self.refresh(mailbox)
            counts = self.registry.statuses.get(info.number)
            if counts is None or counts.recent != mailbox.recent:
                counts = mailbox.status(await self._size(info, len(mailbox.live.uids)))
        else:
            await self.write(scan.look, info.number)
            counts = self.registry.statuses.get(info.number)
            if counts is None:
                rough = await self.write(counting.count, info.number)
                counts = counting.with_size(rough, await self._size(info, rough.messages))
        self.registry.statuses[info.number] = counts
        return counts

    async def _size(self, info: FolderInfo, messages: int) -> int:
        size, made = await self.sliced(counting.total_size(self.reading, info, messages))
        self.keep(info, made, ())
        return size

    # -- messages

    def spool(self, expected: int) -> MaildirSpool:
        """Begin to receive a message."""
        return MaildirSpool(self.read, self._spool_file)

    def _spool_file(self) -> tuple[Spool, object]:
        inbox = self.registry.selectable(INBOX)
        files = self._lane.files(inbox.number, inbox.directory)
        return Spool(files.tmp), files

    async def append(self, name: str, messages: Sequence[NewMessage], origin: object | None = None) -> Appended:
        """Add messages, all or none."""
        info = self.registry.selectable(name)
        incoming = [await self._incoming(message) for message in messages]
        if not incoming:
            return Appended(0, ())
        appended = await self.write(writing.append, info.number, incoming, origin)
        octets = [one.octets if isinstance(one.octets, bytes) else None for one in incoming]
        self.upkeep.fresh(info.number, list(zip(appended.uids, octets, strict=True)))
        return appended

    async def _incoming(self, message: NewMessage) -> Incoming:
        octets = message.octets
        if isinstance(octets, MaildirSpool):
            whole = await octets.finished()
        elif isinstance(octets, bytes):
            whole = octets
        else:
            raise TypeError("this spool is of another store")
        date = int(time.time()) if message.internaldate is None else message.internaldate
        return Incoming(whole, intern_flags(message.flags - {RECENT}), date)

    async def copy(self, source: FolderInfo, spans: Spans, target: str, move: bool, origin: object | None) -> Copied:
        """Copy or move messages."""
        to = self.registry.selectable(target)
        copied = await self.write(writing.copy, source.number, to.number, spans, move=move, origin=origin)
        pairs = list(zip(copied.source_uids, copied.target_uids, strict=True))
        if pairs:
            self._cached(self._opened.cache.copy, source.cache_key, to.cache_key, pairs)
            if move:
                self._cached(self._opened.cache.remove, source.cache_key, _runs(copied.source_uids))
        return copied

    async def expunge(self, folder: FolderInfo, spans: Spans | None, origin: object | None) -> list[int]:
        """Remove messages with \\Deleted; on a full disk the ballast goes first."""
        try:
            gone = await self.write(writing.expunge, folder.number, spans, origin)
        except MailError as error:
            if error.kind not in {ErrorKind.DISK_FULL, ErrorKind.OVER_QUOTA}:
                raise
            await self.read(self._opened.ballast.release)
            gone = await self.write(writing.expunge, folder.number, spans, origin)
        if gone:
            self._cached(self._opened.cache.remove, folder.cache_key, _runs(gone))
        return gone


def _runs(uids: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending UIDs as spans without gaps."""
    runs: list[tuple[int, int]] = []
    for uid in uids:
        if runs and runs[-1][1] == uid - 1:
            runs[-1] = (runs[-1][0], uid)
        else:
            runs.append((uid, uid))
    return runs
