"""A thousand tests with the fixture in two processes: no port clash, nothing left behind, each of them quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = 1000
MOST_MILLISECONDS = 50
"""Of the fixture and what a test of a mail does, after the first."""
MEASURED = """
import gc, json, os, smtplib, sys, threading, time
from pathlib import Path

import pytest

seen = []


@pytest.fixture(scope="session", autouse=True)
def report():
    yield
    Path(os.environ["MEASURED"], f"{os.getpid()}.json").write_text(json.dumps(seen))


@pytest.fixture(autouse=True)
def measure():
    begun = time.perf_counter()
    yield
    taken = time.perf_counter() - begun
    if len(seen) % 50 == 49:
        gc.collect()
    threads = sorted(thread.name for thread in threading.enumerate())
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4
    servers = sum(type(each).__name__ == "RunningServer" for each in gc.get_objects()) if len(seen) % 50 == 49 else 0
    seen.append((taken * 1000, threads, len(os.listdir("/proc/self/fd")), resident, servers))


@pytest.mark.parametrize("number", range(TESTS))
def test_a_mail(measure, mailpost, number):
    user = mailpost.user("ann@example.org")
    with smtplib.SMTP(*mailpost.smtp.address, local_hostname="client") as client:
        client.sendmail("bob@example.org", [user.name], b"Subject: %d\\r\\n\\r\\nYour code: 123456\\r\\n" % number)
    assert user.inbox.wait(subject=str(number)).code == "123456"
    assert len(user.inbox.mails()) == 1
"""


def test_a_thousand_tests(tmp_path: Path) -> None:
    (tmp_path / "test_many.py").write_text(MEASURED.replace("TESTS", str(TESTS)))
    (tmp_path / "out").mkdir()
    words = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "-W", "error", "test_many.py"]
    environment = {**os.environ, "MEASURED": str(tmp_path / "out")}
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert f"{TESTS} passed" in done.stdout, done.stdout[-3000:]

    processes = [json.loads(each.read_text()) for each in (tmp_path / "out").iterdir()]
    processes = [seen for seen in processes if seen]
    assert len(processes) == 2
    for seen in processes:
        times, threads, files, resident, servers = (list(column) for column in zip(*seen, strict=True))
        middle = sorted(times[1:])[len(times) // 2]
        figures = (
            f"{len(seen)} tests, {middle:.1f} ms each, the first {times[0]:.0f} ms, files {files[50]} -> {files[-1]}"
        )
        sys.stdout.write(f"{figures}, memory {resident[100]} -> {resident[-1]} KiB, threads {threads[-1]}\n")
        assert middle < MOST_MILLISECONDS
        assert threads[-1] == threads[50]
        assert files[-1] <= files[50]
        assert max(servers) <= 2, "of this test, and of the one before"
        # pytest itself keeps 4 KiB or so of each test.
        assert (resident[-1] - resident[100]) / (len(seen) - 100) < 10
