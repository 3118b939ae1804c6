"""Folders that other programs make, remove and rename: the next command of any session sees it, and soon.

RFC: 9051 §5.2, §6.3.9, §6.3.11, §7.1.5 (BYE)
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.server import Twistd, configured
from tests.faults.client import MESSAGE, Client
from tests.faults.places import few_watches

SEEN_SECONDS = 0.1
"""How soon others' changes are told to a session that only listens."""
PATIENCE = 10.0
"""For what nothing is heard of."""
PLACES = {"maildir++": (".Work", ".Work.Deep", ".Play"), "fs": ("Work", "Work/Deep", "Play")}


class Place:
    """A server, the root of an account, and the directories of Work, Work/Deep and Play in it; none is there yet."""

    def __init__(self, server: Twistd, layout: str) -> None:
        self.server = server
        self.root = server.folder / "mail/ann"
        self.work, self.deep, self.play = (self.root / name for name in PLACES[layout])

    def watches(self) -> int:
        """How many inotify watches the server has."""
        return sum(
            _read(each).count("inotify wd:") for each in Path(f"/proc/{self.server.process.pid}/fdinfo").iterdir()
        )


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # closed just now
        return ""


@pytest.fixture(params=list(PLACES))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with _configured(tmp_path, request.param) as server:
        yield Place(server, request.param)


def _configured(folder: Path, layout: str) -> Twistd:
    server = configured(folder)
    config = folder / "mailpost.toml"
    config.write_text(config.read_text().replace("[storage]\n", f'[storage]\nlayout = "{layout}"\n'))
    return server


def make(place: Path) -> None:
    """As mail programs do it: `cur` is what makes it a folder."""
    place.mkdir()
    for name in ("tmp", "new", "cur"):
        (place / name).mkdir()


def names(client: Client) -> set[str]:
    return {line.rpartition(b" ")[2].strip(b'"').decode() for line in client.ok('LIST "" "*"')}


def until(condition: Callable[[], bool]) -> float:
    """Seconds until it holds."""
    begun = time.perf_counter()
    while not condition():
        assert time.perf_counter() - begun < PATIENCE
        time.sleep(0.001)
    return time.perf_counter() - begun


def test_the_next_command_of_any_session_sees_them(place: Place) -> None:
    with Client(place.server.port) as one, Client(place.server.port) as two:
        one.ok("SELECT INBOX")
        assert not {"Work", "Work/Deep", "Play"} & names(two)
        for made, name in ((place.work, "Work"), (place.deep, "Work/Deep")):
            make(made)
            (made / "new/1.x").write_bytes(MESSAGE.replace(b"\r\n", b"\n"))
            assert name in names(two)
            assert name in names(one)
            assert b"MESSAGES 1" in one.ok(f"STATUS {name} (MESSAGES)")[0]
        shutil.rmtree(place.deep)
        assert names(two) & {"Work", "Work/Deep"} == {"Work"}
        assert one.do("STATUS Work/Deep (MESSAGES)")[0].startswith(b"NO")
        place.work.rename(place.play)
        assert b"MESSAGES 1" in two.ok("STATUS Play (MESSAGES)")[0]
        assert two.do("STATUS Work (MESSAGES)")[0].startswith(b"NO")
        assert names(one) & {"Work", "Play"} == {"Play"}
        assert not any(b"Play" in line for line in one.ok('LIST (SUBSCRIBED) "" "*"'))
        draft = place.root / "draft"
        draft.write_text((place.root / "subscriptions").read_text() + "Play\n")
        draft.rename(place.root / "subscriptions")
        assert any(b"Play" in line for line in one.ok('LIST (SUBSCRIBED) "" "*"'))
    assert "Traceback" not in place.server.said()


def test_a_directory_that_becomes_a_folder_later(place: Place) -> None:
    with Client(place.server.port) as client:
        client.ok("NOOP")
        for name in (place.work, place.work / "new", place.work / "tmp"):
            name.mkdir()
            time.sleep(0.2)
            assert "Work" not in names(client)
        (place.work / "cur").mkdir()
        assert until(lambda: "Work" in names(client)) < SEEN_SECONDS
        shutil.rmtree(place.work / "cur")
        until(lambda: "Work" not in names(client))
        (place.work / "cur").mkdir()
        assert until(lambda: "Work" in names(client)) < SEEN_SECONDS


@pytest.mark.parametrize("messages", [0, 50])
@pytest.mark.parametrize("how", ["removed", "renamed"])
def test_a_session_in_the_folder_is_told_soon(place: Place, how: str, messages: int) -> None:
    with Client(place.server.port) as idling:
        make(place.work)
        for number in range(messages):
            (place.work / "new" / f"{number}.x").write_bytes(MESSAGE.replace(b"\r\n", b"\n"))
        assert idling.ok("SELECT Work")
        time.sleep(0.5)  # what is written behind has been written
        tag = idling.send("IDLE")
        assert idling.answer(tag)[0] == b"+"
        if how == "removed":
            shutil.rmtree(place.work)
        else:
            place.work.rename(place.play)
        begun = time.perf_counter()
        while not (idling.line(PATIENCE) or b"* BYE").startswith(b"* BYE"):
            pass
        assert time.perf_counter() - begun < SEEN_SECONDS
    assert not place.work.exists()
    assert "Traceback" not in place.server.said()


def test_only_accounts_that_are_open_are_watched(place: Place) -> None:
    with Client(place.server.port) as client:
        client.ok("NOOP")
        time.sleep(0.2)
        awake = place.watches()
    assert awake > 1
    until(lambda: place.watches() <= 1)  # others' commits
    asleep = place.watches()
    make(place.work)
    with Client(place.server.port) as client:
        assert "Work" in names(client)
        until(lambda: place.watches() > asleep)


@pytest.mark.parametrize("layout", list(PLACES))
def test_without_a_watch_they_are_found_later(tmp_path: Path, layout: str) -> None:
    before = few_watches(1)
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespace, or no limit of inotify watches in it")
    server = _configured(tmp_path, layout)
    server.before = before
    with server:
        place = Place(server, layout)
        with Client(server.port) as one, Client(server.port) as two:
            one.ok("SELECT INBOX")
            make(place.work)
            until(lambda: "Work" in names(two))
            two.ok("SELECT Work")
            shutil.rmtree(place.work)
            until(lambda: "Work" not in names(one))
        said = server.said()
        assert said.count("polled") == 1
        assert "Traceback" not in said
