"""Another program delivers, renames and deletes: it is told soon, and renames never look like messages that are gone.

RFC: 2177 §3, 9051 §5.2
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.server import Twistd
from tests.faults.client import MESSAGE, Client
from tests.faults.test_latency import deliver

MESSAGES = int(os.environ.get("MAILPOST_FAULTS_RENAMED", "20000"))
SECONDS = float(os.environ.get("MAILPOST_FAULTS_SECONDS", "8"))
LETTERS = ("", "F", "FS", "S", "RS", "R")
MOST_SECONDS = 0.1
"""What 19 of 20 commands take at most while that goes on, those in the folder itself among them."""
SEEN_SECONDS = 0.5
"""How soon after the last rename all flags are what the names say: some looks on a machine that has other work."""
TOLD_SECONDS = 0.1
"""How soon an idling session is told of one change, half of the times at least: a busy machine is late now and then."""
PATIENCE = 10.0

RENAMER = """
import os, random, sys, time
cur, seconds, letters = sys.argv[1], float(sys.argv[2]), sys.argv[3].split(",")
os.chdir(cur)
names = os.listdir(".")
until = time.monotonic() + seconds
renames = 0
while time.monotonic() < until:
    for number in random.sample(range(len(names)), 100):
        wanted = names[number].partition(":")[0] + ":2," + random.choice(letters)
        try:
            os.rename(names[number], wanted)
        except FileNotFoundError:  # the server has written a flag
            shown = [name for name in os.listdir(".") if name.startswith(names[number].partition(":")[0])]
            if not shown:
                continue
            wanted = shown[0]
        names[number] = wanted
        renames += 1
print(renames)
"""


def test_renames_make_no_message_vanish(start: Callable[..., Twistd], capsys: pytest.CaptureFixture[str]) -> None:
    server = start()
    folder = server.folder / "mail/ann/.Busy"
    deliver(folder, MESSAGES, "cur")
    clients = [Client(server.port) for _ in range(3)]
    for client in clients:
        client.ok("SELECT Busy")
    cur = folder / "cur"
    command = [sys.executable, "-c", RENAMER, str(cur), str(SECONDS), ",".join(LETTERS)]
    told: list[bytes] = []
    waited: list[float] = []
    stored = set()

    def ask(client: Client, command: str) -> list[bytes]:
        begun = time.perf_counter()
        lines = client.ok(command)
        waited.append(time.perf_counter() - begun)
        told.extend(lines)
        return lines

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as renamer:
        turn = 0
        while renamer.poll() is None:
            for client in clients:
                ask(client, "NOOP")
            if turn % 7 == 0:  # and our own renames among them
                ask(clients[turn % 3], f"STORE {turn % MESSAGES + 1} +FLAGS (\\Answered)")
                stored.add(turn % MESSAGES)
            if turn % 5 == 0:
                found = ask(clients[1], f"UID FETCH {turn % MESSAGES + 1} (UID BODY.PEEK[])")
                assert any(b"Text." in line for line in found), found[-3:]
            turn += 1
        ended = time.perf_counter()
        renames = int(renamer.stdout.read()) if renamer.stdout is not None else 0
    assert renames > 1000
    assert turn > 10 * SECONDS
    waited.sort()
    late = waited[int(len(waited) * 0.95)]
    asked = ended
    while not says_what_names_say(clients[0], cur, stored):
        asked = time.perf_counter()
        assert asked - ended < PATIENCE
    with capsys.disabled():
        sys.stdout.write(
            f"\n{renames} renames of {MESSAGES} files: {len(waited)} commands, 95 % within {late * 1e3:.1f} ms,"
            f" worst {waited[-1] * 1e3:.1f} ms; all seen by a command given {(asked - ended) * 1e3:.0f} ms after them\n"
        )
    assert late < MOST_SECONDS
    assert asked - ended < SEEN_SECONDS
    time.sleep(1)
    for client in clients:
        told += client.ok("NOOP")
    assert not [line for line in told if line.endswith(b"EXPUNGE") or b"VANISHED" in line]
    assert {line for line in told if line.endswith(b"EXISTS")} <= {b"* %d EXISTS" % MESSAGES}
    time.sleep(2)  # what is written behind has been written, and the names say what the server says
    for client in clients:
        client.ok("NOOP")
    said = flags_of(clients[0])
    names = {name.partition(":2,")[0]: name.partition(":2,")[2] for name in os.listdir(cur)}
    assert len(said) == len(names) == MESSAGES
    assert sorted(said) == sorted("".join(sorted(letters)) for letters in names.values())
    for client in clients:
        client.close()
    assert "Traceback" not in server.said()


def test_one_change_is_told_at_once(start: Callable[..., Twistd], capsys: pytest.CaptureFixture[str]) -> None:
    server = start()
    root = server.folder / "mail/ann"
    with Client(server.port) as idling:
        idling.ok("SELECT INBOX")
        tag = idling.send("IDLE")
        assert idling.answer(tag)[0] == b"+"
        took: dict[str, list[float]] = {"delivery": [], "rename": [], "deletion": []}

        def told(kind: str, wanted: bytes) -> None:
            begun = time.perf_counter()
            while wanted not in (idling.line(PATIENCE) or wanted):
                pass
            took[kind].append(time.perf_counter() - begun)
            time.sleep(0.3)  # what is written behind has been written

        for number in range(9):
            (root / "tmp/x").write_bytes(MESSAGE.replace(b"\r\n", b"\n"))
            (root / "tmp/x").rename(root / f"new/{number}.x")
            told("delivery", b" EXISTS")
            (file,) = (root / "cur").iterdir()
            flagged = file.rename(root / f"cur/{number}.x:2,F")
            told("rename", b"\\Flagged")
            flagged.unlink()
            told("deletion", b" EXPUNGE")
    with capsys.disabled():
        sys.stdout.write(
            "\n" + ", ".join(f"{kind} {max(times) * 1e3:.0f} ms" for kind, times in took.items()) + " at most\n"
        )
    assert all(statistics.median(each) < TOLD_SECONDS for each in took.values()), took


def says_what_names_say(client: Client, cur: Path, but: set[int]) -> bool:
    """Whether the flags of all messages but these (places in the order of names) are what the names say."""
    names = sorted(os.listdir(cur))
    said = flags_of(client)
    return all(
        letters == "".join(sorted(name.partition(":2,")[2]))
        for number, (letters, name) in enumerate(zip(said, names, strict=True))
        if number not in but
    )


def flags_of(client: Client) -> list[str]:
    """The flags of all messages, as letters in file names."""
    letters = {b"\\Seen": "S", b"\\Flagged": "F", b"\\Answered": "R"}
    lines = [line for line in client.ok("FETCH 1:* (FLAGS)") if b"FLAGS (" in line]
    flags = [line.partition(b"FLAGS (")[2].partition(b")")[0].split() for line in lines]
    return ["".join(sorted(letters[flag] for flag in some if flag in letters)) for some in flags]
