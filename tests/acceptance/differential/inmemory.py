"""`python -m tests.acceptance.differential.inmemory PORT`: mailpost on a store in memory, for the user ann."""

from __future__ import annotations

import sys

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet import reactor as installed
from twisted.python.log import startLogging

from mailpost.accounts.realm import MailRealm
from mailpost.protocols.imap.connection import IMAPFactory
from mailpost.storage.memory import MemoryStore
from mailpost.wire.imap.structures import summarise


def main() -> None:
    """Serve until the process is ended."""
    startLogging(sys.stderr, setStdout=False)
    reactor: object = installed
    checker = InMemoryUsernamePasswordDatabaseDontUse(ann=b"pass")
    realm = MailRealm(MemoryStore(summarise, default_folders={}))
    factory = IMAPFactory(Portal(realm, [checker]))
    reactor.listenTCP(int(sys.argv[1]), factory, interface="127.0.0.1")  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
