"""Users and folders as tests hold them, in two forms: one that waits, and one whose methods are awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mailpost.mail.flags import FlagChange
from mailpost.testing.criteria import criteria
from mailpost.testing.factory import messages
from mailpost.testing.loading import Puttable, new_message, read_source
from mailpost.testing.mail import Mail
from mailpost.testing.mailbox import Cursor, Mailbox
from mailpost.testing.running import RunningServer

T = TypeVar("T")
TIMEOUT = 5.0
"""Seconds that `wait` waits if it is not told otherwise."""


class Run(Protocol):
    """Runs a coroutine function in the reactor's thread, and is awaited."""

    def __call__(self, work: Callable[[], Coroutine[Any, Any, T]], /) -> Awaitable[T]:
        """Run it."""


class Block(Protocol):
    """Runs a coroutine function in the reactor's thread, and comes back when it is done."""

    def __call__(self, work: Callable[[], Coroutine[Any, Any, T]], /) -> T:
        """Run it."""


class AsyncFolder:
    """One folder of a user; its methods are awaited. `Folder` has the same, and blocks."""

    def __init__(self, server: RunningServer, mailbox: Mailbox, run: Run) -> None:
        self._server = server
        self._mailbox = mailbox
        self._run = run

    @property
    def name(self) -> str:
        """Its full name."""
        return self._mailbox.name

    async def wait(
        self, search: str = "", /, *, timeout: float = TIMEOUT, after: Cursor | None = None, **keys: Any
    ) -> Mail:
        """The first new mail that matches, as soon as it is there.

        New is what has come since the server started, or behind the cursor; not what the test has put in, nor what an
        earlier `wait` has given. So the order in which mails are waited for does not matter.

        Args:
            search: IMAP search keys, `'OR FROM bob SUBJECT "Welcome"'`.
            timeout: seconds.
            after: a place made by `cursor`; None for the folder's own.
            keys: search keys as keywords, `subject="Welcome", unseen=True`; see `mailpost.testing.criteria`.

        Raises:
            NoMailError: none has come; the text shows what has.
            CriteriaError: that cannot be searched for.
        """
        wanted = criteria(search, keys)
        return await self._run(lambda: self._server.wait(self._mailbox, wanted, timeout, after))

    async def mails(self, search: str = "", /, **keys: Any) -> list[Mail]:
        """All mails that match, old and new, oldest first; at once."""
        wanted = criteria(search, keys)
        return await self._run(lambda: self._mailbox.mails(wanted))

    async def cursor(self) -> Cursor:
        """A place behind everything that is here now, for `wait(after=...)`."""
        return await self._run(self._mailbox.place)

    async def put(self, *what: Puttable, flags: Iterable[str] = (), date: datetime | None = None) -> None:
        """Put messages in, into a new folder if need be; `wait` does not give them.

        Args:
            what: messages, as octets, text or `email.message.EmailMessage`; or paths of files, mboxes, Maildirs and
                directories of files, whose messages bring flags and dates along and all come into this folder.
            flags: `\\\\Seen` and so on, and keywords.
            date: INTERNALDATE, with a zone; now if None.

        Raises:
            SourceError: a path has no mail.
            MailError: OVER_QUOTA, BAD_FOLDER_NAME.
        """

        async def put() -> None:
            for each in what:
                if isinstance(each, Path):
                    read = await self._server.in_thread(lambda path=each: read_source(path))
                    await self._mailbox.put([message for found in read.values() for message in found])
                else:
                    await self._mailbox.put([new_message(each, flags, date)])

        await self._run(put)

    async def fill(self, count: int, seed: int = 0) -> None:
        """Put in so many messages, always the same ones for a seed; see `mailpost.testing.factory`."""

        async def fill() -> None:
            await self._mailbox.put(await self._server.in_thread(lambda: list(messages(count, seed))))

        await self._run(fill)

    async def add_flags(self, mail: Mail, *flags: str) -> None:
        """Give a mail of this folder more flags; `mail.flags` has them then."""
        mail.flags = await self._run(lambda: self._mailbox.flag([mail.uid], FlagChange.ADD, flags))

    async def remove_flags(self, mail: Mail, *flags: str) -> None:
        """Take flags off a mail of this folder."""
        mail.flags = await self._run(lambda: self._mailbox.flag([mail.uid], FlagChange.REMOVE, flags))

    async def clear(self, search: str = "", /, **keys: Any) -> int:
        """Remove all mails that match, for good: how many that were."""
        wanted = criteria(search, keys)
        return await self._run(lambda: self._mailbox.remove(wanted))


