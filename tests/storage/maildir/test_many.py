"""So many messages at once that they are worked off in several jobs of the lane."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import DELETED, intern_flags
from mailpost.storage.index import changes
from mailpost.storage.maildir import behind, scan, tree, writing
from mailpost.storage.maildir.uidlist import UidEntry, read_uidlist, write_uidlist

from .lanes import MESSAGE, Bench

MANY = 600
STORED = MESSAGE.replace(b"\r\n", b"\n")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(scan, "SLICE", 0.0005)
    made = Bench(tmp_path / "ann")
    for number in range(MANY):  # the order of their age is neither that of their names nor of their places
        path = made.root / ("cur" if number % 3 else "new") / f"{number * 7919 % MANY:04}{':2,' if number % 3 else ''}"
        path.write_bytes(STORED)
        os.utime(path, (number, number))
    yield made
    made.close()


def in_order(bench: Bench) -> list[int]:
    """The ages of the messages, by UID."""
    return [date for (date,) in bench.lane.db.execute("SELECT internaldate FROM messages ORDER BY uid")]


def all_seen(bench: Bench) -> int:
    """Look until there is no more to see: how many jobs that took."""
    jobs = 1
    while bench.do(scan.look, bench.number()):
        jobs += 1
    return jobs


def test_they_get_uids_by_age_in_several_jobs(bench: Bench) -> None:
    assert all_seen(bench) > 5
    assert in_order(bench) == list(range(MANY))
    assert [uid for _, uids, *_ in bench.ears.take("arrived") for uid in uids] == list(range(1, MANY + 1))
    assert all_seen(bench) == 1


def test_others_have_their_turn_between(bench: Bench) -> None:
    for _ in range(6):
        assert bench.do(scan.look, bench.number())
    (appended,) = bench.append(MESSAGE, date=1_000_000_000)
    all_seen(bench)
    dates = in_order(bench)
    assert len(dates) == len(bench.cur()) == MANY + 1
    assert dates[appended - 1] == 1_000_000_000
    assert [date for date in dates if date < MANY] == list(range(MANY))


def test_a_failure_between_costs_a_listing_and_nothing_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(8):
        assert bench.do(scan.look, bench.number())

    def fails(*_: object) -> None:
        raise MailError(ErrorKind.DISK_FULL, "The disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(scan, "_taken", fails)
        with pytest.raises(MailError):
            bench.do(scan.look, bench.number())
    all_seen(bench)
    assert in_order(bench) == list(range(MANY))


def test_what_goes_between_is_not_kept(bench: Bench) -> None:
    for _ in range(4):
        assert bench.do(scan.look, bench.number())
    gone = next(name for name in bench.cur())
    (bench.root / "cur" / gone).unlink()
    all_seen(bench)
    assert len(bench.names()) == MANY - 1
    assert gone not in bench.names().values()


def test_uids_that_another_server_gives_meanwhile_are_kept(bench: Bench) -> None:
    while not bench.names():
        assert bench.do(scan.look, bench.number())
    before = bench.names()
    known = read_uidlist(bench.lane.own_files(bench.lane.folder(bench.number())).directory)
    assert known is not None
    others = [name.partition(":")[0] for name in bench.cur() if name not in before.values()]
    first = max(known.uidnext, max(before) + 1)
    entries = dict(known.entries) | {base: UidEntry(first + at) for at, base in enumerate(others)}
    fd = bench.lane.own_files(bench.lane.folder(bench.number())).directory
    write_uidlist(fd, replace(known, uidnext=first + len(others), entries=entries))
    all_seen(bench)
    names = {uid: name.partition(":")[0] for uid, name in bench.names().items()}
    assert names == {uid: name.partition(":")[0] for uid, name in before.items()} | {
        first + at: base for at, base in enumerate(others)
    }


def test_many_that_another_server_has_numbered_keep_their_uids(bench: Bench) -> None:
    root = bench.root / ".Theirs"
    for place in ("cur", "new", "tmp"):
        (root / place).mkdir(parents=True)
    names = [f"{number:04}.x" for number in range(MANY)]
    kept, later = names[: MANY - 100], names[MANY - 100 :]
    uids = {name: 2 * MANY - 2 * at for at, name in enumerate(kept)}  # the oldest has the highest one
    for number, name in enumerate(names):
        path = root / ("new" if number % 9 == 0 else "cur") / (name if number % 9 == 0 else f"{name}:2,S")
        path.write_bytes(STORED)
        os.utime(path, (number, number))
    lines = sorted((uid, name) for name, uid in uids.items())
    lines.append((3 * MANY, "gone.x"))
    text = f"3 V7 N{3 * MANY + 5}\n" + "".join(f"{uid} :{name}\n" for uid, name in lines)
    (root / "dovecot-uidlist").write_text(text)
    bench.do(tree.sync_tree)
    number, jobs, between = bench.number("Theirs"), 0, list[int]()
    while bench.do(scan.look, number):
        jobs += 1
        between.append(len(bench.names("Theirs")))
    assert jobs > 3
    assert between == sorted(between)
    assert bench.lane.folder(number).row.uidvalidity == 7
    found = {name.partition(":")[0]: uid for uid, name in bench.names("Theirs").items()}
    assert {name: found[name] for name in kept} == uids
    assert [found[name] for name in later] == list(range(3 * MANY + 5, 3 * MANY + 105)), "by age, above all it gave"
    assert bench.cur(".Theirs") == sorted(bench.names("Theirs").values())


def test_many_are_expunged_in_several_jobs_and_their_files_removed_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_seen(bench)
    number = bench.number()
    bench.do(
        writing.store,
        number,
        [(1, MANY)],
        change=writing.FlagChange.ADD,
        named=intern_flags([DELETED]),
        limit=None,
        origin=None,
    )
    first = bench.do(writing.expunge, number, None, None)
    assert first == list(range(1, writing.MOST_AT_ONCE + 1))
    assert bench.do(writing.expunge, number, None, None) == list(range(writing.MOST_AT_ONCE + 1, MANY + 1))
    assert not bench.names()
    all_seen(bench)  # the files are still there, but no messages any more
    assert not bench.names()
    while bench.do(behind.remove_files, number, 0.0005):
        pass
    assert bench.cur() == []
    assert not changes.dead(bench.lane.db, number)
