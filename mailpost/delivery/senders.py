"""Whom a user may send as.

An address is a user's own if mail for it comes to that user and to nobody else: the name, if it is an address; the
name at each domain of ours; aliases that lead to the user alone; each of them with a detail. The directory may list
more, single ones or whole domains (`@example.org`).

RFC: 6409 §6.1 (the submitter's right to an address)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailpost.accounts.account import User
from mailpost.delivery.interfaces import IRecipients
from mailpost.delivery.records import LocalUser
from mailpost.mail.completing import authors
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.offload import settled

Find = Callable[[str], Awaitable[User | None]]
"""What the directory knows of a user."""


@dataclass(frozen=True, slots=True)
class Senders:
    """Decides who may send as whom."""

    recipients: IRecipients
    find: Find
    check_sender: bool = True
    """The address of MAIL FROM must be the user's own."""
    check_from: bool = True
    """All addresses of the From field must be."""
    null_sender: bool = False
    """The null return path is anybody's, as programs want it that answer mail."""

    async def require_sender(self, user: str, address: str) -> None:
        """Raise SENDER_DENIED if this user may not send from this address."""
        if not address:
            if not self.null_sender:
                raise MailError(ErrorKind.SENDER_DENIED, "Mail without a sender's address is not taken")
        elif self.check_sender and not await self.owns(user, address):
            raise MailError(ErrorKind.SENDER_DENIED, "This address is not yours to send from")

    async def require_authors(self, user: str, header: bytes) -> None:
        """Raise SENDER_DENIED if this user may not be the author that a header names. RFC: 5322 §3.6.2"""
        if not self.check_from:
            return
        found = authors(header)
        if not found:
            raise MailError(ErrorKind.SENDER_DENIED, "The message has no address in its From field")
        for address in found:
            if not await self.owns(user, address):
                raise MailError(ErrorKind.SENDER_DENIED, "An address in the From field is not yours to send from")

    async def owns(self, user: str, address: str) -> bool:
        """Whether an address is this user's own."""
        local, at, domain = address.rpartition("@")
        if not (local and at and domain):
            return False
        if await self._is_listed(user, address, domain):
            return True
        try:
            targets = await settled(self.recipients.resolve(address))
        except MailError as error:
            if error.kind in (ErrorKind.NO_SUCH_USER, ErrorKind.RELAY_DENIED):
                return False
            raise
        return {each.name if isinstance(each, LocalUser) else None for each in targets} == {user}

    async def _is_listed(self, user: str, address: str, domain: str) -> bool:
        known = await self.find(user)
        if known is None:
            return False
        return address.casefold() in known.senders or f"@{domain.casefold()}" in known.senders
