"""What takes long for one session holds up no other: nobody waits 50 ms for an answer."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.server import Twistd, configured
from tests.faults.client import MESSAGE, Client, Stopwatch, timed

MANY = int(os.environ.get("MAILPOST_FAULTS_MESSAGES", "10000"))
"""How many messages a large folder has here; the long form has 100,000."""
MOST_SECONDS = 0.050
MOST_SECONDS_ONCE = 0.250
"""What a single command may take on a machine that has other things to do as well; on a quiet one none takes 0.05."""


def deliver(folder: Path, count: int, place: str = "new") -> None:
    """Put so many messages into a folder of a Maildir, as another program would that is not ours."""
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    octets = MESSAGE.replace(b"\r\n", b"\n")
    suffix = ":2," if place == "cur" else ""
    for number in range(count):
        (folder / place / f"1700000000.M{number:06}P1.elsewhere{suffix}").write_bytes(octets)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Twistd]:
    with configured(tmp_path, users=("ann", "bob")) as running:
        for user in ("ann", "bob"):
            with Client(running.port, user) as client:
                client.ok("CREATE Quiet")
                for _ in range(20):
                    assert client.append("Quiet").startswith(b"OK")
        yield running


def others(port: int) -> list[Stopwatch]:
    """Sessions that go on with their work: of another account, and of the same one in another folder."""
    watches = []
    for name, user in (("another account", "bob"), ("the same account", "ann")):
        client = Client(port, user)
        client.ok("SELECT Quiet")
        commands = itertools.cycle(
            ("NOOP", "FETCH 1:* (FLAGS ENVELOPE)", "FETCH 7 BODY.PEEK[]", "STORE 3 +FLAGS (\\Seen)", "UID SEARCH SEEN")
        )

        def step(client: Client = client, commands: Iterator[str] = commands) -> None:
            client.ok(next(commands))

        watches.append(Stopwatch(name, step))
    return watches


def judge(capsys: pytest.CaptureFixture[str], what: str, seconds: float, watches: list[Stopwatch]) -> None:
    with capsys.disabled():
        sys.stdout.write("\n  ".join([f"\n{what} ({seconds:.2f} s)", *map(str, watches)]) + "\n")
    for watch in watches:
        assert watch.late < MOST_SECONDS, str(watch)
        assert watch.worst < MOST_SECONDS_ONCE, str(watch)


def test_deleting_a_large_folder(server: Twistd, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(server.folder / "mail/ann/.Large", MANY, "cur")
    with Client(server.port) as client:
        client.ok("SELECT Large")
        client.ok("UNSELECT")
        watches = others(server.port)
        begun = time.perf_counter()
        with timed(*watches):
            client.ok("DELETE Large")
            took = time.perf_counter() - begun
            root = server.folder / "mail/ann"
            while any("trash" in path.name for path in root.iterdir()):
                time.sleep(0.1)
                assert time.perf_counter() - begun < 120
    judge(capsys, f"DELETE of {MANY} messages", took, watches)


def test_the_first_sight_of_many_messages(server: Twistd, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(server.folder / "mail/ann/.Large", min(MANY, 20_000))
    watches = others(server.port)
    begun = time.perf_counter()
    with timed(*watches), Client(server.port) as client:
        lines = client.ok("SELECT Large")
        took = time.perf_counter() - begun
        assert b"* %d EXISTS" % min(MANY, 20_000) in lines
        time.sleep(3)  # what is done behind the answer holds nobody up either
    judge(capsys, f"first sight of {min(MANY, 20_000)} messages", took, watches)


def test_expunging_everything(server: Twistd, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(server.folder / "mail/ann/.Large", MANY, "cur")
    with Client(server.port) as client:
        client.ok("SELECT Large")
        client.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
        time.sleep(3)
        watches = others(server.port)
        begun = time.perf_counter()
        with timed(*watches):
            client.ok("EXPUNGE")
            took = time.perf_counter() - begun
            cur = server.folder / "mail/ann/.Large/cur"
            while any(cur.iterdir()):
                time.sleep(0.1)
                assert time.perf_counter() - begun < 120
    judge(capsys, f"EXPUNGE of {MANY} messages", took, watches)
