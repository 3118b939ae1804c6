"""Servers that are told the same things answer alike; see `tests.acceptance.differential`.

The stores in memory and on the disk always; MAILPOST_PEER=host:port:user:password names another server, too, whose
mail of this user is deleted. MAILPOST_SEED is the number of the first session. MAILPOST_DIFFERENTIAL_SECONDS says how
long; in ten minutes each command and each extension must have been used 200 times.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from mailpost.protocols.imap.commands.table import COMMANDS
from tests.acceptance.differential.comparing import Peer, run
from tests.acceptance.differential.extensions import NOT_DRAWN
from tests.acceptance.differential.known import ROOM_FREED, THE_DELETED
from tests.acceptance.server import configured, free_port

SECONDS = float(os.environ.get("MAILPOST_DIFFERENTIAL_SECONDS", "20"))
LONG = 600.0
ENOUGH = 200
SEED = int(os.environ.get("MAILPOST_SEED", "1"))
PEER = os.environ.get("MAILPOST_PEER")
NO_FOLDERS = '[folders]\ndrafts = ""\nsent = ""\ntrash = ""\njunk = ""\narchive = ""\n'


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[Peer]:
    with configured(tmp_path, extra=NO_FOLDERS) as server:
        yield Peer("127.0.0.1", server.port, "ann", "pass")


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Peer]:
    port = free_port()
    with (tmp_path / "memory.out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.differential.inmemory", str(port)],
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[2],
        )
    try:
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.02)
        yield Peer("127.0.0.1", port, "ann", "pass")
    finally:
        process.terminate()
        process.wait(10)


def test_both_stores_answer_alike(on_disk: Peer, in_memory: Peer) -> None:
    report = run(on_disk, in_memory, count(SEED), SECONDS)
    sys.stdout.write(f"{report}\n")
    assert not report.differences, report
    unexpected = report.examples.keys() - {THE_DELETED, ROOM_FREED}
    assert not unexpected, [str(report.examples[name]) for name in unexpected]
    assert report.sessions > 3
    if SECONDS >= LONG:
        uids = {f"UID {name}" for name in ("COPY", "EXPUNGE", "FETCH", "MOVE", "REPLACE", "SEARCH", "STORE")}
        assert_used(report.commands, {spec.name for spec in COMMANDS} | uids)
        assert_used(report.extensions, report.capabilities - {"IMAP4REV1", *NOT_DRAWN})


def assert_used(counts: Counter[str], names: set[str]) -> None:
    """Each of these was used often enough."""
    seldom = {name: counts[name] for name in sorted(names) if counts[name] < ENOUGH}
    assert not seldom, seldom


@pytest.mark.skipif(PEER is None, reason="no other server is named in MAILPOST_PEER")
def test_another_server_answers_alike(on_disk: Peer) -> None:
    report = run(on_disk, Peer.of(PEER or ""), count(SEED), SECONDS)
    sys.stdout.write(f"{report}\n")
    assert not report.differences, report
    assert report.sessions > 3
