"""A store that says what was done through it: for those who listen, after the fact."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import FlagChange, Flags, intern_flags
from mailpost.mail.foldertree import known_name
from mailpost.storage.events import (
    FlagsChanged,
    FolderCreated,
    FolderDeleted,
    FolderRenamed,
    MessageArrived,
    MessagesCopied,
    MessagesExpunged,
    Tell,
    Way,
)
from mailpost.storage.interfaces import IMailAccount, IMailpostMailbox, IMailStore
from mailpost.storage.offload import settled
from mailpost.storage.records import Appended, Attribute, Copied, Folder, NewMessage, SpecialUse, Stored
from mailpost.storage.wrapped import Wrapped, Wrappers


@implementer(IMailStore)
class HeardStore(Wrapped):
    """The store as it is.

    Args:
        inner: the store.
        tell: takes note of events.
        way: how messages come in that are appended through this.
    """

    def __init__(self, inner: IMailStore, tell: Tell, way: Way) -> None:
        super().__init__(inner)
        self._accounts: Wrappers[HeardAccount] = Wrappers(partial(HeardAccount, tell=tell, way=way, store=inner))

    async def account(self, user: str) -> Any:
        """Open the account of this user."""
        return self._accounts.of(await settled(self.inner.account(user)))


class HeardAccount(Wrapped):
    """An account that says what was done with it."""

    def __init__(self, inner: Any, *, tell: Tell, way: Way, store: IMailStore) -> None:
        super().__init__(inner)
        self.tell = tell
        self._way = way
        self._store = store
        self._mailboxes: Wrappers[HeardMailbox] = Wrappers(lambda mailbox: HeardMailbox(mailbox, self))

    async def create(self, name: str, special_use: SpecialUse | None = None) -> Folder:
        """Make a folder."""
        made: Folder = await settled(self.inner.create(name, special_use))
        self.tell(FolderCreated(self.inner.user, made.name))
        return made

    async def delete(self, name: str) -> None:
        """Delete a folder."""
        await settled(self.inner.delete(name))
        self.tell(FolderDeleted(self.inner.user, known_name(name, self.inner.separator)))

    async def rename(self, old: str, new: str) -> None:
        """Rename a folder."""
        await settled(self.inner.rename(old, new))
        old, new = (known_name(name, self.inner.separator) for name in (old, new))
        self.tell(FolderRenamed(self.inner.user, new, old))

    async def open(self, name: str) -> Any:
        """Open a folder."""
        return self._mailboxes.of(await settled(self.inner.open(name)))

    async def append(
        self,
        name: str,
        messages: Sequence[NewMessage],
        origin: object | None = None,
        replaced: tuple[Any, int] | None = None,
    ) -> Appended:
        """Add messages."""
        old = replaced
        if replaced is not None and isinstance(replaced[0], HeardMailbox):
            old = replaced[0].inner, replaced[1]
        done: Appended = await settled(self.inner.append(name, messages, origin, old))
        user, folder = self.inner.user, known_name(name, self.inner.separator)
        for uid, message in zip(done.uids, messages, strict=False):  # there are none where nobody knows them
            octets = _reader(self._store, user, folder, uid)
            self.tell(MessageArrived(user, folder, uid, intern_flags(message.flags), self._way, octets))
        if replaced is not None:
            self.tell(MessagesExpunged(user, replaced[0].name, [replaced[1]]))
        return done

    async def maildrop(self) -> Any:
        """INBOX for a POP3 session."""
        return HeardMaildrop(await settled(self.inner.maildrop()), self)


class HeardMaildrop(Wrapped):
    """INBOX of a POP3 session that says what was done with it."""

    def __init__(self, inner: Any, account: HeardAccount) -> None:
        super().__init__(inner)
        self.mailbox = HeardMailbox(inner.mailbox, account)
        self._account = account

    async def remove(self, uids: Sequence[int]) -> list[int]:
        """Remove messages."""
        gone: list[int] = await settled(self.inner.remove(uids))
        self.mailbox.expunged(gone)
        return gone


class HeardMailbox(Wrapped):
    """A mailbox that says what was done with it."""

    def __init__(self, inner: Any, account: HeardAccount) -> None:
        super().__init__(inner)
        self._account = account

    def _flags(self, uids: Sequence[int]) -> dict[int, Flags]:
        live = self.inner.live
        return {live.uids[at]: live.flags[at] for at in live.positions(uids)}

    def expunged(self, uids: Sequence[int]) -> None:
        """These are gone."""
        if uids:
            self._account.tell(MessagesExpunged(self._account.inner.user, self.inner.name, list(uids)))

    async def store(
        self,
        uids: Sequence[int],
        change: FlagChange,
        flags: Flags,
        unchanged_since: int | None = None,
        origin: object | None = None,
    ) -> Stored:
        """Change flags."""
        done: Stored = await settled(self.inner.store(uids, change, flags, unchanged_since, origin))
        if done.changed:
            changed = FlagsChanged(self._account.inner.user, self.inner.name, self._flags(done.changed))
            self._account.tell(changed)
        return done

    async def expunge(self, uids: Sequence[int] | None = None, origin: object | None = None) -> list[int]:
        """Remove what is deleted."""
        gone: list[int] = await settled(self.inner.expunge(uids, origin))
        self.expunged(gone)
        return gone

    async def copy(self, uids: Sequence[int], target: str, move: bool = False, origin: object | None = None) -> Copied:
        """Copy or move."""
        done: Copied = await settled(self.inner.copy(uids, target, move, origin))
        if done.target_uids:
            account, source = self._account.inner, list(done.source_uids)
            folder = known_name(target, account.separator)
            self._account.tell(
                MessagesCopied(account.user, folder, list(done.target_uids), self.inner.name, source, move)
            )
        if move:
            self.expunged(done.source_uids)
        return done


def _reader(store: IMailStore, user: str, folder: str, uid: int) -> Callable[[], Awaitable[bytes]]:
    """Reads a message when somebody wants it."""

    async def octets() -> bytes:
        account: IMailAccount = await settled(store.account(user))
        try:
            mailbox: IMailpostMailbox = await settled(account.open(folder))
            try:
                async for batch in mailbox.fetch([uid], (Attribute.OCTETS,)):
                    for _, found in batch:
                        whole: bytes = found
                        return whole
            finally:
                mailbox.release()
        finally:
            account.release()
        raise MailError(ErrorKind.EXPUNGED, "The message no longer exists")

    return octets
