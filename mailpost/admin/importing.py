"""Bringing in mail from elsewhere; a second run adds nothing twice.

The messages enter delivery behind its recipients and filters (`delivery.folders.file_messages`): they were delivered
once already, and come with folder, flags and date.

A message is there already if the folder holds the same octets. So that not all of a large folder is read, only
messages of the same size are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

from mailpost.admin.sources import Found
from mailpost.delivery.folders import file_messages, make_folder
from mailpost.mail.foldertree import INBOX
from mailpost.storage.interfaces import IMailAccount, IMailpostMailbox
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute, NewMessage

GROUP_MESSAGES = 100
GROUP_OCTETS = 8 << 20


@dataclass(slots=True)
class Imported:
    """What an import did."""

    added: Counter[str] = field(default_factory=Counter)
    """Messages by folder."""
    known: int = 0
    """Messages that were there already."""


class Folder:
    """A folder that messages come into, and what is in it already."""

    def __init__(self, mailbox: IMailpostMailbox, sizes: dict[int, list[int]]) -> None:
        self._mailbox = mailbox
        self._unread = sizes
        self._here: Counter[bytes] = Counter()
        self._come: Counter[bytes] = Counter()

    @classmethod
    async def open(cls, account: IMailAccount, name: str) -> Folder:
        """Open a folder, made and subscribed if it is not there."""
        await make_folder(account, name)
        mailbox: IMailpostMailbox = await settled(account.open(name))
        sizes: dict[int, list[int]] = {}
        await settled(mailbox.refresh())
        async for batch in mailbox.fetch(list(mailbox.live.uids), (Attribute.SIZE,)):
            for uid, size in batch:
                sizes.setdefault(size, []).append(uid)
        return cls(mailbox, sizes)

    async def wanted(self, group: list[Found]) -> list[Found]:
        """Those of a group that are not here yet; each copy here stands for one that comes."""
        sizes = {len(each.octets) for each in group}
        uids = sorted(uid for size in sizes for uid in self._unread.pop(size, ()))
        if uids:
            async for batch in self._mailbox.fetch(uids, (Attribute.OCTETS,)):
                self._here.update(_digest(octets) for _, octets in batch)
        wanted = []
        for each in group:
            digest = _digest(each.octets)
            self._come[digest] += 1
            if self._come[digest] > self._here[digest]:
                wanted.append(each)
        return wanted

    def release(self) -> None:
        """Done with it."""
        self._mailbox.release()


async def import_messages(
    account: IMailAccount, messages: Iterable[Found], folder: str | None, progress: Callable[[int], None]
) -> Imported:
    """Append what is not there yet, in groups that are durable one by one.

    Args:
        account: whose mail it becomes.
        messages: what to import.
        folder: where the top of the source goes; its folders go below it. None: INBOX, and folders keep their names.
        progress: called with the octets read.
    """
    done = Imported()
    folders: dict[str, Folder] = {}
    try:
        for source, group in _groups(messages):
            name = _target(source, folder, account.separator)
            if name not in folders:
                folders[name] = await Folder.open(account, name)
            wanted = await folders[name].wanted(group)
            if wanted:
                new = [NewMessage(each.octets, each.flags, each.internaldate) for each in wanted]
                await file_messages(account, name, new)
            done.added[name] += len(wanted)
            done.known += len(group) - len(wanted)
            progress(sum(each.read for each in group))
    finally:
        for each in folders.values():
            each.release()
    return done


def _target(source: str, folder: str | None, separator: str) -> str:
    if folder is None:
        return source
    return folder if source == INBOX else f"{folder}{separator}{source}"


def _groups(messages: Iterable[Found]) -> Iterator[tuple[str, list[Found]]]:
    """Messages that follow each other in one folder, a bounded number of them and of their octets."""
    group: list[Found] = []
    octets = 0
    for each in messages:
        if group and (each.folder != group[0].folder or len(group) >= GROUP_MESSAGES or octets >= GROUP_OCTETS):
            yield group[0].folder, group
            group, octets = [], 0
        group.append(each)
        octets += len(each.octets)
    if group:
        yield group[0].folder, group


def _digest(octets: bytes) -> bytes:
    return blake2b(octets, digest_size=16).digest()
