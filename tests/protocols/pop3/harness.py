"""The real POP3 server over transports in memory, with IMAP beside it on the same mail."""

from __future__ import annotations

from typing import Any

from mailpost.protocols.imap.connection import IMAPFactory
from mailpost.protocols.pop3.connection import POP3Factory
from mailpost.protocols.pop3.settings import Pop3Settings
from mailpost.storage.records import NewMessage
from tests.protocols.imap.harness import Client, dialogue
from tests.protocols.imap.harness import Server as ImapServer

__all__ = ["Client", "Server", "dialogue"]


class Server(ImapServer):
    """A POP3 server with a store in memory; `imap` is one of IMAP with the same store and clock."""

    factory: Any

    def __init__(self, settings: Pop3Settings | None = None, **factory: Any) -> None:
        super().__init__()
        self.imap = ImapServer()
        self.imap.clock, self.imap.store, self.imap.portal = self.clock, self.store, self.portal
        self.imap.factory = IMAPFactory(self.portal, clock=self.clock)
        self.factory = POP3Factory(self.portal, settings or Pop3Settings(), clock=self.clock, **factory)

    def logged_in(self, address: str = "127.0.0.1") -> Client:
        """A client that has logged in as joe."""
        client = self.connect(address)
        assert client.says(b"USER joe").startswith(b"+OK")
        assert client.says(b"PASS secret").startswith(b"+OK")
        return client

    def holds(self, *messages: bytes) -> None:
        """These messages come into joe's INBOX."""
        account = self.store.account("joe")
        account.append("INBOX", [NewMessage(octets, internaldate=1_000_000_000) for octets in messages])

    def left(self) -> list[int]:
        """The UIDs in joe's INBOX."""
        return list(self.store.account("joe").open("INBOX").live.uids)
