"""Telling the sender what became of a message: bounces, delays, and what else was asked for.

A report goes where the message came from: to the mailbox of the sender's address if it is here, else to the user who
sent it, else (mail that only came through) to its sender by the queue. A report on a report is never made.

RFC: 3461 §5.2, §6 (who is told of what), 3464 (the report), 5321 §4.5.5 (null return path), 3834 §2
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from secrets import token_hex

from twisted.logger import Logger

from mailpost.delivery.body import Run
from mailpost.delivery.interfaces import IReceiver, ITransaction
from mailpost.mail import headers
from mailpost.mail.dates import format_date
from mailpost.mail.deliverystatus import Action, Fate, Report, framed
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.transport import BodyKind, Client, ForwardPath, Notify, Returned, ReversePath
from mailpost.storage.offload import settled

LARGEST_RETURNED = 50_000
"""Octets of a message that comes back whole where its sender did not say how much he wants."""
_LONGEST_HEADER = 64 << 10
_PIECE = 256 << 10

_log = Logger()


@dataclass(frozen=True, slots=True)
class About:
    """The message that a report is about."""

    sender: ReversePath
    user: str
    arrived: float
    size: int
    eight_bit: bool
    read: Callable[[int, int], bytes]
    """(offset, size) -> octets; blocking."""


def wanted(action: Action, recipient: ForwardPath) -> bool:
    """Whether this is to be told of a recipient. RFC: 3461 §4.1, §5.2"""
    asked = recipient.notify
    match action:
        case Action.FAILED:
            return asked is None or Notify.FAILURE in asked
        case Action.DELAYED:
            return asked is None or Notify.DELAY in asked
        case _:
            return asked is not None and Notify.SUCCESS in asked


@dataclass(frozen=True, slots=True)
class Reports:
    """Makes reports and brings them to who sent the message."""

    hostname: str
    local: IReceiver
    run: Run
    now: Callable[[], float]
    """Seconds since the epoch."""
    elsewhere: Callable[[], IReceiver | None] = lambda: None
    """Takes reports to senders who are not here."""

    async def send(self, about: About, action: Action, fates: Sequence[Fate]) -> None:
        """Tell the sender of a message what became of it for these recipients; durable when it answers.

        Raises:
            MailError: it cannot be done now.
        """
        if not fates:
            return
        if not about.sender.address:
            _log.warn(
                "{action} to {recipients}: a report itself, of which nobody is told",
                action=action.value,
                recipients=", ".join(each.recipient for each in fates),
            )
            return
        # Only a failure brings the message back. RFC: 3461 §4.3
        asked = about.sender.returned
        small = asked is None and about.size <= LARGEST_RETURNED
        whole = action is Action.FAILED and (asked is Returned.FULL or small)
        try:
            await self._send(about, action, fates, whole)
        except MailError as error:
            if not whole or error.kind not in (ErrorKind.MESSAGE_TOO_BIG, ErrorKind.OVER_QUOTA):
                raise
            await self._send(about, action, fates, False)  # for which there may be room

    async def _send(self, about: About, action: Action, fates: Sequence[Fate], whole: bool) -> None:
        transaction = await self._transaction(about)
        if transaction is None:
            return
        try:
            await self._write(transaction, about, action, fates, whole)
            for problem in await settled(transaction.commit()):
                if problem is not None:
                    raise problem
        except BaseException:  # cancelled too: raised again, with nothing left of it
            transaction.abort()
            raise

    async def _transaction(self, about: About) -> ITransaction | None:
        """A message to the sender; None if there is nobody to be told."""
        ways: list[tuple[IReceiver, str]] = [(self.local, about.sender.address)]
        if about.user:
            ways.append((self.local, about.user))
        elif (elsewhere := self.elsewhere()) is not None:
            ways.append((elsewhere, about.sender.address))
        client = Client("local", "")
        null = ReversePath("", body=BodyKind.EIGHT_BIT, smtputf8=not about.sender.address.isascii())
        for receiver, address in ways:
            transaction: ITransaction = await settled(receiver.begin(client, null))
            try:
                await settled(transaction.add_recipient(ForwardPath(address, frozenset({Notify.NEVER}))))
            except MailError as error:
                transaction.abort()
                if error.kind not in (ErrorKind.NO_SUCH_USER, ErrorKind.RELAY_DENIED):
                    raise
            else:
                return transaction
        _log.warn("nobody to be told of undelivered mail from <{sender}>", sender=about.sender.address)
        return None

    async def _write(
        self, transaction: ITransaction, about: About, action: Action, fates: Sequence[Fate], whole: bool
    ) -> None:
        header = b"" if whole else await self._header(about)
        report = Report(
            action=action,
            fates=fates,
            to=about.sender.address,
            hostname=self.hostname,
            date=self.date(self.now()),
            arrived=self.date(about.arrived),
            token=token_hex(12),
            envelope_id=about.sender.envelope_id,
            whole=whole,
            eight_bit=about.eight_bit if whole else not header.isascii(),
        )
        before, behind = framed(report)
        await settled(transaction.write(before + header))
        at = 0
        while whole and (piece := await self._read(about, at, _PIECE)):
            at += len(piece)
            await settled(transaction.write(piece))
        await settled(transaction.write(behind))

    async def _header(self, about: About) -> bytes:
        """The header of the message, without the empty line."""
        start = await self._read(about, 0, _LONGEST_HEADER)
        header = start[: headers.end_of(start)]
        if header.endswith(b"\r\n\r\n") or header == b"\r\n":
            return header[:-2]
        return header[: header.rfind(b"\n") + 1]  # cut short: only whole lines

    async def _read(self, about: About, offset: int, size: int) -> bytes:
        octets: bytes = await self.run(lambda: about.read(offset, size))
        return octets

    def date(self, seconds: float) -> str:
        """A time as header fields have it."""
        return format_date(int(seconds), time.localtime(seconds).tm_gmtoff)
