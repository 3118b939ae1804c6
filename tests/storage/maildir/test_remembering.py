"""How far back expunges are remembered: through restarts, and to an end. RFC: 7162 §3.2.5.1, §3.2.6"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailpost.mail.flags import DELETED, FlagChange, intern_flags
from mailpost.mail.uidset import UidSet
from mailpost.storage.index import changes
from mailpost.storage.maildir import tree, writing
from tests.storage.maildir.lanes import MESSAGE, Bench


def expunge(bench: Bench, *uids: int) -> int:
    """Remove these messages, each in a change of its own: the last mod-sequence."""
    for uid in uids:
        number, spans = bench.number(), [(uid, uid)]
        deleted = intern_flags([DELETED])
        bench.do(writing.store, number, spans, change=FlagChange.ADD, named=deleted, limit=None, origin=None)
        bench.do(writing.expunge, number, spans, None)
    return bench.lane.folder(bench.number()).row.highest_modseq


def highest(bench: Bench) -> int:
    return bench.lane.folder(bench.number()).row.highest_modseq


def vanished(bench: Bench, since: int) -> UidSet | None:
    return changes.vanished(bench.lane.db, bench.number(), since)


def test_through_a_restart(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ann", {})
    bench.append(*[MESSAGE] * 5)
    since = highest(bench)
    expunge(bench, 2, 4)
    bench.close()
    bench = Bench(tmp_path / "ann")
    assert vanished(bench, since) == UidSet.of([2, 4])
    assert vanished(bench, 1) is None, "before the folder there was nothing to remember"
    bench.close()


def test_a_state_made_anew_remembers_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ann", {})
    bench.append(*[MESSAGE] * 3)
    since = highest(bench)
    expunge(bench, 2)
    bench.close()
    for file in (tmp_path / "ann").glob("mailpost-*"):
        file.unlink()
    bench = Bench(tmp_path / "ann")
    assert vanished(bench, since) is None
    assert vanished(bench, highest(bench)) == UidSet()
    bench.close()


def test_so_many_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path / "ann", {})
    bench.append(*[MESSAGE] * 30)
    before = highest(bench)
    middle = expunge(bench, *range(1, 20, 2))
    since = expunge(bench, *range(20, 26, 2))
    bench.close()
    monkeypatch.setattr(tree, "_MOST_EXPUNGES", 5)
    bench = Bench(tmp_path / "ann")
    assert vanished(bench, before) is None
    assert vanished(bench, middle) == UidSet.of([20, 22, 24])
    assert vanished(bench, since) == UidSet()
    assert bench.lane.db.execute("SELECT count(*) FROM expunged").fetchone() == (5,)
    bench.close()


def test_of_an_older_state_nobody_can_say(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ann", {})
    bench.append(MESSAGE)
    bench.close()
    with closing(sqlite3.connect(tmp_path / "ann" / "mailpost-state.sqlite3", isolation_level=None)) as db:
        db.execute("DROP TRIGGER removed")
        db.execute("ALTER TABLE folders DROP COLUMN remembered")
        db.execute("PRAGMA user_version=2")
    bench = Bench(tmp_path / "ann")
    assert vanished(bench, highest(bench) - 1) is None
    assert vanished(bench, highest(bench)) == UidSet()
    bench.close()
