"""Delivery into the mail of local users: recipients, filters, folders.

A message is kept once while it comes in, and filed for all its recipients side by side, each copy with its own
Delivered-To at the top. What goes wrong for one concerns no other. Nothing is acknowledged before it is durable.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailpost.delivery.body import Body, Room, Run
from mailpost.delivery.interfaces import IDeliveryFilter, IReceiver, IRecipients, ITransaction
from mailpost.delivery.message import AT_ONCE, Message
from mailpost.delivery.openaccounts import OpenAccounts
from mailpost.delivery.records import Elsewhere, LocalUser, Target
from mailpost.mail.errors import ErrorKind, MailError, message_too_big
from mailpost.mail.transport import Client, ForwardPath, ReversePath
from mailpost.storage.interfaces import IMailAccount, IMailStore
from mailpost.storage.offload import settled

_ROOM = 64 << 20
"""Octets of memory for messages on their way in, and as many again for the copies that are being written."""


@implementer(IReceiver)
class LocalReceiver:
    """Takes messages for the users of a store.

    Args:
        store: where they are filed.
        recipients: whom an address means.
        hostname: the name of this server in Received fields.
        run: runs a blocking function in a thread.
        filters: asked in this order before a message is filed.
        elsewhere: takes what an alias or a filter sends on to other servers, whoever the client is (so one that asks
            for no login). None: nothing is sent on, and such an alias has no recipient.
        message_size: octets that a message may have.
        most_recipients: that one message may have. RFC: 5321 §4.5.3.1.8 (100 at least)
        spool: folder for messages that are too large for memory; None for the usual place of the system.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        store: IMailStore,
        recipients: IRecipients,
        *,
        hostname: str,
        run: Run,
        filters: Sequence[IDeliveryFilter] = (),
        elsewhere: IReceiver | None = None,
        message_size: int = 50 << 20,
        most_recipients: int = 1000,
        spool: Path | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.accounts = OpenAccounts(store, now)
        self.recipients = recipients
        self.hostname = hostname
        self.filters = filters
        self.elsewhere = elsewhere
        self.message_size = message_size
        self.most_recipients = most_recipients
        self.now = now
        self.copies = Room(_ROOM)
        self._bodies = Room(_ROOM)
        self._run = run
        self._spool = spool

    def begin(self, client: Client, sender: ReversePath) -> LocalTransaction:
        """Begin a message."""
        if sender.size is not None and sender.size > self.message_size:
            raise message_too_big(self.message_size)
        return LocalTransaction(self, client, sender, Body(self._bodies, self._run, self._spool))


@implementer(ITransaction)
class LocalTransaction:
    """One message on its way in; made by `LocalReceiver.begin`."""

    def __init__(self, receiver: LocalReceiver, client: Client, sender: ReversePath, body: Body) -> None:
        self.recipients: list[ForwardPath] = []
        self._receiver = receiver
        self._client = client
        self._sender = sender
        self._body = body
        self._targets: list[Sequence[Target]] = []
        """Of each recipient."""
        self._accounts: dict[str, IMailAccount] = {}
        """Some that are held open until the message is filed, so that opening them is not to be done twice."""
        self._failed: MailError | None = None
        self._ended = False

    async def add_recipient(self, recipient: ForwardPath) -> None:
        """Accept one more recipient if there is somebody of this address, with room for the message."""
        if len(self.recipients) >= self._receiver.most_recipients:
            most = self._receiver.most_recipients
            raise MailError(ErrorKind.TOO_MANY_RECIPIENTS, f"A message may have {most} recipients at most")
        targets = await settled(self._receiver.recipients.resolve(recipient.address))
        if self._receiver.elsewhere is None and any(isinstance(each, Elsewhere) for each in targets):
            raise MailError(ErrorKind.RELAY_DENIED, "Mail for this address is sent on, and nothing is sent from here")
        for each in targets[:AT_ONCE]:  # of a long list the others are asked when it is filed
            if isinstance(each, LocalUser) and each.name not in self._accounts:
                await self._look_into(each.name)
        self.recipients.append(recipient)
        self._targets.append(targets)

    async def _look_into(self, user: str) -> None:
        """Open the account and see whether the message would fit; a few accounts stay open for the delivery.

        Raises:
            MailError: OVER_QUOTA, UNAVAILABLE.
        """
        account: IMailAccount = await self._receiver.accounts.open(user)
        keep = False
        try:
            limit = account.quota_limit
            if limit and not limit.allows(await settled(account.usage()), self._sender.size or 1):
                raise MailError(ErrorKind.OVER_QUOTA, "There is no room left for mail to this user")
            keep = not self._ended and len(self._accounts) < AT_ONCE and user not in self._accounts
        finally:
            if keep:
                self._accounts[user] = account
            else:
                account.release()

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Take the next octets."""
        if self._failed is not None or self._ended:
            return None
        if self._body.size + len(data) > self._receiver.message_size:
            raise self._fail(message_too_big(self._receiver.message_size))
        waiting = self._body.write(data)
        return None if waiting is None else Deferred.fromCoroutine(self._written(waiting))

    async def _written(self, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except MailError as error:
            raise self._fail(error) from error

    def _fail(self, error: MailError) -> MailError:
        """Nothing comes of this message any more."""
        self._failed = error
        self._body.close()
        return MailError(error.kind, error.text)

    async def commit(self) -> list[MailError | None]:
        """File it for everybody."""
        if self._failed is not None:
            self.abort()
            raise MailError(self._failed.kind, self._failed.text) from self._failed
        if self._ended:
            raise MailError(ErrorKind.CANNOT, "This message was given up")
        self._ended = True
        try:
            await self._body.finish()
            message = Message(self._receiver, self._client, self._sender, self._body, self.recipients)
            first: dict[Target, ForwardPath] = {}
            for recipient, targets in zip(self.recipients, self._targets, strict=True):
                for target in targets:
                    first.setdefault(target, recipient)
            outcomes = await message.deliver(first)
            return [next(filter(None, map(outcomes.get, targets)), None) for targets in self._targets]
        finally:
            self._let_go()

    def abort(self) -> None:
        """Throw it away. A commit that has begun goes on: who asked for it may have got it, so everybody should."""
        if not self._ended:
            self._ended = True
            self._let_go()

    def _let_go(self) -> None:
        self._body.close()
        for account in self._accounts.values():
            account.release()
        self._accounts.clear()
