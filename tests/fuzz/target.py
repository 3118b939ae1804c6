"""What a target of the fuzzer is, and the watch over time and memory that is kept while it is played."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

SLOWEST = 1.0
"""Seconds of processor that one input may take, the fuzzer's own counting included."""
MOST_BLOCKS = 100_000
"""So many more small objects Python may hold at the end than it held when it was warm."""
MOST_OCTETS = 64 << 20
"""So much more memory the process may hold then; the fuzzer's own collection of inputs grows in it too."""


class Target(NamedTuple):
    """One thing that takes octets from strangers."""

    play: Callable[[bytes], object]
    """Do what these octets describe; raises AssertionError for what must not be."""
    seeds: Sequence[bytes]
    """Descriptions to begin with."""
    words: Sequence[bytes]
    """What a fuzzer had better know."""


class Watched:
    """Plays a target, and fails when an input takes too long or memory grows from one to the next.

    Args:
        play: the target.
        seconds: how long all of it will take; the first third is the warm-up, in which caches fill.
    """

    def __init__(self, play: Callable[[bytes], object], seconds: float) -> None:
        self.play = play
        self.slowest = 0.0
        self.interval = max(seconds / 12, 1)
        self.warm_from = time.monotonic() + seconds / 3
        self.next_look = time.monotonic() + self.interval
        self.warm: tuple[int, int] | None = None

    def __call__(self, octets: bytes) -> None:
        begun = time.thread_time()
        self.play(octets)
        took = time.thread_time() - begun
        assert took < SLOWEST, f"{took:.2f} s for one input"
        self.slowest = max(self.slowest, took)
        if time.monotonic() > self.next_look:
            self.look()
            self.next_look = time.monotonic() + self.interval

    def look(self) -> None:
        """See what is held now; tell it in the log."""
        gc.collect()
        held = sys.getallocatedblocks(), resident()
        sys.stderr.write(f"held: {held[0]} objects, {held[1] >> 20} MiB; slowest {self.slowest * 1000:.0f} ms\n")
        if time.monotonic() < self.warm_from:
            return
        if self.warm is None:
            self.warm = held
        assert held[0] - self.warm[0] < MOST_BLOCKS, f"{held[0] - self.warm[0]} more objects than when it was warm"
        assert held[1] - self.warm[1] < MOST_OCTETS, f"{held[1] - self.warm[1]} octets more than when it was warm"


def resident() -> int:
    """Octets of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
