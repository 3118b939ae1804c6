"""One person's Maildir: its folders, who has them open, and the lanes through which all work on it goes.

Every change is a job of the account's writer lane. What changed comes back as news, in the order of the commits, and
is applied to the live mailboxes before anybody is answered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import DELETED
from mailpost.mail.foldertree import INBOX
from mailpost.mail.summary import Summariser
from mailpost.storage.changehub import ChangeHub
from mailpost.storage.index import usage
from mailpost.storage.index.messages import Spans
from mailpost.storage.interfaces import IMailAccount, IMaildropAccount, ISharedAccount
from mailpost.storage.live import LiveMailbox
from mailpost.storage.maildir import counting, loading, tree, writing
from mailpost.storage.maildir.batch import Batches
from mailpost.storage.maildir.delivery import Spool
from mailpost.storage.maildir.folderlist import FolderList
from mailpost.storage.maildir.lane import FolderInfo, Lane
from mailpost.storage.maildir.layout import Layout
from mailpost.storage.maildir.looking import Looking
from mailpost.storage.maildir.mailbox import MaildirMailbox
from mailpost.storage.maildir.maildrop import MaildirMaildrop, open_maildrop
from mailpost.storage.maildir.opening import OpenedFiles
from mailpost.storage.maildir.reading import Reading
from mailpost.storage.maildir.registry import Registry
from mailpost.storage.maildir.room import Room
from mailpost.storage.maildir.spool import MaildirSpool, incoming_message
from mailpost.storage.maildir.upkeep import Upkeep
from mailpost.storage.maildir.watch import Watcher
from mailpost.storage.maildir.workers import Workers
from mailpost.storage.offload import Offload
from mailpost.storage.records import Appended, Copied, Folder, NewMessage, QuotaLimit, SpecialUse, Status, Usage

MOST_WARM = 8
"""Folders of one account whose columns stay in memory although nobody has them open."""
_MOST_READ = 3
"""Times that columns are read while others change them; then it is done where nobody can."""
_EVERYTHING = (1, 0xFFFF_FFFF)


@implementer(IMailAccount, IMaildropAccount, ISharedAccount)
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
        quota: how much it may hold, asked each time.
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
        quota: Callable[[], QuotaLimit],
        released: Callable[[MaildirAccount], None],
    ) -> None:
        self.user = user
        self.separator = layout.separator
        self.uses = 0
        self.hub = ChangeHub(lambda work: clock.callLater(0, work))
        self.registry = Registry(
            layout.separator,
            self.hub,
            opened=self._mailbox,
            changed=self._changed,
            found=self._found,
        )
        self._opened = opened
        self._watcher = watcher
        self._released = released
        self._lane = Lane(opened.root_fd, layout, Batches(opened.state, opened.generation), self.registry)
        reading = Reading(opened.state_readers, opened.cache_readers, self._lane.files, summariser)
        self.workers = Workers(user, offload, self._lane, opened.cache, reading, ballast=opened.ballast)
        self._warm: OrderedDict[int, None] = OrderedDict()
        self._list = FolderList(
            opened, layout, registry=self.registry, workers=self.workers, watcher=watcher, clock=clock
        )
        self._looking = Looking(
            self.workers, opened.generation, clock, sync=self.sync, stale=self._list.is_stale, looked=self._watch_again
        )
        self.upkeep = Upkeep(self.workers, self.registry, self._looking, clock)
        self._room = Room(self.workers, self.registry, self._looking, quota)
        self._others = watcher.watch_file(opened.generation.path, self._looking.committed)

    # -- opening and closing

    async def begin(self, defaults: Mapping[str, SpecialUse | None]) -> None:
        """The first thing to be done with a new object: find the folders, finish what was interrupted."""
        self._list.watch()
        wanted = defaults if self._opened.is_new else None
        behind = await self.workers.write(tree.open_account, wanted, self._opened.continues, self._opened.is_clean)
        for number in behind:
            self.upkeep.changed(number)
        self.upkeep.folder_removed()

    async def wake(self) -> None:
        """Somebody uses it again: hear from now on of what others do to folders, and of what they did meanwhile."""
        self._list.watch()
        await self.sync()

    async def sync(self) -> None:
        """Take note of folders that other programs made or removed."""
        await self._list.sync()

    async def close(self) -> None:
        """Write all that is behind and free everything."""
        self._others.stop()
        for mailbox in self.registry.mailboxes.values():
            mailbox.close()
        try:
            await self._list.close()
            await self._looking.close()
            await self.upkeep.close()
            await self.workers.kept()
            await self.workers.write(tree.nothing)  # whatever was asked for before has been done
        finally:
            await self.workers.read(self._close)

    def _close(self) -> None:
        self._lane.close()
        self._opened.close()

    def release(self) -> None:
        """One of those who opened it is done."""
        self.uses -= 1
        if not self.uses:
            self._list.unwatch()
        self._released(self)

    # -- folders

    async def refresh(self) -> None:
        """Take note of what other processes and other programs did to folders."""
        await self._list.refresh()

    def folders(self) -> list[Folder]:
        """All folders, as they were when anybody looked last."""
        return self.registry.folders()

    def subscriptions(self) -> frozenset[str]:
        """All subscribed names."""
        return self.registry.subscriptions

    async def subscribe(self, name: str, subscribed: bool) -> None:
        """Put a name on the list or take it off."""
        await self._list.subscribe(name, subscribed)

    async def create(self, name: str, special_use: SpecialUse | None = None) -> Folder:
        """Make a folder."""
        return await self._list.create(name, special_use)

    async def delete(self, name: str) -> None:
        """Delete a folder."""
        await self._list.delete(name)
        self.upkeep.folder_removed()

    async def rename(self, old: str, new: str) -> None:
        """Rename a folder and those below it; INBOX's messages are moved."""
        info = self.registry.find(old)
        if info is not None and info.name == INBOX:
            await self.create(new)
            await self.copy(info, [_EVERYTHING], new, True, None)
        else:
            await self._list.rename(old, new)

    # -- open folders

    async def open(self, name: str) -> MaildirMailbox:
        """Open a folder; quick when it is warm."""
        mailbox = await self._open(name)
        if mailbox is None:  # it was another program's to remove, which may have made another of this name
            await self.sync()
            mailbox = await self._open(name)
        if mailbox is None:
            raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such folder")
        return mailbox

    async def _open(self, name: str) -> MaildirMailbox | None:
        """The folder that has this name; None if it turns out to be gone."""
        info = await self._list.known(name)
        mailbox = self.registry.mailboxes.get(info.number)
        if mailbox is None:
            await self._load(info)
            mailbox = self.registry.mailboxes.get(info.number)
            if mailbox is None:
                return None
        mailbox.uses += 1
        self._warm.pop(info.number, None)
        try:
            await self.catch_up(mailbox)
        except BaseException:  # cancelled too: raised again, with the mailbox given back
            mailbox.release()
            raise
        if mailbox.live.gone:
            mailbox.release()
            return None
        return mailbox

    async def maildrop(self) -> MaildirMaildrop:
        """INBOX for a POP3 session, locked until it is released."""
        return await open_maildrop(
            self.workers, self._opened.maildrop_lock, self._lane.files, partial(self.open, INBOX)
        )

    async def _load(self, info: FolderInfo) -> None:
        """Bring a folder up to date and its columns into memory."""
        await self._looking.look(info)
        for _ in range(_MOST_READ):
            known = await self.workers.read(loading.columns, self._opened.state_readers, info.number)
            if known is None or await self.workers.write(loading.load, info.number, known):
                return
        await self.workers.write(loading.load, info.number)

    def _mailbox(self, info: FolderInfo, live: LiveMailbox) -> MaildirMailbox:
        """A folder's columns have come: watch its directories from now on."""
        mailbox = MaildirMailbox(self, self.workers, info, live)
        self._watch(mailbox)
        self._found(info.number, live.uids)
        return mailbox

    def _watch(self, mailbox: MaildirMailbox) -> None:
        """Watch the directories that are a folder's now."""
        if mailbox.watch is not None:
            mailbox.watch.stop()
        place = f"{self._opened.root}/{mailbox.folder.directory}"
        dirty = partial(self._looking.dirty, mailbox)
        mailbox.watch = self._watcher.watch([f"{place}/cur", f"{place}/new"], dirty)
        self._lane.watches[mailbox.folder.number] = mailbox.watch

    async def catch_up(self, mailbox: MaildirMailbox) -> None:
        """Take note of what other programs and processes did; answers at once when they did nothing."""
        await self._looking.catch_up(mailbox)

    def relist(self, mailbox: MaildirMailbox) -> None:
        """A file was not where it should be."""
        self._looking.relist(mailbox)

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
                self.workers.write(loading.unload, number, cold.live.first_recent).addErrback(
                    lambda _: None
                )  # closing anyway

    def _watch_again(self, number: int) -> None:
        """If others have put another directory in a folder's place, that is the one to be watched."""
        mailbox = self.registry.mailboxes.get(number)
        if mailbox is None or mailbox.watch is None:
            return
        if number in self._lane.replaced or mailbox.watch.is_lost:
            self._lane.replaced.discard(number)
            self._watch(mailbox)
            self._looking.dirty(mailbox)  # something may have come before the watch did

    def _changed(self, number: int) -> None:
        self._watch_again(number)
        self.upkeep.changed(number)

    def _found(self, number: int, uids: Sequence[int]) -> None:
        self.upkeep.fresh(number, uids)

    async def status(self, name: str) -> Status:
        """Counts of a folder, up to date with outside changes."""
        info = await self._list.known(name)
        mailbox = self.registry.mailboxes.get(info.number)
        if mailbox is not None:
            await self.catch_up(mailbox)
            counts = self.registry.statuses.get(info.number)
            if counts is None or counts.recent != mailbox.live.recent:
                counts = mailbox.live.status(await self._size(info), await self._deleted_size(mailbox))
        else:
            await self._looking.look(info)
            counts = self.registry.statuses.get(info.number)
            if counts is None:
                rough = await self.workers.write(counting.count, info.number)
                counts = counting.with_size(rough, await self._size(info))
        self.registry.statuses[info.number] = counts
        return counts

    async def _deleted_size(self, mailbox: MaildirMailbox) -> int:
        if not any(DELETED in flags for flags in mailbox.live.flags):
            return 0
        return await self.workers.query(usage.deleted_octets, mailbox.folder.number)

    async def _size(self, info: FolderInfo) -> int:
        size, made = await self.workers.sliced(counting.total_size(self.workers.reading, info))
        self.workers.keep(info, made)
        return size

    # -- messages

    @property
    def quota_limit(self) -> QuotaLimit:
        """How much may be in it."""
        return self._room.limit

    async def usage(self) -> Usage:
        """What is in it."""
        return await self._room.usage()

    def spool(self, expected: int, beside: int = 0) -> MaildirSpool:
        """Begin to receive a message."""
        return MaildirSpool(self.workers.read, self._spool_file, beside)

    def _spool_file(self) -> tuple[Spool, object]:
        inbox = self.registry.selectable(INBOX)
        files = self._lane.files(inbox.number, inbox.directory)
        return Spool(files.tmp), files

    async def append(
        self,
        name: str,
        messages: Sequence[NewMessage],
        origin: object | None = None,
        replaced: tuple[Any, int] | None = None,
    ) -> Appended:
        """Add messages, all or none, and remove the one that they replace."""
        info = await self._list.known(name)
        incoming = [await incoming_message(message) for message in messages]
        if not incoming:
            return Appended(0, ())
        limit = await self._room.needed()
        gone = None if replaced is None else (replaced[0].folder.number, replaced[1])

        def add(number: int) -> Deferred[Appended]:
            return self.workers.write(writing.append, number, incoming, origin, limit, replaced=gone)

        try:
            appended = await add(info.number)
        except MailError as error:
            if error.kind is not ErrorKind.NO_SUCH_FOLDER:
                raise
            await self.sync()  # another program has removed it, and perhaps made another of this name
            info = self.registry.selectable(name)
            appended = await add(info.number)
        if replaced is not None:
            self.workers.drop(replaced[0].folder, [replaced[1]])
        octets = {
            uid: one.octets for uid, one in zip(appended.uids, incoming, strict=True) if isinstance(one.octets, bytes)
        }
        self.upkeep.fresh(info.number, appended.uids, octets)
        return appended

    async def copy(self, source: FolderInfo, spans: Spans, target: str, move: bool, origin: object | None) -> Copied:
        """Copy or move messages."""
        to = await self._list.known(target)
        limit = await self._room.needed()
        copied = await self.workers.write(
            writing.copy, source.number, to.number, spans, move=move, origin=origin, limit=limit
        )
        self.workers.keep_copies(source, to, list(zip(copied.source_uids, copied.target_uids, strict=True)))
        if move:
            self.workers.drop(source, copied.source_uids)
        return copied

    async def expunge(self, folder: FolderInfo, spans: Spans | None, origin: object | None) -> list[int]:
        """Remove messages with \\Deleted; on a full disk the ballast goes first."""
        gone: list[int] = []
        more = True
        while more:
            some = await self.workers.write_in_need(writing.expunge, folder.number, spans, origin)
            gone += some
            more = len(some) == writing.MOST_AT_ONCE
        self.workers.drop(folder, gone)
        return gone
