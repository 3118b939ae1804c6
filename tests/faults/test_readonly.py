"""A disk that turns read-only while it is served: a line in the log, reading goes on, the rest is refused."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.server import Twistd
from tests.faults.client import Client
from tests.faults.places import ext4_disk, fail, why_no_ext4, why_no_mounts

SHIM = Path(__file__).with_name("readonly.c")
COUNT = 10


def filled(server: Twistd) -> None:
    with Client(server.port) as ann:
        ann.ok("CREATE Work")
        for folder in ("INBOX", "Work"):
            for _ in range(COUNT):
                assert ann.append(folder).startswith(b"OK")


def uids(client: Client) -> list[int]:
    (line,) = (line for line in client.ok("UID SEARCH ALL") if line.startswith(b"* SEARCH"))
    return [int(number) for number in line.split()[2:]]


def troubles(server: Twistd) -> list[str]:
    """What the log says of the disk."""
    return [line for line in server.said().splitlines() if "ead-only" in line]


def is_read_and_not_written(ann: Client, other: Client) -> None:
    """Nothing can be changed, whatever is tried and however often; all that was there is there."""
    for _ in range(3):
        for command in (
            *("STORE 1:3 +FLAGS (\\Seen)", "UID STORE 4 FLAGS (\\Flagged)"),
            *("COPY 1:2 Work", "MOVE 1:2 Work", "CREATE New", "DELETE Work", "RENAME Work Play"),
        ):
            done, _ = ann.do(command)
            assert done.startswith(b"NO ["), (command, done)
            assert b"read-only" in done, (command, done)
            assert not done.startswith(b"NO [SERVERBUG]")
        done = ann.append("INBOX")
        assert done.startswith(b"NO [")
        assert b"read-only" in done
        assert uids(ann) == list(range(1, COUNT + 1))
        assert sum(b"Text." in line for line in ann.ok("FETCH 1:* (FLAGS ENVELOPE BODY.PEEK[])")) == COUNT
        assert uids(other) == list(range(1, COUNT + 1))
        assert other.ok("STATUS INBOX (MESSAGES UNSEEN)")
        assert any(b"Work" in line for line in other.ok('LIST "" *'))
    done, _ = ann.do("EXPUNGE")
    assert done.startswith((b"NO [", b"OK")), done  # OK: there is nothing to be expunged
    assert uids(ann) == list(range(1, COUNT + 1))


def works(server: Twistd, ann: Client, other: Client) -> None:
    """Everything can be changed."""
    ann.ok("STORE 1:3 +FLAGS (\\Seen \\Deleted)")
    ann.ok("EXPUNGE")
    other.ok("NOOP")
    assert ann.append("INBOX").startswith(b"OK")
    ann.ok("COPY 1:2 Work")
    ann.ok("CREATE New")
    for client in (ann, other):
        client.ok("NOOP")
    assert uids(ann) == list(range(4, COUNT + 2))
    cur = server.folder / "mail/ann/cur"
    until = time.monotonic() + 10
    while len(list(cur.iterdir())) != COUNT - 2:  # what is written behind comes too
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_disk_that_turns_read_only_and_back(start: Callable[..., Twistd], tmp_path: Path) -> None:
    library, when = tmp_path / "readonly.so", tmp_path / "when"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, SHIM, "-ldl"], check=True)
    environment = (
        f"LD_PRELOAD={library}",
        f"READONLY_BELOW={tmp_path / 'mail'}",
        f"READONLY_WHEN={when}",
    )
    server = start(before=("env", *environment))
    filled(server)
    with Client(server.port) as ann, Client(server.port) as other, Client(server.port, "bob") as bob:
        ann.ok("SELECT INBOX")
        other.ok("SELECT Work")
        ann.ok("STORE 10 +FLAGS (\\Deleted)")
        time.sleep(2)  # nothing is on its way any more
        ann.ok("STORE 10 -FLAGS (\\Deleted)")
        when.touch()
        is_read_and_not_written(ann, other)
        assert bob.append("INBOX").startswith(b"NO [")
        time.sleep(3)  # what is done behind is tried meanwhile
        assert len([line for line in troubles(server) if "ann" in line]) == 1, troubles(server)
        with Client(server.port) as late:  # who comes now reads too
            assert late.uids("INBOX") == list(range(1, COUNT + 1))
        when.unlink()
        works(server, ann, other)
        assert bob.append("INBOX").startswith(b"OK")
        assert len([line for line in troubles(server) if "ann" in line]) == 1, troubles(server)
        when.touch()
        assert ann.append("INBOX").startswith(b"NO [")
        assert ann.append("INBOX").startswith(b"NO [")
        assert len([line for line in troubles(server) if "ann" in line]) == 2, "the next time is said again"
        when.unlink()
    server.stop()
    server.start()
    with Client(server.port) as ann:
        assert ann.uids("INBOX") == list(range(4, COUNT + 2))
    assert "Traceback" not in server.said()


def test_a_disk_that_the_kernel_turns_read_only(start: Callable[..., Twistd], tmp_path: Path) -> None:
    if reason := why_no_mounts() or why_no_ext4():
        pytest.skip(reason)
    place = tmp_path / "mail"
    with ext4_disk(place, tmp_path / "image") as device:
        server = start()
        filled(server)
        with Client(server.port) as ann, Client(server.port) as other:
            ann.ok("SELECT INBOX")
            other.ok("SELECT Work")
            time.sleep(2)
            fail(device)
            is_read_and_not_written(ann, other)
            time.sleep(3)
            assert len(troubles(server)) == 1, troubles(server)
        server.stop()
    with ext4_disk(place, tmp_path / "image"):
        server.start()
        with Client(server.port) as ann, Client(server.port) as other:
            ann.ok("SELECT INBOX")
            other.ok("SELECT Work")
            works(server, ann, other)
        server.stop()
    assert "Traceback" not in server.said()
