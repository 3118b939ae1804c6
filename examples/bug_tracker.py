"""A bug tracker whose folders are queries: every comment is a message, an answer becomes a comment.

    python examples/bug_tracker.py bugs.sqlite3

serves the tickets of that database to ann and bob, password "secret", by IMAP on port 1143 of loopback; whoever saves a
message in a folder of tickets, or sends one to tickets@bugs.example by LMTP on port 1024, comments the ticket that its
subject names ("[#1]"), or opens a new one. A star (\\Flagged) makes a ticket urgent for everybody.
"""

import re
import sys
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import formatdate

from twisted.enterprise import adbapi
from twisted.internet import task
from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailpost.api import (
    FileInto,
    IDeliveryFilter,
    IRecipients,
    Item,
    LocalUser,
    Verdict,
    VirtualFolder,
    mail_server,
    memory_store,
    virtual_store,
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (
    number INTEGER PRIMARY KEY, title TEXT NOT NULL, owner TEXT NOT NULL,
    open INTEGER NOT NULL DEFAULT 1, urgent INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS comments (
    number INTEGER PRIMARY KEY, ticket INTEGER NOT NULL, author TEXT NOT NULL, text TEXT NOT NULL, at INTEGER NOT NULL);
"""
QUERIES = {"Tickets/Open": "open", "Tickets/Closed": "NOT open", "Tickets/Mine": "open AND owner = :user"}
_TICKET = re.compile(r"\[#(\d+)\]")


class Tracker:
    """The program: it would be there without any mail."""

    def __init__(self, path):
        self.database = adbapi.ConnectionPool("sqlite3", path, check_same_thread=False, cp_min=1, cp_max=1)
        self.listeners = []

    async def begin(self):
        await self.database.runInteraction(lambda cursor: cursor.executescript(SCHEMA))

    async def rows(self, query, **values):
        return await self.database.runQuery(query, values)

    async def comment(self, ticket, author, text, title="No title"):
        """Add a comment to a ticket, or to a new one where it is None: the numbers of ticket and comment."""

        def add(cursor):
            number = ticket
            if number is None or not cursor.execute("SELECT 1 FROM tickets WHERE number = ?", (number,)).fetchone():
                cursor.execute("INSERT INTO tickets (title, owner) VALUES (?, ?)", (title, author))
                number = cursor.lastrowid
            row = (number, author, text, int(time.time()))
            cursor.execute("INSERT INTO comments (ticket, author, text, at) VALUES (?, ?, ?, ?)", row)
            return number, cursor.lastrowid

        numbers = await self.database.runInteraction(add)
        self.tell()
        return numbers

    async def change(self, statement, **values):
        await self.database.runOperation(statement, values)
        self.tell()

    def tell(self):
        for listener in self.listeners:
            listener()


class Query(VirtualFolder):
    """The comments of the tickets that a query finds."""

    poll = None

    def __init__(self, tracker, condition, user):
        self.tracker = tracker
        self.condition = condition
        self.user = user
        tracker.listeners.append(self.changed)

    async def list(self):
        rows = await self.tracker.rows(
            f"SELECT comments.number, at, urgent FROM comments JOIN tickets ON ticket = tickets.number"
            f" WHERE {self.condition} ORDER BY comments.number",
            user=self.user,
        )
        return [Item(number, date=at, flags=["\\Flagged"] if urgent else []) for number, at, urgent in rows]

    async def fetch(self, number):
        rows = await self.tracker.rows(
            "SELECT ticket, title, author, text, at FROM comments JOIN tickets ON ticket = tickets.number"
            " WHERE comments.number = :number",
            number=number,
        )
        if not rows:
            return None
        ((ticket, title, author, text, at),) = rows
        message = EmailMessage()
        message["Subject"] = f"[#{ticket}] {title}"
        message["From"] = f"{author} <{author}@bugs.example>"
        message["To"] = "tickets@bugs.example"
        message["Date"] = formatdate(at)
        message["Message-ID"] = f"<{ticket}.{number}@bugs.example>"
        message["References"] = f"<{ticket}@bugs.example>"  # so clients show a ticket as a conversation
        message.set_content(text)
        return message

    async def add(self, message):
        """Somebody has saved an answer here."""
        parsed = message_from_bytes(message.octets, policy=policy.default)
        subject = str(parsed["Subject"] or "")
        ticket = _TICKET.search(subject)
        body = parsed.get_body(("plain", "html"))
        text = body.get_content() if body is not None else ""
        await self.tracker.comment(ticket and int(ticket[1]), self.user, text, subject or "No title")
        # Which message it becomes, and in which folders, the queries say: it looks otherwise than what was sent.

    async def flag(self, number, flags):
        """A star is for the ticket, so for all of its comments; other flags are the user's own."""
        urgent = "\\Flagged" in flags
        await self.tracker.change(
            "UPDATE tickets SET urgent = :urgent WHERE urgent != :urgent"
            " AND number = (SELECT ticket FROM comments WHERE number = :number)",
            urgent=urgent,
            number=number,
        )


@implementer(IRecipients, IDeliveryFilter)
class Mailed:
    """Mail to tickets@bugs.example is the sender's comment."""

    def resolve(self, address):
        return [LocalUser("bob" if address.startswith("bob@") else "ann")]

    def decide(self, arrival):
        if arrival.recipient.address.startswith("tickets@"):
            return Verdict(copies=(FileInto("Tickets/Open"),), keep=False)
        return Verdict()


async def main(reactor, path, port=1143, lmtp=1024):
    """Serve until the program ends."""
    tracker = Tracker(path)
    await tracker.begin()
    folders = {
        user: {name: Query(tracker, condition, user) for name, condition in QUERIES.items()} for user in ("ann", "bob")
    }
    mailed = Mailed()
    server = mail_server(
        reactor,
        store=virtual_store(reactor, lambda user: folders[user], beside=memory_store()),
        users={"ann": "secret", "bob": "secret"},
        recipients=mailed,
        filters=[mailed],
        listen={
            "imap": f"tcp:{port}:interface=127.0.0.1",
            "lmtp": f"tcp:{lmtp if port else 0}:interface=127.0.0.1",
        },
    )
    server.startService()
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    where = {name: f"127.0.0.1:{address.port}" for name, address in server.addresses.items()}
    print(f"IMAP on {where['imap']}, LMTP on {where['lmtp']}, users ann and bob, password secret", flush=True)

    await Deferred()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} DATABASE")
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor, sys.argv[1])))
