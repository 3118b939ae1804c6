"""curl reads, searches, marks and adds mail by URL.

RFC: 5092 §3, 3501 §6.3.2, 3501 §6.4.4, 3501 §6.4.6, 3501 §6.4.8
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.acceptance.server import Twistd
from tests.corpus import a_round

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


class Curl:
    """Runs of curl as ann; what it writes goes into the folder given."""

    def __init__(self, server: Twistd, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.root = f"imap://127.0.0.1:{server.port}"

    def __call__(self, *arguments: str) -> str:
        """What it writes for these arguments."""
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--fail-early", "--user", "ann:pass", *arguments],
            capture_output=True,
            cwd=self.folder,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode(errors="replace")

    def fetched(self, path: str, count: int) -> list[bytes]:
        """What is at `path`, which has "#" where a number from 1 to `count` goes; all over one connection."""
        self("--output", "got-#1", f"{self.root}/{path.replace('#', f'[1-{count}]')}")
        return [(self.folder / f"got-{number}").read_bytes() for number in range(1, count + 1)]


@pytest.fixture
def curl(filled: Twistd, tmp_path: Path) -> Curl:
    return Curl(filled, tmp_path / "curl")


def numbers(answer: str) -> list[int]:
    """Those of a SEARCH answer."""
    return [int(number) for number in answer.replace("* SEARCH", "").split()]


def test_every_message_by_its_url(curl: Curl) -> None:
    letters = a_round()
    assert curl.fetched("INBOX;UID=#", len(letters)) == letters
    assert curl.fetched("INBOX;MAILINDEX=#", len(letters)) == letters
    heads = [octets[: octets.index(b"\r\n\r\n") + 4] for octets in letters[:50]]
    assert curl.fetched("INBOX;UID=#;SECTION=HEADER", 50) == heads
    assert curl.fetched("INBOX;UID=#;SECTION=TEXT", 50) == [
        octets[len(head) :] for octets, head in zip(letters, heads, strict=False)
    ]


def test_every_message_is_added(filled: Twistd, curl: Curl) -> None:
    letters = a_round()
    curl("-X", "CREATE Sent/curl", f"{curl.root}/")
    arguments = []
    for number, octets in enumerate(letters):
        (curl.folder / f"send-{number}").write_bytes(octets)
        arguments += ["-T", f"send-{number}", f"{curl.root}/Sent/curl"]
    curl(*arguments)
    assert curl.fetched("Sent/curl;UID=#", len(letters)) == letters


def test_a_search_finds_what_the_folder_holds(curl: Curl) -> None:
    letters = a_round()
    inbox = f"{curl.root}/INBOX"
    assert numbers(curl(f"{inbox}?ALL")) == list(range(1, len(letters) + 1))
    assert numbers(curl(f"{inbox}?LARGER%205000")) == [n for n, each in enumerate(letters, 1) if len(each) > 5000]
    assert numbers(curl("-X", "UID SEARCH UID 3:7", inbox)) == [3, 4, 5, 6, 7]
    assert numbers(curl(f"{inbox}?KEYWORD%20nobody-set-this")) == []


def test_flags_examine_and_expunge(filled: Twistd, curl: Curl) -> None:
    count = len(a_round())
    inbox = f"{curl.root}/INBOX"
    curl("-X", r"UID STORE 1:* +FLAGS.SILENT (\Seen $Done)", inbox)
    curl("-X", r"UID STORE 5:9 +FLAGS.SILENT (\Deleted \Flagged)", inbox)
    assert numbers(curl(f"{inbox}?KEYWORD%20$Done%20FLAGGED")) == [5, 6, 7, 8, 9]
    assert f"* {count} EXISTS" in curl("-X", "EXAMINE INBOX", f"{curl.root}/")
    curl("-X", "UID COPY 1:20 Archive", inbox)
    curl("-X", "EXPUNGE", inbox)
    listing = curl(f"{curl.root}/")
    assert '"/" Archive' in listing and r"\Trash" in listing
    with IMAPClient("127.0.0.1", filled.port, ssl=False, timeout=20) as other:
        other.login("ann", "pass")
        other.select_folder("INBOX", readonly=True)
        left = [*range(1, 5), *range(10, count + 1)]
        assert other.search() == left
        assert all({b"\\Seen", b"$Done"} <= set(row[b"FLAGS"]) for row in other.fetch(left, ["FLAGS"]).values())
        assert other.folder_status("Archive", ["MESSAGES"]) == {b"MESSAGES": 20}
    assert "Traceback" not in filled.log.read_text()
