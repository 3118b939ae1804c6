"""The state: schema, damage, errors by kind, readers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.index import folders, usage
from mailpost.storage.index.generation import Generation
from mailpost.storage.index.state import SCHEMA_VERSION, DamagedError, Readers, StateFile, index_errors, meta, set_meta
from mailpost.storage.records import Usage


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state.sqlite3")


@pytest.fixture
def state(path: str) -> Iterator[StateFile]:
    made = StateFile(path)
    yield made
    made.close()


def test_a_new_state_has_the_newest_schema(state: StateFile) -> None:
    assert state.db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert Path(state.path).stat().st_mode & 0o777 == 0o600


def test_an_empty_file_is_migrated_from_the_beginning(path: str) -> None:
    Path(path).touch()
    state = StateFile(path)
    set_meta(state.db, "a", 1)
    state.close()
    again = StateFile(path)
    assert meta(again.db, "a") == 1
    assert meta(again.db, "b") is None
    again.close()


def test_a_newer_schema_is_refused(path: str) -> None:
    StateFile(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(MailError) as refused:
        StateFile(path)
    assert refused.value.kind is ErrorKind.UNAVAILABLE


def test_what_is_no_database_is_damaged(path: str) -> None:
    Path(path).write_bytes(b"no database" * 1000)
    with pytest.raises(DamagedError):
        StateFile(path)


def test_damage_inside_is_found_after_a_crash(path: str) -> None:
    state = StateFile(path)
    state.db.execute("BEGIN")
    state.db.executemany("INSERT INTO files VALUES(1, ?, ?, 1)", [(uid, "x" * 100) for uid in range(2000)])
    state.db.execute("COMMIT")
    state.close()
    octets = bytearray(Path(path).read_bytes())
    octets[8192:40960] = bytes(32768)
    Path(path).write_bytes(octets)
    Path(path + "-wal").write_bytes(b"left behind")
    with pytest.raises(DamagedError):
        StateFile(path)


def test_commits_are_hardened(state: StateFile) -> None:
    set_meta(state.db, "a", 1)
    state.harden()
    set_meta(state.db, "a", 2)
    state.harden()
    assert meta(state.db, "a") == 2


def test_readers_see_what_is_committed_and_cannot_write(state: StateFile) -> None:
    readers = Readers(state.path)
    set_meta(state.db, "a", 1)
    state.db.execute("BEGIN IMMEDIATE")
    set_meta(state.db, "a", 2)
    with readers.reading() as db, readers.reading() as other:
        assert (meta(db, "a"), meta(other, "a")) == (1, 1)
    state.db.execute("COMMIT")
    with readers.reading() as db:
        assert meta(db, "a") == 2
    with pytest.raises(MailError) as refused, readers.reading() as db:
        set_meta(db, "a", 3)
    assert refused.value.kind is ErrorKind.READ_ONLY
    readers.close()


def test_errors_of_the_database_have_kinds() -> None:
    db = sqlite3.connect(":memory:")
    db.execute("PRAGMA page_size=512")
    db.execute("PRAGMA max_page_count=2")
    with pytest.raises(MailError) as refused, index_errors():
        for number in range(100):
            db.execute(f"CREATE TABLE t{number}(a)")
    assert refused.value.kind is ErrorKind.DISK_FULL
    with pytest.raises(sqlite3.OperationalError), index_errors():
        db.execute("this is a bug of ours")


def test_uidvalidity_only_grows(state: StateFile) -> None:
    first = folders.new_uidvalidity(state.db, 1000)
    assert folders.new_uidvalidity(state.db, 1000) == first + 1
    assert folders.new_uidvalidity(state.db, 10) == first + 2
    folders.note_uidvalidity(state.db, 5000)
    folders.note_uidvalidity(state.db, 3000)
    assert folders.new_uidvalidity(state.db, 1000) == 5001
    assert folders.new_uidvalidity(state.db, 1000, least=9000) == 9000


def test_a_folder_is_forgotten_with_all_that_hangs_on_it(state: StateFile) -> None:
    row = folders.add_folder(state.db, ".a", uidvalidity=7, modseq=1, special_use="\\Sent")
    state.db.execute("INSERT INTO messages VALUES(?, 1, 0, 0, 1, 1, 1)", (row.id,))
    row.uidnext = 9
    folders.save_folder(state.db, row)
    folders.move_folder(state.db, row.id, ".b")
    found = folders.folder_row(state.db, row.id)
    assert found is not None
    assert (found.directory, found.uidnext, found.mailbox_id) == (".b", 9, row.mailbox_id)
    folders.remove_folder(state.db, row.id)
    assert folders.folder_row(state.db, row.id) is None
    assert folders.all_folders(state.db) == []
    assert not folders.forget_removed(state.db)
    assert state.db.execute("SELECT count(*) FROM messages").fetchone() == (0,)


def test_the_rows_of_removed_folders_go_some_at_a_time(state: StateFile) -> None:
    kept, removed, last = (
        folders.add_folder(state.db, name, uidvalidity=7, modseq=1, special_use=None).id for name in (".a", ".b", ".c")
    )
    for folder in (kept, removed, last):
        rows = [(folder, uid) for uid in range(1, 26)]
        state.db.executemany("INSERT INTO messages VALUES(?, ?, 0, 0, 1, 1, 1)", rows)
        state.db.executemany("INSERT INTO files VALUES(?, ?, 'name', 9)", rows)
        state.db.executemany("INSERT INTO dead VALUES(?, ?)", [(folder, f"base{uid}") for _, uid in rows])
        state.db.executemany("INSERT INTO expunged VALUES(?, 9, ?, ?)", [(folder, uid, uid) for _, uid in rows])
        state.db.execute("INSERT INTO keywords VALUES(?, 6, 'work')", (folder,))
    folders.remove_folder(state.db, removed)
    folders.remove_folder(state.db, last)
    before = state.db.total_changes
    calls = 1
    while folders.forget_removed(state.db, 10):
        assert state.db.total_changes - before < 10 + 25  # those of one mod-sequence go together
        before = state.db.total_changes
        calls += 1
    assert calls >= 12
    for table, rows_of_one in {"messages": 25, "files": 25, "dead": 25, "expunged": 25, "keywords": 1}.items():
        left = state.db.execute(f"SELECT folder, count(*) FROM {table} GROUP BY folder").fetchall()
        assert left == [(kept, rows_of_one)]


def test_a_generation_tells_another_process(tmp_path: Path) -> None:
    ours, theirs = Generation(str(tmp_path / "g")), Generation(str(tmp_path / "g"))
    assert not ours.moved
    theirs.note(theirs.bump())
    assert ours.moved
    assert not theirs.moved
    ours.note(ours.value)
    assert not ours.moved
    ours.note(ours.bump())
    assert (ours.moved, theirs.moved) == (False, True)
    ours.close()
    theirs.close()


def test_the_number_of_a_removed_folder_is_not_given_out_again(state: StateFile) -> None:
    first = folders.add_folder(state.db, ".a", uidvalidity=1, modseq=1, special_use=None)
    folders.remove_folder(state.db, first.id)
    assert folders.add_folder(state.db, ".a", uidvalidity=2, modseq=2, special_use=None).id > first.id


def test_what_a_removed_folder_had_is_given_back_at_once(state: StateFile) -> None:
    kept, removed = (
        folders.add_folder(state.db, name, uidvalidity=7, modseq=1, special_use=None).id for name in (".a", ".b")
    )
    for folder, octets in ((kept, 10), (kept, None), (removed, 300), (removed, 40), (removed, None)):
        uid = state.db.execute("SELECT count(*) FROM files").fetchone()[0] + 1
        state.db.execute("INSERT INTO files VALUES(?, ?, 'name', ?)", (folder, uid, octets))
    assert usage.usage(state.db) == Usage(350, 5)
    folders.remove_folder(state.db, removed)
    assert usage.usage(state.db) == Usage(10, 2)
    assert [folder for folder, *_ in usage.unmeasured(state.db, 10)] == [kept]
    while folders.forget_removed(state.db, 1):
        assert usage.usage(state.db) == Usage(10, 2)
        assert usage.is_right(state.db)
    assert usage.usage(state.db) == Usage(10, 2)
