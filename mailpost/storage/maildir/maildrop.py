"""INBOX as POP3 has it: one session at a time, and the UIDLs that another server gave its messages.

The lock is an flock, seen by every process, which the system gives back when its holder ends, however that happens.

RFC: 1939 §4 (exclusive-access lock), §7 (UIDL)
"""

from __future__ import annotations

import fcntl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import BinaryIO

from zope.interface import implementer

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.interfaces import IMaildrop
from mailpost.storage.maildir.files import mail_errors, read_file
from mailpost.storage.maildir.lane import HeldFiles
from mailpost.storage.maildir.mailbox import MaildirMailbox
from mailpost.storage.maildir.uidlist import UIDLIST_FILE, parse_uidlist
from mailpost.storage.maildir.workers import Workers
from mailpost.storage.ownership import make_private


def locked_file(path: str) -> BinaryIO:
    """Lock this file, making it if need be; closing it gives the lock back. Blocking, but it does not wait.

    Raises:
        MailError: IN_USE.
    """
    with mail_errors():
        make_private(path)
        file = open(path, "rb")  # noqa: SIM115 (whoever holds the lock closes it)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise MailError(ErrorKind.IN_USE, "Another POP3 session has this mailbox open") from None
    return file


def settled_uidls(held: Callable[[], HeldFiles], uidvalidity: int) -> dict[int, str]:
    """The UIDLs in a folder's UID list, by UID; none if it is not of this UIDVALIDITY. Blocking."""
    files = held()
    with mail_errors():
        found = read_file(UIDLIST_FILE, files.directory)
    if found is None or b" P" not in found[0]:
        return {}
    uidlist = parse_uidlist(*found)
    if uidlist is None or uidlist.uidvalidity != uidvalidity:
        return {}
    return {entry.uid: entry.uidl for entry in uidlist.entries.values() if entry.uidl}


@implementer(IMaildrop)
class MaildirMaildrop:
    """A maildrop that is locked; made by `MaildirAccount`."""

    def __init__(self, mailbox: MaildirMailbox, lock: BinaryIO, uidls: Mapping[int, str]) -> None:
        self.mailbox = mailbox
        self.uidls = uidls
        self._lock = lock

    async def remove(self, uids: Sequence[int]) -> list[int]:
        """Remove messages, all or none."""
        return await self.mailbox.remove(uids)

    def release(self) -> None:
        """Let others have it."""
        self.mailbox.release()
        self._lock.close()


async def open_maildrop(
    workers: Workers,
    lock_file: str,
    files: Callable[[int, str], HeldFiles],
    open_inbox: Callable[[], Awaitable[MaildirMailbox]],
) -> MaildirMaildrop:
    """INBOX for a POP3 session, locked until it is released. Raises IN_USE."""
    lock = await workers.read(locked_file, lock_file)
    try:
        mailbox = await open_inbox()
    except BaseException:  # cancelled too: raised again, with the lock given back
        lock.close()
        raise
    try:
        held = partial(files, mailbox.folder.number, mailbox.folder.directory)
        uidls = await workers.read(settled_uidls, held, mailbox.live.uidvalidity)
    except BaseException:  # likewise
        mailbox.release()
        lock.close()
        raise
    return MaildirMaildrop(mailbox, lock, uidls)
