"""The real server over transports in memory, and dialogues with one or more of its clients, written as text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport, ITLSTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from mailpost.protocols.imap.connection import IMAPFactory, MailpostIMAP4Server
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.storage.interfaces import IMailAccount
from mailpost.storage.memory.store import MemoryStore
from mailpost.storage.records import NewMessage
from mailpost.wire.imap.structures import summarise

MESSAGE = b"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: Number %d\r\n\r\nBody of %d\r\n"


@implementer(ITLSTransport)
class Transport(StringTransport):
    """What a server writes to, with a peer, an end, and a buffer that fills when a test says so."""

    def __init__(self, clock: Clock, address: str = "127.0.0.1") -> None:
        super().__init__(peerAddress=IPv4Address("TCP", address, 54321))
        self.clock = clock
        self.protocol: Any = None
        self.lost = False
        self.tls: Any = None
        self.reading = True
        self.writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def startTLS(self, context: Any, normal: bool = True) -> None:
        self.tls = context
        alsoProvides(self, ISSLTransport)

    def loseConnection(self) -> None:
        super().loseConnection()
        self.clock.callLater(0, self.end)

    def abortConnection(self) -> None:
        self.end()

    def end(self) -> None:
        """The connection is gone."""
        if not self.lost:
            self.lost = True
            self.protocol.connectionLost(Failure(ConnectionDone()))


@implementer(IRealm)
class Realm:
    """Gives accounts of a store in memory, and counts who is in."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.inside = 0
        self.logins = 0

    def requestAvatar(self, avatar_id: bytes, mind: Any, *interfaces: Any) -> Any:
        self.inside += 1
        self.logins += 1

        def leave() -> None:
            self.inside -= 1

        return IMailAccount, self.store.account(avatar_id.decode()), leave


class Checker:
    """Knows joe with the password secret, at once or when the test says so."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self) -> None:
        self.slow = False
        self.waiting: list[Callable[[], None]] = []
        self.asked = 0

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes]:
        self.asked += 1
        right = credentials.username in (b"joe", b"ann") and credentials.password == b"secret"
        if not self.slow:
            return succeed(credentials.username) if right else fail(UnauthorizedLogin())
        answer: Deferred[bytes] = Deferred()

        def tell() -> None:
            if right:
                answer.callback(credentials.username)
            else:
                answer.errback(UnauthorizedLogin())

        self.waiting.append(tell)
        return answer


class Server:
    """A server with a store in memory and a clock that the test moves."""

    def __init__(self, settings: ImapSettings | None = None, **factory: Any) -> None:
        self.clock = Clock()
        self.store = MemoryStore(summarise, default_folders={}, clock=lambda: 1_000_000_000.0)
        self.realm = Realm(self.store)
        self.checker = Checker()
        self.portal = Portal(self.realm, [self.checker])
        self.factory = IMAPFactory(self.portal, settings or ImapSettings(), clock=self.clock, **factory)

    def connect(self, address: str = "127.0.0.1") -> Client:
        """A client that has read the greeting."""
        client = Client(self, address)
        client.greeting = client.heard()
        return client

    def logged_in(self, address: str = "127.0.0.1") -> Client:
        """A client that has logged in as joe."""
        client = self.connect(address)
        assert b"l OK" in client.says(b"l LOGIN joe secret")
        return client

    def selected(self, messages: int = 0) -> Client:
        """The same with INBOX selected, and so many messages in it."""
        self.deliver(messages)
        client = self.logged_in()
        assert b"s OK" in client.says(b"s SELECT INBOX")
        return client

    def deliver(self, count: int, folder: str = "INBOX") -> None:
        """Messages come in."""
        account = self.store.account("joe")
        for n in range(1, count + 1):
            account.append(folder, [NewMessage(MESSAGE % (n, n), internaldate=1_000_000_000)])


class Client:
    """A client of such a server."""

    def __init__(self, server: Server, address: str) -> None:
        self.server = server
        self.transport = Transport(server.clock, address)
        self.protocol: MailpostIMAP4Server = server.factory.buildProtocol(None)
        self.transport.protocol = self.protocol
        self.greeting = b""
        self.protocol.makeConnection(self.transport)

    def sends(self, octets: bytes) -> None:
        """Octets go to the server, as they are."""
        self.protocol.dataReceived(octets)

    def heard(self) -> bytes:
        """What has come back since the last time."""
        heard: bytes = self.transport.value()
        self.transport.clear()
        return heard

    def says(self, line: bytes) -> bytes:
        """A line goes to the server; what came back."""
        self.sends(line + b"\r\n")
        return self.heard()

    def leaves(self) -> None:
        """The connection breaks."""
        self.transport.end()


def dialogue(server: Server, text: str, **clients: Client) -> None:
    """Play a dialogue.

    A line `C: ...` is sent by the client, `S: ...` is the next line it must get, in which `...` stands for anything.
    `C2:` and `S2:` are a second client's, and so on. All that a client gets before it speaks again, or by the end,
    must be in the dialogue.
    """
    known: dict[str, Client] = {name.removeprefix("client"): client for name, client in clients.items()}
    unread: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        who, _, what = line.partition(": ")
        side, number = who[0], who.rstrip(":")[1:]
        client = known.setdefault(number, server.connect()) if number not in known else known[number]
        lines = unread.setdefault(number, [])
        lines += client.heard().decode("latin-1").split("\r\n")[:-1]
        if side == "C":
            assert not lines, f"not in the dialogue: {lines}"
            client.sends(what.encode("latin-1") + b"\r\n")
        else:
            assert lines, f"nothing came where there should be: {what}"
            pattern = ".*".join(map(re.escape, what.split("...")))
            assert re.fullmatch(pattern, lines[0]), f"{lines[0]!r} is not {what!r}"
            del lines[0]
    for number, lines in unread.items():
        lines += known[number].heard().decode("latin-1").split("\r\n")[:-1]
        assert not lines, f"not in the dialogue: {lines}"
