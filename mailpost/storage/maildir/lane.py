"""An account as its writer lane sees it: folders with their rows, files, keywords and UID lists. Blocking.

Everything that changes the state or the tree is a function on a `Lane`, run as a job of the lane (`writing`,
`scan`, `behind`, `tree`). What changed is told to the reactor through a `Listener`, in the order of the commits.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, Protocol, cast

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import Flags
from mailpost.storage.index import changes, messages
from mailpost.storage.index.folders import FolderRow, all_folders, folder_row, save_folder
from mailpost.storage.index.messages import FlagBits
from mailpost.storage.maildir.batch import Batches
from mailpost.storage.maildir.directories import FolderDirectory, list_folders
from mailpost.storage.maildir.filename import FlagLetters
from mailpost.storage.maildir.files import FileStamp, file_stamp, mail_errors
from mailpost.storage.maildir.folder import FolderFiles
from mailpost.storage.maildir.keywords import KEYWORDS_FILE, read_keywords
from mailpost.storage.maildir.layout import Layout
from mailpost.storage.maildir.subscriptions import SUBSCRIPTIONS_FILE, read_subscriptions
from mailpost.storage.maildir.uidlist import UidList, read_uidlist, uidlist_stamp
from mailpost.storage.records import SpecialUse

P = ParamSpec("P")

_MOST_OPEN = 8
"""Folders of one account whose directories are kept open."""
CLOCK_TICK_NS = 20_000_000
"""Two changes of a directory within this time may leave it with the same mtime."""


class HeldFiles(FolderFiles):
    """A folder's descriptors, closed when nobody holds the object any more, in whatever thread that is."""

    __slots__ = ("__weakref__",)

    def __del__(self) -> None:
        self.close()


class Listener(Protocol):
    """What the reactor side wants to hear of committed changes. All flags are ready for `LiveMailbox`."""

    def loaded(self, folder: int, row: FolderRow, uids: list[int], flags: list[Flags], modseqs: list[int]) -> None:
        """The columns of a folder, complete."""

    def begun(self, folder: int) -> None:
        """The account has this folder from now on; `tree` will name it."""

    def arrived(self, folder: int, uids: Sequence[int], flags: Sequence[Flags], modseq: int, origin: object) -> None:
        """Messages came in."""

    def found(self, folder: int, uids: Sequence[int]) -> None:
        """Messages that have `arrived` were delivered by others: nobody has read them yet."""

    def promised(self, folder: int, uidnext: int) -> None:
        """Another server has said that the next UID is this one."""

    def flagged(self, folder: int, uids: Sequence[int], flags: Sequence[Flags], modseq: int, origin: object) -> None:
        """Messages have other flags."""

    def expunged(self, folder: int, uids: Sequence[int], modseq: int, origin: object) -> None:
        """Messages are gone."""

    def resynced(self, folder: int, uids: list[int], flags: list[Flags], modseqs: list[int], highest: int) -> None:
        """Another process changed the folder: these are its columns now."""

    def behind(self, folder: int) -> None:
        """Something in the tree is not as it should be, and is to be written."""

    def vanished(self, folder: int) -> None:
        """The folder is gone, or is another one now."""

    def tree(self, folders: Sequence[FolderInfo]) -> None:
        """All folders there are now."""

    def subscribed(self, names: frozenset[str]) -> None:
        """All subscribed names."""


@dataclass(frozen=True, slots=True)
class FolderInfo:
    """A folder as the reactor side knows it; `number` stays the same through renames."""

    number: int
    name: str
    directory: str
    mailbox_id: str
    cache_key: str
    special_use: SpecialUse | None


class Expecting(Protocol):
    """Who hears of changes in a folder's directories, and should pass ours over."""

    def ours(self, came: Iterable[str] = (), went: Iterable[str] = ()) -> None:
        """These file names are about to come and go."""


@dataclass(slots=True)
class Newcomers:
    """Messages without rows, so many that they get them in several jobs: the oldest first, as if it were one job."""

    waiting: list[str]
    """File names in new, to be moved over to cur."""
    undated: list[str]
    """File names in cur whose mtime has not been asked for."""
    dated: list[tuple[int, str]]
    """(mtime, file name in cur); in order when the others are empty, the oldest last."""


