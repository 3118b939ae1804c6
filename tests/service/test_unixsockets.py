from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailpost.service.unixsockets import remove_stale, require_folder, socket_path


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: sockets have no long ones."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize(
    ("description", "path"),
    [
        ("unix:/run/mailpost/lmtp", "/run/mailpost/lmtp"),
        ("unix:/run/lmtp:mode=660:lockfile=0", "/run/lmtp"),
        ("unix:address=/run/lmtp:mode=660", "/run/lmtp"),
        (r"unix:/run/a\:b\\c", r"/run/a:b\c"),
        ("tcp:24:interface=127.0.0.1", None),
    ],
)
def test_paths_of_descriptions(description: str, path: str | None) -> None:
    assert socket_path(description) == (Path(path) if path else None)


def test_a_folder_that_is_missing(folder: Path) -> None:
    require_folder(folder / "lmtp")
    with pytest.raises(ValueError, match=r"there is no folder .*/away for the socket"):
        require_folder(folder / "away" / "lmtp")


def test_what_a_killed_server_left_is_removed(folder: Path) -> None:
    path = folder / "lmtp"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    lock = folder / "lmtp.lock"
    lock.symlink_to(str(os.getpid()))  # the number of a process that lives, as in a container
    remove_stale(path)
    assert not path.exists()
    assert not lock.is_symlink()
    remove_stale(path)


def test_a_lock_without_a_socket_is_removed(folder: Path) -> None:
    (folder / "lmtp.lock").symlink_to("1")
    remove_stale(folder / "lmtp")
    assert not (folder / "lmtp.lock").is_symlink()


def test_a_live_socket_stays(folder: Path) -> None:
    path = folder / "lmtp"
    (folder / "lmtp.lock").symlink_to(str(os.getpid()))
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(str(path))
        live.listen(1)
        remove_stale(path)
        assert path.exists()
        assert (folder / "lmtp.lock").is_symlink()


def test_what_is_no_socket_stays(folder: Path) -> None:
    path = folder / "lmtp"
    path.write_text("somebody's file")
    remove_stale(path)
    assert path.read_text() == "somebody's file"
