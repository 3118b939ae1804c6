"""A program with mail inside: an IMAP server over a store in memory, built from plain values.

Run it, and read the mail with any client, or with

    curl --user ann:secret 'imap://127.0.0.1:1143/INBOX;MAILINDEX=1'
"""

from email.message import EmailMessage

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint

from mailpost.accounts.realm import MailRealm
from mailpost.protocols.imap.connection import IMAPFactory
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.storage.memory.store import MemoryStore
from mailpost.storage.records import NewMessage
from mailpost.wire.imap.structures import summarise


def welcome() -> bytes:
    """A message, with CRLF line ends."""
    message = EmailMessage()
    message["From"] = "The program <program@example.org>"
    message["To"] = "ann@example.org"
    message["Subject"] = "Welcome"
    message.set_content("This mailbox lives in the memory of a program.\n")
    return message.as_bytes().replace(b"\n", b"\r\n")


async def main(reactor, port=1143):
    """Serve until the program ends."""
    store = MemoryStore(summarise)
    account = store.account("ann")
    account.append("INBOX", [NewMessage(welcome())])

    users = InMemoryUsernamePasswordDatabaseDontUse(ann=b"secret")
    portal = Portal(MailRealm(store), [users])
    factory = IMAPFactory(portal, ImapSettings(hostname="localhost"), clock=reactor)
    listening = await TCP4ServerEndpoint(reactor, port, interface="127.0.0.1").listen(factory)
    print(f"IMAP on 127.0.0.1:{listening.getHost().port}, user ann, password secret", flush=True)

    await Deferred()


if __name__ == "__main__":
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