class LaneFolder:
    """One folder in the lane. `row` is written back by whoever changes it."""

    def __init__(self, db: sqlite3.Connection, row: FolderRow, before: LaneFolder | None = None) -> None:
        self.row = row
        self.bits = FlagBits(db, row.id)
        self.letters = FlagLetters()
        self.letters_stamp: bool | FileStamp | None = False  # False: never read
        self.uidlist: UidList | None = None
        self.doubted = False
        """Others have written the UID list since it was compared with the rows."""
        self.sound = True
        """False when the row must be read again."""
        self.verify = False
        """List the directory once more when it is quiet: another program may have changed it together with us."""
        self.doomed: list[str] = []
        """Files of expunged messages that are still to be removed; the state calls them dead."""
        self.removed: list[str] = []
        """Base names of those that are removed although the state still calls them dead."""
        self.spare = -1
        """So many messages may go before half of the UID list's lines are of messages that are gone; -1: not known."""
        self.newcomers: Newcomers | None = None
        """Forgotten when anything is in doubt: then the directories are listed again."""
        if before is not None:  # what is compared with the files whenever it is used need not be read again
            self.letters, self.letters_stamp = before.letters, before.letters_stamp
            self.uidlist, self.doubted = before.uidlist, before.doubted
            self.verify, self.doomed, self.removed = before.verify, before.doomed, before.removed


def cache_key(row: FolderRow) -> str:
    """A folder's name in the cache: another one whenever UIDs begin to mean other messages."""
    return f"{row.mailbox_id}.{row.uidvalidity}"


