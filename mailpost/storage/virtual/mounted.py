"""A store with virtual folders among its own: what the program has stands beside what is kept.

A name that the program has means the program's folder. All others are the store's own, and so is whatever is made,
renamed and deleted. Messages are copied and moved from either to the other as far as the program takes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zope.interface import alsoProvides, implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import DELETED, FlagChange, intern_flags
from mailpost.mail.foldertree import INBOX, below, canonical_name, known_name, moved, tree
from mailpost.storage.interfaces import (
    ICountingAccount,
    IMailAccount,
    IMailStore,
    ISharedAccount,
    ISpool,
    refreshed,
)
from mailpost.storage.octetspool import OctetSpool
from mailpost.storage.offload import settled
from mailpost.storage.records import Appended, Attribute, Copied, Folder, NewMessage, SpecialUse, Status
from mailpost.storage.virtual.account import VirtualAccount
from mailpost.storage.virtual.mailbox import VirtualMailbox
from mailpost.storage.virtual.store import VirtualStore
from mailpost.storage.virtual.transfer import transfer_into
from mailpost.storage.wrapped import Wrapped, Wrappers, unwrapped

_DELETED = intern_flags({DELETED})


@implementer(IMailStore)
class MountedStore:
    """A store, and virtual folders among its own.

    Args:
        store: which keeps mail; closed with this one.
        virtual: the program's folders, without an INBOX but its own.
    """

    def __init__(self, store: IMailStore, virtual: VirtualStore) -> None:
        self._store = store
        self._virtual = virtual
        self._accounts: Wrappers[MountedAccount] = Wrappers(MountedAccount)

    async def account(self, user: str) -> IMailAccount:
        """The account of this user."""
        kept: IMailAccount = await settled(self._store.account(user))
        try:
            virtual = await self._virtual.account(user)
        except BaseException:  # cancelled too: raised again, with the account given back
            kept.release()
            raise
        account = self._accounts.of(kept)
        account.mount(virtual)
        mounted: Any = account
        return mounted  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Close both."""
        await self._virtual.close()
        await settled(self._store.close())


class MountedMailbox(Wrapped):
    """A folder of the store, from which messages can be copied into the program's."""

    def __init__(self, inner: Any, account: MountedAccount) -> None:
        super().__init__(inner)
        self._account = account

    async def copy(self, uids: Sequence[int], target: str, move: bool = False, origin: object | None = None) -> Copied:
        """Copy or move to any folder of the account."""
        return await self._account.copy(self, uids, target, move, origin)

    async def remove(self, uids: Sequence[int], origin: object | None = None) -> None:
        """Remove messages for good."""
        await settled(self.inner.store(uids, FlagChange.ADD, _DELETED, origin=origin))
        await settled(self.inner.expunge(uids, origin=origin))

    def require_message(self, uid: int) -> None:
        """Raise EXPUNGED unless it is there."""
        if self.inner.live.position(uid) < 0:
            raise MailError(ErrorKind.EXPUNGED, "The message that was to be replaced no longer exists")


