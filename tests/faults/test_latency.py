"""What takes long for one session holds up no other: nobody waits 50 ms for an answer."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.server import Twistd, configured
from tests.faults.client import MESSAGE, Client, Stopwatch, timed

MOST_SECONDS = 0.050
"""What any command of anybody else may take."""
COMMANDS = (
    "NOOP",
    "FETCH 1:* (FLAGS ENVELOPE)",
    "FETCH 7 BODY.PEEK[]",
    "STORE 3 +FLAGS (\\Seen)",
    "UID SEARCH SEEN",
    "SEARCH SUBJECT message",
    "STATUS Other (MESSAGES UNSEEN)",
    "SELECT Other",
    "UID FETCH 1 FLAGS",
    "STORE 3 -FLAGS (\\Seen)",
    "SELECT Quiet",
)


def deliver(folder: Path, count: int, place: str = "new") -> None:
    """Put so many messages into a folder of a Maildir, as another program would that is not ours."""
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    suffix = ":2," if place == "cur" else ""
    for number in range(count):
        path = folder / place / f"1700000000.M{number:06}P1.elsewhere{suffix}"
        if number % 1000 == 0:
            file = path
            file.write_bytes(MESSAGE.replace(b"\r\n", b"\n"))
        else:
            path.hardlink_to(file)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Twistd]:
    with configured(tmp_path, users=("ann", "bob")) as running:
        for user in ("ann", "bob"):
            with Client(running.port, user) as client:
                for folder in ("Quiet", "Other"):
                    client.ok(f"CREATE {folder}")
                    for _ in range(20):
                        assert client.append(folder).startswith(b"OK")
        yield running


@dataclass
class Work:
    """Something that takes long: what is done before, what is measured, and how to tell that it has been done."""

    before: Callable[[Client, Path], object]
    command: str
    is_done: Callable[[Path], bool]
    after: Callable[[], object] = lambda: None


def others(port: int) -> list[Stopwatch]:
    """Sessions that go on with their work: of another account, and of the same one in other folders."""
    watches = []
    for name, user in (("another account", "bob"), ("the same account", "ann")):
        client = Client(port, user)
        commands = itertools.cycle(COMMANDS)
        client.ok("SELECT Quiet")

        def step(client: Client = client, commands: Iterator[str] = commands) -> None:
            client.ok(next(commands))

        watches.append(Stopwatch(name, step))
    return watches


def judge(capsys: pytest.CaptureFixture[str], server: Twistd, work: Work) -> None:
    """Do it, beside others. A machine that has other work can fail this: what is printed of a quiet one tells."""
    folder = server.folder / "mail/ann/.Large"
    with Client(server.port) as client:
        work.before(client, folder)
        quiet, watches = others(server.port), others(server.port)
        with timed(*quiet):
            time.sleep(1.5)
        begun = time.perf_counter()
        with timed(*watches):
            client.ok(work.command.format(folder.name[1:]))
            answered = time.perf_counter() - begun
            work.after()
            while not work.is_done(folder):
                time.sleep(0.05)
                assert time.perf_counter() - begun < 120
            time.sleep(1)  # what is done behind the answer holds nobody up either
        done = time.perf_counter() - begun
    lines = [f"{work.command.format(folder.name[1:])}: answered after {answered:.2f} s, done after {done:.2f} s"]
    lines += [f"  {watch}" for watch in watches]
    lines += [f"  {watch}, with nothing else to do" for watch in quiet]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert max(watch.worst for watch in watches) < MOST_SECONDS


def is_empty(place: Path) -> bool:
    with os.scandir(place) as entries:
        return next(entries, None) is None


def test_deleting_a_folder_of_100_000(server: Twistd, capsys: pytest.CaptureFixture[str]) -> None:
    def before(client: Client, folder: Path) -> None:
        deliver(folder, 100_000, "cur")
        client.ok(f"SELECT {folder.name[1:]}")
        client.ok("UNSELECT")

    def is_done(folder: Path) -> bool:
        return not any("trash" in name for name in os.listdir(folder.parent))

    judge(capsys, server, Work(before, "DELETE {}", is_done))


def test_the_first_sight_of_20_000_messages(server: Twistd, capsys: pytest.CaptureFixture[str]) -> None:
    judge(
        capsys,
        server,
        Work(lambda _, folder: deliver(folder, 20_000), "SELECT {}", lambda folder: is_empty(folder / "new")),
    )


def test_taking_over_20_000_messages_that_another_server_has_numbered(
    server: Twistd, capsys: pytest.CaptureFixture[str]
) -> None:
    def before(_: Client, folder: Path) -> None:
        aside = folder.with_name("aside")  # it is to be seen as a whole
        deliver(aside, 20_000, "cur")
        bases = sorted(name.partition(":")[0] for name in os.listdir(aside / "cur"))
        lines = [f"{2 * number} W90 :{base}\n" for number, base in enumerate(bases, 1)]
        (aside / "dovecot-uidlist").write_text(f"3 V1700000000 N40001 G{32 * 'a'}\n" + "".join(lines))
        aside.rename(folder)

    def is_done(folder: Path) -> bool:
        with Client(server.port) as client:
            return client.uids(folder.name[1:]) == list(range(2, 40_001, 2))

    judge(capsys, server, Work(before, "SELECT {}", is_done))


def test_expunging_everything(server: Twistd, capsys: pytest.CaptureFixture[str]) -> None:
    with Client(server.port) as watching:

        def before(client: Client, folder: Path) -> None:
            deliver(folder, 20_000, "cur")
            client.ok(f"SELECT {folder.name[1:]}")
            client.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            while not all(name.endswith("T") for name in os.listdir(folder / "cur")):
                time.sleep(0.1)
            watching.ok(f"EXAMINE {folder.name[1:]}")

        def after() -> None:
            assert sum(line.endswith(b"EXPUNGE") for line in watching.ok("NOOP")) == 20_000

        judge(capsys, server, Work(before, "EXPUNGE", lambda folder: is_empty(folder / "cur"), after))
