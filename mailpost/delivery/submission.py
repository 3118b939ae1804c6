"""Mail that a user hands over: who may send it as whom, what it lacks, and where it goes.

The header is held until it is whole; then it goes, completed, to all who want the message: users here, the queue for
everybody else, and the sender's own folder of sent mail. The body passes through.

RFC: 6409 §6.1, §8 (what may be changed), 5321 §3.6.2 (relaying: for users only), §4.4 (Received)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from secrets import token_hex
from time import localtime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailpost.delivery import trace
from mailpost.delivery.interfaces import IReceiver, ITransaction
from mailpost.delivery.outgoing.receiver import QueueReceiver, QueueTransaction
from mailpost.delivery.outgoing.reports import About, Reports, wanted
from mailpost.delivery.senders import Senders
from mailpost.delivery.sent import SentCopies, SentCopy
from mailpost.mail.completing import completed
from mailpost.mail.dates import format_date
from mailpost.mail.deliverystatus import Action, Fate
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.transport import Client, ForwardPath, Returned, ReversePath
from mailpost.storage.offload import settled
from mailpost.wire.smtp.replies import of_error

LONGEST_HEADER = 256 << 10
"""Octets of a header; it is held in memory."""

_log = Logger()


@implementer(IReceiver)
@dataclass(frozen=True, slots=True)
class Submission:
    """Takes messages of users who have logged in. Nobody else's: this is never an open relay."""

    local: IReceiver
    """Takes what is for users here, and says by RELAY_DENIED what is not."""
    relay: QueueReceiver | None
    """Takes the rest; None refuses it."""
    senders: Senders
    sent: SentCopies
    reports: Reports
    hostname: str
    now: Callable[[], float]
    """Seconds since the epoch."""
    hide_client: bool = False
    """Received fields do not tell where a message was sent from."""

    async def begin(self, client: Client, sender: ReversePath) -> SubmissionTransaction:
        """Begin a message."""
        if not client.user:
            raise MailError(ErrorKind.RELAY_DENIED, "Mail is taken only from users who have logged in")
        await self.senders.require_sender(client.user, sender.address)
        if self.hide_client:
            client = replace(client, address="", name="")
        local: ITransaction = await settled(self.local.begin(client, sender))
        return SubmissionTransaction(self, client, sender, local)