class MountedAccount(Wrapped):
    """The account of a store, with the program's folders among its own."""

    _virtual: VirtualAccount

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        alsoProvides(self, ISharedAccount, ICountingAccount)
        self._mailboxes: Wrappers[MountedMailbox] = Wrappers(lambda mailbox: MountedMailbox(mailbox, self))

    def mount(self, virtual: VirtualAccount) -> None:
        """The program's folders of this user; called each time that the account is opened."""
        self._virtual = virtual
        virtual.transfer = self.copy

    def _is_virtual(self, name: str) -> bool:
        return known_name(name, self.inner.separator) in self._virtual.listed

    # -- folders

    async def refresh(self) -> None:
        """Take note of what others, and the program, did to folders."""
        await refreshed(self.inner)
        await self._virtual.refresh()

    def folders(self) -> list[Folder]:
        """All folders; a name that both have is the program's."""
        found = {folder.name: folder for folder in self.inner.folders() if folder.selectable} | self._virtual.listed
        return [found.get(name) or Folder(name, False) for name in tree(found, self.inner.separator)]

    def subscriptions(self) -> frozenset[str]:
        """Subscribed names of both."""
        return (
            frozenset(name for name in self.inner.subscriptions() if not self._is_virtual(name))
            | self._virtual.subscriptions()
        )

    async def subscribe(self, name: str, subscribed: bool) -> None:
        """Put a name on the list or take it off."""
        await settled((self._virtual if self._is_virtual(name) else self.inner).subscribe(name, subscribed))

    async def create(self, name: str, special_use: SpecialUse | None = None) -> Folder:
        """Make a folder in the store."""
        self._require_free(name)
        made: Folder = await settled(self.inner.create(name, special_use))
        return made

    def _require_free(self, name: str) -> None:
        if canonical_name(name, self.inner.separator) in self._virtual.listed:
            raise MailError(ErrorKind.FOLDER_EXISTS, f"There is a folder {name} already")

    async def delete(self, name: str) -> None:
        """Delete a folder of the store."""
        if self._is_virtual(name):
            self._virtual.delete(name)
        if self._is_only_above_virtual(name):
            raise MailError(ErrorKind.HAS_CHILDREN, f"There are folders below {name}")
        await settled(self.inner.delete(name))

    async def rename(self, old: str, new: str) -> None:
        """Rename a folder of the store; an INBOX of the program gives its messages."""
        self._require_free(new)
        if known_name(old, self.inner.separator) == INBOX and self._is_virtual(old):
            await self.create(new)
            mailbox = await self._virtual.open(old)
            try:
                await self.copy(mailbox, list(mailbox.live.uids), new, True, None)
            finally:
                mailbox.release()
            return
        if self._is_virtual(old) or self._is_only_above_virtual(old):
            self._virtual.rename(old, new)
        separator = self.inner.separator
        names = [folder.name for folder in self.inner.folders()]
        for name in moved(known_name(old, separator), canonical_name(new, separator), names, separator).values():
            self._require_free(name)
        await settled(self.inner.rename(old, new))

    def _is_only_above_virtual(self, name: str) -> bool:
        """Whether a name is there only since the program has folders below it."""
        name = known_name(name, self.inner.separator)
        if not below(name, self._virtual.listed, self.inner.separator):
            return False
        return not any(folder.name == name for folder in self.inner.folders())

    # -- open folders

    async def open(self, name: str) -> Any:
        """Open a folder of either."""
        await self._virtual.refresh()
        if self._is_virtual(name) or self._is_only_above_virtual(name):
            return await self._virtual.open(name)
        return self._mailboxes.of(await settled(self.inner.open(name)))

    async def status(self, name: str) -> Status:
        """Counts of a folder of either."""
        await self._virtual.refresh()
        found: Status = await settled(self._side(name).status(name))
        return found

    async def counts(self, name: str) -> Status:
        """Counts without sizes."""
        await self._virtual.refresh()
        side = self._side(name)
        counted = side.counts if ICountingAccount.providedBy(side) else side.status
        found: Status = await settled(counted(name))
        return found

    def _side(self, name: str) -> Any:
        return self._virtual if self._is_virtual(name) or self._is_only_above_virtual(name) else self.inner

    async def maildrop(self) -> Any:
        """INBOX, whose ever it is, for a POP3 session."""
        return await settled((self._virtual if self._is_virtual(INBOX) else self.inner).maildrop())

    # -- messages

    def spool(self, expected: int, beside: int = 0) -> Any:
        """Begin to receive a message, for whichever folder."""
        spool = self.inner.spool(expected, beside)
        return TwofoldSpool(spool) if self._virtual.takes_any() else spool

    async def append(
        self,
        name: str,
        messages: Sequence[NewMessage],
        origin: object | None = None,
        replaced: tuple[Any, int] | None = None,
    ) -> Appended:
        """Add messages to a folder of either, and remove the one that they replace, of either."""
        virtual = self._is_virtual(name) or self._is_only_above_virtual(name)
        taken = [_of(each, virtual) for each in messages]
        if virtual:
            appended = await self._virtual.append(name, taken, origin, replaced)
        elif replaced is not None and isinstance(replaced[0], VirtualMailbox):
            replaced[0].require_message(replaced[1])
            replaced[0].require_removal()
            appended = await settled(self.inner.append(name, taken, origin))
            await replaced[0].remove([replaced[1]], origin)
        else:
            whose = None if replaced is None else (unwrapped(replaced[0]), replaced[1])
            appended = await settled(self.inner.append(name, taken, origin, whose))
        for each in messages:
            if isinstance(each.octets, TwofoldSpool):
                each.octets.settled(virtual)
        return appended

    async def copy(self, source: Any, uids: Sequence[int], target: str, move: bool, origin: object | None) -> Copied:
        """Copy or move from a folder of either to one of either."""
        if self._is_virtual(target) or self._is_only_above_virtual(target):
            return await transfer_into(self._virtual.found(target), source, uids, move=move, origin=origin)
        if isinstance(source, MountedMailbox):
            copied: Copied = await settled(source.inner.copy(uids, target, move, origin))
            return copied
        return await self._out(source, uids, target, move=move, origin=origin)

    async def _out(
        self, source: VirtualMailbox, uids: Sequence[int], target: str, *, move: bool, origin: object | None
    ) -> Copied:
        """Copy or move out of one of the program's folders: all or none."""
        if move:
            source.require_removal()
        mailbox = await settled(self.inner.open(target))
        spools: list[ISpool] = []
        new: list[NewMessage] = []
        found: list[int] = []
        flags = dict(zip(source.live.uids, source.live.flags, strict=True))
        try:
            beside = 0
            async for batch in source.fetch(uids, (Attribute.OCTETS, Attribute.INTERNALDATE)):
                for uid, octets, date in batch:
                    spools.append(self.inner.spool(len(octets), beside))
                    await settled(spools[-1].write(octets))
                    beside += len(octets)
                    new.append(NewMessage(spools[-1], flags[uid], date))
                    found.append(uid)
            if not found:
                return Copied(mailbox.live.uidvalidity)
            appended: Appended = await settled(self.inner.append(target, new, origin))
        finally:
            for spool in spools:
                spool.abort()
            mailbox.release()
        if move:
            await source.remove(found, origin)
        return Copied(appended.uidvalidity, found, appended.uids)

    def release(self) -> None:
        """Somebody is done with the account."""
        self.inner.release()
        self._virtual.release()


@implementer(ISpool)
class TwofoldSpool:
    """A message on its way in of which nobody has said yet whose it will be: the store's spool, and the octets."""

    def __init__(self, kept: Any) -> None:
        self.kept = kept
        self.octets = OctetSpool()

    @property
    def size(self) -> int:
        """Octets so far."""
        return self.octets.size

    def write(self, data: bytes) -> Any:
        """Take the next octets."""
        self.octets.write(data)
        return self.kept.write(data)

    def settled(self, virtual: bool) -> None:
        """It has been taken: by the program, or by the store."""
        self.octets.abort()
        if virtual:
            self.kept.abort()

    def abort(self) -> None:
        """Throw it away."""
        self.octets.abort()
        self.kept.abort()


def _of(message: NewMessage, virtual: bool) -> NewMessage:
    """The message with the spool of the side that takes it."""
    spool = message.octets
    if isinstance(spool, TwofoldSpool):
        whose: Any = spool.octets if virtual else spool.kept
        return NewMessage(whose, message.flags, message.internaldate)
    return message
