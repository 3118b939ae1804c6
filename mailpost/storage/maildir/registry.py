"""What the reactor knows of an account: its folders, and the live columns of those that are open.

The writer lane's news are applied here, in the order of the commits; a folder that is not open costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import Flags
from mailpost.mail.foldertree import known_name, tree
from mailpost.storage.changehub import ChangeHub, FolderCreated, FolderDeleted, FolderRenamed, MailboxChanged
from mailpost.storage.index.folders import FolderRow
from mailpost.storage.live import LiveMailbox
from mailpost.storage.maildir.lane import FolderInfo
from mailpost.storage.maildir.mailbox import MaildirMailbox
from mailpost.storage.records import Folder, Status


class Registry:
    """Folders and open mailboxes of one account; the lane's `Listener`.

    Args:
        separator: between the levels of names.
        hub: told of events.
        opened: makes a mailbox of a folder whose columns have come.
        changed: called with the number of a folder in which something is to be written behind.
        found: called with the number of a folder and the UIDs of messages that came in from outside.
    """

    def __init__(
        self,
        separator: str,
        hub: ChangeHub,
        *,
        opened: Callable[[FolderInfo, LiveMailbox], MaildirMailbox],
        changed: Callable[[int], None],
        found: Callable[[int, Sequence[int]], None],
    ) -> None:
        self.separator = separator
        self.hub = hub
        self.mailboxes: dict[int, MaildirMailbox] = {}
        """Open and warm ones, by the folder's number."""
        self.subscriptions: frozenset[str] = frozenset()
        self.statuses: dict[int, Status] = {}
        """Counts that still hold."""
        self._opened = opened
        self._changed = changed
        self.found = found
        self._by_number: dict[int, FolderInfo] = {}
        self._by_name: dict[str, FolderInfo] = {}
        self._folders: list[Folder] = []

    # -- folders

    def folders(self) -> list[Folder]:
        """All folders and the names above them."""
        if not self._folders:
            for name in tree(self._by_name, self.separator):
                info = self._by_name.get(name)
                if info is None:
                    self._folders.append(Folder(name, selectable=False))
                else:
                    self._folders.append(Folder(name, True, info.special_use, info.mailbox_id))
        return list(self._folders)

    def find(self, name: str) -> FolderInfo | None:
        """The folder of this name."""
        return self._by_name.get(known_name(name, self.separator))

    def of(self, number: int) -> FolderInfo | None:
        """The folder of this number."""
        return self._by_number.get(number)

    def numbers(self) -> list[int]:
        """All folders."""
        return list(self._by_number)

    def selectable(self, name: str) -> FolderInfo:
        """The folder of this name.

        Raises:
            MailError: NO_SUCH_FOLDER; NOT_SELECTABLE for a name that only has folders below it.
        """
        info = self.find(name)
        if info is None:
            if any(other.startswith(known_name(name, self.separator) + self.separator) for other in self._by_name):
                raise MailError(ErrorKind.NOT_SELECTABLE, "This name only has folders below it")
            raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such folder")
        return info

    def known(self, name: str) -> bool:
        """Whether LIST would show this name."""
        return known_name(name, self.separator) in tree(self._by_name, self.separator)

    # -- news: `lane.Listener`

    def tree(self, folders: Sequence[FolderInfo]) -> None:
        """All folders there are now."""
        before, self._by_number = self._by_number, {info.number: info for info in folders}
        self._by_name = {info.name: info for info in folders}
        self._folders = []
        for number, info in self._by_number.items():
            old = before.pop(number, None)
            if old is None:
                self.hub.publish(FolderCreated(info.name))
            elif old != info:
                if old.name != info.name:
                    self.hub.publish(FolderRenamed(old.name, info.name))
                if number in self.mailboxes:
                    self.mailboxes[number].moved(info)
        for old in before.values():
            self.hub.publish(FolderDeleted(old.name))

    def subscribed(self, names: frozenset[str]) -> None:
        """All subscribed names."""
        self.subscriptions = names

    def loaded(self, folder: int, row: FolderRow, uids: list[int], flags: list[Flags], modseqs: list[int]) -> None:
        """The columns of a folder: it is open now, unless it was already."""
        info = self._by_number.get(folder)
        if info is None or folder in self.mailboxes:
            return
        live = LiveMailbox(
            uidvalidity=row.uidvalidity,
            uidnext=row.uidnext,
            highest_modseq=row.highest_modseq,
            mailbox_id=row.mailbox_id,
            uids=uids,
            flags=flags,
            modseqs=modseqs,
            first_recent=row.first_recent,
        )
        self.mailboxes[folder] = self._opened(info, live)

    def begun(self, folder: int) -> None:
        """There is a new folder: its UIDVALIDITY is to be written down."""
        self._changed(folder)

    def arrived(self, folder: int, uids: Sequence[int], flags: Sequence[Flags], modseq: int, origin: object) -> None:
        """Messages came in."""
        self._touched(folder)
        if folder in self.mailboxes:
            self.mailboxes[folder].live.arrived(uids, flags, modseq, origin)

    def promised(self, folder: int, uidnext: int) -> None:
        """Another server has said that the next UID is this one."""
        self.statuses.pop(folder, None)
        if folder in self.mailboxes:
            live = self.mailboxes[folder].live
            live.uidnext = max(live.uidnext, uidnext)

    def flagged(self, folder: int, uids: Sequence[int], flags: Sequence[Flags], modseq: int, origin: object) -> None:
        """Messages have other flags."""
        self._touched(folder)
        if folder in self.mailboxes:
            self.mailboxes[folder].live.flagged(uids, flags, modseq, origin)

    def expunged(self, folder: int, uids: Sequence[int], modseq: int, origin: object) -> None:
        """Messages are gone."""
        self._touched(folder)
        if folder in self.mailboxes:
            self.mailboxes[folder].live.expunged(uids, modseq, origin)

    def resynced(self, folder: int, uids: list[int], flags: list[Flags], modseqs: list[int], highest: int) -> None:
        """Another process changed the folder: what differs becomes changes."""
        self.statuses.pop(folder, None)
        if folder not in self.mailboxes:
            return
        live = self.mailboxes[folder].live
        now = dict(zip(uids, zip(flags, modseqs, strict=True), strict=True))
        gone = [uid for uid in live.uids if uid not in now]
        changed = [uid for uid, old in zip(live.uids, live.flags, strict=True) if uid in now and now[uid][0] is not old]
        last = live.uids[-1] if live.uids else 0
        live.expunged(gone, highest)
        live.flagged(changed, [now[uid][0] for uid in changed], highest)
        came = [uid for uid in uids if uid > last]
        live.arrived(came, [now[uid][0] for uid in came], highest)

    def behind(self, folder: int) -> None:
        """Something in the tree is not as it should be."""
        self._changed(folder)

    def vanished(self, folder: int) -> None:
        """The folder is gone, or is another one now."""
        self.statuses.pop(folder, None)
        mailbox = self.mailboxes.pop(folder, None)
        if mailbox is not None:
            mailbox.close()
            mailbox.live.vanish()

    def _touched(self, folder: int) -> None:
        self.statuses.pop(folder, None)
        self._changed(folder)
        info = self._by_number.get(folder)
        if info is not None:
            self.hub.publish(MailboxChanged(info.name))
