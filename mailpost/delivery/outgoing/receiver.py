"""The way into the queue: mail for other servers, from whoever may send it.

Nobody is asked to log in here, and no sender is checked: what stands before it does that (`delivery.submission`), or
has taken the mail in for an address that leads out (`delivery.filing`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred, DeferredLock
from zope.interface import implementer

from mailpost.delivery.body import Run
from mailpost.delivery.interfaces import IReceiver, ITransaction
from mailpost.delivery.outgoing.files import Incoming, QueueFiles, new_name
from mailpost.delivery.outgoing.records import Envelope, Queued
from mailpost.mail.errors import ErrorKind, MailError, message_too_big
from mailpost.mail.transport import BodyKind, Client, ForwardPath, ReversePath
from mailpost.wire.smtp.data import has_bare

_HELD = 128 << 10
"""Octets that are held back before they are written."""
_UNSAFE = re.compile(r"[\x00-\x1f\x7f<>]")


@implementer(IReceiver)
@dataclass(frozen=True, slots=True)
class QueueReceiver:
    """Takes messages into the queue."""

    files: QueueFiles
    run: Run
    now: Callable[[], float]
    """Seconds since the epoch."""
    queued: Callable[[str, float], None]
    """Called with name and time for each message that is queued now."""
    message_size: int = 50 << 20
    most_recipients: int = 1000

    def begin(self, client: Client, sender: ReversePath) -> QueueTransaction:
        """Begin a message."""
        if sender.size is not None and sender.size > self.message_size:
            raise message_too_big(self.message_size)
        if sender.body is BodyKind.BINARY:
            raise MailError(ErrorKind.MESSAGE_REFUSED, "Binary messages are not sent to other servers")
        if _UNSAFE.search(sender.address):
            raise MailError(ErrorKind.SENDER_DENIED, "This is no address")
        return QueueTransaction(self, client, sender)


@implementer(ITransaction)
class QueueTransaction:
    """One message on its way into the queue; made by `QueueReceiver.begin`."""

    def __init__(self, receiver: QueueReceiver, client: Client, sender: ReversePath) -> None:
        self.name = new_name()
        """What it is called in the queue and the log."""
        self.recipients: list[ForwardPath] = []
        self._receiver = receiver
        self._client = client
        self._sender = sender
        self._pieces: list[bytes] = []
        self._held = 0
        self._size = 0
        self._split_end = b""
        self._eight_bit = False
        self._header = _HeaderLook()
        self._incoming: Incoming | None = None
        self._writing = DeferredLock()
        self._ready = False
        self._failed: MailError | None = None
        self._ended = False

    def add_recipient(self, recipient: ForwardPath) -> None:
        """Accept one more recipient."""
        if len(self.recipients) >= self._receiver.most_recipients:
            most = self._receiver.most_recipients
            raise MailError(ErrorKind.TOO_MANY_RECIPIENTS, f"A message may have {most} recipients at most")
        local, at, domain = recipient.address.rpartition("@")
        if not (local and at and domain) or _UNSAFE.search(recipient.address):
            raise MailError(ErrorKind.NO_SUCH_USER, "This is no address")
        self.recipients.append(recipient)

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Take the next octets."""
        if self._failed is not None or self._ended or not data:
            return None
        self._size += len(data)
        if self._size > self._receiver.message_size:
            raise self._fail(message_too_big(self._receiver.message_size))
        self._look(data)
        self._pieces.append(data)
        self._held += len(data)
        return Deferred.fromCoroutine(self._written()) if self._held >= _HELD else None

    def _look(self, data: bytes) -> None:
        """Notice what the envelope is to say. Raises MESSAGE_REFUSED for line ends that servers read differently."""
        self._eight_bit = self._eight_bit or not data.isascii()
        self._header.add(data)
        bare, self._split_end = has_bare(data, self._split_end)
        if bare:
            raise self._fail(_bare())

    async def _written(self) -> None:
        """Put what is held into the file, behind what is being put there. Raises DISK_FULL, UNAVAILABLE."""
        await self._writing.acquire()
        try:
            pieces, self._pieces, self._held = self._pieces, [], 0
            if pieces and not self._ended and self._failed is None:
                await self._receiver.run(lambda: self._put(b"".join(pieces)))
        except MailError as error:
            raise self._fail(error) from error
        finally:
            self._writing.release()

    def _put(self, data: bytes) -> None:
        if self._incoming is None:
            self._incoming = self._receiver.files.receive(self.name)
        self._incoming.write(data)

    def _fail(self, error: MailError) -> MailError:
        """Nothing comes of this message any more."""
        self._failed = error
        self._drop()
        return MailError(error.kind, error.text)

    async def prepare(self) -> None:
        """Have all of it on the disk, so that hardly anything can go wrong in `commit`. Raises as `commit` does."""
        if self._failed is not None:
            raise MailError(self._failed.kind, self._failed.text) from self._failed
        if self._ended:
            raise MailError(ErrorKind.CANNOT, "This message was given up")
        if self._split_end:
            raise self._fail(_bare())
        if not self._ready:
            await self._writing.acquire()
            try:
                pieces, self._pieces = self._pieces, []
                await self._receiver.run(lambda: self._finish(b"".join(pieces)))
                self._ready = True
            except MailError as error:
                raise self._fail(error) from error
            finally:
                self._writing.release()

    def _finish(self, data: bytes) -> None:
        self._put(data)
        assert self._incoming is not None
        self._incoming.flush()

    async def commit(self) -> list[MailError | None]:
        """Queue it, durably."""
        await self.prepare()
        incoming = self._incoming
        if self._ended or incoming is None:
            raise MailError(ErrorKind.CANNOT, "This message was given up")
        self._ended = True
        receiver, now = self._receiver, self._receiver.now()
        envelope = Envelope(
            name=self.name,
            user=self._client.user,
            arrived=now,
            sender=self._sender,
            size=self._size,
            eight_bit=self._eight_bit,
            utf8_header=self._header.eight_bit,
            recipients=_once_each(self.recipients),
        )
        try:
            await receiver.run(lambda: receiver.files.put(incoming, envelope, now))
        except BaseException:  # raised again, with nothing left of it
            self._drop()
            raise
        receiver.queued(envelope.name, now)
        return [None] * len(self.recipients)

    def abort(self) -> None:
        """Throw it away; a commit that has begun goes on."""
        if not self._ended:
            self._ended = True
            self._drop()

    def _drop(self) -> None:
        self._pieces = []
        self._writing.run(self._remove).addErrback(lambda _: None)  # it is swept away some day

    def _remove(self) -> object:
        incoming, self._incoming = self._incoming, None
        return None if incoming is None else self._receiver.run(incoming.abort)


class _HeaderLook:
    """Looks for octets that are not ASCII in a header, up to its end, whatever pieces it comes in."""

    def __init__(self) -> None:
        self.eight_bit = False
        self._last = b"\r\n"
        self._over = False

    def add(self, data: bytes) -> None:
        if self._over:
            return
        data = self._last + data
        end = data.find(b"\r\n\r\n")
        self._over = end >= 0
        self.eight_bit = self.eight_bit or not (data[:end] if self._over else data).isascii()
        self._last = data[-3:]


def _bare() -> MailError:
    return MailError(ErrorKind.MESSAGE_REFUSED, "Lines must end in CR LF; a CR or LF alone is not sent on")


def _once_each(recipients: Sequence[ForwardPath]) -> tuple[Queued, ...]:
    """Everybody once, as named first."""
    first: dict[str, ForwardPath] = {}
    for each in recipients:
        first.setdefault(each.address, each)
    return tuple(map(Queued, first.values()))