@implementer(ITransaction)
class SubmissionTransaction:
    """One message on its way; made by `Submission.begin`."""

    def __init__(self, submission: Submission, client: Client, sender: ReversePath, local: ITransaction) -> None:
        self.recipients: list[ForwardPath] = []
        self._submission = submission
        self._client = client
        self._sender = sender
        self._local = local
        self._here: list[ForwardPath] = []
        """Those of the recipients who are users here, or aliases."""
        self._relay: QueueTransaction | None = None
        self._copy: SentCopy | None = None
        self._head = bytearray()
        self._searched = 0
        self._header: bytes | None = None
        """Completed, once it is whole."""
        self._size = 0
        self._failed: MailError | None = None
        self._ended = False

    async def add_recipient(self, recipient: ForwardPath) -> None:
        """Accept one more recipient: here, or on another server if mail is sent there."""
        try:
            await settled(self._local.add_recipient(recipient))
        except MailError as error:
            if error.kind is not ErrorKind.RELAY_DENIED:
                raise
            self._add_elsewhere(recipient)
        else:
            self._here.append(recipient)
        self.recipients.append(recipient)

    def _add_elsewhere(self, recipient: ForwardPath) -> None:
        relay = self._submission.relay
        if relay is None:
            raise MailError(ErrorKind.RELAY_DENIED, "This server sends no mail to other servers; it has no smarthost")
        if self._relay is None:
            self._relay = relay.begin(self._client, self._sender)
        self._relay.add_recipient(recipient)

    # -- the message

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Take the next octets."""
        if self._failed is not None or self._ended:
            return None
        self._size += len(data)
        if self._header is not None:
            return self._pass_on(data)
        self._head += data
        end = self._end_of_header()
        if end is None:
            if len(self._head) > LONGEST_HEADER:
                raise self._fail(MailError(ErrorKind.MESSAGE_REFUSED, "The header of the message is too long"))
            return None
        return Deferred.fromCoroutine(self._begin_body(end))

    def _end_of_header(self) -> int | None:
        """Where the body begins, if it is there."""
        if self._head.startswith(b"\r\n"):
            return 2
        end = self._head.find(b"\r\n\r\n", self._searched)
        self._searched = max(0, len(self._head) - 3)
        return end + 4 if end >= 0 else None

    async def _begin_body(self, end: int) -> None:
        """The header is whole: complete it, and give it to all who take the message."""
        try:
            header, body = bytes(self._head[:end]), bytes(self._head[end:])
            self._head.clear()
            submission = self._submission
            await submission.senders.require_authors(self._client.user, header)
            now = int(submission.now())
            zone = localtime(now).tm_gmtoff
            facts: dict[str, Any] = {
                "date": format_date(now, zone),
                "message_id": f"<{token_hex(12)}@{submission.hostname}>",
            }
            self._header = completed(header, **facts)
            if self._here:
                await settled(self._local.write(self._header))
            if self._relay is not None:
                received = self._received(self._relay.name, now, zone)
                await settled(self._relay.write(received + self._header))
            await self._begin_copy(completed(header, **facts, keep_blind=True))
            await settled(self._pass_on(body))
        except MailError as error:
            raise self._fail(error) from error

    def _received(self, name: str, now: int, zone: int) -> bytes:
        """The Received field for those elsewhere; delivery makes its own. RFC: 5321 §4.4"""
        addresses = [each.address for each in self.recipients]
        return trace.received(
            self._client,
            addresses,
            hostname=self._submission.hostname,
            delivery=name,
            seconds=now,
            zone=zone,
        )

    async def _begin_copy(self, header: bytes) -> None:
        """The user's own copy begins with this header; what goes wrong with it stops nothing else."""
        size = self._sender.size or len(header)
        try:
            self._copy = await self._submission.sent.begin(self._client.user, header, size)
        except MailError as error:
            self._drop_copy(error)

    def _drop_copy(self, error: MailError) -> None:
        _log.error("no copy of sent mail for {user}: {reason}", user=self._client.user, reason=error.text)
        if self._copy is not None:
            self._copy.abort()
            self._copy = None

    def _pass_on(self, data: bytes) -> Awaitable[None] | None:
        """Give octets of the body to all who take the message."""
        waiting: list[Awaitable[None] | None] = []
        try:
            if self._here:
                waiting.append(self._local.write(data))
            if self._relay is not None:
                waiting.append(self._relay.write(data))
        except MailError as error:
            raise self._fail(error) from error
        copying = None
        if self._copy is not None:
            try:
                copying = self._copy.write(data)
            except MailError as error:
                self._drop_copy(error)
        if copying is None and not any(each is not None for each in waiting):
            return None
        return Deferred.fromCoroutine(self._passed_on(waiting, copying))

    async def _passed_on(self, waiting: Sequence[Awaitable[None] | None], copying: Awaitable[None] | None) -> None:
        try:
            for each in waiting:
                await settled(each)
        except MailError as error:
            raise self._fail(error) from error
        try:
            await settled(copying)
        except MailError as error:
            self._drop_copy(error)

    def _fail(self, error: MailError) -> MailError:
        """Nothing comes of this message any more."""
        if self._failed is None:
            self._failed = error
            self._drop()
        return MailError(error.kind, error.text)

    # -- the end

    async def commit(self) -> list[MailError | None]:
        """Deliver and queue it, durably: None for everybody, or why nobody has it.

        With anybody having it nobody is named who has not: a client that sends it again would send it twice. The
        user is told of them by a report.
        """
        if self._failed is None and self._header is None and not self._ended:
            await self._begin_body(len(self._head))
        if self._failed is not None:
            raise MailError(self._failed.kind, self._failed.text) from self._failed
        if self._ended:
            raise MailError(ErrorKind.CANNOT, "This message was given up")
        self._ended = True
        try:
            errors = await self._deliver()
        except BaseException:  # raised again, with nothing left of it
            self._drop()
            raise
        if self._relay is None and all(errors):
            self._drop()
            return list(errors)
        await self._conclude(errors)
        return [None] * len(self.recipients)

    async def _conclude(self, errors: Sequence[MailError | None]) -> None:
        """Reports and copy. The message is taken: whatever goes wrong now, the client is not to send it again."""
        try:
            await self._report(errors)
        except Exception:  # a bug here is no reason to refuse a message that is taken
            _log.failure("{user} cannot be told of mail that was sent", user=self._client.user)
        try:
            if self._copy is not None:
                await self._copy.file()
        except MailError as error:
            self._drop_copy(error)
        except Exception:  # likewise
            _log.failure("no copy of sent mail for {user}", user=self._client.user)

    async def _deliver(self) -> Sequence[MailError | None]:
        """Bring it to the users here, and into the queue: what went wrong with each user here.

        What can fail is done first: the queue has it all on the disk before anything is delivered.
        """
        errors: Sequence[MailError | None] = []
        if self._relay is not None:
            await self._relay.prepare()
        if self._here:
            try:
                errors = await settled(self._local.commit())
            except MailError as error:
                if self._relay is None:
                    raise
                errors = [error] * len(self._here)
        else:
            self._local.abort()
        if self._relay is not None:
            await self._relay.commit()
        return errors

    async def _report(self, errors: Sequence[MailError | None]) -> None:
        """Tell the user of local recipients, as far as he wants to know."""
        header = self._header or b""
        about = About(
            sender=replace(self._sender, returned=Returned.HEADERS),
            user=self._client.user,
            arrived=self._submission.now(),
            size=self._size,
            eight_bit=not header.isascii(),
            read=lambda offset, size: header[offset : offset + size],
        )
        told = list(zip(self._here, errors, strict=True))
        failed = [
            Fate(path.address, f"5{of_error(error).status[1:]}", error.text, original=path.original)
            for path, error in told
            if error is not None and wanted(Action.FAILED, path)
        ]
        delivered = [
            Fate(path.address, "2.0.0", "delivered", original=path.original)
            for path, error in told
            if error is None and wanted(Action.DELIVERED, path)
        ]
        await self._submission.reports.send(about, Action.FAILED, failed)
        await self._submission.reports.send(about, Action.DELIVERED, delivered)

    def abort(self) -> None:
        """Throw it away; a commit that has begun goes on."""
        if not self._ended:
            self._ended = True
            self._drop()

    def _drop(self) -> None:
        self._head.clear()
        self._local.abort()
        if self._relay is not None:
            self._relay.abort()
        if self._copy is not None:
            self._copy.abort()
