"""Each target for MAILPOST_FUZZ_SECONDS (60): by atheris where it can be had, by hypothesis elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.fuzz.target import Target, Watched
from tests.fuzz.targets import TARGETS

SECONDS = int(os.environ.get("MAILPOST_FUZZ_SECONDS", "60"))


@pytest.mark.parametrize("name", TARGETS)
def test_no_session_breaks(name: str, tmp_path: Path) -> None:
    for seed in TARGETS[name].seeds:
        TARGETS[name].play(seed)
    if find_spec("atheris") is None:
        by_hypothesis(TARGETS[name])
        return
    log = tmp_path / "log"
    with log.open("wb") as out:
        code = subprocess.run(
            [sys.executable, "-m", "tests.fuzz", name, str(tmp_path), str(SECONDS)],
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[2],
            timeout=SECONDS * 3 + 60,
            check=False,
        ).returncode
    text = log.read_text(errors="replace")
    assert code == 0, text[-5000:]
    runs = re.search(r"Done (\d+) runs in (\d+) second", text)
    assert runs is not None, text[-2000:]
    assert int(runs[1]) > 20 * SECONDS, "it has been at work"


def by_hypothesis(target: Target) -> None:
    """The same time with sessions that are put together of the target's words and of any octets."""
    watched = Watched(target.play, SECONDS)
    parts = some.lists(some.sampled_from(target.words) | some.binary(max_size=20), max_size=25).map(b"".join)

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(some.integers(0, 7), some.integers(0, 60), parts)
    def play(how: int, size: int, octets: bytes) -> None:
        watched(bytes((how, size)) + octets)

    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        play()
