"""A thousand clients that send an octet now and then take nothing from one that is quick."""

from __future__ import annotations

import resource
import smtplib
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.acceptance.server import Twistd, configured, free_port

SLOW = 1000
MOST_SECONDS = 0.5
"""The median of a delivery on a machine that does other things as well; it is about a hundredth of a second."""
_CONFIG = """\
lmtp = ["tcp:{port}:interface=127.0.0.1"]
[limits]
connections_per_address = 2000
"""
_SENT = b"LHLO slow\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n" + b"Subject: slow\r\n" * 1000


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    server: Twistd = configured(tmp_path, extra=_CONFIG.format(port=port))
    server.before = ("prlimit", "--nofile=8192:8192")
    with server:
        yield port


def test_slow_clients_hold_up_nobody(port: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    done = Event()
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(SLOW)]
        began = time.monotonic()

        def trickle() -> None:
            for octet in range(len(_SENT)):
                for each in slow:
                    if done.is_set():
                        return
                    each.send(_SENT[octet : octet + 1])
                time.sleep(0.02)

        thread = Thread(target=trickle)
        thread.start()
        stack.callback(thread.join)
        stack.callback(done.set)
        times = []
        with smtplib.LMTP("127.0.0.1", port, timeout=60) as client:
            for number in range(60):
                start = time.monotonic()
                assert client.sendmail("a@b", ["ann"], f"Subject: quick {number}\r\n\r\ntext\r\n") == {}
                times.append(time.monotonic() - start)
        assert thread.is_alive(), "they were slow to the end"
        assert time.monotonic() - began < 60
    assert statistics.median(times) < MOST_SECONDS, times


def test_a_client_that_never_ends_a_line_or_a_message_takes_no_memory(port: int, tmp_path: Path) -> None:
    def resident() -> int:
        pids = [int(each.parent.name) for each in Path("/proc").glob("[0-9]*/cwd") if _is(each, tmp_path)]
        return sum(
            int(line.split()[1])
            for pid in pids
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        )

    before = resident()
    assert before > 10_000
    piece = b"x" * (1 << 20)
    for head in (b"", b"LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
            client.sendall(head)
            for _ in range(150):
                client.sendall(piece)
            assert resident() - before < 80_000, "KiB"


def _is(link: Path, folder: Path) -> bool:
    try:
        return link.resolve(strict=True) == folder
    except OSError:
        return False
