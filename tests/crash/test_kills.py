"""Nothing that was acknowledged is lost, whenever the server is killed.

`MAILPOST_KILLS` says how often it is killed (40), `MAILPOST_SEED` what happens.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

from tests.crash.harness import Harness

KILLS = int(os.environ.get("MAILPOST_KILLS", "40"))
SEED = int(os.environ.get("MAILPOST_SEED", "0")) or random.randrange(1, 1 << 30)


def test_nothing_acknowledged_is_ever_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harness = Harness(tmp_path, SEED)
    try:
        while harness.count < KILLS:
            harness.round()
            if harness.draw.random() < 0.1:
                harness.check()
        harness.check()
        for path in harness.root.glob("mailpost-*"):  # and the tree alone is enough
            path.unlink()
        harness.look()
        harness.check()
    finally:
        with capsys.disabled():
            sys.stdout.write("\n".join(["", f"seed {SEED}", *harness.report(), ""]))
    assert sum(actor.acknowledged for actor in harness.actors) > KILLS
    assert sum(mailer.total for mailer in harness.mailers) > KILLS
    assert {where for where in harness.kills if not where.startswith("at random")}
