"""Feeds as IMAP folders: RSS and Atom, read with any mail program.

    python examples/feed_reader.py https://example.org/feed.xml news.atom ...

serves a folder for each feed (an address or a file), as user "me" with password "secret", on port 1143 of loopback.
What was read stays read over a restart, since UIDs and flags are kept in feeds.sqlite3. Needs `pip install feedparser`.
"""

import calendar
import sys
from email.message import EmailMessage
from email.utils import formatdate
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import feedparser
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.web.client import Agent, readBody

from mailpost.api import ErrorKind, Item, MailError, VirtualFolder, mail_server, memory_store, virtual_store

EVERY = 600.0
log = Logger()


class Feed(VirtualFolder):
    """One feed: an entry is a message. Entries that the feed no longer has stay as long as the program runs."""

    poll = None  # `changed` is called whenever something is new

    def __init__(self, address, agent):
        self.address = address
        where = urlsplit(address)
        self.title = " ".join(filter(None, [where.hostname, Path(where.path).stem]))
        self.entries = None
        self._agent = agent

    async def read(self):
        """Read it again."""
        try:
            octets = await self._octets()
            found = await deferToThread(feedparser.parse, octets)
        except Exception as problem:
            log.error("{address} cannot be read: {problem}", address=self.address, problem=problem)
            return
        before, self.entries = self.entries, dict(self.entries or {})
        for entry in reversed(found.entries):  # feeds have the newest first
            self.entries[entry.get("id") or entry.get("link") or entry.get("title", "")] = entry
        if self.entries != before:
            self.changed()

    async def _octets(self):
        if "://" not in self.address:
            return await deferToThread(Path(self.address).read_bytes)
        response = await self._agent.request(b"GET", self.address.encode())
        if response.code != 200:
            raise ValueError(f"the answer is {response.code}")
        return await readBody(response)

    def list(self):
        if self.entries is None:  # an empty list would say that all it ever had is gone
            raise MailError(ErrorKind.UNAVAILABLE, "This feed has not been read yet")
        return [
            Item(name, version=entry.get("updated", ""), date=_seconds(entry)) for name, entry in self.entries.items()
        ]

    def fetch(self, name):
        entry = self.entries[name]
        message = EmailMessage()
        message["Subject"] = " ".join(entry.get("title", "Without a title").split())
        message["From"] = f'"{_plain(entry.get("author") or self.title)}" <feed@localhost>'
        message["Date"] = formatdate(_seconds(entry))
        message.set_content(f"{entry.get('link', '')}\n")
        message.add_alternative(_html(entry), subtype="html")
        return message


def _html(entry):
    """What there is to read; feedparser has made the text safe."""
    content = entry.get("content") or [{"value": entry.get("summary", "")}]
    link, title = escape(entry.get("link", "")), escape(entry.get("title", ""))
    return f'<p><a href="{link}">{title}</a></p>{content[0]["value"]}'


def _seconds(entry):
    when = entry.get("published_parsed") or entry.get("updated_parsed")
    return calendar.timegm(when) if when else None


def _plain(text):
    return "".join(letter for letter in " ".join(text.split()) if letter not in '"\\')


async def main(reactor, *addresses, port=1143, state="feeds.sqlite3"):
    """Serve until the program ends."""
    agent = Agent(reactor, connectTimeout=10)
    feeds = [Feed(address, agent) for address in addresses]
    for feed in feeds:
        timer = task.LoopingCall(lambda feed=feed: Deferred.fromCoroutine(feed.read()))
        timer.clock = reactor
        timer.start(EVERY)

    store = virtual_store(
        reactor, {f"Feeds/{feed.title}": feed for feed in feeds}, beside=memory_store(), path=Path(state)
    )
    server = mail_server(
        reactor, store=store, users={"me": "secret"}, listen={"imap": f"tcp:{port}:interface=127.0.0.1"}
    )
    server.startService()
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    print(f"IMAP on 127.0.0.1:{server.addresses['imap'].port}, user me, password secret", flush=True)

    await Deferred()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} FEED...")
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
