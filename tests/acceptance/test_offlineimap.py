"""OfflineIMAP keeps Maildirs and an account the same, both ways.

RFC: 3501 §6.3.11, 3501 §6.4.6, 4315 §3
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.acceptance.server import Twistd
from tests.corpus import a_round

PROGRAM = shutil.which("offlineimap") or shutil.which("offlineimap3")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="offlineimap (package offlineimap3) is not installed")

_CONFIG = """\
[general]
accounts = ann
metadata = {folder}/metadata
ui = basic
fsync = False
[Account ann]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {folder}/near
sep = /
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = {port}
remoteuser = ann
remotepass = pass
ssl = no
starttls = no
auth_mechanisms = PLAIN
"""
_LETTERS = {"D": b"\\Draft", "F": b"\\Flagged", "R": b"\\Answered", "S": b"\\Seen"}
_POLICY = email.policy.default.clone(refold_source="none")
_BLANKS = re.compile(rb"[ \t]+$", re.MULTILINE)
_MARK = re.compile(rb"^X-OfflineIMAP: .*\r?\n", re.MULTILINE)

Content = dict[str, Counter[tuple[str, frozenset[bytes]]]]
"""Folder -> (digest, flags) of each message."""


def digest(octets: bytes) -> str:
    """Of a message, whatever its line ends, and whether or not OfflineIMAP has put its mark into it.

    It writes headers anew: a field without a value gets a blank behind its colon.
    """
    text = _MARK.sub(b"", octets, count=1).replace(b"\r\n", b"\n")
    return hashlib.sha256(_BLANKS.sub(b"", text)).hexdigest()[:12]


def is_kept(octets: bytes) -> bool:
    """Whether the email package, by which OfflineIMAP reads and writes, gives the same message back.

    It does with all real ones, and not with some of those that are odd on purpose.
    """
    try:
        return digest(email.message_from_bytes(octets, policy=_POLICY).as_bytes()) == digest(octets)
    except RecursionError:
        return False


def far(client: IMAPClient) -> Content:
    content: Content = {}
    for _, _, name in client.list_folders():
        client.select_folder(name, readonly=True)
        known = frozenset(_LETTERS.values())
        fetched = client.fetch(client.search(), ["FLAGS", "BODY.PEEK[]"]).values()
        content[name] = Counter((digest(each[b"BODY[]"]), known & frozenset(each[b"FLAGS"])) for each in fetched)
    return content


def near(place: Path) -> Content:
    content: Content = {}
    for folder in sorted(each.parent for each in place.rglob("cur")):
        files = [each for part in ("cur", "new") for each in (folder / part).iterdir()]
        content[str(folder.relative_to(place))] = Counter(
            (digest(each.read_bytes()), frozenset(_LETTERS[letter] for letter in each.name.partition(":2,")[2]))
            for each in files
        )
    return content


def synced(config: Path) -> None:
    assert PROGRAM is not None
    done = subprocess.run(
        [PROGRAM, "-o", "-c", config], capture_output=True, text=True, errors="replace", timeout=300, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "ERROR" not in said and "Traceback" not in said, said[-5000:]


def marked(path: Path, letters: str) -> None:
    """Give the message in the file these flags, as a reader of the Maildir does."""
    path.rename(path.parent.with_name("cur") / f"{path.name.partition(':2,')[0]}:2,{letters}")


def test_both_ways(filled: Twistd, tmp_path: Path) -> None:
    place = tmp_path / "near"
    config = tmp_path / "offlineimaprc"
    config.write_text(_CONFIG.format(folder=tmp_path, port=filled.port))
    letters = [octets for octets in a_round() if is_kept(octets)]
    assert len(letters) > len(a_round()) * (0.99 if os.environ.get("MAILPOST_CORPUS") else 0.8)
    with IMAPClient("127.0.0.1", filled.port, ssl=False, timeout=30) as client:
        client.login("ann", "pass")
        client.create_folder("Lists/Tools")
        client.select_folder("INBOX")
        if odd := [uid for uid, octets in enumerate(a_round(), 1) if not is_kept(octets)]:
            client.delete_messages(odd)
            client.expunge()
        client.move(client.search()[:100], "Lists/Tools")
        uids = client.search()
        for bit, flag in enumerate(_LETTERS.values()):
            client.add_flags([uid for uid in uids if uid >> 2 & 1 << bit], [flag], silent=True)

        synced(config)
        first = far(client)
        assert near(place) == first
        assert (first["INBOX"].total(), first["Lists/Tools"].total()) == (len(uids), 100)
        assert Counter(part[0] for part in (first["INBOX"] + first["Lists/Tools"]).elements()) == Counter(
            map(digest, letters)
        )

        # Now both change.
        client.select_folder("INBOX")
        client.add_flags(uids[:5], [b"\\Flagged"])
        client.remove_flags(uids[5:10], [b"\\Seen"])
        client.delete_messages(uids[10:13])
        client.expunge()
        client.append("INBOX", b"Subject: new there\r\n\r\nbody\r\n", [b"\\Seen"])
        files = sorted(each for part in ("cur", "new") for each in (place / "Lists" / "Tools" / part).iterdir())
        for each in files[:4]:
            marked(each, "FS")
        for each in files[4:7]:
            each.unlink()
        for number in range(20):
            (place / "Lists" / "Tools" / "new" / f"10000000{number:02}.1.near").write_bytes(
                b"Subject: new here\nMessage-ID: <%d@near.example>\n\nbody\n" % number
            )
        for part in ("cur", "new", "tmp"):
            (place / "Made" / part).mkdir(parents=True)
        (place / "Made" / "cur" / "1000000000.2.near:2,RS").write_bytes(b"Subject: new here too\n\nbody\n")

        synced(config)
        second = far(client)
        assert near(place) == second
        assert second["INBOX"].total() == len(uids) - 3 + 1
        assert second["Lists/Tools"].total() == 100 - 3 + 20
        assert second["Made"].total() == 1

        names = sorted(each for each in place.rglob("*") if each.parent.name in ("cur", "new"))
        synced(config)
        assert near(place) == far(client) == second
        assert sorted(each for each in place.rglob("*") if each.parent.name in ("cur", "new")) == names
    assert "Traceback" not in filled.log.read_text()
