"""Our account under Twisted's own IMAP4Server, spoken to by Twisted's own client over a socket."""

from io import BytesIO

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import deferLater
from twisted.mail import imap4
from twisted.mail.imap4 import IMAP4Client, IMAP4Exception, IMAP4Server, MessageSet
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from mailpost.accounts.realm import MailRealm
from mailpost.accounts.stock import StockAccount
from mailpost.storage.memory.store import MemoryStore
from mailpost.storage.records import NewMessage
from mailpost.wire.imap.structures import summarise

PLAIN = b"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: One\r\n\r\nHello\r\n"
EIGHT_BIT = (
    "From: Zoë <zoe@example.org>\r\nSubject: Größe\r\nContent-Type: text/plain; charset\r\n\r\nGrüße\r\n".encode()
)
MULTIPART = (
    b'Subject: Parts\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\n\r\nfirst\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>second</p>\r\n--b--\r\n"
)


class Listener(IMAP4Client):
    """A client that notes what it is told unasked."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def newMessages(self, exists, recent):
        self.heard.append(("exists", exists))

    def flagsChanged(self, newFlags):  # noqa: N803
        self.heard.append(("flags", newFlags))


class StockFactory(ServerFactory):
    def __init__(self, portal):
        self.portal = portal

    def buildProtocol(self, addr):
        server = IMAP4Server()
        server.factory = self
        server.portal = self.portal
        return server


class StockServerTests(TestCase):
    """Stock server, stock client, our mail."""

    async def setUp(self):
        self.store = MemoryStore(summarise)
        self.account = self.store.account("ann")
        self.account.append("INBOX", [NewMessage(octets) for octets in (PLAIN, EIGHT_BIT, MULTIPART)])
        realm = MailRealm(self.store, lambda account: StockAccount(account, reactor))
        portal = Portal(realm, [InMemoryUsernamePasswordDatabaseDontUse(ann=b"secret")])
        self.port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(StockFactory(portal))
        self.addCleanup(self.port.stopListening)
        self.client = await self.connected()

    async def connected(self):
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        client = await connectProtocol(endpoint, Listener())
        self.addCleanup(client.transport.loseConnection)
        await client.login(b"ann", b"secret")
        return client

    async def test_what_it_provides(self):
        account = StockAccount(self.account, reactor)
        mailbox = await account.select("INBOX")
        self.addCleanup(mailbox.close)
        (message,) = [found for _, found in await mailbox.fetch(MessageSet(3), uid=False)]
        self.assertTrue(verifyObject(imap4.IAccount, account))
        self.assertTrue(verifyObject(imap4.INamespacePresenter, account))
        self.assertTrue(verifyObject(imap4.IMailbox, mailbox))
        self.assertTrue(verifyObject(imap4.IMailboxInfo, mailbox))
        self.assertTrue(verifyObject(imap4.ISearchableMailbox, mailbox))
        self.assertTrue(verifyObject(imap4.ICloseableMailbox, mailbox))
        self.assertTrue(verifyObject(imap4.IMessage, message))
        self.assertTrue(verifyObject(imap4.IMessageFile, message))

    async def test_select_and_status(self):
        selected = await self.client.select("INBOX")
        self.assertEqual((selected["EXISTS"], selected["READ-WRITE"]), (3, True))
        self.assertIn("\\Seen", selected["FLAGS"])
        status = await self.client.status("INBOX", "MESSAGES", "UIDNEXT", "UNSEEN")
        self.assertEqual({key: int(value) for key, value in status.items()}, {"MESSAGES": 3, "UIDNEXT": 4, "UNSEEN": 3})

    async def test_messages_octet_for_octet(self):
        await self.client.select("INBOX")
        whole = await self.client.fetchMessage("1:3")
        self.assertEqual([row["RFC822"].encode("latin-1") for row in whole.values()], [PLAIN, EIGHT_BIT, MULTIPART])

    async def test_eight_bit_headers_do_not_disconnect(self):
        await self.client.select("INBOX")
        envelopes = await self.client.fetchEnvelope("1:3")
        self.assertEqual(envelopes[1]["ENVELOPE"][1], "One")
        self.assertEqual(envelopes[2]["ENVELOPE"][1], "=?utf-8?b?R3LDtsOfZQ==?=")

    async def test_structure_of_parts(self):
        await self.client.select("INBOX")
        structure = (await self.client.fetchBodyStructure("3"))[3]["BODYSTRUCTURE"]
        self.assertEqual([part[:2] for part in structure[:2]], [["text", "plain"], ["text", "html"]])

    async def test_folders(self):
        await self.client.create("Work/Now")
        await self.client.rename("Work", "Play")
        await self.client.subscribe("Play/Now")
        listed = await self.client.list("", "*")
        self.assertEqual([name for _, _, name in listed if name.startswith(("Work", "Play"))], ["Play", "Play/Now"])
        self.assertEqual([name for _, _, name in await self.client.lsub("", "Play*")], ["Play/Now"])
        await self.client.delete("Play/Now")
        self.assertNotIn("Play/Now", [name for _, _, name in await self.client.list("", "*")])
        with self.assertRaises(IMAP4Exception):
            await self.client.create("Play")

    async def test_create_and_select_in_one_go(self):
        created, selected = self.client.create("Fresh"), self.client.select("Fresh")
        await created
        self.assertEqual((await selected)["EXISTS"], 0)

    async def test_flags_and_expunge(self):
        await self.client.select("INBOX")
        await self.client.addFlags("2", ["\\Deleted"])
        self.assertEqual(await self.client.expunge(), [2])
        self.assertEqual(self.account.status("INBOX").messages, 2)

    async def test_append(self):
        await self.client.append("INBOX", BytesIO(PLAIN), ["\\Seen"], "17-Jul-1996 02:44:25 -0700")
        status = self.account.status("INBOX")
        self.assertEqual((status.messages, status.unseen), (4, 3))

    async def test_search(self):
        await self.client.select("INBOX")
        self.assertEqual(await self.client.search(imap4.Query(subject="one")), [1])
        self.assertEqual(await self.client.search(imap4.Query(unseen=True), uid=True), [1, 2, 3])
        self.assertEqual(
            await self.client.search(imap4.Or(imap4.Query(subject="parts"), imap4.Query(text="hello there"))), [3]
        )

    async def test_expunge_of_another_session_leaves_a_ghost(self):
        other = await self.connected()
        await self.client.select("INBOX")
        await other.select("INBOX")
        await other.addFlags("1", ["\\Deleted"])
        await other.expunge()
        self.assertEqual(list(await self.client.fetchUID("1:3")), [2, 3])
        self.assertEqual(await self.client.expunge(), [1])
        self.assertEqual(list(await self.client.fetchUID("1:2")), [1, 2])

    async def test_news_of_another_session_are_heard(self):
        other = await self.connected()
        await self.client.select("INBOX")
        await other.append("INBOX", BytesIO(PLAIN))
        await other.select("INBOX")
        await other.addFlags("1", ["\\Flagged"])
        await deferLater(reactor, 0.05)
        self.assertIn(("exists", 4), self.client.heard)
        self.assertTrue(any(kind == "flags" and 1 in news for kind, news in self.client.heard))
