"""One attempt at one queued message, and all that follows from it: reports to its sender, and what is left to do.

A message leaves the queue when nothing is left to be done about it. What is done twice because the process died in
between (sending, telling) is done twice; nothing is left out.

RFC: 5321 §4.5.4.1, 3461 §5.2, 3463 §3.5 (X.4.7)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from mailpost.delivery.body import Run
from mailpost.delivery.outgoing.files import MessageFile, QueueFiles
from mailpost.delivery.outgoing.records import Envelope, Outcome, Queued, Verdict
from mailpost.delivery.outgoing.reports import About, Reports, wanted
from mailpost.delivery.outgoing.schedule import Schedule
from mailpost.mail.deliverystatus import EXPIRED, Action, Fate
from mailpost.mail.errors import MailError
from mailpost.mail.transport import ForwardPath
from mailpost.storage.failpoints import passed

_log = Logger()


class Connection(Protocol):
    """See `smarthost.Connection`."""

    async def ready(self) -> bool:
        """Whether one more message can be sent."""
        ...

    async def send(self, envelope: Envelope, recipients: Sequence[ForwardPath], message: MessageFile) -> list[Outcome]:
        """Send a message: what came of it for each of these recipients."""
        ...

    async def close(self) -> None:
        """End it well."""

    def abort(self) -> None:
        """Break it off."""


class Relay(Protocol):
    """See `smarthost.Smarthost`."""

    async def connect(self) -> Connection:
        """A connection. Raises TroubleError."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """A message in hand."""

    envelope: Envelope
    message: MessageFile

    @property
    def needs_connection(self) -> bool:
        """Whether there is anybody to be tried for."""
        return any(each.waiting for each in self.envelope.recipients)


@dataclass(frozen=True, slots=True)
class Attempts:
    """Makes attempts."""

    files: QueueFiles
    reports: Reports
    schedule: Schedule
    run: Run
    now: Callable[[], float]
    """Seconds since the epoch."""

    async def make(self, loaded: Loaded, connection: Connection | None, trouble: Outcome) -> float | None:
        """Try a message for those who wait for it, and do all that follows: when it is due again, None for never.

        Args:
            loaded: the message.
            connection: to send it through; None if there is none to be had.
            trouble: why there is none.
        """
        envelope = loaded.envelope
        paths = [each.path for each in envelope.recipients if each.waiting]
        now = self.now()
        if connection is None or not paths:
            outcomes = [trouble] * len(paths)
        else:
            outcomes = await self._sent(connection, loaded, paths)
            passed("queue.sent")
        self._note(envelope, paths, outcomes)
        tried = iter(outcomes)
        recipients = tuple(Queued(each.path, next(tried)) if each.waiting else each for each in envelope.recipients)
        envelope = replace(envelope, recipients=recipients, attempts=envelope.attempts + 1, attempted=now)
        return await self._conclude(Loaded(envelope, loaded.message), now)

    async def _sent(self, connection: Connection, loaded: Loaded, paths: Sequence[ForwardPath]) -> list[Outcome]:
        """What came of sending it; a bug is no reason to try for ever."""
        try:
            return await connection.send(loaded.envelope, paths, loaded.message)
        except CancelledError:
            raise
        except Exception:  # a bug counts as an attempt, so that the message is given back in the end
            _log.failure("{name}: a bug in sending it", name=loaded.envelope.name)
            connection.abort()
            return [Outcome(Verdict.LATER, "4.3.0", "internal error")] * len(paths)

    def _note(self, envelope: Envelope, paths: Sequence[ForwardPath], outcomes: Sequence[Outcome]) -> None:
        for path, outcome in zip(paths, outcomes, strict=True):
            _log.info(
                "{name}: from <{sender}> to <{recipient}>: {verdict}: {text}",
                name=envelope.name,
                sender=envelope.sender.address,
                recipient=path.address,
                verdict=outcome.verdict.value,
                text=outcome.text,
            )

    async def _conclude(self, loaded: Loaded, now: float) -> float | None:
        """Tell the sender what there is to be told, and keep what is left to do."""
        envelope = loaded.envelope
        due = self.schedule.next(envelope.arrived, envelope.attempts, now)
        left = [each for each in envelope.recipients if not _is_sent(each)]
        if due is None:
            left = [self._given_up(each) for each in left]
        relayed = [each for each in envelope.recipients if _is_sent(each) and each.last and not each.last.told]
        failed = [each for each in left if not each.waiting]
        late = [each for each in left if each.waiting]
        warns = bool(late) and not envelope.warned and self.schedule.is_late(envelope.arrived, now)
        about = _about(loaded)
        try:
            await self._tell(about, Action.RELAYED, relayed)
            await self._tell(about, Action.FAILED, failed)
            left = late
            if warns:
                await self._tell(about, Action.DELAYED, late, envelope.arrived + self.schedule.give_up)
                envelope = replace(envelope, warned=True)
            passed("queue.told")
        except CancelledError:
            raise
        except Exception as problem:  # of the mailbox, or a bug: what was sent is not to be sent again for that
            if isinstance(problem, MailError):
                _log.error("{name}: its sender cannot be told: {reason}", name=envelope.name, reason=problem.text)
            else:
                _log.failure("{name}: a bug in telling its sender", name=envelope.name)
            if due is None and now >= envelope.arrived + 2 * self.schedule.give_up:
                _log.error("{name}: given up, and nobody was told", name=envelope.name)
                left = late
        if not left:
            await self.run(lambda: self.files.remove(envelope.name))
            return None
        if due is None:
            due = now + self.schedule.retry_after[-1]
        envelope = replace(envelope, recipients=tuple(left))
        return due if await self.run(lambda: self.files.update(envelope, due)) else None

    def _given_up(self, queued: Queued) -> Queued:
        """What becomes of a recipient when the time is over. RFC: 3463 §3.5 (X.4.7)"""
        if not queued.waiting or queued.last is None:
            return queued
        last, hours = queued.last, round(self.schedule.give_up / 3600)
        text = last.text if last.host else f"given up after {hours} hours; the last reason: {last.text}"
        return replace(queued, last=Outcome(Verdict.REFUSED, EXPIRED, text, last.host))

    async def _tell(
        self, about: About, action: Action, recipients: Sequence[Queued], until: float | None = None
    ) -> None:
        fates = [
            Fate(
                recipient=each.path.address,
                status=each.last.status,
                text=each.last.text,
                host=each.last.host,
                original=each.path.original,
                until=self.reports.date(until) if until is not None else "",
            )
            for each in recipients
            if each.last is not None and wanted(action, each.path)
        ]
        await self.reports.send(about, action, fates)


def _is_sent(queued: Queued) -> bool:
    return queued.last is not None and queued.last.verdict is Verdict.SENT


def _about(loaded: Loaded) -> About:
    """What a report needs to know of the message."""
    envelope = loaded.envelope
    return About(
        envelope.sender, envelope.user, envelope.arrived, envelope.size, envelope.eight_bit, loaded.message.read
    )