class Folder:
    """One folder of a user; its methods block. `AsyncFolder` says what they do."""

    def __init__(self, folder: AsyncFolder, block: Block) -> None:
        self._folder = folder
        self._block = block

    @property
    def name(self) -> str:
        """Its full name."""
        return self._folder.name

    def wait(self, search: str = "", /, *, timeout: float = TIMEOUT, after: Cursor | None = None, **keys: Any) -> Mail:
        """The first new mail that matches. Raises NoMailError, CriteriaError."""
        return self._block(lambda: self._folder.wait(search, timeout=timeout, after=after, **keys))

    def mails(self, search: str = "", /, **keys: Any) -> list[Mail]:
        """All mails that match, old and new, oldest first; at once."""
        return self._block(lambda: self._folder.mails(search, **keys))

    def cursor(self) -> Cursor:
        """A place behind everything that is here now, for `wait(after=...)`."""
        return self._block(self._folder.cursor)

    def put(self, *what: Puttable, flags: Iterable[str] = (), date: datetime | None = None) -> None:
        """Put messages in, or what is in files. Raises SourceError, MailError."""
        self._block(lambda: self._folder.put(*what, flags=flags, date=date))

    def fill(self, count: int, seed: int = 0) -> None:
        """Put in so many messages, always the same ones for a seed."""
        self._block(lambda: self._folder.fill(count, seed))

    def add_flags(self, mail: Mail, *flags: str) -> None:
        """Give a mail of this folder more flags; `mail.flags` has them then."""
        self._block(lambda: self._folder.add_flags(mail, *flags))

    def remove_flags(self, mail: Mail, *flags: str) -> None:
        """Take flags off a mail of this folder."""
        self._block(lambda: self._folder.remove_flags(mail, *flags))

    def clear(self, search: str = "", /, **keys: Any) -> int:
        """Remove all mails that match, for good: how many that were."""
        return self._block(lambda: self._folder.clear(search, **keys))


class AsyncUser:
    """Somebody with mail; folders are of the awaited form."""

    def __init__(self, server: RunningServer, name: str, password: str, run: Run) -> None:
        self.name = name
        """For logging in; the address, where there is one."""
        self.password = password
        self._server = server
        self._run = run

    @property
    def inbox(self) -> AsyncFolder:
        """Where mail comes in."""
        return self.folder("INBOX")

    def folder(self, name: str) -> AsyncFolder:
        """A folder by its full name, levels joined by "/"; it need not be there yet."""
        return AsyncFolder(self._server, self._server.mailbox(self.name, name), self._run)

    async def load(self, path: Path) -> None:
        """Put in what a Maildir has, each folder into the folder of its name. Raises SourceError."""

        async def load() -> None:
            for name, found in (await self._server.in_thread(lambda: read_source(path))).items():
                await self._server.mailbox(self.name, name).put(found)

        await self._run(load)


class User:
    """Somebody with mail; folders block."""

    def __init__(self, user: AsyncUser, block: Block) -> None:
        self.name = user.name
        """For logging in; the address, where there is one."""
        self.password = user.password
        self._user = user
        self._block = block

    @property
    def inbox(self) -> Folder:
        """Where mail comes in."""
        return self.folder("INBOX")

    def folder(self, name: str) -> Folder:
        """A folder by its full name, levels joined by "/"; it need not be there yet."""
        return Folder(self._user.folder(name), self._block)

    def load(self, path: Path) -> None:
        """Put in what a Maildir has, each folder into the folder of its name. Raises SourceError."""
        self._block(lambda: self._user.load(path))
