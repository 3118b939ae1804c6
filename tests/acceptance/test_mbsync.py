"""mbsync (Debian's isync) keeps a Maildir and an account the same, both ways.

RFC: 9051 §6.3.12, 4315 §3
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.acceptance.server import Twistd
from tests.corpus import messages

pytestmark = pytest.mark.skipif(shutil.which("mbsync") is None, reason="mbsync (package isync) is not installed")

MOST = 10_000 if os.environ.get("MAILPOST_CORPUS") and os.environ.get("MAILPOST_ALL") else 500
FOLDERS = ("INBOX", "Lists", "Lists/Entwürfe & more")
_CONFIG = """\
IMAPStore far
Host 127.0.0.1
Port {port}
User ann
Pass pass
SSLType None
AuthMechs LOGIN

MaildirStore near
Path {near}/
Inbox {near}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
"""
_LETTERS = {"F": b"\\Flagged", "S": b"\\Seen", "R": b"\\Answered", "D": b"\\Draft", "T": b"\\Deleted"}
_TUID = re.compile(rb"^X-TUID: .*\r?\n", re.MULTILINE)

Content = dict[str, Counter[tuple[str, frozenset[bytes]]]]
"""Folder -> (digest, flags) of each message."""


def digest(octets: bytes) -> str:
    """Of a message, whatever its line ends, and whether or not mbsync has put its mark into it."""
    return hashlib.sha256(_TUID.sub(b"", octets, count=1).replace(b"\r\n", b"\n")).hexdigest()[:12]


def connected(server: Twistd) -> IMAPClient:
    client = IMAPClient("127.0.0.1", server.port, ssl=False, timeout=30)
    client.login("ann", "pass")
    # Without it the line end after each literal waits for the server's delayed acknowledgement: 40 ms.
    client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def far(server: Twistd) -> Content:
    client = connected(server)
    content: Content = {}
    for _, _, name in client.list_folders():
        client.select_folder(name, readonly=True)
        fetched = client.fetch(client.search(), ["FLAGS", "BODY.PEEK[]"])
        known = frozenset(_LETTERS.values())
        content[name] = Counter(
            (digest(each[b"BODY[]"]), known & frozenset(each[b"FLAGS"])) for each in fetched.values()
        )
    client.logout()
    return content


def folder(place: Path, name: str) -> Path:
    """Where mbsync keeps a folder: it leaves modified UTF-7 as it is."""
    return place / name.replace("&", "&-").replace("ü", "&APw-")


def near(place: Path, names: list[str]) -> Content:
    content: Content = {}
    for name in names:
        files = [each for part in ("cur", "new") for each in (folder(place, name) / part).iterdir()]
        content[name] = Counter(
            (digest(each.read_bytes()), frozenset(_LETTERS[letter] for letter in each.name.partition(":2,")[2]))
            for each in files
        )
    return content


def synced(config: Path) -> str:
    done = subprocess.run(
        ["mbsync", "-c", config, "all"], capture_output=True, text=True, errors="replace", timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def equal(server: Twistd, place: Path) -> Content:
    there = far(server)
    assert near(place, list(there)) == there
    return there


def test_both_ways(server: Twistd, tmp_path: Path) -> None:
    place = tmp_path / "near"
    place.mkdir()
    config = tmp_path / "mbsyncrc"
    config.write_text(_CONFIG.format(port=server.port, near=place))
    # A message whose header has no end, mbsync passes over ("incomplete header").
    letters = [each for each in messages() if b"\r\n\r\n" in each and b"\0" not in each][:MOST]
    client = connected(server)
    for name in FOLDERS[1:]:
        client.create_folder(name)
    for number, octets in enumerate(letters):
        client.append(
            FOLDERS[number % 3],
            octets,
            [flag for bit, flag in enumerate(_LETTERS.values()) if number >> 2 & 1 << bit and bit < 4],
        )

    synced(config)
    first = equal(server, place)
    assert sum(each.total() for each in first.values()) == len(letters)
    assert "Lists/Entwürfe & more" in first

    # Now both change.
    client.select_folder("INBOX")
    uids = client.search()
    client.add_flags(uids[:5], [b"\\Flagged"])
    client.remove_flags(uids[5:10], [b"\\Seen"])
    client.delete_messages(uids[10:13])
    client.expunge()
    client.append("INBOX", b"Subject: new there\r\n\r\nbody\r\n")
    client.append("Lists", b"Subject: new there too\r\n\r\nbody\r\n", [b"\\Seen"])
    files = sorted((place / "Lists" / "cur").iterdir())
    for each in files[:4]:
        base, _, flags = each.name.partition(":2,")
        each.rename(each.with_name(f"{base}:2,{''.join(sorted(set(flags) ^ {'F', 'S'}))}"))
    for each in files[4:7]:
        each.unlink()
    (place / "Lists" / "new" / "1000000000.1.near").write_bytes(b"Subject: new here\n\nbody\n")
    (place / "Made" / "cur").mkdir(parents=True)
    (place / "Made" / "new").mkdir()
    (place / "Made" / "tmp").mkdir()
    (place / "Made" / "cur" / "1000000000.2.near:2,RS").write_bytes(b"Subject: new here too\n\nbody\n")
    client.logout()

    synced(config)
    second = equal(server, place)
    assert sum(each.total() for each in second.values()) == len(letters) - 6 + 4
    assert second["Made"].total() == 1

    listing = sorted(each for each in place.rglob("*") if each.parent.name in ("cur", "new"))
    synced(config)
    assert equal(server, place) == second
    assert sorted(each for each in place.rglob("*") if each.parent.name in ("cur", "new")) == listing
    assert "Traceback" not in server.log.read_text()
