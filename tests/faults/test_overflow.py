"""More happens than the kernel keeps for the server to hear: what idling sessions are told is right all the same.

RFC: 9051 §5.2, §7.5.1, §7.4.1
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.server import Twistd
from tests.faults.client import MESSAGE, Client
from tests.faults.test_latency import deliver

MESSAGES = 1500
FEW = 60
MOST_SECONDS = 30.0
"""Within which everything has been told, on a busy machine."""
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
_FETCH = re.compile(rb"\* (\d+) FETCH \(.*FLAGS \(([^)]*)\)")
_ROW = re.compile(rb"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)\)")
_LETTERS = {b"\\Seen": "S", b"\\Flagged": "F", b"\\Answered": "R"}


def letters(flags: bytes) -> str:
    return "".join(sorted(_LETTERS[flag] for flag in flags.split() if flag in _LETTERS))


def rows(client: Client) -> dict[int, str]:
    """UID -> flags of the selected folder."""
    found = [_ROW.fullmatch(line) for line in client.ok("UID FETCH 1:* (FLAGS)")]
    return {int(row[1]): letters(row[2]) for row in found if row is not None}


class View:
    """A client that idles, and what it knows from what it was told."""

    def __init__(self, port: int, folder: str) -> None:
        self.client = Client(port)
        self.client.ok(f"SELECT {folder}")
        known = rows(self.client)
        self.uids: list[int | None] = list(known)
        self.flags: list[str | None] = list(known.values())
        self.gone: list[int | None] = []
        self.heard_at = 0.0
        self.tag = self.client.send("IDLE")
        assert self.client.answer(self.tag)[0] == b"+"

    def hear(self, until: float) -> None:
        """Take what is told until nothing has been for a second, or it is too late."""
        while time.monotonic() < until:
            line = self.client.line(1.0)
            if line is None:
                return
            self.told(line)

    def told(self, line: bytes) -> None:
        self.heard_at = time.monotonic()
        number = int(line.split()[1]) if line.split()[1].isdigit() else 0
        if line.endswith(b" EXISTS"):
            assert number >= len(self.uids), "messages went without a word"
            self.uids += [None] * (number - len(self.uids))
            self.flags += [None] * (number - len(self.flags))
        elif line.endswith(b" EXPUNGE"):
            self.gone.append(self.uids.pop(number - 1))
            del self.flags[number - 1]
        elif (fetched := _FETCH.match(line)) is not None:
            self.flags[int(fetched[1]) - 1] = letters(fetched[2])

    def end(self) -> dict[int, str]:
        """Stop idling: what the session says that there is."""
        self.client.send_line(b"DONE")
        done, lines = self.client.answer(self.tag)
        assert done.startswith(b"OK")
        for line in lines:
            self.told(line)
        return rows(self.client)


def rename_all(cur: Path, wanted: str) -> int:
    """Give all messages these flags: how many events that makes."""
    events = 0
    for each in list(cur.iterdir()):
        each.rename(cur / f"{each.name.partition(':')[0]}:2,{wanted}")
        events += 2
    return events


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_what_the_kernel_forgot_is_found(start: Callable[..., Twistd], capsys: pytest.CaptureFixture[str]) -> None:
    server = start()
    folder = server.folder / "mail/ann/.Busy"
    deliver(folder, MESSAGES, "cur")
    views = [View(server.port, "Busy") for _ in range(2)]
    quiet = View(server.port, "INBOX")
    most = int(QUEUE.read_text())
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        events, turn = 0, 0
        while events < most + 1000:
            events += rename_all(folder / "cur", ("F", "S", "FS")[turn % 3])
            turn += 1
        # What comes now, the kernel has no room left to tell.
        cur = folder / "cur"
        files = sorted(cur.iterdir())
        for each in files[:FEW]:
            each.unlink()
        for each in files[FEW : 2 * FEW]:
            each.rename(cur / f"{each.name.partition(':')[0]}:2,R")
        octets = MESSAGE.replace(b"\r\n", b"\n")
        for place in (folder, server.folder / "mail/ann"):
            for number in range(FEW):
                (place / "new" / f"1800000000.M{number:06}P1.elsewhere").write_bytes(octets)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    begun = time.monotonic()
    for view in (*views, quiet):
        while time.monotonic() < begun + MOST_SECONDS and None not in view.uids:
            view.hear(begun + MOST_SECONDS)
        view.hear(begun + MOST_SECONDS)
    took = max(view.heard_at for view in (*views, quiet)) - begun
    with capsys.disabled():
        sys.stdout.write(f"\n{events} events, more than {most}: all was told {took:.2f} s after they could be heard\n")
    with Client(server.port) as fresh:
        fresh.ok("EXAMINE Busy")
        there = rows(fresh)
        fresh.ok("EXAMINE INBOX")
        inbox = rows(fresh)
    assert sorted(there.values()).count("R") == FEW
    assert list(there) == list(range(FEW + 1, MESSAGES + FEW + 1))
    for view in views:
        assert sorted(view.gone) == list(range(1, FEW + 1)), "those and no others"  # type: ignore[type-var]
        assert len(view.uids) == MESSAGES
        assert [uid for uid in view.uids if uid is not None] == list(range(FEW + 1, MESSAGES + 1))
        assert view.flags[: MESSAGES - FEW] == list(there.values())[: MESSAGES - FEW]
        assert view.end() == there
    assert len(quiet.uids) == FEW
    assert not quiet.gone
    assert quiet.end() == inbox
    assert took < MOST_SECONDS
    said = server.said()
    assert said.count("more happened than inotify could tell") >= 1
    assert "Traceback" not in said
    for view in (*views, quiet):
        view.client.close()
