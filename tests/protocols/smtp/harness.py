"""LMTP and submission servers over transports in memory, before a receiver that notes what it is given."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock, deferLater
from twisted.logger import globalLogPublisher
from zope.interface import implementer

from mailpost.delivery.interfaces import IReceiver, ITransaction
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.transport import Client, ForwardPath, ReversePath
from mailpost.protocols.lmtp.connection import LMTPFactory
from mailpost.protocols.lmtp.settings import LmtpSettings
from mailpost.protocols.smtp.connection import SmtpFactory
from mailpost.protocols.submission.connection import SubmissionFactory
from mailpost.protocols.submission.settings import SubmissionSettings
from mailpost.storage.memory.store import MemoryStore
from mailpost.wire.imap.structures import summarise
from tests.protocols.imap.harness import Checker, Realm, Transport

PLAIN = b64encode(b"\0joe\0secret")


@implementer(ITransaction)
class Transaction:
    """A message that is kept as it came."""

    def __init__(self, receiver: Receiver, client: Client, sender: ReversePath) -> None:
        self.receiver = receiver
        self.client = client
        self.sender = sender
        self.recipients: list[ForwardPath] = []
        self.pieces: list[bytes] = []
        self.aborted = 0
        self.committed = False

    @property
    def octets(self) -> bytes:
        return b"".join(self.pieces)

    def add_recipient(self, recipient: ForwardPath) -> Any:
        error = self.receiver.refuses.get(recipient.address.partition("@")[0])
        return self.receiver.later(lambda: self._add(recipient, error))

    def _add(self, recipient: ForwardPath, error: Exception | None) -> None:
        if error is not None:
            raise error
        self.recipients.append(recipient)

    def write(self, data: bytes) -> Any:
        assert not self.aborted, "nothing is written behind an abort"
        if self.receiver.write_error is not None:
            raise self.receiver.write_error
        self.pieces.append(data)
        return self.receiver.later(lambda: None) if self.receiver.slow else None

    def commit(self) -> Any:
        return self.receiver.later(self._commit)

    def _commit(self) -> list[MailError | None]:
        assert not self.aborted
        if self.receiver.commit_error is not None:
            raise self.receiver.commit_error
        self.committed = True
        self.receiver.taken.append(self)
        return [self.receiver.fails.get(each.address.partition("@")[0]) for each in self.recipients]

    def abort(self) -> None:
        self.aborted += 1


@implementer(IReceiver)
class Receiver:
    """Takes everything, but for what a test wants otherwise."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.slow = False
        """Every answer takes a second."""
        self.begun: list[Transaction] = []
        self.taken: list[Transaction] = []
        self.refuses: dict[str, Exception] = {"nobody": MailError(ErrorKind.NO_SUCH_USER, "No such user")}
        self.fails: dict[str, MailError] = {"full": MailError(ErrorKind.OVER_QUOTA, "The mailbox is full")}
        self.begin_error: Exception | None = None
        self.write_error: Exception | None = None
        self.commit_error: Exception | None = None

    def begin(self, client: Client, sender: ReversePath) -> Any:
        def begin() -> Transaction:
            if self.begin_error is not None:
                raise self.begin_error
            self.begun.append(Transaction(self, client, sender))
            return self.begun[-1]

        return self.later(begin)

    def later(self, call: Any) -> Deferred[Any]:
        """The outcome of a call, now or in a second."""
        if self.slow:
            return deferLater(self.clock, 1, call)
        return succeed(None).addCallback(lambda _: call())


class Caller:
    """A client of a server."""

    def __init__(self, factory: SmtpFactory, clock: Clock, address: str) -> None:
        self.transport = Transport(clock, address)
        self.protocol = factory.buildProtocol(None)
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)
        self.greeting = self.heard()

    def sends(self, octets: bytes) -> None:
        self.protocol.dataReceived(octets)

    def heard(self) -> bytes:
        heard: bytes = self.transport.value()
        self.transport.clear()
        return heard

    def says(self, line: bytes) -> bytes:
        """A line goes to the server; what came back."""
        self.sends(line + b"\r\n")
        return self.heard()

    def codes(self, octets: bytes) -> list[int]:
        """Octets go to the server; the codes of its replies."""
        self.sends(octets)
        return codes(self.heard())


def codes(heard: bytes) -> list[int]:
    lines = heard.split(b"\r\n")
    assert lines.pop() == b""
    return [int(line[:3]) for line in lines if line[3:4] == b" "]


class Server:
    """One server, its receiver, and a clock that the test moves."""

    def __init__(self, factory: SmtpFactory, receiver: Receiver, clock: Clock, realm: Realm | None = None) -> None:
        self.factory = factory
        self.receiver = receiver
        self.clock = clock
        self.realm = realm
        self.checker = Checker()

    def connect(self, address: str = "127.0.0.1") -> Caller:
        return Caller(self.factory, self.clock, address)

    def greeted(self, address: str = "127.0.0.1") -> Caller:
        """A client that has said who it is; at a submission server it has logged in too."""
        client = self.connect(address)
        if isinstance(self.factory, SubmissionFactory):
            client.says(b"EHLO there.example")
            assert client.says(b"AUTH PLAIN " + PLAIN).startswith(b"235 ")
        else:
            assert client.says(b"LHLO there.example").startswith(b"250-")
        return client

    def passes(self, seconds: int) -> None:
        """Time goes by."""
        for _ in range(seconds):
            self.clock.advance(1)


def lmtp(settings: LmtpSettings | None = None) -> Server:
    clock = Clock()
    receiver = Receiver(clock)
    return Server(LMTPFactory(receiver, settings or LmtpSettings(), clock=clock), receiver, clock)


def submission(settings: SubmissionSettings | None = None, **more: Any) -> Server:
    clock = Clock()
    receiver = Receiver(clock)
    realm = Realm(MemoryStore(summarise, default_folders={}))
    checker = Checker()
    portal = Portal(realm, [checker])
    factory = SubmissionFactory(portal, receiver, settings or SubmissionSettings(), clock=clock, **more)
    server = Server(factory, receiver, clock, realm)
    server.checker = checker
    return server


class Log:
    """What is logged meanwhile."""

    def __enter__(self) -> Log:
        self.events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.events.append)
        return self

    def __exit__(self, *_: object) -> None:
        globalLogPublisher.removeObserver(self.events.append)

    @property
    def failures(self) -> list[dict[str, Any]]:
        return [event for event in self.events if "log_failure" in event]
