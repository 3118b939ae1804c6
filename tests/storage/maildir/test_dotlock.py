from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.maildir import dotlock
from mailpost.storage.maildir.dotlock import locked


def test_the_lock_file_is_there_while_it_is_held(root: Path, root_fd: int) -> None:
    with locked("x", root_fd):
        assert (root / "x.lock").read_text() == f"{os.getpid()}:{socket.gethostname()}"
    assert not (root / "x.lock").exists()


def test_it_is_released_after_an_error(root: Path, root_fd: int) -> None:
    with pytest.raises(KeyError), locked("x", root_fd):
        raise KeyError
    assert not (root / "x.lock").exists()


def test_a_held_lock_is_waited_for_and_then_given_up(root: Path, root_fd: int) -> None:
    (root / "x.lock").write_text("1:elsewhere")
    started = time.monotonic()
    with pytest.raises(MailError) as caught, locked("x", root_fd, wait_seconds=0.05):
        raise AssertionError("it was held")
    assert caught.value.kind is ErrorKind.IN_USE
    assert time.monotonic() - started < 5
    assert (root / "x.lock").exists()


def test_a_lock_of_a_running_process_stays(root: Path, root_fd: int) -> None:
    (root / "x.lock").write_text(f"{os.getppid()}:{socket.gethostname()}")
    with pytest.raises(MailError), locked("x", root_fd, wait_seconds=0.01):
        raise AssertionError("it was held")
    assert (root / "x.lock").exists()


def test_a_lock_of_a_dead_process_is_taken_over(root: Path, root_fd: int) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (root / "x.lock").write_text(f"{dead.pid}:{socket.gethostname()}")
    with locked("x", root_fd, wait_seconds=0):
        assert (root / "x.lock").read_text().startswith(f"{os.getpid()}:")


@pytest.mark.parametrize("owner", ["", "nonsense", "1:elsewhere", "99999999999999999999:elsewhere"])
def test_an_old_lock_is_taken_over(root: Path, root_fd: int, owner: str) -> None:
    (root / "x.lock").write_text(owner)
    then = time.time() - 121
    os.utime(root / "x.lock", (then, then))
    with locked("x", root_fd, wait_seconds=0):
        assert (root / "x.lock").read_text().startswith(f"{os.getpid()}:")


def test_a_lock_that_was_taken_from_us_is_not_removed(root: Path, root_fd: int) -> None:
    with locked("x", root_fd):
        (root / "x.lock").unlink()
        (root / "x.lock").write_text("another's")
    assert (root / "x.lock").read_text() == "another's"


def test_threads_take_turns(root_fd: int) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(10):
            with locked("x", root_fd):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 30
    assert max(most) == 1


def test_a_full_disk_leaves_no_lock(root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(dotlock, "write_all", full)
    with pytest.raises(OSError, match="full"), locked("x", root_fd):
        raise AssertionError("it was not locked")
    assert not (root / "x.lock").exists()


def test_a_process_of_another_user_counts_as_running(root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, signal: int) -> None:
        raise PermissionError

    (root / "x.lock").write_text(f"12345:{socket.gethostname()}")
    monkeypatch.setattr(os, "kill", forbidden)
    with pytest.raises(MailError), locked("x", root_fd, wait_seconds=0):
        raise AssertionError("it was held")
    assert (root / "x.lock").exists()


def test_a_lock_released_meanwhile_is_taken_at_once(root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "x.lock").write_text("1:elsewhere")

    def vanish(name: str, dir_fd: int) -> None:
        (root / name).unlink()

    monkeypatch.setattr(dotlock, "read_file", vanish)
    with locked("x", root_fd, wait_seconds=0):
        assert (root / "x.lock").read_text().startswith(f"{os.getpid()}:")


def test_a_lock_whose_owner_died_before_it_wrote_its_name_is_taken_over(root: Path, root_fd: int) -> None:
    (root / "x.lock").touch()
    started = time.monotonic()
    with locked("x", root_fd, wait_seconds=5):
        assert (root / "x.lock").read_text().startswith(f"{os.getpid()}:")
    assert time.monotonic() - started >= dotlock.UNNAMED_SECONDS - 0.1


def test_a_lock_of_one_before_us_with_our_number_is_taken_over(root: Path, root_fd: int) -> None:
    (root / "x.lock").write_text(f"{os.getpid()}:{socket.gethostname()}")
    then = dotlock._STARTED - 10
    os.utime(root / "x.lock", (then, then))
    with locked("x", root_fd, wait_seconds=0):
        assert (root / "x.lock").exists()
