"""Serves accounts and mailboxes made for Twisted's own IMAP server."""

from __future__ import annotations

from typing import Any

from mailpost.storage.interfaces import IMailAccount


async def mail_account(avatar: Any) -> Any:
    """The `IMailAccount` of who logged in."""
    return IMailAccount(avatar)


def stock_of(mailbox: Any) -> Any:
    """The mailbox as Twisted knows it."""
    return getattr(mailbox, "stock", mailbox)
