"""imapflow, the client library of Node.js programs: what it does is in imapflow/round.test.mjs and harness.test.mjs.

RFC: 7162 §3.1, 7162 §3.2, 8474 §4, 8474 §5, 2177 §3, 6851 §3, 6154 §2
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.acceptance.server import Twistd
from tests.corpus import a_round

_HERE = Path(__file__).parent / "imapflow"
_NEEDED = 20
"""The oldest Node.js that it runs on."""


def _version() -> int:
    if shutil.which("node") is None or shutil.which("npm") is None:
        return 0
    done = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=30, check=True)
    return int(done.stdout.strip().lstrip("v").partition(".")[0])


@pytest.fixture(scope="module")
def programs() -> Path:
    """The folder of both, with an imapflow that is installed once in an environment of tox."""
    if _version() < _NEEDED:
        pytest.skip(f"imapflow needs npm and Node.js {_NEEDED}")
    place = Path(sys.prefix) / "imapflow"
    place.mkdir(exist_ok=True)
    for each in _HERE.iterdir():
        shutil.copy(each, place)
    installing = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
    done = subprocess.run(installing, cwd=place, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"npm could not install imapflow: {done.stderr[-300:]}")
    return place


def passes(program: Path, **variables: str) -> None:
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", program],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# skipped 0\n" in done.stdout and "\n# fail 0\n" in done.stdout


def test_a_program_that_starts_the_server(programs: Path) -> None:
    passes(programs / "harness.test.mjs", MAILPOST=json.dumps([sys.executable, "-m", "mailpost.admin.main"]))


def test_a_round(filled: Twistd, programs: Path) -> None:
    passes(programs / "round.test.mjs", PORT=str(filled.port), LETTERS=str(filled.folder / "letters"))
    with IMAPClient("127.0.0.1", filled.port, ssl=False, timeout=20) as client:
        client.login("ann", "pass")
        client.select_folder("Junk", readonly=True)
        assert [row[b"BODY[]"] for row in client.fetch(client.search(), ["BODY.PEEK[]"]).values()] == a_round()
        client.select_folder("Archive", readonly=True)
        left = [octets for uid, octets in enumerate(a_round(), 1) if uid not in range(46, 50)]
        assert [row[b"BODY[]"] for row in client.fetch(client.search(), ["BODY.PEEK[]"]).values()] == left
    assert "Traceback" not in filled.log.read_text()
