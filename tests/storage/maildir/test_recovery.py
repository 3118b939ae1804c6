"""What one process does about another that died: on the same account, while it runs or when it is opened next."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailpost.mail.flags import SEEN, intern_flags
from mailpost.storage.index import changes
from mailpost.storage.index import folders as rows
from mailpost.storage.maildir import delivery, directories, loading, nesting, tree, writing
from mailpost.storage.maildir.filename import UniqueNames, unique_names
from mailpost.storage.maildir.files import rename_directory
from mailpost.storage.maildir.lane import Lane
from mailpost.storage.maildir.layout import Hierarchy
from mailpost.storage.maildir.writing import Incoming
from tests.storage.maildir.lanes import MESSAGE, Bench

EVERYTHING = [(1, 0xFFFF_FFFF)]


class DiedError(BaseException):
    """The process ends here."""


def dies(*_: Any, **__: Any) -> Any:
    raise DiedError


@pytest.fixture(params=Hierarchy, ids=lambda hierarchy: hierarchy.value)
def hierarchy(request: pytest.FixtureRequest) -> Hierarchy:
    found: Hierarchy = request.param
    return found


@pytest.fixture
def pair(tmp_path: Path, hierarchy: Hierarchy) -> Iterator[tuple[Bench, Bench]]:
    """Two processes that have one account open."""
    first = Bench(tmp_path / "ann", {}, hierarchy)
    second = Bench(tmp_path / "ann", hierarchy=hierarchy)
    yield first, second
    first.close()
    second.close()


def died(bench: Bench, job: Any, *args: Any, **named: Any) -> None:
    """A process died in this job: nothing is tidied up, and what was not committed is gone."""
    bench.batches.begin()
    bench.lane.db.execute("SAVEPOINT job")
    with pytest.raises(DiedError):
        job(bench.lane, *args, **named)
    bench.batches._undo.clear()
    bench.lane.db.execute("ROLLBACK")
    bench.opened.generation.is_last = lambda: False  # type: ignore[method-assign]
    bench.close()


def _incoming(count: int) -> list[Incoming]:
    return [Incoming(MESSAGE, intern_flags([]), 5) for _ in range(count)]


def test_half_an_append_of_a_dead_process_is_no_message(
    pair: tuple[Bench, Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, alive = pair
    alive.append(MESSAGE)
    with monkeypatch.context() as patched:
        patched.setattr(changes, "end_intent", dies)
        died(dead, writing.append, dead.number(), _incoming(2), None)
    assert len(alive.cur()) == 3
    alive.look()
    assert list(alive.names()) == [1]
    assert len(alive.cur()) == 1


def test_a_move_of_a_dead_process_has_not_begun(pair: tuple[Bench, Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    dead, alive = pair
    alive.do(tree.create, "Work", None)
    alive.append(MESSAGE, MESSAGE, flags=intern_flags([SEEN]))
    with monkeypatch.context() as patched:
        patched.setattr(changes, "end_intent", dies)
        died(dead, writing.copy, alive.number(), alive.number("Work"), EVERYTHING, move=True, origin=None)
    assert len(alive.cur(alive.directory("Work"))) == 2
    alive.look("Work")
    alive.look()
    assert not alive.names("Work") and not alive.cur(alive.directory("Work"))
    assert len(alive.names()) == 2


def test_a_replacement_of_a_dead_process_has_not_begun(
    pair: tuple[Bench, Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, alive = pair
    alive.append(MESSAGE)
    with monkeypatch.context() as patched:
        patched.setattr(changes, "end_intent", dies)
        died(dead, writing.append, dead.number(), _incoming(1), None, replaced=(dead.number(), 1))
    assert len(alive.cur()) == 2
    alive.look()
    assert list(alive.names()) == [1]
    assert len(alive.cur()) == 1


def test_a_rename_of_a_dead_process_is_finished(pair: tuple[Bench, Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    dead, alive = pair
    for name in ("Work", "Work/Done"):
        alive.do(tree.create, name, None)
        alive.append(MESSAGE, name=name)
    before = {row.mailbox_id: row.uidvalidity for row in rows.all_folders(alive.lane.db)}
    renamed = []

    def rename(fd: int, old: str, new: str, *into: int) -> None:
        if renamed and not alive.lane.layout.nested:  # there a single one is all
            dies()
        rename_directory(fd, old, new, *into)
        renamed.append(old)
        if alive.lane.layout.nested:
            dies()

    with monkeypatch.context() as patched:
        for module in (directories, nesting):
            patched.setattr(module, "rename_directory", rename)
        died(dead, tree.rename, "Work", "Play")
    alive.do(tree.sync_tree)
    assert {"Play", "Play/Done"} <= alive.ears.folders.keys()
    assert {row.mailbox_id: row.uidvalidity for row in rows.all_folders(alive.lane.db)} == before
    assert list(alive.names("Play")) == list(alive.names("Play/Done")) == [1]


def test_an_intent_that_another_process_ended_is_noted_again(pair: tuple[Bench, Bench]) -> None:
    first, second = pair
    divide, between = first.batches.divide, [Bench.close, Bench.close]

    def divided() -> None:
        divide()
        if between:
            between.pop()
            first.lane.db.execute("DELETE FROM intents")  # as `open_account` of another process does it

    first.batches.divide = divided  # type: ignore[method-assign]
    assert first.append(MESSAGE, MESSAGE) == [1, 2]
    assert not between
    assert not changes.intents(first.lane.db)
    second.look()
    assert list(second.names()) == [1, 2]


def test_a_keyword_that_no_letter_says_goes_with_its_message_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path / "ann", {})
    with monkeypatch.context() as patched:
        patched.setattr(changes, "end_intent", dies)
        died(bench, writing.append, bench.number(), [Incoming(MESSAGE, intern_flags(["$Work"]), 5)], None)
    after = Bench(tmp_path / "ann")
    after.look()
    assert not after.names() and not after.cur()
    after.close()


def test_what_a_dead_process_left_in_tmp_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path / "ann", {})
    bench.do(tree.create, "Work", None)
    with monkeypatch.context() as patched:
        patched.setattr(delivery.TmpFile, "publish", dies)
        died(bench, writing.append, bench.number("Work"), _incoming(1), None)
    tmp = tmp_path / "ann" / ".Work" / "tmp"
    assert len(list(tmp.iterdir())) == 1
    (tmp / "1.M1P1Q1.elsewhere").touch()
    fresh = UniqueNames()  # a process that is not the one that died
    monkeypatch.setattr(delivery, "unique_names", fresh)
    after = Bench(tmp_path / "ann")
    assert [path.name for path in tmp.iterdir()] == ["1.M1P1Q1.elsewhere"]
    after.close()


def test_two_processes_may_open_a_new_account_at_once(tmp_path: Path) -> None:
    first = Bench(tmp_path / "ann", {"Sent": None})
    second = Bench(tmp_path / "ann", {"Sent": None, "Trash": None})
    assert {"INBOX", "Sent", "Trash"} == second.ears.folders.keys()
    first.close()
    second.close()


def test_an_account_that_was_closed_well_is_not_listed_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ann", {})
    bench.append(MESSAGE)
    bench.close()
    after = Bench(tmp_path / "ann")
    assert after.opened.is_clean and after.opened.continues
    after.close()


def test_of_two_processes_only_the_last_says_that_it_was_closed_well(pair: tuple[Bench, Bench]) -> None:
    first, second = pair
    first.close()
    second.append(MESSAGE)
    third = Bench(second.root)
    assert not third.opened.is_clean and third.opened.continues
    third.close()
    second.close()
    after = Bench(second.root)
    assert after.opened.is_clean
    after.close()


def test_a_lost_uid_list_is_told_when_a_folder_is_opened(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ann", {})
    bench.append(MESSAGE)
    (bench.root / "dovecot-uidlist").write_bytes(b"\x00\x01\x02")
    bench.ears.take()
    bench.do(loading.load, bench.number())
    assert len(bench.ears.take("behind")) == 1
    bench.close()


def test_another_processes_new_uidvalidity_ends_sessions(pair: tuple[Bench, Bench]) -> None:
    first, second = pair
    second.do(loading.load, second.number())

    def renumbered(lane: Lane) -> None:
        row = lane.folder(first.number()).row
        row.uidvalidity += 1
        rows.save_folder(lane.db, row)

    first.do(renumbered)
    second.ears.take()
    second.do(tree.nothing)
    assert len(second.ears.take("vanished")) == 1


@pytest.mark.parametrize("name", ["1.M1P1Q1.host", "x", "1.M000001P1Q1R0123456g.host", ""])
def test_names_of_others_are_no_orphans(name: str) -> None:
    assert not unique_names.is_orphan(name)


def test_names_of_a_dead_process_are_orphans() -> None:
    here = UniqueNames("host")
    mine = here.plain()
    assert not here.is_orphan(mine)
    assert UniqueNames("host").is_orphan(mine), "the same number, another process"
    assert not UniqueNames("elsewhere").is_orphan(mine)
    assert here.is_orphan(mine.replace(f"P{os.getpid()}Q", "P999999999Q"))
    assert not here.is_orphan(mine.replace(f"P{os.getpid()}Q", f"P{os.getppid()}Q"))
