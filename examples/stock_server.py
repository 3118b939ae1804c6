"""Twisted's own IMAP4Server on mailpost's mail: for programs that have one already.

    python examples/stock_server.py /path/to/a/maildir

serves that Maildir, as user "me" with password "secret", on port 1144 of loopback.
"""

import sys
from pathlib import Path

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import ServerFactory
from twisted.mail.imap4 import IMAP4Server

from mailpost.accounts.realm import MailRealm
from mailpost.accounts.stock import StockAccount
from mailpost.storage.maildir.store import MaildirStore
from mailpost.wire.imap.structures import summarise


class StockFactory(ServerFactory):
    """Makes stock servers."""

    def __init__(self, portal):
        self.portal = portal

    def buildProtocol(self, addr):
        server = IMAP4Server()
        server.factory = self
        server.portal = self.portal
        return server


async def main(reactor, maildir, port=1144):
    """Serve until the program ends."""
    store = MaildirStore(reactor, root=lambda user: Path(maildir), summariser=summarise)
    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(store.close()))
    realm = MailRealm(store, lambda account: StockAccount(account, reactor))
    portal = Portal(realm, [InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")])
    listening = await TCP4ServerEndpoint(reactor, port, interface="127.0.0.1").listen(StockFactory(portal))
    print(f"IMAP on 127.0.0.1:{listening.getHost().port}, user me, password secret", flush=True)

    await Deferred()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} MAILDIR")
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor, sys.argv[1])))
