"""The message of a transaction: whatever goes wrong while it comes in, it is read to its end and answered there.

RFC: 5321 §3.3, §4.2.5 (who is responsible for the message when)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailpost.delivery.interfaces import ITransaction
from mailpost.mail.errors import MailError, message_too_big
from mailpost.storage.offload import settled
from mailpost.wire.smtp import replies
from mailpost.wire.smtp.replies import Reply

log = Logger()

Commit = Deferred[list[MailError | None]]


def bug_reply(what: str) -> Reply:
    """Log the exception that is being handled, and answer with its number."""
    incident = token_hex(4)
    log.failure("Bug {incident} in {what}", incident=incident, what=what)
    return replies.of_bug(incident)


class IncomingMessage:
    """A message from MAIL to its end.

    Attributes:
        transaction: the receiver's side of it.
        failure: why it will not be taken, once that is certain; what comes is dropped then.
    """

    def __init__(self, transaction: ITransaction, most: int, reply_to: Callable[[MailError], Reply]) -> None:
        """A message of at most so many octets; `reply_to` makes the reply to an error."""
        self.transaction = transaction
        self.failure: Reply | None = None
        self._most = most
        self._size = 0
        self._reply_to = reply_to
        self.split_end = b""
        """The CR that a chunk ended in, whose LF is yet to come."""

    def write(self, octets: bytes) -> Awaitable[None] | None:
        """Take the next octets; something to wait for, or None. Never fails."""
        if self.failure is not None or not octets:
            return None
        self._size += len(octets)
        if self._size > self._most:
            self.fail(self._reply_to(message_too_big(self._most)))
            return None
        try:
            waiting: Awaitable[None] | None = self.transaction.write(octets)
        except MailError as error:
            self.fail(self._reply_to(error))
        except Exception:  # a bug, which `bug_reply` logs
            self.fail(bug_reply("a message that comes in"))
        else:
            return None if waiting is None else self._written(waiting)
        return None

    async def _written(self, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except MailError as error:
            self.fail(self._reply_to(error))
        except CancelledError:
            raise
        except Exception:  # a bug, which `bug_reply` logs
            self.fail(bug_reply("a message that comes in"))

    def fail(self, reply: Reply) -> None:
        """The message will not be taken: nothing of it is kept."""
        if self.failure is None:
            self.failure = reply
            self.transaction.abort()

    def give_up(self) -> None:
        """Nobody wants it any more."""
        if self.failure is None:
            self.transaction.abort()

    async def commit(self, begun: set[Commit]) -> list[Reply]:
        """Take it: the reply for each recipient. `begun` holds the work for as long as it goes on.

        A client that leaves now does not stop it, as some recipients may have the message already; the client will
        send it again. RFC: 1047
        """
        count = len(self.transaction.recipients)
        if self.failure is not None:
            return [self.failure] * count
        try:
            outcomes = await _unstoppable(Deferred.fromCoroutine(settled(self.transaction.commit())), begun)
        except MailError as error:
            return [self._reply_to(error)] * count
        except CancelledError:
            raise
        except Exception:  # a bug, which `bug_reply` logs
            return [bug_reply("the end of a message")] * count
        return [replies.TAKEN if error is None else self._reply_to(error) for error in outcomes]


def _unstoppable(work: Commit, begun: set[Commit]) -> Commit:
    """The same answer; cancelling it leaves the work alone, of which a late failure is logged."""
    held: Commit = Deferred()
    begun.add(work)

    def done(result: Any) -> None:
        begun.discard(work)
        if not held.called:
            held.callback(result)  # a Failure too: then it fails
        elif isinstance(result, Failure) and not result.check(MailError):
            log.failure("A message whose client has gone", result)

    work.addBoth(done)
    return held
