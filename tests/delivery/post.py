"""What tests of delivery share: users, a receiver, and a client that hands messages to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import succeed
from zope.interface import implementer

from mailpost.accounts.account import User
from mailpost.accounts.interfaces import IUserDirectory
from mailpost.delivery.aliases import Aliases, parse
from mailpost.delivery.filing import LocalReceiver
from mailpost.delivery.recipients import Recipients, Rules
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.transport import Client, ForwardPath, ReversePath
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute

RELAY = Client("LMTP", "192.0.2.1", "relay.example.net")
SENDER = ReversePath("eve@example.net")
MESSAGE = b"From: eve@example.net\r\nSubject: Lunch\r\n\r\nAt noon?\r\n"
NOW = 1_000_000_000


@implementer(IUserDirectory)
class Users:
    """Some users, found as a users file finds them."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def find(self, name: str) -> User | None:
        if name in self.names:
            return User(name, "{PLAIN}x")
        return next((User(each, "{PLAIN}x") for each in self.names if each.casefold() == name.casefold()), None)

    def decoy(self, name: str) -> User:
        return User("", "{PLAIN}x")

    def mechanisms(self) -> frozenset[str]:
        return frozenset()


class AliasText:
    """Aliases that a test writes down."""

    was_read = True

    def __init__(self, text: str = "") -> None:
        self.aliases = parse(text)
        assert not self.aliases.warnings, self.aliases.warnings

    async def current(self) -> Aliases:
        return self.aliases


def recipients(*users: str, aliases: str = "", **rules: Any) -> Recipients:
    """Those of example.org."""
    return Recipients(Users(*users), Rules(**{"domains": ("example.org",), **rules}), AliasText(aliases))


def receiver(store: Any, *users: str, aliases: str = "", **more: Any) -> LocalReceiver:
    """One for these users of example.org; what would be done in a thread is done at once."""
    settings: dict[str, Any] = {"hostname": "mx.example.org", "run": lambda work: succeed(work()), "now": lambda: NOW}
    return LocalReceiver(store, recipients(*users, aliases=aliases), **{**settings, **more})


async def send(
    to: Any,
    addresses: Sequence[str],
    octets: bytes = MESSAGE,
    sender: ReversePath = SENDER,
    client: Client = RELAY,
    piece: int = 1 << 16,
) -> list[ErrorKind | None]:
    """Hand a message over: for each recipient the kind of its failure, at RCPT TO or in the end, or None."""
    transaction = await settled(to.begin(client, sender))
    refused: dict[int, ErrorKind] = {}
    for number, address in enumerate(addresses):
        try:
            await settled(transaction.add_recipient(ForwardPath(address)))
        except MailError as error:
            refused[number] = error.kind
    for start in range(0, len(octets), piece):
        await settled(transaction.write(octets[start : start + piece]))
    outcomes = iter(await settled(transaction.commit()))
    told: list[ErrorKind | None] = []
    for number in range(len(addresses)):
        if number in refused:
            told.append(refused[number])
        else:
            outcome = next(outcomes)
            told.append(outcome and outcome.kind)
    assert next(outcomes, self_ended) is self_ended
    return told


self_ended = object()


async def mail_of(store: Any, user: str, folder: str = "INBOX") -> list[tuple[bytes, frozenset[str]]]:
    """The octets and flags of all messages in a folder."""
    account = await settled(store.account(user))
    try:
        mailbox = await settled(account.open(folder))
        try:
            await settled(mailbox.refresh())
            flags = dict(zip(mailbox.live.uids, mailbox.live.flags, strict=True))
            found = []
            async for batch in mailbox.fetch(list(mailbox.live.uids), (Attribute.OCTETS,)):
                found += [(octets, frozenset(flags[uid])) for uid, octets in batch]
            return found
        finally:
            mailbox.release()
    finally:
        account.release()


def added_to(octets: bytes) -> bytes:
    """What delivery put before a message: everything before the field that the tests' messages begin with."""
    return octets[: octets.index(b"From: eve@example.net\r\n")]
