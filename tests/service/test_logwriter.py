"""The log, written by a thread."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.python.logfile import LogFile

from mailpost.service import logwriter as module
from mailpost.service.logwriter import LogWriter, log_writer


class Slow(io.StringIO):
    """A file on a disk that takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.writes = 0
        self.threads: set[threading.Thread] = set()

    def write(self, text: str) -> int:
        self.go.wait(10)
        self.writes += 1
        self.threads.add(threading.current_thread())
        return super().write(text)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_whoever_has_something_to_say_does_not_wait_for_the_disk() -> None:
    out = Slow()
    writer = LogWriter(out)
    writer.startService()
    begun = time.monotonic()
    for number in range(1_000):
        writer.write(f"{number}\n")
        writer.flush()
    assert time.monotonic() - begun < 1
    assert out.getvalue() == ""
    out.go.set()
    writer.stopService()
    assert out.getvalue().split() == [str(number) for number in range(1_000)]
    assert out.writes < 1_000, "those of a moment go together"
    assert threading.main_thread() not in out.threads


def test_lines_come_without_being_asked_for() -> None:
    out = io.StringIO()
    writer = LogWriter(out)
    writer.startService()
    for text in ("a\n", "b\n"):
        writer.write(text)
        until(lambda text=text: out.getvalue().endswith(text))  # type: ignore[misc]
    writer.stopService()


@pytest.mark.parametrize("where", ["file", "terminal"])
def test_what_cannot_be_encoded_is_no_end_of_the_log(tmp_path: Path, where: str) -> None:
    """File names may be any octets, and a line may quote them."""
    path = tmp_path / "log"
    out = LogFile.fromFullPath(str(path)) if where == "file" else path.open("w", encoding="latin-1")
    writer = LogWriter(out)
    writer.startService()
    writer.write(f"folder {os.fsdecode(bytes([0x57, 0xFF]))} \u20ac\n")
    writer.write("and more\n")
    writer.stopService()
    assert path.read_bytes() == b"folder W\\udcff \\u20ac\nand more\n"
    out.close()


def test_a_terminal_that_was_closed_is_no_end_of_the_server() -> None:
    out = io.StringIO()
    out.close()
    writer = LogWriter(out)
    writer.startService()
    for number in range(module.MOST_LINES // 2):
        writer.write(f"{number}\n")
    until(writer._lines.empty)
    writer.stopService()


def test_before_and_after_it_is_written_at_once() -> None:
    out = io.StringIO()
    writer = LogWriter(out)
    writer.write("a\n")
    assert out.getvalue() == "a\n"
    writer.startService()
    writer.stopService()
    writer.write("b\n")
    assert out.getvalue() == "a\nb\n"


def test_a_full_disk_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    writer = LogWriter(out)
    with monkeypatch.context() as patch:

        def full(text: str) -> int:
            raise OSError(28, "No space left on device")

        patch.setattr(out, "write", full)
        writer.startService()
        writer.write("lost\n")
        writer.stopService()
    writer.write("kept\n")
    assert out.getvalue() == "kept\n"


def test_what_is_too_much_is_left_out_and_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LINES", 10)
    out = Slow()
    writer = LogWriter(out)
    writer.startService()
    begun = time.monotonic()
    for _ in range(100):
        writer.write("x\n")
    assert time.monotonic() - begun < 1
    out.go.set()
    writer.stopService()
    said, count = out.getvalue(), out.getvalue().count("x\n")
    assert 10 <= count <= 20, "those that wait, and those that are being written"
    assert f" {100 - count} lines are missing here" in said


@pytest.mark.parametrize("started", [True, False])
def test_a_signal_handler_has_something_to_say_meanwhile(
    tmp_path: Path, started: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_LINES", 1_000_000)
    with (tmp_path / "log").open("w") as out:
        writer = LogWriter(out)
        if started:
            writer.startService()
        handled = 0

        def handle(number: int, frame: object) -> None:
            nonlocal handled
            handled += 1
            writer.write("signal\n")

        before = signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        try:
            for _ in range(30_000):
                writer.write("line\n")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        if started:
            writer.stopService()
    lines = (tmp_path / "log").read_text().split()
    assert handled > 1
    assert (lines.count("line"), lines.count("signal")) == (30_000, handled)


def test_a_signal_begins_a_new_file(tmp_path: Path) -> None:
    writer = LogWriter(LogFile.fromFullPath(str(tmp_path / "log")))
    writer.startService()
    writer.write("old\n")
    until(lambda: (tmp_path / "log").read_text() == "old\n")
    writer.rotate_soon()
    writer.write("new\n")
    writer.stopService()
    assert (tmp_path / "log").read_text() == "new\n"
    assert (tmp_path / "log.1").read_text() == "old\n"


@pytest.mark.parametrize(
    "options",
    [{}, {"logger": object()}, {"syslog": True}, {"logfile": "-"}],
    ids=["not twistd's", "--logger", "--syslog", "a daemon without a terminal"],
)
def test_what_another_takes(options: dict[str, Any]) -> None:
    assert log_writer(options) is None


@pytest.mark.parametrize("options", [{"nodaemon": True}, {"nodaemon": True, "logfile": "-"}])
def test_the_terminal(options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    writer = log_writer(options)
    assert writer is not None
    writer.write("here\n")
    assert capsys.readouterr().out == "here\n"


def test_twistd_logs_through_it(tmp_path: Path) -> None:
    log, config = tmp_path / "log", tmp_path / "mailpost.toml"
    (tmp_path / "users").write_text("ann:{PLAIN}secret\n")
    config.write_text(
        '[storage]\nmaildir = "mail/{user}"\n[users]\nfile = "users"\n[listen]\nimap = ["tcp:0:interface=127.0.0.1"]\n'
    )
    with subprocess.Popen(
        [
            Path(sys.executable).with_name("twistd"),
            "-n",
            "--pidfile=",
            f"--logfile={log}",
            "mailpost",
            "--config",
            config,
        ],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            until(lambda: log.exists() and "imap on tcp" in log.read_text())
            os.kill(process.pid, signal.SIGUSR1)
            os.kill(process.pid, signal.SIGHUP)  # says something
            until(lambda: (tmp_path / "log.1").exists() and log.exists() and "reading again" in log.read_text())
        finally:
            process.terminate()
    assert re.search(r"Server Shut Down\.$", log.read_text().strip())
