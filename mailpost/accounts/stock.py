"""Our accounts as Twisted's own `imap4.IMAP4Server` wants them: `IAccountIMAP` and its mailboxes.

The stock server does not wait for CREATE, DELETE, RENAME and SUBSCRIBE. What can be refused is therefore refused
before they return, from the folder list in memory; the work itself follows in the order of the commands, and whatever
needs its outcome (SELECT, STATUS, APPEND, LIST) waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.mail.imap4 import MailboxCollision, MailboxException, NoSuchMailbox
from twisted.mail.interfaces import IAccountIMAP, IMailboxIMAPInfo, INamespacePresenter
from zope.interface import implementer

from mailpost.accounts.stockmailbox import StockMailbox
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.listpatterns import list_matcher
from mailpost.storage.interfaces import Answer, IMailAccount, refreshed
from mailpost.storage.offload import settled
from mailpost.storage.records import Folder


@implementer(IMailboxIMAPInfo)
class FolderAttributes:
    """A folder as the stock LIST shows it: its `getFlags` are LIST attributes."""

    def __init__(self, folder: Folder, separator: str) -> None:
        self._attributes = [] if folder.selectable else ["\\Noselect"]
        if folder.special_use:
            self._attributes.append(folder.special_use.value)
        self._separator = separator

    def getFlags(self) -> list[str]:
        """LIST attributes."""
        return self._attributes

    def getHierarchicalDelimiter(self) -> str:
        """The separator of folder names."""
        return self._separator


@implementer(IAccountIMAP, INamespacePresenter)
class StockAccount:
    """An `IMailAccount` for a stock server."""

    _log = Logger()

    def __init__(self, account: IMailAccount, clock: IReactorTime) -> None:
        self._account = account
        self._clock = clock
        self._turn = DeferredLock()
        self._expected: dict[str, bool] = {}
        self._subscriptions: dict[str, bool] = {}

    # -- IAccountIMAP

    def select(self, name: str, rw: bool = True) -> Deferred[StockMailbox | None]:
        """Open a folder; None where there is none."""
        return self._after(lambda: self._open(name, bool(rw)))

    def addMailbox(self, name: str, mbox: object | None = None) -> bool:
        """Make a folder; a mailbox object of somebody else's cannot be put in."""
        if mbox is not None:
            raise MailboxException("This account keeps its own folders")
        return self.create(name)

    def create(self, pathspec: str) -> bool:
        """Make a folder and those above it."""
        name = pathspec.rstrip(self._account.separator)
        if self._exists(name):
            raise MailboxCollision(name)
        self._expected[name] = True
        self._later(lambda: self._account.create(name), name)
        return True

    def delete(self, name: str) -> bool:
        """Delete a folder."""
        if not self._exists(name):
            raise NoSuchMailbox(name)
        self._expected[name] = False
        self._later(lambda: self._account.delete(name), name)
        return True

    def rename(self, oldname: str, newname: str) -> bool:
        """Rename a folder and those below it."""
        if not self._exists(oldname):
            raise NoSuchMailbox(oldname)
        if self._exists(newname):
            raise MailboxCollision(newname)
        self._expected.update({oldname: False, newname: True})
        self._later(lambda: self._account.rename(oldname, newname), oldname, newname)
        return True

    def isSubscribed(self, name: str) -> bool:
        """Whether the name is on the list of subscriptions."""
        return self._subscriptions.get(name, name in self._account.subscriptions())

    def subscribe(self, name: str) -> bool:
        """Put a name on the list of subscriptions."""
        return self._subscribe(name, True)

    def unsubscribe(self, name: str) -> bool:
        """Take a name off it."""
        return self._subscribe(name, False)

    def listMailboxes(self, ref: str, wildcard: str) -> Deferred[list[tuple[str, FolderAttributes]]]:
        """Folders whose names match, with their LIST attributes. RFC: 3501 §6.3.8"""

        async def matching() -> list[tuple[str, FolderAttributes]]:
            await refreshed(self._account)
            separator = self._account.separator
            matches = list_matcher(ref + wildcard, separator)
            return [
                (folder.name, FolderAttributes(folder, separator))
                for folder in self._account.folders()
                if matches(folder.name)
            ]

        return self._after(matching)

    # -- INamespacePresenter

    def getPersonalNamespaces(self) -> list[list[str]]:
        """All folders are the user's own."""
        return [["", self._account.separator]]

    def getSharedNamespaces(self) -> None:
        """There are none."""

    def getUserNamespaces(self) -> None:
        """There are none."""

    # -- inside

    def _exists(self, name: str) -> bool:
        if name.upper() == "INBOX":
            return True
        if name in self._expected:
            return self._expected[name]
        return any(folder.name == name and folder.selectable for folder in self._account.folders())

    def _subscribe(self, name: str, subscribed: bool) -> bool:
        self._subscriptions[name] = subscribed
        done = self._after(lambda: settled(self._account.subscribe(name, subscribed)))
        done.addErrback(self._failed, name)
        done.addBoth(lambda _: self._subscriptions.pop(name, None))
        return True

    async def _open(self, name: str, writeable: bool) -> StockMailbox | None:
        try:
            mailbox = await settled(self._account.open(name))
        except MailError as error:
            if error.kind in (ErrorKind.NO_SUCH_FOLDER, ErrorKind.NOT_SELECTABLE, ErrorKind.BAD_FOLDER_NAME):
                return None
            raise MailboxException(error.text) from error
        return StockMailbox(self._account, mailbox, writeable, self._clock)

    def _after(self, function: Callable[[], Any]) -> Deferred[Any]:
        """Run a function that gives a coroutine when all commands before it are done."""

        def in_turn(lock: DeferredLock) -> Deferred[Any]:
            return Deferred.fromCoroutine(function()).addBoth(self._release)

        return self._turn.acquire().addCallback(in_turn)

    def _release(self, outcome: Any) -> Any:
        self._turn.release()
        return outcome

    def _later(self, function: Callable[[], Answer[Any]], *names: str) -> None:
        """Run a change of the folders in its turn; the folder list is right again when it has ended."""

        async def change() -> None:
            await settled(function())

        done = self._after(change)
        done.addErrback(self._failed, names[0])
        done.addBoth(lambda _: [self._expected.pop(name, None) for name in names])

    def _failed(self, failure: Any, name: str) -> None:
        """The client has been told that it was done: all that is left is to say in the log that it was not."""
        self._log.failure("{user}: changing folder {name!r} failed", failure, user=self._account.user, name=name)
