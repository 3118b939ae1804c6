"""What a store of mail offers: the interfaces behind every protocol.

Three levels: a store has accounts, an account has folders, an open mailbox has messages. Except where a method
says that it answers at once, it may return its value, a Deferred or a coroutine; callers go through
`mailpost.storage.offload.settled`. All are called in the reactor thread and never block it.

Failures are `mailpost.mail.errors.MailError`; anything else is a bug.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, TypeAlias, TypeVar

from zope.interface import Attribute, Interface

from mailpost.mail.flags import FlagChange, Flags
from mailpost.mail.searchkeys import SearchKey
from mailpost.mail.uidset import UidSet
from mailpost.storage.events import Event
from mailpost.storage.records import (
    Appended,
    Copied,
    Fetched,
    Folder,
    NewMessage,
    SpecialUse,
    Status,
    Stored,
    Usage,
)

T = TypeVar("T")
Answer: TypeAlias = "T | Awaitable[T]"
"""A value, or something to await for it: a Deferred or a coroutine."""


class IMailStore(Interface):
    """All accounts of one place."""

    def account(user: str) -> Answer[IMailAccount]:
        """Open the account of this user, making it if it is new.

        Args:
            user: the name after authentication, already checked (`accounts.account.checked_user`).

        Returns:
            An IMailAccount; the same one while it is open, however many sessions share it.
        """

    def close() -> Answer[None]:
        """Flush everything that is behind and free all resources; answers when that is done."""


class IMailAccount(Interface):
    """One person's folders. Names are full names with `separator` between levels; "INBOX" in any case is INBOX."""

    user = Attribute("str: whose account this is.")
    separator = Attribute("str: one character between the levels of a folder's name.")
    quota_limit = Attribute(
        "records.QuotaLimit: how much it may hold, at once; it may change while the account is open."
    )

    def folders() -> list[Folder]:
        """All folders, at once: a list of `records.Folder`, INBOX first, then sorted by name.

        Names without a folder of their own that have folders below them are in it, not selectable.
        """

    def subscriptions() -> frozenset[str]:
        """Subscribed names, at once: a frozenset of str; some may not exist. RFC: 3501 §6.3.6"""

    def subscribe(name: str, subscribed: bool) -> Answer[None]:
        """Put a name on the list of subscriptions (or off it); it need not exist when it is taken off."""

    def create(name: str, special_use: SpecialUse | None = None) -> Answer[Folder]:
        """Make a folder, and those above it. Raises FOLDER_EXISTS, BAD_FOLDER_NAME. Returns its `records.Folder`."""

    def delete(name: str) -> Answer[None]:
        """Delete a folder with its messages, not those below it: then the name stays, not selectable.

        Raises NO_SUCH_FOLDER; CANNOT for INBOX; HAS_CHILDREN for a name that is not selectable already.
        Sessions that have it open see `live.gone` set.
        """

    def rename(old: str, new: str) -> Answer[None]:
        """Rename a folder and all below it; INBOX's messages are moved and INBOX stays. RFC: 3501 §6.3.5

        Raises NO_SUCH_FOLDER, FOLDER_EXISTS, BAD_FOLDER_NAME. Open sessions go on under the new name.
        """

    def open(name: str) -> Answer[IMailpostMailbox]:
        """The IMailpostMailbox of this folder, shared by all who open it; each calls its `release` once.

        Raises NO_SUCH_FOLDER, NOT_SELECTABLE.
        """

    def status(name: str) -> Answer[Status]:
        """The folder's `records.Status`, up to date with outside changes, without opening it for the caller."""

    def usage() -> Answer[Usage]:
        """What all its messages take: a `records.Usage`."""

    def spool(expected: int, beside: int = 0) -> ISpool:
        """Begin to receive a message of about `expected` octets: an ISpool.

        `beside`: octets of other messages that are to be appended together with it; many together are not held in
        memory.
        """

    def append(
        name: str,
        messages: Sequence[NewMessage],
        origin: object | None = None,
        replaced: tuple[Any, int] | None = None,
    ) -> Answer[Appended]:
        """Add messages (a sequence of `records.NewMessage`), all or none, durable when it answers: `records.Appended`.

        `replaced` is the message (an open mailbox of this account, a UID) that goes in the same step, whether it has
        \\Deleted or not. RFC: 8508 §3.4

        Raises NO_SUCH_FOLDER (TRYCREATE), OVER_QUOTA, DISK_FULL; EXPUNGED where what was to be replaced is gone.
        """

    def release() -> None:
        """The caller is done with this account; the last one lets the store close it when it likes."""


class ICountingAccount(Interface):
    """An account that counts quickly, and sizes messages slowly; an ability beside `IMailAccount`."""

    def counts(name: str) -> Answer[Status]:
        """As `IMailAccount.status`, but that `size` and `deleted_size` are 0: asked where nobody wants to know them."""


class IMailListener(Interface):
    """Wants to hear what happens in a server."""

    def heard(event: Event) -> Answer[None]:
        """Something has happened: one of `storage.events`.

        What clients and deliveries did through the server is told; what other programs do to a Maildir, or the program
        to its own store and data, is not. It is told in a later turn of the reactor thread, which must not be blocked.
        What happens in one folder is told in its order, the next when this has answered. An exception is logged and
        changes nothing; what a listener cannot keep up with is dropped in the end.
        """


