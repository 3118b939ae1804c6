"""A complete mail store in memory, for tests and embedding. Everything is answered at once, nothing is kept.

RFC: 3501, 4315 (UIDPLUS), 6154 (SPECIAL-USE), 6851 (MOVE), 7162 (CONDSTORE), 8474 (OBJECTID)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import RECENT, intern_flags
from mailpost.mail.foldertree import INBOX, above, below, canonical_name, known_name, moved, tree
from mailpost.mail.summary import Summariser
from mailpost.storage.interfaces import IMailAccount, IMaildrop, IMaildropAccount, IMailStore
from mailpost.storage.memory.mailbox import MemoryMailbox, Message, no_such
from mailpost.storage.octetspool import OctetSpool, octets_of
from mailpost.storage.records import (
    DEFAULT_FOLDERS,
    NO_LIMIT,
    Appended,
    Folder,
    NewMessage,
    QuotaLimit,
    SpecialUse,
    Status,
    Usage,
)


@implementer(IMailStore)
class MemoryStore:
    """Accounts in memory; each comes into being when it is first asked for and lives as long as the store.

    Args:
        summariser: what ENVELOPE and BODYSTRUCTURE come from (`wire.imap.structures.summarise`).
        default_folders: what a new account gets beside INBOX, subscribed.
        clock: seconds since the epoch.
        quota: user -> how much may be in the account, asked each time that something is to come in.
        separator: one character between the levels of a folder's name.
    """

    def __init__(
        self,
        summariser: Summariser,
        default_folders: Mapping[str, SpecialUse] = DEFAULT_FOLDERS,
        clock: Callable[[], float] = time.time,
        separator: str = "/",
        quota: Callable[[str], QuotaLimit] = lambda _: NO_LIMIT,
    ) -> None:
        self.quota = quota
        self.summariser = summariser
        self.clock = clock
        self.separator = separator
        self._default_folders = default_folders
        self._accounts: dict[str, MemoryAccount] = {}

    def account(self, user: str) -> MemoryAccount:
        """The account of this user."""
        found = self._accounts.get(user)
        if found is None:
            found = self._accounts[user] = MemoryAccount(user, self)
            for name, special_use in self._default_folders.items():
                found.create(name, special_use)
                found.subscribe(name, True)
        return found

    def close(self) -> None:
        """Forget everything."""
        self._accounts.clear()


@implementer(IMailAccount, IMaildropAccount)
class MemoryAccount:
    """The folders of one user."""

    def __init__(self, user: str, store: MemoryStore) -> None:
        self.user = user
        self.separator = store.separator
        self._summariser = store.summariser
        self._clock = store.clock
        self._quota = store.quota
        self._mailboxes: dict[str, MemoryMailbox] = {}
        self._uidvalidity = 0
        self._has_maildrop = False
        self.create(INBOX)
        self._subscriptions = frozenset([INBOX])

    def folders(self) -> list[Folder]:
        """All folders."""
        boxes = self._mailboxes
        return [boxes[n].folder if n in boxes else Folder(n, False) for n in tree(boxes, self.separator)]

    def subscriptions(self) -> frozenset[str]:
        """The subscribed names."""
        return self._subscriptions

    def subscribe(self, name: str, subscribed: bool) -> None:
        """Put a name that exists on the list, or take any name off it."""
        name = known_name(name, self.separator)
        if not subscribed:
            self._subscriptions -= {name}
        elif name in tree(self._mailboxes, self.separator):
            self._subscriptions |= {name}
        else:
            raise no_such(name)

    def create(self, name: str, special_use: SpecialUse | None = None) -> Folder:
        """Make a folder and those above it."""
        name = canonical_name(name, self.separator)
        if name in self._mailboxes:
            raise MailError(ErrorKind.FOLDER_EXISTS, f"There is a folder {name} already")
        self._make_above(name)
        box = self._mailboxes[name] = MemoryMailbox(
            Folder(name, True, special_use, f"F{uuid4().hex}"),
            self._next_uidvalidity(),
            summariser=self._summariser,
            target=self.open,
            require_room=self.require_room,
            clock=self._clock,
        )
        return box.folder

    def delete(self, name: str) -> None:
        """Delete a folder and its messages."""
        name = known_name(name, self.separator)
        if name == INBOX:
            raise MailError(ErrorKind.CANNOT, "INBOX cannot be deleted")
        if name not in self._mailboxes:
            if below(name, self._mailboxes, self.separator):
                raise MailError(ErrorKind.HAS_CHILDREN, f"There are folders below {name}")
            raise no_such(name)
        self._mailboxes.pop(name).vanish()

    def rename(self, old: str, new: str) -> None:
        """Rename a folder and those below it; INBOX gives its messages to the new folder."""
        old, new = known_name(old, self.separator), canonical_name(new, self.separator)
        if old not in tree(self._mailboxes, self.separator):
            raise no_such(old)
        if old == INBOX:
            self.create(new)
            box = self._mailboxes[INBOX]
            box.copy(list(box.live.uids), new, move=True)
            return
        others = [name for name in self._mailboxes if name != old and not name.startswith(old + self.separator)]
        if new in self._mailboxes or new in tree(others, self.separator):
            raise MailError(ErrorKind.FOLDER_EXISTS, f"There is a folder {new} already")
        if new.startswith(old + self.separator):
            raise MailError(ErrorKind.CANNOT, "A folder cannot be moved below itself")
        self._make_above(new)
        for before, after in moved(old, new, self._mailboxes, self.separator).items():
            box = self._mailboxes[after] = self._mailboxes.pop(before)
            box.folder = replace(box.folder, name=after)

    def open(self, name: str) -> MemoryMailbox:
        """The mailbox of this folder."""
        name = known_name(name, self.separator)
        if name not in self._mailboxes:
            if below(name, self._mailboxes, self.separator):
                raise MailError(ErrorKind.NOT_SELECTABLE, f"{name} only has folders below it")
            raise no_such(name)
        return self._mailboxes[name]

    def status(self, name: str) -> Status:
        """Counts of this folder."""
        return self.open(name).status()

    @property
    def quota_limit(self) -> QuotaLimit:
        """How much may be in it."""
        return self._quota(self.user)

    def usage(self) -> Usage:
        """What is in it."""
        sizes = [size for box in self._mailboxes.values() for size in box.sizes()]
        return Usage(sum(sizes), len(sizes))

    def require_room(self, sizes: Sequence[int], freed: Sequence[int] = ()) -> None:
        """Raise OVER_QUOTA unless messages of these sizes fit in when others have gone."""
        limit = self.quota_limit
        if limit and not limit.allows(self.usage(), sum(sizes) - sum(freed), len(sizes) - len(freed)):
            raise MailError(ErrorKind.OVER_QUOTA, "The account is full: this would exceed its quota")

    def spool(self, expected: int, beside: int = 0) -> OctetSpool:
        """Begin to receive a message."""
        return OctetSpool()

    def append(
        self,
        name: str,
        messages: Sequence[NewMessage],
        origin: object | None = None,
        replaced: tuple[Any, int] | None = None,
    ) -> Appended:
        """Add messages, and remove the one that they replace."""
        now = int(self._clock())
        new = [_message(message, now) for message in messages]
        box = self.open(name)
        self.require_room([len(message.octets) for message in new], [replaced[0].size(replaced[1])] if replaced else ())
        uids = box.add(new, origin)
        if replaced is not None:
            replaced[0].take_out([replaced[1]], origin)
        return Appended(box.live.uidvalidity, uids)

    def maildrop(self) -> MemoryMaildrop:
        """INBOX for a POP3 session."""
        if self._has_maildrop:
            raise MailError(ErrorKind.IN_USE, "Another POP3 session has this mailbox open")
        self._has_maildrop = True
        return MemoryMaildrop(self._mailboxes[INBOX], self._maildrop_released)

    def _maildrop_released(self) -> None:
        self._has_maildrop = False

    def release(self) -> None:
        """The account stays."""

    def _make_above(self, name: str) -> None:
        for upper in above(name, self.separator):
            if upper not in self._mailboxes:
                self.create(upper)

    def _next_uidvalidity(self) -> int:
        self._uidvalidity = max(self._uidvalidity + 1, int(self._clock()))
        return self._uidvalidity


@implementer(IMaildrop)
class MemoryMaildrop:
    """INBOX, while a POP3 session has it."""

    def __init__(self, mailbox: MemoryMailbox, release: Callable[[], None]) -> None:
        self.mailbox = mailbox
        self.uidls: Mapping[int, str] = {}
        self.remove = mailbox.remove
        self.release = release


def _message(new: NewMessage, now: int) -> Message:
    date = now if new.internaldate is None else new.internaldate
    return Message(octets_of(new), intern_flags(new.flags - {RECENT}), date, now)
