"""Mail comes in while clients idle: IMAP over sockets on Maildirs, delivery in the same process. RFC: 2177"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.protocols.basic import LineOnlyReceiver
from twisted.trial.unittest import TestCase

from mailpost.delivery.trace import read_head
from mailpost.protocols.imap.connection import IMAPFactory
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.storage.interfaces import IMailAccount
from mailpost.storage.maildir.store import MaildirStore
from mailpost.storage.offload import Offload
from mailpost.wire.imap.structures import summarise
from tests.corpus import messages
from tests.delivery.post import mail_of, receiver, send
from tests.protocols.imap.harness import Checker

WAKING_SECONDS = 0.020
"""How soon after it is filed an idling client is to hear of a message."""
AT_MOST = 500
"""Messages of the corpus that are delivered."""


class Realm:
    """Gives accounts of a store."""

    def __init__(self, store: MaildirStore) -> None:
        self.store = store

    def requestAvatar(self, avatar_id: bytes, mind: Any, *interfaces: Any) -> Any:
        return Deferred.fromCoroutine(self._avatar(avatar_id.decode()))

    async def _avatar(self, user: str) -> Any:
        account = await self.store.account(user)
        return IMailAccount, account, account.release


class Idling(LineOnlyReceiver):
    """A client that logs in, idles in INBOX, and counts."""

    def __init__(self, user: bytes) -> None:
        self.count = 0
        self.heard_at = 0.0
        self.ready: Deferred[None] = Deferred()
        self._user = user
        self._wanted: tuple[int, Deferred[None]] | None = None

    def connectionMade(self) -> None:
        self.sendLine(b"a LOGIN %b secret\r\nb SELECT INBOX\r\nc IDLE" % self._user)

    def lineReceived(self, line: bytes) -> None:
        words = line.split()
        if words[:1] == [b"+"]:
            self.ready.callback(None)
        elif words[2:] == [b"EXISTS"]:
            self.count, self.heard_at = int(words[1]), time.perf_counter()
            if self._wanted is not None and self.count >= self._wanted[0]:
                _, waiting = self._wanted
                self._wanted = None
                waiting.callback(None)

    def until(self, count: int) -> Deferred[None]:
        """Fires when so many messages are there."""
        waiting: Deferred[None] = Deferred()
        if self.count >= count:
            waiting.callback(None)
        else:
            self._wanted = count, waiting
            waiting.addTimeout(20, reactor)
        return waiting


class Tests(TestCase):
    async def setUp(self) -> None:
        place = Path(self.mktemp())
        self.store = MaildirStore(reactor, lambda user: place / user, summarise)
        self.work = Offload(reactor, 2)
        self.factory = IMAPFactory(Portal(Realm(self.store), [Checker()]), ImapSettings())
        self.listener = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.clients: list[Idling] = []

    async def tearDown(self) -> None:
        for client in self.clients:
            client.transport.loseConnection()
        await self.listener.stopListening()
        await self.factory.close()
        await self.store.close()
        await self.work.close()

    async def idling(self, user: str) -> Idling:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.listener.getHost().port)
        client: Idling = await connectProtocol(endpoint, Idling(user.encode()))
        self.clients.append(client)
        await client.ready
        return client

    def run_in_thread(self, work: Callable[[], Any]) -> Deferred[Any]:
        return self.work.read("delivery", work)

    async def test_a_delivery_wakes_an_idling_client_at_once(self) -> None:
        to = receiver(self.store, "joe", run=self.run_in_thread)
        client = await self.idling("joe")
        delays = []
        for number in range(1, 31):
            self.assertEqual(await send(to, ["joe"]), [None])
            filed = time.perf_counter()
            await client.until(number)
            delays.append(client.heard_at - filed)
        self.assertLess(statistics.median(delays), WAKING_SECONDS, delays)
        self.assertEqual(len(await mail_of(self.store, "joe")), 30)

    async def test_real_mail_for_two_while_three_idle(self) -> None:
        to = receiver(self.store, "joe", "ann", run=self.run_in_thread)
        clients = [await self.idling(user) for user in ("joe", "joe", "ann")]
        mail = messages()[:AT_MOST]
        places = iter(enumerate(mail))

        async def deliver() -> None:
            for _, octets in places:
                told = await send(to, ["joe@example.org", "ann@example.org"], octets)
                self.assertEqual(told, [None, None])

        await gatherResults([Deferred.fromCoroutine(deliver()) for _ in range(8)])
        await gatherResults([client.until(len(mail)) for client in clients])
        wanted = []
        for octets in mail:
            head = read_head(octets)
            wanted.append(head.kept + octets[head.end :])
        for user in ("joe", "ann"):
            filed = [octets for octets, _ in await mail_of(self.store, user)]
            self.assertEqual(sorted(_as_it_came(octets) for octets in filed), sorted(wanted))
        self.assertEqual([client.count for client in clients], [len(mail)] * 3)


def _as_it_came(octets: bytes) -> bytes:
    """A message without the three fields, the last of three lines, that delivery put before it."""
    return octets.split(b"\r\n", 4)[4]
