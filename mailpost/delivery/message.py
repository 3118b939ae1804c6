"""A message that has come in whole, on its way into the folders of its recipients.

RFC: 5321 §4.4 (trace fields), §6.3 (loops)
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from secrets import token_hex
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, gatherResults
from twisted.logger import Logger

from mailpost.delivery import filters as filtering
from mailpost.delivery import trace
from mailpost.delivery.body import Body, Room
from mailpost.delivery.folders import file_messages, is_there, make_folder, meant_folder
from mailpost.delivery.interfaces import IDeliveryFilter, IReceiver, ITransaction
from mailpost.delivery.openaccounts import OpenAccounts
from mailpost.delivery.records import Arrival, FileInto, LocalUser, Target
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import Flags
from mailpost.mail.foldertree import INBOX, known_name
from mailpost.mail.transport import Client, ForwardPath, ReversePath
from mailpost.storage.interfaces import IMailAccount
from mailpost.storage.offload import settled
from mailpost.storage.records import NewMessage

AT_ONCE = 16
"""Recipients of one message that are served at the same time."""
_STREAMED = 512 << 10
"""Octets of memory that a copy takes which comes out of a file."""

_log = Logger()


class Office(Protocol):
    """What all messages of a `filing.LocalReceiver` share."""

    accounts: OpenAccounts
    hostname: str
    filters: Sequence[IDeliveryFilter]
    elsewhere: IReceiver | None
    copies: Room
    """Memory for copies that are being written."""
    now: Callable[[], float]


class Message:
    """A message that has come in whole, on its way to its recipients.

    Raises:
        MailError: LOOP.
    """

    def __init__(
        self,
        office: Office,
        client: Client,
        sender: ReversePath,
        body: Body,
        recipients: Sequence[ForwardPath],
    ) -> None:
        self.name = token_hex(6)
        """What the log and the Received field call it."""
        self._office = office
        self._client = client
        self._sender = sender
        self._body = body
        self._head = trace.read_head(body.start)
        trace.require_no_loop(self._head)
        now = int(office.now())
        zone = time.localtime(now).tm_gmtoff
        addresses = [each.address for each in recipients]
        self._received = trace.received(
            client, addresses, hostname=office.hostname, delivery=self.name, seconds=now, zone=zone
        )

    async def deliver(self, targets: dict[Target, ForwardPath]) -> dict[Target, MailError | None]:
        """Bring it to all targets: why it could not be brought to each, or None."""
        turns = DeferredSemaphore(AT_ONCE)

        def one(target: Target, recipient: ForwardPath) -> Deferred[MailError | None]:
            return turns.run(lambda: Deferred.fromCoroutine(self._bring(target, recipient)))

        outcomes = await gatherResults([one(*each) for each in targets.items()], consumeErrors=True)
        return dict(zip(targets, outcomes, strict=True))

    async def _bring(self, target: Target, recipient: ForwardPath) -> MailError | None:
        """Bring it to one target, whatever happens."""
        try:
            trace.require_no_loop(self._head, recipient.address)
            if isinstance(target, LocalUser):
                done = await self._file(target, recipient)
            else:
                done = await self._send_on(target.address, recipient)
        except MailError as error:
            self._note(recipient, f"not delivered: {error.text}")
            return error
        except CancelledError:
            raise
        except Exception:  # concerns nobody else; the client is told that it is ours to mend
            incident = token_hex(4)
            _log.failure("Bug {incident} in the delivery of {name}", incident=incident, name=self.name)
            return MailError(ErrorKind.UNAVAILABLE, f"Internal error {incident}")
        self._note(recipient, done)
        return None

    def _note(self, recipient: ForwardPath, outcome: str) -> None:
        _log.info(
            "{name}: from <{sender}> to <{recipient}>: {outcome}",
            name=self.name,
            sender=trace.clean(self._sender.address),
            recipient=trace.clean(recipient.address),
            outcome=outcome,
        )

    # -- to a user here

    async def _file(self, user: LocalUser, recipient: ForwardPath) -> str:
        """Into the user's folders, as the filters want it: what was done."""
        account: IMailAccount = await self._office.accounts.open(user.name)
        try:
            top = trace.return_path(self._sender) + trace.delivered_to(recipient.address) + self._received
            plan = filtering.Plan()
            if self._office.filters:
                plan = await filtering.ask(self._office.filters, self._arrival(user, recipient, top))
            done = await self._file_copies(account, await _places(account, user, plan), top)
            # After the filing, which fails more often: whoever tries again would send it on once more.
            for each in plan.redirects:
                done.append(await self._send_on(each.address, recipient))
        finally:
            account.release()
        return ", ".join(done) or "discarded"

    def _arrival(self, user: LocalUser, recipient: ForwardPath, top: bytes) -> Arrival:
        async def octets() -> bytes:
            return top + self._head.kept + await self._body.octets(self._head.end)

        return Arrival(
            sender=self._sender,
            recipient=recipient,
            user=user.name,
            client=self._client,
            size=self._size(top),
            header=top + self._head.kept,
            octets=octets,
        )

    async def _file_copies(self, account: IMailAccount, places: dict[str, Flags], top: bytes) -> list[str]:
        """A copy into each folder. With one of them filed the message is there: the others may fail, and are logged."""
        done: list[str] = []
        for folder, flags in places.items():
            try:
                try:
                    await self._append(account, folder, flags, top)
                except MailError as error:
                    if folder == INBOX or error.kind is not ErrorKind.NO_SUCH_FOLDER:
                        raise
                    await self._append(account, INBOX, flags, top)  # it has gone just now
            except MailError as error:
                if not done:
                    raise
                _log.error(
                    "{name}: no copy for {user} in {folder}: {reason}",
                    name=self.name,
                    user=account.user,
                    folder=folder,
                    reason=error.text,
                )
            else:
                done.append(f"filed in {folder} of {account.user}")
        return done

    async def _append(self, account: IMailAccount, folder: str, flags: Flags, top: bytes) -> None:
        """One copy, durably."""
        whole = self._body.in_memory
        taken = await self._office.copies.wait(self._size(top) if whole else _STREAMED)
        try:
            if whole:
                octets = b"".join((top, self._head.kept, *self._body.held(self._head.end)))
                await file_messages(account, folder, [NewMessage(octets, flags)])
                return
            spool = account.spool(self._size(top))
            try:
                await self._write(spool.write, top)
                await file_messages(account, folder, [NewMessage(spool, flags)])
            except BaseException:  # cancelled too: raised again, with nothing left of it
                spool.abort()
                raise
        finally:
            self._office.copies.give(taken)

    # -- to somebody elsewhere

    async def _send_on(self, address: str, recipient: ForwardPath) -> str:
        """Hand it to whoever brings mail to other servers: what was done."""
        if self._office.elsewhere is None:
            raise MailError(ErrorKind.RELAY_DENIED, "Nothing is sent on to other servers from here")
        top = trace.delivered_to(recipient.address) + self._received
        sender = replace(self._sender, size=self._size(top))
        transaction: ITransaction = await settled(self._office.elsewhere.begin(self._client, sender))
        try:
            original = recipient.original or f"rfc822;{recipient.address}"
            await settled(transaction.add_recipient(ForwardPath(address, recipient.notify, original)))
            await self._write(transaction.write, top)
            (problem,) = await settled(transaction.commit())
        except BaseException:  # cancelled too: raised again, with nothing left of it
            transaction.abort()
            raise
        if problem is not None:
            raise problem
        return f"sent on to <{trace.clean(address)}>"

    # -- its octets

    def _size(self, top: bytes) -> int:
        return len(top) + len(self._head.kept) + self._body.size - self._head.end

    async def _write(self, write: Callable[[bytes], Awaitable[None] | None], top: bytes) -> None:
        """Give all of it to something that takes octets."""
        await settled(write(top + self._head.kept))
        if self._body.in_memory:
            await settled(write(await self._body.octets(self._head.end)))
            return
        async for piece in self._body.pieces(self._head.end):
            await settled(write(piece))


async def _places(account: IMailAccount, user: LocalUser, plan: filtering.Plan) -> dict[str, Flags]:
    """The folders that get a copy, each once, with its flags."""
    places: dict[str, Flags] = {}
    if plan.keep:
        places[meant_folder(account, user.detail)] = plan.flags
    for copy in plan.copies:
        folder = await _place(account, copy)
        places[folder] = places.get(folder, frozenset()) | copy.flags
    return places


async def _place(account: IMailAccount, copy: FileInto) -> str:
    """The folder of this copy, made if need be; INBOX where there is none."""
    if not is_there(account, copy.folder):
        if not copy.create:
            return INBOX
        try:
            await make_folder(account, copy.folder)
        except MailError as error:
            if error.kind is not ErrorKind.BAD_FOLDER_NAME:
                raise
            return INBOX
    return known_name(copy.folder, account.separator)
