"""A backup taken while clients are at work has all that was acknowledged before it began, under the same UIDs."""

from __future__ import annotations

import shutil
import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from imapclient import IMAPClient

from tests.acceptance.server import Twistd, configured, mailpost

LETTER = b"Subject: %d\r\n\r\nletter %d\r\n"
FIRST = 150


def connected(server: Twistd) -> IMAPClient:
    client = IMAPClient("127.0.0.1", server.port, ssl=False, timeout=20)
    client.login("ann", "pass")
    return client


def seen(client: IMAPClient, folder: str) -> dict[int, tuple[bytes, frozenset[bytes]]]:
    """UID -> octets and flags."""
    client.select_folder(folder, readonly=True)
    found: Any = client.fetch(client.search(), ["BODY.PEEK[]", "FLAGS"])
    return {uid: (one[b"BODY[]"], frozenset(one[b"FLAGS"]) - {b"\\Recent"}) for uid, one in found.items()}


def at_work(server: Twistd, enough: threading.Event) -> None:
    """Append, flag the new ones, and move the old ones to and fro, until it is enough."""
    client = connected(server)
    client.select_folder("Moving")
    here, there = "Moving", "Sent"
    for number in count(FIRST):
        if enough.is_set():
            break
        client.append("INBOX", LETTER % (number, number))
        client.add_flags(client.search(), [b"\\Flagged"])
        client.move(client.search(), there)
        here, there = there, here
        client.select_folder(here)
    client.logout()


@pytest.mark.parametrize("state", ["with", "without"])
def test_what_was_acknowledged_before_is_in_the_backup(tmp_path: Path, state: str) -> None:
    (tmp_path / "server").mkdir()
    backup = tmp_path / "backup"
    with configured(tmp_path / "server") as server:
        config = str(server.folder / "mailpost.toml")
        client = connected(server)
        client.create_folder("Moving")
        for number in range(FIRST):
            client.append("INBOX", LETTER % (number, number), [b"\\Seen"] if number % 2 else [])
        for number in range(20):
            client.append("Moving", LETTER % (number, number))
        client.select_folder("INBOX")
        enough = threading.Event()
        other = threading.Thread(target=at_work, args=(server, enough), daemon=True)
        other.start()
        client.add_flags(range(1, 51), [b"$Kept"])
        validity = client.folder_status("INBOX", ["UIDVALIDITY"])
        before = {uid: one for uid, one in seen(client, "INBOX").items() if uid <= FIRST}
        done = mailpost("backup", "ann", str(backup), "--config", config)
        enough.set()
        other.join()
        assert done.returncode == 0, done.stderr
        after = seen(client, "INBOX")
        checked = mailpost("check", "--all", "--full", "--config", config)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        client.logout()
    if state == "without":
        (backup / "mailpost-state.sqlite3").unlink()
    (tmp_path / "restored").mkdir()
    with_backup = configured(tmp_path / "restored")
    shutil.copytree(backup, with_backup.folder / "mail" / "ann")
    with with_backup as server:
        client = connected(server)
        assert client.folder_status("INBOX", ["UIDVALIDITY"]) == validity
        found = seen(client, "INBOX")
        if state == "without":  # flags of the last second were not in file names yet
            before, found = ({uid: one[:1] for uid, one in each.items()} for each in (before, found))
            after = {uid: one[:1] for uid, one in after.items()}  # type: ignore[misc]
        assert {uid: found.get(uid) for uid in before} == before
        assert {uid: one for uid, one in found.items() if uid in after} == {
            uid: one for uid, one in after.items() if uid in found
        }, "no UID has come to mean another message"
        texts = [one[0] for folder in ("Moving", "Sent") for one in seen(client, folder).values()]
        assert sorted(texts) == sorted(LETTER % (number, number) for number in range(20)), "moved, not lost or doubled"
        client.append("INBOX", LETTER % (0, 0))
        assert max(seen(client, "INBOX")) > max(found), "a UID is not given out again"
        client.logout()
        checked = mailpost("check", "ann", "--full", "--config", str(server.folder / "mailpost.toml"))
        assert checked.returncode == 0, checked.stdout + checked.stderr
