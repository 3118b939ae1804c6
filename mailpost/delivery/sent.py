"""A copy of each message that a user sends, in the folder for sent mail; the client's own copy wins.

Many clients put a copy there themselves. Whichever comes first, the folder shows one message: after an automatic copy
has been filed, and after a client has appended something, the latest messages of the folder are looked at, and an
automatic copy gives way to another message of the same Message-ID as long as nobody has touched it. Nothing but the
folder is kept for that: an automatic copy has a field that says so. So it holds after a restart, and for two servers or
clients at once, each of which looks after it has filed.

A copy that was flagged, or is no longer in the folder, is somebody's and stays as it is.

RFC: 6154 §2 (\\Sent), 5322 §3.6.4 (Message-ID)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from twisted.logger import Logger
from zope.interface import alsoProvides, implementer, providedBy

from mailpost.delivery.folders import file_messages, make_folder
from mailpost.mail import headers
from mailpost.mail.completing import message_id_of
from mailpost.mail.errors import MailError
from mailpost.mail.flags import DELETED, RECENT, SEEN, FlagChange, intern_flags
from mailpost.mail.foldertree import known_name
from mailpost.storage.interfaces import IMailAccount, IMailpostMailbox, IMailStore, ISpool
from mailpost.storage.offload import settled
from mailpost.storage.records import Appended, HeaderFields, NewMessage, SpecialUse

MARK = b"X-Sent-Copy: automatic\r\n"
"""The field of an automatic copy."""
LATEST = 100
"""Messages at the end of the folder that are looked at."""
_FIELDS = HeaderFields((b"message-id", b"x-sent-copy"))
_FILED = intern_flags({SEEN})

_log = Logger()

Wanted = Callable[[str], Awaitable[bool]]
"""Whether a user wants copies."""


class SentCopies:
    """Files copies.

    Args:
        store: where.
        wanted: who has them.
        folder: the folder of accounts in which none is marked as the one for sent mail.
    """

    def __init__(self, store: IMailStore, wanted: Wanted, folder: str = "Sent") -> None:
        self._store = store
        self._wanted = wanted
        self._folder = folder

    async def begin(self, user: str, header: bytes, size: int) -> SentCopy | None:
        """A copy of a message with this header and about so many octets; None if there is to be none."""
        if not await self._wanted(user):
            return None
        account: IMailAccount = await settled(self._store.account(user))
        try:
            folder = sent_folder(account)
            if folder is None:
                folder = self._folder
                await make_folder(account, folder)
            message_id = message_id_of(header)
            own, _ = await _latest(account, folder, [message_id])
            if own[message_id]:
                account.release()
                return None
            copy = SentCopy(account, folder, account.spool(size), message_id)
        except BaseException:  # cancelled too: raised again, with the account given back
            account.release()
            raise
        try:
            await settled(copy.write(MARK + header))
        except BaseException:  # cancelled too: raised again, with nothing held
            copy.abort()
            raise
        return copy


class SentCopy:
    """One copy on its way into the folder; made by `SentCopies.begin`. Ends with `file` or `abort`."""

    def __init__(self, account: IMailAccount, folder: str, spool: ISpool, message_id: bytes) -> None:
        self._account: IMailAccount | None = account
        self._folder = folder
        self._spool = spool
        self._message_id = message_id

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Take the next octets of the body; None, or something to wait for."""
        waiting: Awaitable[None] | None = self._spool.write(data)
        return waiting

    async def file(self) -> None:
        """File it, unless there is the client's own by now. Raises what `IMailAccount.append` raises."""
        account, self._account = self._account, None
        if account is None:
            return
        try:
            await file_messages(account, self._folder, [NewMessage(self._spool, _FILED)])
            await settle(account, self._folder, [self._message_id])
        finally:
            self._spool.abort()
            account.release()

    def abort(self) -> None:
        """Throw it away."""
        account, self._account = self._account, None
        if account is not None:
            self._spool.abort()
            account.release()


def sent_folder(account: IMailAccount) -> str | None:
    """The folder for sent mail, where an account has one."""
    folders = (each for each in account.folders() if each.selectable)
    return next((each.name for each in folders if each.special_use is SpecialUse.SENT), None)


