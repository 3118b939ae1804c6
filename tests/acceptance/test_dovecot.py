"""Dovecot and mailpost serve one account in turn, and neither notices the other.

Each turn delivers, flags, expunges, copies and moves through one of them, while the other stays up with the account
still warm. A UID never means another message, UIDVALIDITY stays, and both say the same flags. MAILPOST_TURNS is how
many turns there are, MAILPOST_SEED makes them others.

RFC: 9051 §2.3.1.1
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from imapclient import IMAPClient

from tests.acceptance import dovecot
from tests.acceptance.server import Twistd
from tests.corpus import messages

TURNS = int(os.environ.get("MAILPOST_TURNS", "12"))
SEED = os.environ.get("MAILPOST_SEED", "")
SETTLED = 1.0
"""Seconds within which mailpost has written everything to the tree."""
FLAGS = (b"\\Seen", b"\\Flagged", b"\\Answered", b"\\Draft")
KEYWORDS = (b"$Label1", b"Work", b"NonJunk", b"todo")
FOLDERS = ("INBOX", "Archive", "Lists/Entwürfe")

pytestmark = pytest.mark.skipif(bool(dovecot.missing()), reason=dovecot.missing() or "Dovecot can be run")


def letters() -> list[bytes]:
    """Messages of which all servers have the same idea: CRLF everywhere, no NUL."""
    return [
        each
        for each in messages()
        if each
        and b"\0" not in each
        and each.replace(b"\r\n", b"").translate(None, b"\r\n") == each.replace(b"\r\n", b"")
    ]


def digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()[:12]


@dataclass
class Known:
    """What a folder must hold."""

    uidvalidity: int = 0
    uidnext: int = 1
    messages: dict[int, tuple[str, frozenset[bytes]]] = field(default_factory=dict)
    """UID -> (digest, flags)."""
    ever: dict[int, str] = field(default_factory=dict)
    """UID -> digest, expunged ones too."""
    delivered: list[str] = field(default_factory=list)
    """Digests of what was put into `new` and has no UID yet."""
    saved_unseen: bool = False
    """The server whose turn it is has copied into it, and has not had it selected yet."""


class Account:
    """An account and what it must hold, changed through either server.

    Args:
        root: its Maildir.
        seed: of the choices.
    """

    def __init__(self, root: Path, seed: str) -> None:
        self.root = root
        self.draw = random.Random(seed)
        self.letters = letters()
        self.folders: dict[str, Known] = {}
        self.turns: list[str] = []
        self.deliveries = 0

    def some(self, known: Known, most: int) -> list[int]:
        uids = sorted(known.messages)
        return self.draw.sample(uids, min(len(uids), self.draw.randint(1, most)))

    def flags(self) -> frozenset[bytes]:
        return frozenset(
            self.draw.sample(FLAGS, self.draw.randint(0, 2)) + self.draw.sample(KEYWORDS, self.draw.randint(0, 2))
        )

    def turn(self, port: int, who: str) -> None:
        """Compare everything, then change a good deal, then compare again."""
        self.turns.append(who)
        client = IMAPClient("127.0.0.1", port, ssl=False, timeout=30)
        client.login("ann", "pass")
        names = {name for _, _, name in client.list_folders()}
        for name in FOLDERS:
            if name not in self.folders:
                if name not in names:
                    client.create_folder(name)
                client.subscribe_folder(name)
                self.folders[name] = Known()
        assert set(self.folders) <= {name for _, _, name in client.list_folders()}
        assert set(self.folders) <= {name for _, _, name in client.list_sub_folders()}
        for name in self.folders:
            self.compare(client, name)
            self.change(client, name)
        for name in self.folders:
            self.compare(client, name)
            self.deliver(name)
            self.compare(client, name)
        client.logout()

    def compare(self, client: IMAPClient, name: str) -> None:
        """Select a folder: it must be what is known."""
        known = self.folders[name]
        shown = self.shown(client, name)
        if known.saved_unseen and self.turns[-1] == "dovecot" and shown != known.messages:
            # Dovecot (2.3) that saves into a folder notes the mtime of cur as that of the last listing, without one. If
            # the message went into new, and what others did to cur is two seconds old, it goes on with what it knew
            # before: a message that was expunged is there, without octets. It does so without mailpost as well. The
            # next SELECT lists the folder.
            shown = self.shown(client, name)
        known.saved_unseen = False
        assert not known.delivered, self.place(name)
        assert shown == known.messages, self.place(name)

    def shown(self, client: IMAPClient, name: str) -> dict[int, tuple[str, frozenset[bytes]]]:
        """UID -> (digest, flags) of what the folder shows. No UID may mean another message."""
        known = self.folders[name]
        selected: dict[bytes, Any] = client.select_folder(name)
        assert known.uidvalidity in (0, selected[b"UIDVALIDITY"]), self.place(name)
        assert selected[b"UIDNEXT"] >= known.uidnext, self.place(name)
        known.uidvalidity, known.uidnext = selected[b"UIDVALIDITY"], selected[b"UIDNEXT"]
        shown = {}
        for uid, data in client.fetch(client.search(), ["FLAGS", "BODY.PEEK[]"]).items():
            octets, flags = data[b"BODY[]"], frozenset(data[b"FLAGS"]) - {b"\\Recent"}
            shown[uid] = digest(octets) if octets is not None else "empty", flags
            if octets is None:
                continue
            assert known.ever.setdefault(uid, shown[uid][0]) == shown[uid][0], (self.place(name), uid)
            if uid not in known.messages and shown[uid][0] in known.delivered:
                known.delivered.remove(shown[uid][0])
                known.messages[uid] = shown[uid][0], frozenset()
        return shown

    def place(self, name: str) -> tuple[object, ...]:
        """Where we are."""
        return len(self.turns), self.turns[-3:], name

    def change(self, client: IMAPClient, name: str) -> None:
        """Do a few things to the folder that is selected."""
        known = self.folders[name]
        for _ in range(self.draw.randint(1, 3)):
            octets, flags = self.draw.choice(self.letters), self.flags()
            answer = client.append(name, octets, sorted(flags))
            uid = int(re.search(rb"APPENDUID \d+ (\d+)", answer)[1])  # type: ignore[index]
            self.came(known, uid, digest(octets), flags)
        self.deliver(name)  # both see it come, and one of them gives it its UID
        client.noop()
        for _ in range(self.draw.randint(1, 3)):
            uids, flags = self.some(known, 5), sorted(self.flags())
            if self.draw.randrange(3):
                client.add_flags(uids, flags, silent=True)
            else:
                client.remove_flags(uids, flags, silent=True)
                known.messages.update(
                    (uid, (known.messages[uid][0], known.messages[uid][1] - set(flags))) for uid in uids
                )
                continue
            known.messages.update((uid, (known.messages[uid][0], known.messages[uid][1] | set(flags))) for uid in uids)
        if len(known.messages) > 6:
            uids = self.some(known, 3)
            client.delete_messages(uids)
            client.uid_expunge(uids)
            for uid in uids:
                del known.messages[uid]
        self.transfer(client, name)

    def transfer(self, client: IMAPClient, name: str) -> None:
        """Copy or move some to another folder."""
        known, other = self.folders[name], self.draw.choice([each for each in self.folders if each != name])
        uids, move = self.some(known, 3), self.draw.randrange(2)
        told = client._imap.untagged_responses  # where COPYUID is, be it told with the tagged OK or, of MOVE, before it
        told.pop("COPYUID", None)
        (client.move if move else client.copy)(uids, other)
        source, target = map(numbers, told["COPYUID"][-1].split()[1:])
        assert sorted(source) == sorted(uids)
        self.folders[other].saved_unseen = True
        for old, new in zip(source, target, strict=True):
            octets, flags = known.messages.pop(old) if move else known.messages[old]
            self.came(self.folders[other], new, octets, flags)

    def came(self, known: Known, uid: int, octets: str, flags: frozenset[bytes]) -> None:
        assert uid not in known.ever, (self.turns[-3:], uid)
        assert uid >= known.uidnext
        known.ever[uid] = octets
        known.messages[uid] = (octets, flags)

    def deliver(self, name: str) -> None:
        """Put a message into `new`, as a delivery program does."""
        directory = {"INBOX": ".", "Archive": ".Archive", "Lists/Entwürfe": ".Lists.Entw&APw-rfe"}[name]
        octets = self.draw.choice(self.letters)
        self.deliveries += 1
        place = self.root / directory / "tmp" / f"{int(time.time())}.D{self.deliveries}.test"
        place.write_bytes(octets.replace(b"\r\n", b"\n"))
        shutil.chown(place, dovecot.MAIL_USER, dovecot.MAIL_USER)
        place.rename(self.root / directory / "new" / place.name)
        self.folders[name].delivered.append(digest(octets))


def numbers(text: bytes) -> list[int]:
    found: list[int] = []
    for piece in text.split(b","):
        first, _, last = piece.partition(b":")
        found += range(int(first), int(last or first) + 1)
    return found


@pytest.mark.parametrize("first", ["dovecot", "mailpost"])
def test_turns(open_folder: Path, shared: Twistd, first: str) -> None:
    account = Account(shared.folder / "mail" / "ann", seed=first + SEED)
    with dovecot.Dovecot(open_folder / "dovecot", shared.folder / "mail") as peer, shared:
        ports = {"dovecot": peer.port, "mailpost": shared.port}
        order = sorted(ports, key=lambda name: name != first)
        for number in range(TURNS):
            who = order[number % 2]
            account.turn(ports[who], who)
            if who == "mailpost":
                time.sleep(SETTLED)
            if number % 10 == 9:
                shared.stop()
                shared.start()
        noise = [line for line in peer.log.splitlines() if "Error" in line or "Warning" in line or "Panic" in line]
    assert not noise
    assert "Traceback" not in shared.log.read_text()
