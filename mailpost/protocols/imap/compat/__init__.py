"""Serves accounts and mailboxes made for Twisted's own IMAP server: adapters to the interfaces that our commands use.

What such a mailbox cannot do (UIDPLUS, MOVE, mod-sequences, special uses, sizes in STATUS) is not announced.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from twisted.mail.interfaces import IAccountIMAP, IMailboxIMAP
from twisted.python.components import registerAdapter

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.imap.compat.account import StockAccount
from mailpost.protocols.imap.compat.mailbox import StockMailbox
from mailpost.protocols.imap.compat.message import MessageFile
from mailpost.storage.interfaces import IMailAccount, IMailpostMailbox

log = Logger()

__all__ = ["MessageFile", "StockAccount", "StockMailbox", "mail_account", "stock_of"]

registerAdapter(StockAccount, IAccountIMAP, IMailAccount)
registerAdapter(StockMailbox, IMailboxIMAP, IMailpostMailbox)


async def mail_account(avatar: Any) -> Any:
    """The `IMailAccount` of who logged in, ready for use."""
    account: Any = IMailAccount(avatar, None)
    if account is None:
        log.error("The realm gave {avatar}, which is no mail account", avatar=type(avatar))
        raise MailError(ErrorKind.UNAVAILABLE, "The mail of this user cannot be served")
    if isinstance(account, StockAccount):
        await account.load()
    return account


def stock_of(mailbox: Any) -> Any:
    """The mailbox as Twisted knows it: what stands behind an adapter, or the mailbox itself."""
    return mailbox.stock if isinstance(mailbox, StockMailbox) else mailbox