async def settle(account: IMailAccount, folder: str, message_ids: Sequence[bytes]) -> None:
    """Of these messages, have one each among the latest of a folder, as far as the others are untouched copies."""
    own, automatic = await _latest(account, folder, message_ids)
    spare = [uid for each, uids in automatic.items() for uid in (uids if own[each] else uids[1:])]
    if spare:
        mailbox: IMailpostMailbox = await settled(account.open(folder))
        try:
            for uid in spare:
                await _remove_untouched(mailbox, uid)
        finally:
            mailbox.release()


Found = dict[bytes, list[int]]
"""UIDs by Message-ID."""


async def _latest(account: IMailAccount, folder: str, message_ids: Sequence[bytes]) -> tuple[Found, Found]:
    """Those among the latest messages of a folder with one of these Message-IDs: clients' own, automatic copies."""
    own: Found = defaultdict(list)
    automatic: Found = defaultdict(list)
    wanted = {each for each in message_ids if each}
    if not wanted:
        return own, automatic
    mailbox: IMailpostMailbox = await settled(account.open(folder))
    try:
        await settled(mailbox.refresh())
        with suppress(MailError):  # raised behind the rows of all that can be read
            async for batch in mailbox.fetch(mailbox.live.uids[-LATEST:], (_FIELDS,)):
                for uid, fields in batch:
                    message_id = message_id_of(fields)
                    if message_id in wanted:
                        marked = headers.value(fields, b"x-sent-copy") is not None
                        (automatic if marked else own)[message_id].append(uid)
    finally:
        mailbox.release()
    return own, automatic


async def _remove_untouched(mailbox: IMailpostMailbox, uid: int) -> None:
    """Expunge a copy that is as it was filed; whoever changes it meanwhile keeps it."""
    live = mailbox.live
    at = live.position(uid)
    if at < 0 or live.flags[at] - {DELETED, RECENT} != _FILED:
        return
    stored = await settled(mailbox.store([uid], FlagChange.ADD, intern_flags({DELETED}), live.modseqs[at]))
    if not stored.refused:
        await settled(mailbox.expunge([uid]))


@implementer(IMailStore)
class WatchedStore:
    """A store whose accounts notice when a client appends its own copy of what it has sent.

    Args:
        store: the store.
        wanted: whose accounts notice.
    """

    def __init__(self, store: IMailStore, wanted: Wanted) -> None:
        self._store = store
        self._wanted = wanted

    async def account(self, user: str) -> IMailAccount:
        """Open the account of this user."""
        account: IMailAccount = await settled(self._store.account(user))
        watched: Any = _WatchedAccount(account, self._wanted)
        return watched  # type: ignore[no-any-return]

    def close(self) -> Any:
        """Close the store."""
        return self._store.close()


class _WatchedAccount:
    """An account as it is, but for what follows an append to the folder for sent mail."""

    def __init__(self, account: IMailAccount, wanted: Wanted) -> None:
        self._account = account
        self._wanted = wanted
        alsoProvides(self, providedBy(account))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._account, name)

    async def append(self, name: str, messages: Sequence[NewMessage], *more: Any, **named: Any) -> Appended:
        """Add messages, as the account does; automatic copies of them give way."""
        account = self._account
        appended: Appended = await settled(account.append(name, messages, *more, **named))
        try:
            folder = sent_folder(account)
            if folder == known_name(name, account.separator) and await self._wanted(account.user):
                await settle(account, folder, await _message_ids(account, folder, appended.uids))
        except MailError as error:  # the message is filed; two of it are better than none
            _log.warn(
                "an automatic copy of sent mail stays beside the own one of {user}: {reason}",
                user=account.user,
                reason=error.text,
            )
        return appended


async def _message_ids(account: IMailAccount, folder: str, uids: Sequence[int]) -> list[bytes]:
    mailbox: IMailpostMailbox = await settled(account.open(folder))
    try:
        return [message_id_of(fields) async for batch in mailbox.fetch(uids, (_FIELDS,)) for _, fields in batch]
    finally:
        mailbox.release()
