"""Runs a Python program whose clock is set back while it runs: `clock.py FILE PROGRAM ARGUMENTS...`.

As soon as FILE exists, `time.time` and `time.time_ns` are a day earlier. The monotonic clock is as it was.
"""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path

DAY = 86_400

if __name__ == "__main__":
    signal, *sys.argv = sys.argv[1:]
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() - (DAY if Path(signal).exists() else 0)
    time.time_ns = lambda: real_ns() - (DAY * 1_000_000_000 if Path(signal).exists() else 0)
    runpy.run_path(sys.argv[0], run_name="__main__")
