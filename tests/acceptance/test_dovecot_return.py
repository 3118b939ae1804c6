"""A tree goes from Dovecot to mailpost and back, with UIDVALIDITY, UIDs and flags kept each time.

RFC: 9051 §2.3.1.1
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from imapclient import IMAPClient

from mailpost.storage.maildir.filename import base_of
from tests.acceptance import dovecot
from tests.acceptance.server import Twistd

FOLDERS = ("INBOX", "Archive", "Lists/Entwürfe")

pytestmark = pytest.mark.skipif(bool(dovecot.missing()), reason=dovecot.missing() or "Dovecot can be run")


@dataclass(frozen=True)
class Shown:
    """What a server shows of a folder."""

    uidvalidity: int
    uidnext: int
    messages: dict[int, tuple[bytes, frozenset[bytes]]]
    """UID -> (octets, flags)."""


@contextmanager
def client(port: int) -> Iterator[IMAPClient]:
    with IMAPClient("127.0.0.1", port, ssl=False, timeout=30) as made:
        made.login("ann", "pass")
        yield made


def shown(by: IMAPClient) -> dict[str, Shown]:
    """All folders, as fresh SELECTs show them."""
    found = {}
    for name in FOLDERS:
        selected = by.select_folder(name)
        fetched = by.fetch(by.search(), ["BODY.PEEK[]", "FLAGS"])
        messages = {uid: (data[b"BODY[]"], frozenset(data[b"FLAGS"]) - {b"\\Recent"}) for uid, data in fetched.items()}
        found[name] = Shown(selected[b"UIDVALIDITY"], selected[b"UIDNEXT"], messages)
    return found


def work(by: IMAPClient, numbers: Iterator[int]) -> None:
    """Append, flag, copy, move and expunge, the messages with the highest UIDs among them."""
    for at, name in enumerate(FOLDERS):
        other = FOLDERS[at - 1]
        for flags in ([], [b"\\Seen"], [b"\\Flagged", b"$Work"], [b"todo"], [b"\\Answered"]):
            by.append(name, b"Subject: %d\r\n\r\nbody\r\n" % next(numbers), flags)
        by.select_folder(name)
        uids = sorted(by.search())
        by.copy(uids[:2], other)
        by.move(uids[2:3], other)
        by.add_flags(uids[1:2], [b"\\Draft", b"$Work"])
        by.remove_flags(uids[3:4], [b"todo"])
        by.delete_messages([uids[0], uids[-1]])
        by.uid_expunge([uids[0], uids[-1]])


def as_version_1(folder: Path) -> None:
    """Make the UID list one that Dovecot 1.0 wrote: no GUID, nothing but UIDs and names."""
    path = folder / "dovecot-uidlist"
    header, *lines = path.read_text().splitlines()
    uidvalidity, uidnext = (re.search(rf" {letter}(\d+)", header)[1] for letter in "VN")  # type: ignore[index]
    names = {base_of(each.name): each.name for each in (*(folder / "cur").iterdir(), *(folder / "new").iterdir())}
    entries = [(line.split(" ")[0], line.partition(":")[2]) for line in lines]
    uidnext = max([int(uidnext), *(int(uid) + 1 for uid, _ in entries)])
    path.write_text(
        "".join([f"1 {uidvalidity} {uidnext}\n", *(f"{uid} {names[base]}\n" for uid, base in entries if base in names)])
    )


@pytest.mark.parametrize("indexes", ["kept", "deleted"])
@pytest.mark.parametrize("version", [1, 3])
def test_there_and_back(open_folder: Path, shared: Twistd, version: int, indexes: str) -> None:
    mail, numbers = shared.folder / "mail", count(1)
    root = mail / "ann"
    folders = [root, root / ".Archive", root / ".Lists.Entw&APw-rfe"]
    log = ""
    with dovecot.Dovecot(open_folder / "dovecot", mail) as peer, client(peer.port) as by:
        for name in FOLDERS[1:]:
            by.create_folder(name)
        work(by, numbers)
        before = shown(by)
    log += peer.log
    if version == 1:
        for folder in folders:
            as_version_1(folder)
    for turn in range(2):  # there and back, and once more
        with shared, client(shared.port) as by:
            assert shown(by) == before
            work(by, numbers)
            after = shown(by)
        if indexes == "deleted":
            for path in root.rglob("dovecot*.index*"):
                path.unlink()
        with dovecot.Dovecot(open_folder / f"dovecot{turn}", mail) as peer, client(peer.port) as by:
            assert shown(by) == after
            work(by, numbers)
            before = shown(by)
        log += peer.log
    assert before.keys() == set(FOLDERS)
    assert not [line for line in log.splitlines() if "Error" in line or "Warning: Maildir" in line or "Panic" in line]
    assert "Traceback" not in shared.log.read_text()