class Lane:
    """The account in its lane.

    Args:
        root_fd: the account's directory.
        layout: how folders are named there.
        batches: the lane's runner.
        listener: told of changes, in the reactor.
    """

    def __init__(self, root_fd: int, layout: Layout, batches: Batches, listener: Listener) -> None:
        self.root_fd = root_fd
        self.layout = layout
        self.batches = batches
        self.db = batches.db
        self.listener = listener
        self.watched: set[int] = set()
        """Folders whose columns are in memory."""
        self.watches: dict[int, Expecting] = {}
        """Those who watch folders that are open."""
        self.subscriptions_stamp: bool | FileStamp | None = False  # False: never read
        self.replaced: set[int] = set()
        """Folders whose directories are not those that were there before."""
        self._folders: dict[int, LaneFolder] = {}
        self._open: OrderedDict[int, HeldFiles] = OrderedDict()
        self._own: OrderedDict[int, HeldFiles] = OrderedDict()
        """Those that jobs of the lane use: readers, who open others meanwhile, close none of them."""
        self._in_place: dict[int, int] = {}
        """Of these it was seen, in this job, that they have not been replaced."""
        batches.foreign = self._foreign
        batches.doubt = self._doubt

    # -- folders

    def folder(self, number: int) -> LaneFolder:
        """The folder of this number. Raises NO_SUCH_FOLDER."""
        folder = self._folders.get(number)
        if folder is None or not folder.sound:
            row = folder_row(self.db, number)
            if row is None:
                self.forget(number)
                raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such folder")
            folder = self._folders[number] = LaneFolder(self.db, row, folder)
        return folder

    def forget(self, number: int) -> None:
        """A folder is gone."""
        self._folders.pop(number, None)
        self.watches.pop(number, None)
        self._open.pop(number, None)
        self._own.pop(number, None)
        self._in_place.pop(number, None)

    def renamed(self, number: int) -> None:
        """A folder's directory has another name."""
        self._in_place.pop(number, None)
        if number in self._folders:
            self._folders[number].sound = False

    def files(self, number: int, directory: str) -> HeldFiles:
        """The folder's directories, open. In any thread; hold the object while its descriptors are used."""
        return self._opened(self._open, number, directory)

    def own_files(self, folder: LaneFolder) -> HeldFiles:
        """The directories of a lane's folder, for a job of the lane: open until it has used many others."""
        return self.files_of(folder.row)

    def files_of(self, row: FolderRow) -> HeldFiles:
        """`own_files` of a folder's row."""
        if self._in_place.get(row.id) == self.batches.jobs and row.id in self._own:
            return self._own[row.id]
        files = self._opened(self._own, row.id, row.directory)
        self._in_place[row.id] = self.batches.jobs
        return files

    def look_again(self, folder: LaneFolder) -> HeldFiles:
        """`own_files` of a folder that others may have replaced since this job began."""
        self._in_place.pop(folder.row.id, None)
        return self.own_files(folder)

    def _opened(self, held: OrderedDict[int, HeldFiles], number: int, directory: str) -> HeldFiles:
        files = held.get(number)
        if files is not None and files.is_replaced(self.root_fd, directory):
            held.pop(number, None)  # others have moved it away, or removed it, and perhaps made it anew
            self.replaced.add(number)
            files = None
        if files is None:
            try:
                files = self._open_files(directory)
            except MailError as error:
                if error.kind is not ErrorKind.UNAVAILABLE or not held:
                    raise
                held.clear()  # too many files are open: these were only kept at hand
                files = self._open_files(directory)
            held[number] = files
            if len(held) > _MOST_OPEN:
                held.popitem(last=False)
        else:
            with suppress(KeyError):  # another thread has just closed it for others
                held.move_to_end(number)
        return files

    def _open_files(self, directory: str) -> HeldFiles:
        return cast("HeldFiles", HeldFiles.open(self.root_fd, directory, must_have_cur=self.layout.nested))

    def on_disk(self) -> list[FolderDirectory]:
        """The folders there are (`list_folders`)."""
        try:
            return list_folders(self.root_fd, self.layout)
        except MailError as error:
            if error.kind is not ErrorKind.UNAVAILABLE:
                raise
            self._open.clear()  # too many files are open: these were only kept at hand
            self._own.clear()
            return list_folders(self.root_fd, self.layout)

    def close(self) -> None:
        """Let go of all directories."""
        self._folders.clear()
        self._open.clear()
        self._own.clear()
        os.close(self.root_fd)

    def _doubt(self) -> None:
        self.subscriptions_stamp = False  # a word of them may have been lost with a job
        for folder in self._folders.values():
            folder.sound = False

    def _foreign(self) -> None:
        """Another process has committed: tell what is in memory. At the start of a batch."""
        rows = {row.id: row for row in all_folders(self.db)}
        for number in list(self.watched):
            row = rows.get(number)
            before = self._folders.get(number)
            if row is None or (before is not None and before.row.uidvalidity != row.uidvalidity):
                self.watched.discard(number)
                self.news(self.listener.vanished, number)
                continue
            folder = self.folder(number)
            uids, masks, modseqs = messages.columns(self.db, number)
            flags = [folder.bits.flags(mask) for mask in masks]
            self.news(self.listener.resynced, number, uids, flags, modseqs, row.highest_modseq)
        self.tell_tree()
        self.tell_subscriptions()

    def tell_tree(self) -> None:
        """Tell the listener which folders there are."""
        names = {found.directory: found.name for found in self.on_disk()}
        infos = [
            FolderInfo(
                number=row.id,
                name=names[row.directory],
                directory=row.directory,
                mailbox_id=row.mailbox_id,
                cache_key=cache_key(row),
                special_use=SpecialUse(row.special_use) if row.special_use else None,
            )
            for row in all_folders(self.db)
            if row.directory in names
        ]
        self.news(self.listener.tree, infos)

    def tell_subscriptions(self) -> None:
        """Tell the listener which names are subscribed, unless it knows."""
        with mail_errors():
            stamp = file_stamp(SUBSCRIPTIONS_FILE, self.root_fd)
        if stamp != self.subscriptions_stamp:
            self.subscriptions_stamp = stamp
            existing = [found.name for found in self.on_disk()]
            names = read_subscriptions(self.root_fd, self.layout, existing).names
            self.news(self.listener.subscribed, frozenset(names))

    # -- what jobs need

    def news(self, tell: Callable[P, object], *values: P.args, **named: P.kwargs) -> None:
        """Tell the listener this in the reactor when the batch has been committed."""
        self.batches.news(partial(tell, *values, **named))

    def save(self, folder: LaneFolder) -> None:
        """Write the folder's row."""
        save_folder(self.db, folder.row)

    def modseq(self, folder: LaneFolder) -> int:
        """A fresh mod-sequence, now the folder's highest; `save` the folder."""
        folder.row.highest_modseq = changes.next_modseq(folder.row.highest_modseq, time.time())
        return folder.row.highest_modseq

    def letters(self, folder: LaneFolder) -> FlagLetters:
        """The folder's flag letters, as its `dovecot-keywords` is now."""
        held = self.own_files(folder)
        fd = held.directory
        with mail_errors():
            if folder.letters_stamp is False or file_stamp(KEYWORDS_FILE, fd) != folder.letters_stamp:
                names, folder.letters_stamp = read_keywords(fd)
                folder.letters = FlagLetters(names)
        return folder.letters

    @contextmanager
    def own_change(self, folder: LaneFolder) -> Iterator[HeldFiles]:
        """The block changes names in `cur`; the folder need not be listed again for that. `save` it afterwards."""
        files = self.own_files(folder)
        before = files.cur_changed_at()
        try:
            with mail_errors():
                yield files
        finally:
            if before == folder.row.cur_mtime:
                folder.row.cur_mtime = files.cur_changed_at()
                folder.verify = True

    def expect(self, folder: LaneFolder, came: Iterable[str] = (), went: Iterable[str] = ()) -> None:
        """File names in `cur` are about to come and go by our doing."""
        watch = self.watches.get(folder.row.id)
        if watch is not None:
            watch.ours(came, went)

    def current_uidlist(self, folder: LaneFolder, fd: int) -> UidList | None:
        """The folder's UID list as it is on the disk now; under its lock if it is to be written."""
        if folder.uidlist is None or folder.uidlist.stamp != uidlist_stamp(fd):
            before, folder.uidlist = folder.uidlist, read_uidlist(fd)
            if folder.uidlist is not None:
                said = folder.uidlist.uidvalidity, folder.uidlist.uidnext
                folder.doubted |= before is not None or said != (folder.row.uidvalidity, folder.row.reserved)
        return folder.uidlist
