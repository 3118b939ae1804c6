"""Dovecot and mailpost serve one folder at the same moment, and number every message once.

Clients of both have INBOX open, and idle there, while messages are delivered, appended and copied through either.

RFC: 9051 §2.3.1.1
"""

from __future__ import annotations

import os
import random
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.acceptance import dovecot
from tests.acceptance.server import Twistd

ROUNDS = int(os.environ.get("MAILPOST_TURNS", "12"))
SEED = os.environ.get("MAILPOST_SEED", "")
AGREED = 3.0
"""Seconds within which both show the same messages, on a busy machine too."""

pytestmark = pytest.mark.skipif(bool(dovecot.missing()), reason=dovecot.missing() or "Dovecot can be run")


@contextmanager
def client(port: int) -> Iterator[IMAPClient]:
    """A client with INBOX open."""
    with IMAPClient("127.0.0.1", port, ssl=False, timeout=30) as made:
        made.login("ann", "pass")
        made.select_folder("INBOX")
        yield made


@contextmanager
def idling(port: int) -> Iterator[None]:
    """A client idles in INBOX; its server looks there whenever something happens."""
    stop, failures = threading.Event(), []

    def idle() -> None:
        try:
            with client(port) as made:
                while not stop.is_set():
                    made.idle()
                    made.idle_check(timeout=0.05)
                    made.idle_done()
        except Exception as error:  # whatever it was, the test fails with it
            failures.append(error)

    thread = threading.Thread(target=idle)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not failures


class Work:
    """What is done to INBOX, and what its UIDs mean.

    Args:
        root: the account's Maildir.
        clients: by server.
        seed: of the choices.
    """

    def __init__(self, root: Path, clients: dict[str, IMAPClient], seed: str) -> None:
        self.root = root
        self.clients = clients
        self.draw = random.Random(seed)
        self.uidvalidity = 0
        self.ever: dict[int, bytes] = {}
        self.made = 0

    def letter(self) -> bytes:
        """A message like no other."""
        self.made += 1
        return b"Subject: %d\r\n\r\nbody\r\n" % self.made

    def means(self, uid: int, octets: bytes) -> None:
        """A server says that this UID is this message."""
        assert self.ever.setdefault(uid, octets) == octets, uid

    def deliver(self) -> None:
        octets = self.letter().replace(b"\r\n", b"\n")
        place = self.root / "tmp" / f"{int(time.time())}.D{self.made}.test"
        place.write_bytes(octets)
        shutil.chown(place, dovecot.MAIL_USER, dovecot.MAIL_USER)
        place.rename(self.root / "new" / place.name)

    def append(self) -> None:
        octets = self.letter()
        answer = self.draw.choice(list(self.clients.values())).append("INBOX", octets)
        self.means(int(re.search(rb"APPENDUID \d+ (\d+)", answer)[1]), octets)  # type: ignore[index]

    def copy(self) -> None:
        """Copy a few within INBOX: several files at once, by one server."""
        chosen = self.draw.choice(list(self.clients.values()))
        uids = chosen.search()
        if uids:
            chosen.copy(self.draw.sample(uids, min(len(uids), 3)), "INBOX")

    def flag(self) -> None:
        chosen = self.draw.choice(list(self.clients.values()))
        uids = chosen.search()
        if uids:
            chosen.add_flags(self.draw.sample(uids, min(len(uids), 3)), self.draw.choice([b"\\Seen", b"$Work"]))

    def expunge(self) -> None:
        chosen = self.draw.choice(list(self.clients.values()))
        uids = chosen.search()
        if len(uids) > 20:
            some = self.draw.sample(uids, 5)
            chosen.delete_messages(some)
            chosen.uid_expunge(some)

    def shown(self, by: IMAPClient) -> dict[int, bytes]:
        """UID -> octets, as a fresh SELECT shows them."""
        selected = by.select_folder("INBOX")
        assert self.uidvalidity in (0, selected[b"UIDVALIDITY"])
        self.uidvalidity = selected[b"UIDVALIDITY"]
        fetched = by.fetch(by.search(), ["BODY.PEEK[]"])
        shown = {uid: data[b"BODY[]"] for uid, data in fetched.items() if data[b"BODY[]"] is not None}
        for uid, octets in shown.items():
            self.means(uid, octets)
        return shown

    def agreed(self) -> None:
        """Both show the same, soon."""
        until = time.monotonic() + AGREED
        first, second = (self.shown(each) for each in self.clients.values())
        while first != second:
            assert time.monotonic() < until, sorted(first.keys() ^ second.keys())
            time.sleep(0.1)
            first, second = (self.shown(each) for each in self.clients.values())


def test_both_at_once(open_folder: Path, shared: Twistd) -> None:
    mail = shared.folder / "mail"
    with dovecot.Dovecot(open_folder / "dovecot", mail) as peer, shared, ExitStack() as sessions:
        clients = {"mailpost": shared.port, "dovecot": peer.port}
        work = Work(
            mail / "ann", {who: sessions.enter_context(client(port)) for who, port in clients.items()}, f"at once{SEED}"
        )
        for port in clients.values():
            sessions.enter_context(idling(port))
        for _ in range(ROUNDS):
            for _ in range(work.draw.randint(2, 5)):
                work.draw.choice([work.deliver, work.append, work.copy, work.flag, work.expunge])()
                time.sleep(work.draw.choice([0, 0, 0.02, 0.3]))
            work.agreed()
        noise = [line for line in peer.log.splitlines() if "Error" in line or "Warning" in line or "Panic" in line]
    assert not noise
    assert "Traceback" not in shared.log.read_text()