class IMaildropAccount(Interface):
    """What POP3 needs of an account that is an IMailAccount too. Without it the account has no POP3."""

    def maildrop() -> Answer[IMaildrop]:
        """Open INBOX for a POP3 session, which no other one has until it is released, here or in another process.

        Raises IN_USE. Sessions of IMAP go on beside it. RFC: 1939 §4 (exclusive-access lock)
        """


class IMaildrop(Interface):
    """INBOX, while a POP3 session has it."""

    mailbox = Attribute("IMailpostMailbox: INBOX; not to be released by itself.")
    uidls = Attribute("Mapping[int, str]: UID -> UIDL, of those messages whose UIDL another server has settled.")

    def remove(uids: Sequence[int]) -> Answer[list[int]]:
        """Remove messages for good, with \\Deleted or without: all of them or, when it raises, none.

        Args:
            uids: ascending; those that are gone are passed over.

        Returns:
            The UIDs removed.
        """

    def release() -> None:
        """Let others have it; called once, at once."""


class ISharedAccount(Interface):
    """An account whose folders others change too; an ability beside `IMailAccount`."""

    def refresh() -> Awaitable[None]:
        """Take note of what other processes did to folders and subscriptions; quick when nothing happened.

        Called before a command that reports of them: what another process has acknowledged is in it.
        """


async def refreshed(account: object) -> None:
    """Let an account take note of what others did to its folders, if it is one that can."""
    if ISharedAccount.providedBy(account):
        await account.refresh()


class ISpool(Interface):
    """A message on its way in; given to `append` inside a NewMessage when it is whole."""

    size = Attribute("int: octets written so far.")

    def write(data: bytes) -> Awaitable[None] | None:
        """Take the next octets; None, or a Deferred to wait for before more is given."""

    def abort() -> None:
        """Throw it away. Harmless after `append` has taken it."""


class IMailpostMailbox(Interface):
    """One open folder, shared by all its sessions. Commands see nothing else of a store.

    `uids` arguments are ascending sequences of UIDs. UIDs that are gone are passed over. `origin` is any object:
    it marks the changes of this call in the journal, so that the session which asked can tell its own.
    """

    name = Attribute("str: the folder's full name; follows a rename.")
    live = Attribute("LiveMailbox: UIDs, flags and MODSEQs in memory, and the journal of changes.")
    read_only = Attribute("bool: nothing here can be changed (permission, a virtual folder).")
    keywords_allowed = Attribute("bool: STORE may name keywords that are new here (PERMANENTFLAGS \\*).")
    # It may also have `flags_refused`: a frozenset of system flags that `store` does not take, nor clients are offered.

    def refresh() -> Answer[None]:
        """Take note of what other programs did to the folder; quick when nothing happened.

        Called before a command that reports changes. Updates `live` before it answers.
        """

    def fetch(uids: Sequence[int], attributes: Sequence[Fetched]) -> AsyncIterator[list[tuple[Any, ...]]]:
        """An async iterator of batches; a batch is a list of tuples (uid, value, ...).

        Args:
            uids: ascending.
            attributes: a tuple of `records.Attribute` and `records.HeaderFields`; the values follow it in order.

        Rows come in the order of `uids`; messages that are gone have none. A batch with OCTETS holds about 256 KiB, or
        one message. The iterator may be abandoned at any time (its `aclose` frees what it holds). Where messages are
        there and cannot be read, it raises after the rows of all others.
        """

    def search(key: SearchKey) -> Answer[list[int]]:
        """The UIDs that match, ascending. The key is resolved: no Sequence, UidSequence, SavedResult, Recent.

        Raises IncompleteError, with those that match among the others, where messages cannot be read.
        """

    def store(
        uids: Sequence[int],
        change: FlagChange,
        flags: Flags,
        unchanged_since: int | None = None,
        origin: object | None = None,
    ) -> Answer[Stored]:
        """Change flags (`mail.flags.FlagChange`, canonical flags): `records.Stored`. Survives kill -9 when it answers.

        `live` is changed and the journal written before it answers. Raises READ_ONLY, LIMIT (too many keywords).
        """

    def expunge(uids: Sequence[int] | None = None, origin: object | None = None) -> Answer[list[int]]:
        """Remove those that have \\Deleted, of these UIDs or of all, for good: the UIDs removed, ascending."""

    def vanished(since: int) -> Answer[UidSet | None]:
        """UIDs that were expunged at mod-sequences above this; None where that is longer ago than is remembered.

        Some of what was expunged earlier may be among them. RFC: 7162 §3.2.5.1, §3.2.6
        """

    def copy(uids: Sequence[int], target: str, move: bool = False, origin: object | None = None) -> Answer[Copied]:
        """Copy to the folder named `target`, or move there; wholly or not at all, durable: `records.Copied`.

        Flags, keywords and INTERNALDATE go along. A target equal to this folder is allowed. Raises NO_SUCH_FOLDER.
        """

    def release() -> None:
        """The caller is done with this mailbox; called once by each who opened it. At once."""
