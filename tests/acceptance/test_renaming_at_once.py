"""A tree of folders is renamed again and again while one has a part of it selected and another files into it.

RFC: 9051 §6.3.6, §6.3.9.7 (OLDNAME), 8474 §4.2 (MAILBOXID survives), 2180 §3
"""

from __future__ import annotations

import re
import threading
from collections import Counter

from tests.acceptance.mirror import Mirror
from tests.acceptance.server import Twistd
from tests.faults.client import Client

ROUNDS = 30
LETTER = b"From: ann@example.org\r\nSubject: number %d\r\n\r\ntext\r\n"
NAMES = ("Work", "Done/Work")


def mailbox_id(lines: list[bytes]) -> bytes:
    """What SELECT or STATUS says is the identity of a mailbox."""
    found = re.search(rb"MAILBOXID \((\S+?)\)", b"\n".join(lines))
    assert found is not None, lines
    return found[1]


class Filer(threading.Thread):
    """Files messages into a child of the tree, by whichever name it has just then."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.client = Client(port)
        self.taken: list[int] = []
        self.refused: Counter[bytes] = Counter()
        self.ended = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.ended.is_set():
            done = self.client.append(f"{NAMES[number % 2]}/Sub/Child", LETTER % (number // 2))
            if done.startswith(b"OK"):
                self.taken.append(number // 2)
                number = number // 2 * 2 + 2
            else:
                self.refused[done.split()[1]] += 1
                number = number ^ 1
            if number % 2 and self.ended.is_set():
                number ^= 1


def subjects(client: Client) -> Counter[int]:
    lines = client.ok("UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
    return Counter(int(each[1]) for line in lines if (each := re.search(rb"number (\d+)", line)))


def test_a_tree_is_renamed_that_others_work_in(server: Twistd) -> None:
    renamer, selected, filer = Client(server.port), Client(server.port), Filer(server.port)
    renamer.ok("ENABLE IMAP4rev2")
    selected.ok("ENABLE IMAP4rev2 QRESYNC")
    for name in ("Done", "Work", "Work/Sub", "Work/Sub/Child"):
        renamer.ok(f"CREATE {name}")
    for number in range(10):
        assert renamer.append("Work/Sub", LETTER % number).startswith(b"OK")
    identities = {
        below: mailbox_id(renamer.ok(f"STATUS Work{below} (MAILBOXID)")) for below in ("", "/Sub", "/Sub/Child")
    }
    view = Mirror()
    view.take(selected.ok("SELECT Work/Sub"))
    view.take(selected.ok("UID FETCH 1:* (FLAGS MODSEQ)"))
    filer.start()
    for turn in range(ROUNDS):
        old, new = NAMES[turn % 2], NAMES[1 - turn % 2]
        told = renamer.ok(f"RENAME {old} {new}")
        assert any(line.endswith(f'{new} ("OLDNAME" ({old}))'.encode()) for line in told), told
        for below, identity in identities.items():
            assert mailbox_id(renamer.ok(f"STATUS {new}{below} (MAILBOXID)")) == identity
            assert renamer.do(f"STATUS {old}{below} (MESSAGES)")[0].startswith(b"NO"), "the old name is gone"
        # Whoever is in it goes on: flags, expunges, new messages, copies, searches.
        uid = view.uids[turn % len(view.uids)]
        sign = "+-"[turn // 10 % 2]
        view.take(selected.ok(f"UID STORE {uid} {sign}FLAGS (\\Flagged)"))
        assert (b"\\Flagged" in view.flags[uid]) == (sign == "+")
        assert renamer.append(f"{new}/Sub", LETTER % (100 + turn)).startswith(b"OK")
        view.take(selected.ok(f"UID COPY {uid} INBOX"))
        view.take(selected.ok("NOOP"))
        view.take(selected.ok("UID FETCH 1:* (FLAGS MODSEQ BODY.PEEK[])"))
        if turn % 5 == 4:
            gone = view.uids[0]
            view.take(selected.ok(f"UID STORE {gone} +FLAGS.SILENT (\\Deleted)"))
            view.take(selected.ok("EXPUNGE"))
            assert gone not in view.uids
        with Client(server.port) as other:
            now = Mirror()
            lines = other.ok(f"EXAMINE {new}/Sub (CONDSTORE)")
            assert mailbox_id(lines) == identities["/Sub"]
            now.take(lines)
            now.take(other.ok("UID FETCH 1:* (FLAGS MODSEQ)"))
            assert now.known.keys() == view.known.keys()
            assert {uid: flags for uid, (flags, _) in now.known.items()} == view.flags
    filer.ended.set()
    filer.join(60)
    assert not filer.is_alive()
    assert filer.refused.keys() <= {b"[TRYCREATE]", b"[NONEXISTENT]"}, filer.refused
    assert len(filer.taken) > ROUNDS
    with Client(server.port) as other:
        other.ok(f"EXAMINE {NAMES[ROUNDS % 2]}/Sub/Child")
        assert subjects(other) == Counter(filer.taken), "what was acknowledged is there, once"
    for client in (renamer, selected, filer.client):
        client.close()
