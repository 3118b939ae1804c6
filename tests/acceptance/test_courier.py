"""A tree that Courier has made goes to mailpost, and on to Dovecot, with UIDVALIDITY, UIDs and all else kept.

RFC: 9051 §2.3.1.1
"""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from tests.acceptance import courier, dovecot
from tests.acceptance.server import Twistd
from tests.corpus import a_round

FOLDERS = {"INBOX": "INBOX", "INBOX.Sent": "Sent", "INBOX.Lists.Entw&APw-rfe": "Lists/Entw&APw-rfe"}
"""As Courier names them -> as we do."""
GIVEN = ("", r"\Seen", r"\Flagged $Work", "todo", r"\Answered NonJunk")
EACH = 20
"""Messages that Courier gets in each folder."""

pytestmark = [
    pytest.mark.skipif(bool(courier.missing()), reason=courier.missing() or "Courier can be run"),
    pytest.mark.skipif(bool(dovecot.missing()), reason=dovecot.missing() or "Dovecot can be run"),
]


@dataclass(frozen=True)
class Shown:
    """What a server shows of a folder."""

    uidvalidity: int
    uidnext: int
    messages: dict[int, tuple[str, frozenset[bytes]]]
    """UID -> (hash of the octets, flags)."""


def shown(client: imaplib.IMAP4, name: str) -> Shown:
    """A folder, as a fresh SELECT shows it."""
    assert client.select(f'"{name}"')[0] == "OK"
    (selected,) = client.response("UIDVALIDITY")[1]
    (line,) = client.status(f'"{name}"', "(UIDVALIDITY UIDNEXT)")[1]
    assert selected is not None
    assert isinstance(line, bytes)
    uidvalidity, uidnext = (int(line.partition(word)[2].split(b")")[0].split()[0]) for word in (b"VALIDITY ", b"NEXT "))
    assert int(selected) == uidvalidity
    messages = {}
    for row in client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")[1]:
        if isinstance(row, tuple):
            head, octets = row
            uid, flags = re.search(rb"UID (\d+)", head), re.search(rb"FLAGS \(([^)]*)\)", head)
            assert uid
            assert flags
            messages[int(uid[1])] = sha256(octets).hexdigest(), frozenset(flags[1].split()) - {rb"\Recent"}
    return Shown(uidvalidity, uidnext, messages)


def subscribed(client: imaplib.IMAP4) -> set[str]:
    rows = [row.decode() for row in client.lsub()[1] if isinstance(row, bytes)]
    return {row.split(" ")[-1].strip('"') for row in rows if r"\Noselect" not in row}


@contextmanager
def client(port: int) -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4("127.0.0.1", port, timeout=30) as made:
        made.login("ann", "pass")
        yield made


def made_by_courier(root: Path, log: Path) -> tuple[dict[str, Shown], set[str]]:
    """A tree, and what Courier shows of it (by our names): folders, what is subscribed."""
    courier.make(root)
    letters = iter(a_round())
    with courier.Session(root, log) as by:
        for name in FOLDERS:
            if name != "INBOX":
                assert by.create(name)[0] == by.subscribe(name)[0] == "OK"
            for at in range(EACH):
                flags = GIVEN[at % len(GIVEN)]
                assert by.append(name, flags and f"({flags})", "", next(letters))[0] == "OK"
            by.select(name)
            by.uid("STORE", "2,9", "+FLAGS", r"($Work \Draft)")
            by.uid("STORE", "4", "-FLAGS", "(todo)")
            by.uid("STORE", f"1,7,{EACH}", "+FLAGS", r"(\Deleted)")
            by.expunge()
        return {ours: shown(by, name) for name, ours in FOLDERS.items()}, subscribed(by)


def test_from_courier_to_us_and_on_to_dovecot(open_folder: Path, shared: Twistd) -> None:
    mail, config = shared.folder / "mail", shared.folder / "mailpost.toml"
    config.write_text(config.read_text().replace("[storage]\n", "[storage]\nutf8 = true\n"))
    before, names = made_by_courier(mail / "ann", open_folder / "courier.log")
    assert all(len(each.messages) == EACH - 3 and each.uidnext == EACH + 1 for each in before.values())
    assert names == set(FOLDERS) - {"INBOX"}
    with shared, client(shared.port) as by:
        assert {name: shown(by, name) for name in before} == before
        assert subscribed(by) == {FOLDERS[name] for name in names}
        for name in before:
            assert by.append(f'"{name}"', r"(\Flagged $Work new)", "", a_round()[-1])[0] == "OK"
            by.select(f'"{name}"')
            by.uid("STORE", "3,5", "+FLAGS", r"(\Deleted)")
            by.expunge()
            by.uid("STORE", "10", "+FLAGS", r"(\Answered todo)")
        after = {name: shown(by, name) for name in before}
    for name, each in after.items():
        assert each.uidvalidity == before[name].uidvalidity
        assert each.messages.keys() == before[name].messages.keys() - {3, 5} | {EACH + 1}
    # Courier names folders of the disk in UTF-8: Dovecot must be told so, as we were.
    with dovecot.Dovecot(open_folder / "dovecot", mail, layout=":UTF-8") as peer, client(peer.port) as by:
        assert {name: shown(by, name) for name in after} == after
        assert subscribed(by) == {FOLDERS[name] for name in names}
    assert not [line for line in peer.log.splitlines() if "Error" in line or "Panic" in line]
    assert "Traceback" not in shared.log.read_text()
