"""One user's virtual folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import uuid4

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.foldertree import INBOX, below, canonical_name, known_name, tree
from mailpost.storage.interfaces import (
    ICountingAccount,
    IMailAccount,
    IMaildrop,
    IMaildropAccount,
    ISharedAccount,
)
from mailpost.storage.octetspool import OctetSpool, octets_of
from mailpost.storage.records import (
    NO_LIMIT,
    Appended,
    Copied,
    Folder,
    NewMessage,
    SpecialUse,
    Status,
    Usage,
)
from mailpost.storage.virtual.folder import NoMessages
from mailpost.storage.virtual.keeping import Keeping
from mailpost.storage.virtual.ledger import FolderRow
from mailpost.storage.virtual.mailbox import Transfer, VirtualMailbox
from mailpost.storage.virtual.pauses import Pauses
from mailpost.storage.virtual.source import Source, is_folder
from mailpost.storage.virtual.transfer import transfer_into

_log = Logger()
_OF_THE_PROGRAM = "Folders here are made by a program"


class Home(Protocol):
    """What an account asks of its store."""

    clock: IReactorTime
    pauses: Pauses
    keeping: Keeping
    separator: str
    has_inbox: bool

    async def folders_of(self, user: str) -> Mapping[str, Any]:
        """What the program has for this user."""
        ...

    def source(self, folder: Any) -> Source:
        """The source of a folder, shared by all who see it."""
        ...

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def released(self, account: VirtualAccount) -> None:
        """Somebody is done with an account."""


@implementer(IMailAccount, ICountingAccount, IMaildropAccount, ISharedAccount)
class VirtualAccount:
    """The folders that a program has for a user; made by `VirtualStore`."""

    quota_limit = NO_LIMIT

    def __init__(self, user: str, home: Home) -> None:
        self.user = user
        self.separator = home.separator
        self.uses = 0
        self.listed: dict[str, Folder] = {}
        """The folders that hold messages, by name."""
        self.transfer: Transfer = self._transfer
        """How messages get into other folders; whoever mounts this account knows more of those."""
        self.clock = home.clock
        self.pauses = home.pauses
        self.keeping = home.keeping
        self.now = home.now
        self._home = home
        self._mailboxes: dict[str, VirtualMailbox] = {}
        self._rows: dict[str, FolderRow] = {}
        self._unsubscribed: frozenset[str] = frozenset()
        self._uidvalidity = 0
        self._has_maildrop = False
        self._asked = self._answered = 0
        self._found: Mapping[str, Any] | None = None
        """What the program answered last."""
        self._bad: set[str] = set()

    async def begin(self) -> None:
        """The first thing to be done."""
        self._rows, self._unsubscribed = await self.keeping.folders(self.user)
        self._uidvalidity = max((row.uidvalidity for row in self._rows.values()), default=0)
        await self.refresh()

    # -- folders

    async def refresh(self) -> None:
        """Ask the program which folders there are. Where it fails they stay as they were."""
        number = self._asked = self._asked + 1
        try:
            found = await self._home.folders_of(self.user)
        except MailError:  # it has been logged, or is the program's own
            return
        if number < self._answered:  # a later question has had its answer
            return
        self._answered = number
        if found == self._found:
            return
        wanted = {name: folder for given, folder in found.items() if (name := self._name(given, folder))}
        if self._home.has_inbox and INBOX not in wanted:
            wanted[INBOX] = self._mailboxes[INBOX].source.folder if INBOX in self._mailboxes else NoMessages()
        new = [(name, self._row(name)) for name in wanted if name not in self._rows]
        if new:
            self._rows.update(new)
            try:
                await self.keeping.add_folders(self.user, new)
            except MailError:
                for name, _ in new:
                    self._rows.pop(name, None)
                raise
        for name in [name for name in self._mailboxes if name not in wanted]:
            self._drop(name)
        for name, folder in wanted.items():
            self._have(name, folder)
        self._found = dict(found)

    def _name(self, given: str, folder: Any) -> str:
        """A folder's name as it is kept; "" for what can be no folder, which is said once."""
        try:
            if not is_folder(folder):
                raise TypeError("it has no list and fetch")
            return canonical_name(given, self.separator)
        except (MailError, TypeError, AttributeError) as problem:
            if repr(given) not in self._bad:
                self._bad.add(repr(given))
                _log.error(
                    "{name!r} can be no folder of {user}: {problem}", name=given, user=self.user, problem=problem
                )
            return ""

    def _row(self, name: str) -> FolderRow:
        self._uidvalidity = max(self._uidvalidity + 1, int(self.now()))
        return FolderRow(f"V{uuid4().hex}", self._uidvalidity)

    def _have(self, name: str, folder: Any) -> None:
        row = self._rows.get(name)
        mailbox = self._mailboxes.get(name)
        if row is None:  # it went while another refresh was waiting
            return
        shown = Folder(name, True, getattr(folder, "special_use", None), row.mailbox_id)
        self.listed[name] = shown
        if mailbox is None:
            self._mailboxes[name] = VirtualMailbox(shown, self._home.source(folder), row, self)
            return
        mailbox.folder = shown
        now = mailbox.source.folder
        if now is not folder and now != folder:
            mailbox.served_by(self._home.source(folder))

    def _drop(self, name: str) -> None:
        """The program has this folder no longer. What is kept on disk stays, in case it comes back."""
        self.listed.pop(name, None)
        self._mailboxes.pop(name).close(gone=True)
        if not self.keeping.lasts:
            del self._rows[name]

    def folders(self) -> list[Folder]:
        """All folders."""
        return [self.listed.get(name) or Folder(name, False) for name in tree(self.listed, self.separator)]

    def subscriptions(self) -> frozenset[str]:
        """All, but for those that the user has unsubscribed from."""
        return frozenset(self.listed) - self._unsubscribed

    async def subscribe(self, name: str, subscribed: bool) -> None:
        """A name is subscribed to, or no longer."""
        name = known_name(name, self.separator)
        if name not in tree(self.listed, self.separator):
            if subscribed:
                raise _no_such(name)
            return
        await self.keeping.subscribe(self.user, name, subscribed)
        self._unsubscribed = self._unsubscribed - {name} if subscribed else self._unsubscribed | {name}

    def create(self, name: str, special_use: SpecialUse | None = None) -> Folder:
        """Nobody but the program makes folders."""
        if canonical_name(name, self.separator) in self.listed:
            raise MailError(ErrorKind.FOLDER_EXISTS, f"There is a folder {name} already")
        raise MailError(ErrorKind.NO_PERMISSION, _OF_THE_PROGRAM)

    def delete(self, name: str) -> None:
        """Nor deletes them."""
        self._require(name)
        raise MailError(ErrorKind.CANNOT, _OF_THE_PROGRAM)

    def rename(self, old: str, new: str) -> None:
        """Nor renames them."""
        self._require(old)
        raise MailError(ErrorKind.CANNOT, _OF_THE_PROGRAM)

    def _require(self, name: str) -> None:
        if known_name(name, self.separator) not in tree(self.listed, self.separator):
            raise _no_such(name)

    # -- open folders

    def found(self, name: str) -> VirtualMailbox:
        """The mailbox of this name. Raises NO_SUCH_FOLDER, NOT_SELECTABLE."""
        name = known_name(name, self.separator)
        if name in self._mailboxes:
            return self._mailboxes[name]
        if below(name, self._mailboxes, self.separator):
            raise MailError(ErrorKind.NOT_SELECTABLE, f"{name} only has folders below it")
        raise _no_such(name)

    async def open(self, name: str) -> VirtualMailbox:
        """Open a folder, as the program has it now."""
        await self.refresh()
        mailbox = self.found(name)
        mailbox.enter()
        try:
            await mailbox.refresh(anew=True)
            mailbox.require()
        except BaseException:  # cancelled too: raised again, with the mailbox given back
            mailbox.release()
            raise
        return mailbox

    def released(self, mailbox: VirtualMailbox) -> None:
        """A mailbox has one user less."""

    async def counts(self, name: str) -> Status:
        """Counts without sizes, for which every message had to be made."""
        mailbox = await self.open(name)
        try:
            return mailbox.live.status()
        finally:
            mailbox.release()

    async def status(self, name: str) -> Status:
        """Counts."""
        mailbox = await self.open(name)
        try:
            return await mailbox.status()
        finally:
            mailbox.release()

    def usage(self) -> Usage:
        """What a program shows takes no room here."""
        return Usage(0, 0)

    # -- messages

    def takes_any(self) -> bool:
        """Whether messages can be put into any folder."""
        return any(mailbox.source.can("add") for mailbox in self._mailboxes.values())

    def spool(self, expected: int, beside: int = 0) -> OctetSpool:
        """Begin to receive a message."""
        return OctetSpool()

    async def append(
        self,
        name: str,
        messages: Sequence[NewMessage],
        origin: object | None = None,
        replaced: tuple[Any, int] | None = None,
    ) -> Appended:
        """Let the program take messages, and remove the one that they replace."""
        mailbox = self.found(name)
        mailbox.require_additions()
        whole = [NewMessage(octets_of(each), each.flags, each.internaldate) for each in messages]
        if replaced is not None:
            replaced[0].require_message(replaced[1])
        uids = await mailbox.add(whole, origin)
        if replaced is not None:
            await replaced[0].remove([replaced[1]], origin)
        return Appended(mailbox.live.uidvalidity if uids else 0, uids)

    async def _transfer(
        self, source: Any, uids: Sequence[int], target: str, move: bool, origin: object | None
    ) -> Copied:
        """Copy or move to another folder of this account."""
        return await transfer_into(self.found(target), source, uids, move=move, origin=origin)

    # -- POP3

    async def maildrop(self) -> VirtualMaildrop:
        """INBOX for a POP3 session."""
        if self._has_maildrop:
            raise MailError(ErrorKind.IN_USE, "Another POP3 session has this mailbox open")
        self._has_maildrop = True
        try:
            mailbox = await self.open(INBOX)
        except BaseException:  # cancelled too: raised again, with the maildrop given back
            self._has_maildrop = False
            raise
        return VirtualMaildrop(mailbox, self)

    def maildrop_released(self) -> None:
        """Others may have it."""
        self._has_maildrop = False

    # -- coming and going

    def release(self) -> None:
        """Somebody is done with the account."""
        self.uses -= 1
        if not self.uses:
            self.transfer = self._transfer
        self._home.released(self)

    @property
    def is_idle(self) -> bool:
        """Whether nobody has it, nor any of its folders, open."""
        return not self.uses and not any(mailbox.uses for mailbox in self._mailboxes.values())

    async def close(self) -> None:
        """Keep what is to be kept; hear no more of the program."""
        for mailbox in self._mailboxes.values():
            mailbox.close()
            await mailbox.keep_recent()


def _no_such(name: str) -> MailError:
    return MailError(ErrorKind.NO_SUCH_FOLDER, f"There is no folder {name}")


@implementer(IMaildrop)
class VirtualMaildrop:
    """INBOX, while a POP3 session has it."""

    def __init__(self, mailbox: VirtualMailbox, account: VirtualAccount) -> None:
        self.mailbox = mailbox
        self.uidls: Mapping[int, str] = {}
        self.remove = mailbox.remove
        self._account = account

    def release(self) -> None:
        """Let others have it."""
        self._account.maildrop_released()
        self.mailbox.release()
