"""What a process runs out of: files, inotify watches, and time that goes forward."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.server import Twistd
from tests.faults import clock
from tests.faults.client import MESSAGE, Client
from tests.faults.places import few_files, few_watches

FOLDERS = 30


def test_too_many_open_files(start: Callable[..., Twistd]) -> None:
    server = start()
    with Client(server.port) as ann:
        for number in range(FOLDERS):
            ann.ok(f"CREATE F{number}")
            assert ann.append(f"F{number}").startswith(b"OK")
    server.stop()
    server.before = few_files(64)
    server.start()
    served = Client(server.port)
    clients = [Client(server.port)]
    refused = b""
    try:
        for number in range(80):  # each session takes a file, until there is none left
            clients.append(Client(server.port, timeout=5))
            done, _ = clients[-1].do(f"SELECT F{number % FOLDERS}")
            if not done.startswith(b"OK"):
                refused = done
                break
    except (OSError, AssertionError):  # not even a connection
        refused = b"NO ["
    assert refused.startswith(b"NO ["), refused
    served.ok("NOOP")
    for client in clients:
        client.close()
    time.sleep(1)
    served.ok("SELECT F1")
    assert any(b"Text." in line for line in served.ok("FETCH 1 BODY.PEEK[]"))
    assert served.append("F1").startswith(b"OK")
    served.close()
    with Client(server.port) as again:
        assert again.uids("F2") == [1]
    said = [line for line in server.said().splitlines() if "EMFILE" in line or "oo many" in line]
    assert said
    assert len([line for line in said if "Troubles#warn" in line]) <= 1, "the rest is Twisted's, of connections"


def test_inotify_watches_run_out(start: Callable[..., Twistd]) -> None:
    before = few_watches(3)
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespace, or no limit of inotify watches in it")
    server = start(before=before)
    with Client(server.port) as ann, Client(server.port) as other:
        ann.ok("CREATE Work")
        ann.ok("SELECT INBOX")
        other.ok("SELECT Work")
        for folder in ("", ".Work/"):
            (server.folder / f"mail/ann/{folder}new/1.x").write_bytes(MESSAGE.replace(b"\r\n", b"\n"))
        for client in (ann, other):  # the one hears of it, for the other its folder is polled
            deadline = time.monotonic() + 10
            while not any(b"EXISTS" in line for line in client.ok("NOOP")):
                assert time.monotonic() < deadline
                time.sleep(0.05)
    assert server.said().count("polled") == 1


def test_a_clock_that_is_set_back_a_day(start: Callable[..., Twistd], tmp_path: Path) -> None:
    signal = tmp_path / "back"
    server = start(before=(sys.executable, clock.__file__, str(signal)))
    with Client(server.port) as ann, Client(server.port) as other:
        assert ann.append("INBOX").startswith(b"OK")
        ann.ok("SELECT INBOX (CONDSTORE)")
        other.ok("SELECT INBOX")
        ann.ok("CREATE Before")
        before = modseq(ann), uidvalidity(other, "Before")
        signal.touch()
        assert ann.append("INBOX").startswith(b"OK")
        ann.ok("STORE 1 +FLAGS (\\Seen)")
        assert modseq(ann) > before[0]
        ann.ok("DELETE Before")
        ann.ok("CREATE Before")
        assert uidvalidity(other, "Before") > before[1]
        other.ok("NOOP")
        assert searched(other) == [1, 2]
        (server.folder / "mail/ann/new/1.x").write_bytes(MESSAGE.replace(b"\r\n", b"\n"))
        ann.ok("NOOP")
        assert searched(ann) == [1, 2, 3]
        deadline = time.monotonic() + 10
        cur = server.folder / "mail/ann/cur"
        while not any(path.name.endswith(":2,S") for path in cur.iterdir()):  # timers run on as well
            assert time.monotonic() < deadline
            time.sleep(0.1)
        said: list[str] = []
        while not said:
            assert time.monotonic() < deadline
            time.sleep(0.1)
            said = [line for line in server.said().splitlines() if "the clock was" in line]
        (line,) = said
        assert f"the clock was set back by {clock.DAY} s" in line
    server.stop()
    server.start()
    with Client(server.port) as ann:
        assert ann.uids("INBOX") == [1, 2, 3]
    assert "Traceback" not in server.said()


def modseq(client: Client) -> int:
    """The highest mod-sequence of INBOX."""
    return counted(client, "INBOX", "HIGHESTMODSEQ")


def uidvalidity(client: Client, folder: str) -> int:
    """The UIDVALIDITY of a folder."""
    return counted(client, folder, "UIDVALIDITY")


def counted(client: Client, folder: str, what: str) -> int:
    """One value of STATUS."""
    lines = client.ok(f"STATUS {folder} ({what})")
    (line,) = (line for line in lines if line.startswith(b"* STATUS"))
    return int(line.split(what.encode() + b" ")[1].rstrip(b")"))


def searched(client: Client) -> list[int]:
    """All UIDs of the selected folder."""
    (line,) = (line for line in client.ok("UID SEARCH ALL") if line.startswith(b"* SEARCH"))
    return [int(number) for number in line.split()[2:]]
