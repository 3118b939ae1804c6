"""An account made for Twisted's IMAP server, as our commands see one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.mail.imap4 import MailboxCollision, MailboxException, NoSuchMailbox
from zope.interface import implementer

from mailpost.mail.dates import format_internaldate
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.imap.compat.mailbox import StockMailbox
from mailpost.protocols.imap.compat.message import MessageFile
from mailpost.storage.interfaces import IMailAccount
from mailpost.storage.offload import settled
from mailpost.storage.records import NO_LIMIT, Appended, Folder, NewMessage, SpecialUse, Status, Usage

_USES = {use.value.lower(): use for use in SpecialUse}
_STATUS = ("MESSAGES", "RECENT", "UIDNEXT", "UNSEEN")


@implementer(IMailAccount)
class StockAccount:
    """The adapter for one account. Names are spelt as the account spells them, INBOX in capitals."""

    lacks = frozenset(
        {
            "UIDPLUS",
            "MOVE",
            "SPECIAL-USE",
            "STATUS=SIZE",
            "CONDSTORE",
            "QRESYNC",
            "MULTIAPPEND",
            "REPLACE",
            "QUOTA",
            "QUOTA=RES-STORAGE",
            "QUOTA=RES-MESSAGE",
        }
    )
    """Capabilities that such an account cannot have."""

    quota_limit = NO_LIMIT

    def __init__(self, stock: Any) -> None:
        """Adapt an `IAccountIMAP`; `load` must follow."""
        self.stock = stock
        self.separator = "/"
        self._folders: list[Folder] = []
        self._subscribed: frozenset[str] = frozenset()

    @property
    def user(self) -> str:
        """The account's name, where it has one."""
        name = getattr(self.stock, "name", "")
        return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)

    async def load(self) -> None:
        """Read the folders: Twisted permits that to take time, our commands do not."""
        listed = await settled(self.stock.listMailboxes("", "*"))
        self._take(listed)
        for name, _ in listed:
            if await settled(self.stock.isSubscribed(name)):
                self._subscribed |= {_known(name)}

    def _take(self, listed: Sequence[tuple[str, Any]]) -> None:
        folders = []
        for name, mailbox in listed:
            attributes = {str(flag).lower() for flag in mailbox.getFlags()}
            use = next((_USES[each] for each in attributes if each in _USES), None)
            folders.append(Folder(_known(name), "\\noselect" not in attributes, use))
            self.separator = mailbox.getHierarchicalDelimiter() or self.separator
        self._folders = sorted(folders, key=lambda folder: (folder.name != "INBOX", folder.name))

    def folders(self) -> list[Folder]:
        """All folders: as they are now if the account can say so at once, else as they were last."""
        listed = self.stock.listMailboxes("", "*")
        if isinstance(listed, Deferred):
            listed.addCallback(self._take)
            listed.addErrback(lambda _: None)  # The next command that needs the folders meets the error again.
        else:
            self._take(listed)
        return self._folders

    def subscriptions(self) -> frozenset[str]:
        """Subscribed names among the folders, and what was subscribed here."""
        answers = {folder.name: self.stock.isSubscribed(folder.name) for folder in self.folders()}
        told = {name for name, answer in answers.items() if not isinstance(answer, Deferred)}
        kept = self._subscribed - told
        return kept | {name for name in told if answers[name]}

    async def subscribe(self, name: str, subscribed: bool) -> None:
        """Subscribe, or no longer."""
        await self._asked(lambda: (self.stock.subscribe if subscribed else self.stock.unsubscribe)(name))
        self._subscribed = self._subscribed | {name} if subscribed else self._subscribed - {name}

    async def create(self, name: str, special_use: SpecialUse | None = None) -> Folder:
        """Make a folder."""
        if special_use is not None:
            raise MailError(ErrorKind.CANNOT, "Folders of this account have no special use")
        if not await self._asked(lambda: self.stock.create(name)):
            raise MailError(ErrorKind.FOLDER_EXISTS, "The folder cannot be created")
        return Folder(name)

    async def delete(self, name: str) -> None:
        """Delete a folder."""
        if name == "INBOX":
            raise MailError(ErrorKind.CANNOT, "INBOX cannot be deleted")
        await self._asked(lambda: self.stock.delete(name))

    async def rename(self, old: str, new: str) -> None:
        """Rename a folder; INBOX stays."""
        if old == "INBOX":
            raise MailError(ErrorKind.CANNOT, "INBOX cannot be renamed")
        await self._asked(lambda: self.stock.rename(old, new))

    async def _asked(self, request: Any) -> Any:
        """What the account answers; its refusals as ours."""
        try:
            return await settled(request())
        except NoSuchMailbox as error:
            raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such folder") from error
        except MailboxCollision as error:
            raise MailError(ErrorKind.FOLDER_EXISTS, "There is such a folder already") from error
        except MailboxException as error:
            raise MailError(ErrorKind.CANNOT, str(error) or "This cannot be done") from error

    async def _select(self, name: str, writeable: bool = True) -> Any:
        found = await self._asked(lambda: self.stock.select(name, writeable))
        if found is None:
            raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such folder")
        if "\\noselect" in {str(flag).lower() for flag in found.getFlags()}:
            raise MailError(ErrorKind.NOT_SELECTABLE, "This folder holds no messages")
        return found

    async def open(self, name: str) -> StockMailbox:
        """Open a folder: an adapter of the caller's own."""
        mailbox = StockMailbox(await self._select(name), name, self._select)
        await mailbox.load()
        return mailbox

    async def status(self, name: str) -> Status:
        """Counts; what the account cannot tell is 0, and not announced."""
        mailbox = await self._select(name, writeable=False)
        counts: dict[str, int] = await settled(mailbox.requestStatus(list(_STATUS)))
        return Status(
            messages=int(counts.get("MESSAGES") or 0),
            recent=int(counts.get("RECENT") or 0),
            unseen=int(counts.get("UNSEEN") or 0),
            deleted=0,
            size=0,
            uidnext=int(counts.get("UIDNEXT") or 0),
            uidvalidity=await settled(mailbox.getUIDValidity()),
            highest_modseq=0,
            mailbox_id="",
        )

    def usage(self) -> Usage:
        """Nobody counts it, and no limit asks for it."""
        return Usage(0, 0)

    def spool(self, expected: int, beside: int = 0) -> MessageFile:
        """Where a message goes on its way in."""
        return MessageFile()

    async def append(
        self,
        name: str,
        messages: Sequence[NewMessage],
        origin: object | None = None,
        replaced: tuple[Any, int] | None = None,
    ) -> Appended:
        """Add messages, one after the other; nobody knows their UIDs, and none can be replaced."""
        mailbox = await self._select(name)
        for message in messages:
            octets = message.octets
            file = MessageFile.of(octets) if isinstance(octets, bytes) else cast(MessageFile, octets)
            date = None if message.internaldate is None else format_internaldate(message.internaldate).encode()
            await settled(mailbox.addMessage(file.opened(), sorted(message.flags), date))
        return Appended(0, ())

    def release(self) -> None:
        """The portal's logout does what is to be done."""


def _known(name: str) -> str:
    return "INBOX" if name.upper() == "INBOX" else name
