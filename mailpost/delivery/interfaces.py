"""The one way in for new mail, and what can be plugged into it.

Whoever takes mail from somebody (LMTP, submission, a test) asks an `IReceiver` for a transaction, names recipients,
writes the message, and commits. Except where a method says that it answers at once, it may return its value, a
Deferred or a coroutine; callers go through `mailpost.storage.offload.settled`. All are called in the reactor thread
and never block it.

Failures are `mailpost.mail.errors.MailError`; each protocol gives a kind its reply (`550 5.1.1`). Anything else is a
bug.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from zope.interface import Attribute, Interface

from mailpost.delivery.records import Arrival, Target, Verdict
from mailpost.mail.errors import MailError
from mailpost.mail.transport import Client, ForwardPath, ReversePath
from mailpost.storage.interfaces import Answer


class IReceiver(Interface):
    """Takes messages: into local mailboxes, or for whoever is logged in also to the world outside."""

    def begin(client: Client, sender: ReversePath) -> Answer[ITransaction]:
        """Begin a message: MAIL FROM.

        Raises:
            MailError: SENDER_DENIED, MESSAGE_TOO_BIG, DISK_FULL, UNAVAILABLE.
        """


class ITransaction(Interface):
    """One message on its way in. Ends with `commit` or `abort`, each harmless after the other."""

    recipients = Attribute("Sequence[ForwardPath]: those accepted so far, in their order.")

    def add_recipient(recipient: ForwardPath) -> Answer[None]:
        """Accept one more recipient: RCPT TO. The same one twice is accepted twice and gets one copy.

        Raises:
            MailError: NO_SUCH_USER, RELAY_DENIED, OVER_QUOTA, LIMIT, TOO_MANY_RECIPIENTS, UNAVAILABLE; the transaction
                goes on with the others.
        """

    def write(data: bytes) -> Awaitable[None] | None:
        """Take the next octets of the message (CRLF line ends, dots unstuffed); None, or something to wait for.

        Raises, or fails with, MailError: DISK_FULL, MESSAGE_TOO_BIG. What follows is then dropped, and `commit` fails
        with the same.
        """

    def commit() -> Answer[list[MailError | None]]:
        """File the message durably: for each accepted recipient, in order, None or why it could not be.

        Raises:
            MailError: nobody has it: LOOP, DISK_FULL, MESSAGE_TOO_BIG, UNAVAILABLE.
        """

    def abort() -> None:
        """Throw it away, at once; nothing of it is left."""


class IRecipients(Interface):
    """Knows whom an address means."""

    def resolve(address: str) -> Answer[Sequence[Target]]:
        """Whom mail for this address goes to: one `records.LocalUser`, or what an alias stands for, at least one.

        Args:
            address: `local@domain`, or a name alone, as RCPT TO gave it.

        Raises:
            MailError: NO_SUCH_USER; RELAY_DENIED for a domain that is not ours; UNAVAILABLE, try again later.
        """


class IDeliveryFilter(Interface):
    """Sees each message once for each recipient before it is filed, and may say what is to become of it."""

    def decide(arrival: Arrival) -> Answer[Verdict]:
        """What to do with this message, as a `records.Verdict`.

        An exception other than MailError is a bug of the filter: it is logged, and the message goes on as if the
        filter had no wish (RFC: 5228 §2.10.6), since mail that waits for a bug to be mended is worse than mail that
        is not sorted.

        Raises:
            MailError: it cannot be decided now (UNAVAILABLE): this recipient gets nothing, the client tries again.
        """
