"""Appending, copying, expunging, renaming: what a failure or a crash in the middle leaves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import DELETED, SEEN, FlagChange, intern_flags
from mailpost.storage.index import changes
from mailpost.storage.maildir import behind, scan, tree, writing
from mailpost.storage.maildir.folder import FolderFiles
from mailpost.storage.maildir.writing import Incoming
from mailpost.storage.records import SpecialUse

from .lanes import MESSAGE, Bench

EVERYTHING = [(1, 0xFFFF_FFFF)]


class Crashed(BaseException):
    """The process ends here."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "ann")
    yield made
    made.close()


def crash(bench: Bench) -> Bench:
    """What is on the disk is all that is left."""
    bench.batches.abort()
    bench.close()
    return Bench(bench.root)


def dies(*_: Any, **__: Any) -> Any:
    raise Crashed


def raw(bench: Bench, job: Any, *args: Any, **named: Any) -> None:
    """Run a job that dies, without the lane's tidying up."""
    bench.batches.begin()
    bench.lane.db.execute("SAVEPOINT job")
    with pytest.raises(Crashed):
        job(bench.lane, *args, **named)
    bench.batches._undo.clear()


def test_an_append_of_several_that_dies_shows_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(MESSAGE)
    with monkeypatch.context() as patched:
        patched.setattr(changes, "end_intent", dies)
        incoming = [Incoming(MESSAGE, intern_flags([]), 5) for _ in range(3)]
        raw(bench, writing.append, bench.number(), incoming, None)
    assert len(bench.cur()) == 4
    after = crash(bench)
    after.look()
    assert list(after.names()) == [1]
    assert len(after.cur()) == 1
    assert not changes.intents(after.lane.db)
    after.close()


def test_files_that_were_removed_are_not_looked_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an expunge of a few no directory is listed: that takes as long as the folder is large."""
    bench.append(*[MESSAGE] * 5)
    with monkeypatch.context() as patched:
        patched.setattr(writing, "names_in", dies)
        bench.do(writing.remove, bench.number(), [(2, 3)], None)
        bench.do(writing.remove, bench.number(), [(5, 5)], None)
        assert len(bench.cur()) == 2
        assert not bench.do(behind.remove_files, bench.number())
    assert not changes.any_dead(bench.lane.db, bench.number())


def test_files_that_could_not_be_removed_are_looked_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(*[MESSAGE] * 3)
    (bench.root / "cur" / bench.names()[2]).rename(bench.root / "cur" / (bench.names()[2] + "S"))
    bench.do(writing.remove, bench.number(), [(1, 2)], None)
    assert len(bench.cur()) == 2
    while bench.do(behind.remove_files, bench.number()):
        pass
    assert list(bench.names()) == [3]
    assert len(bench.cur()) == 1
    assert not changes.any_dead(bench.lane.db, bench.number())


def test_a_move_that_dies_leaves_the_messages_where_they_were(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(MESSAGE, MESSAGE)
    bench.do(tree.create, "to", None)
    with monkeypatch.context() as patched:
        patched.setattr(writing, "_take_out", dies)
        raw(bench, writing.copy, bench.number(), bench.number("to"), EVERYTHING, move=True, origin=None)
    assert len(bench.cur(".to")) == 2
    after = crash(bench)
    after.look("to")
    assert (len(after.cur()), len(after.cur(".to"))) == (2, 0)
    assert (len(after.names()), len(after.names("to"))) == (2, 0)
    after.close()


def test_a_copy_that_fails_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(MESSAGE, MESSAGE)
    bench.do(tree.create, "to", None)

    def full(*_: object) -> None:
        raise MailError(ErrorKind.DISK_FULL, "The disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(writing, "assign", full)
        with pytest.raises(MailError):
            bench.do(writing.copy, bench.number(), bench.number("to"), EVERYTHING, move=False, origin=None)
    assert bench.cur(".to") == []
    assert not changes.intents(bench.lane.db)
    assert bench.append(MESSAGE) == [3]


def test_a_commit_that_fails_leaves_no_file(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise OSError(28, "No space left on device")

    bench.append(MESSAGE)
    with monkeypatch.context() as patched:
        patched.setattr("mailpost.storage.maildir.batch.fsync_directory", lambda _: fails())
        with pytest.raises(MailError) as refused:
            bench.append(MESSAGE)
    assert refused.value.kind is ErrorKind.DISK_FULL
    assert len(bench.cur()) == 1
    assert bench.append(MESSAGE) == [3]  # another server may have seen the second


def test_files_of_the_expunged_do_not_come_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(MESSAGE, MESSAGE, flags=intern_flags([DELETED]))
    (kept,) = bench.append(MESSAGE)
    with monkeypatch.context() as patched:
        patched.setattr(writing, "_unlink", lambda *_: [])
        assert bench.do(writing.expunge, bench.number(), None, None) == [1, 2]
    assert len(bench.cur()) == 3
    after = crash(bench)
    assert after.left == [after.number()]
    while after.do(behind.remove_files, after.number()):
        pass
    after.look()
    assert list(after.names()) == [kept]
    assert len(after.cur()) == 1
    after.close()


def test_what_was_expunged_is_buried_behind(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(MESSAGE, flags=intern_flags([DELETED]))
    with monkeypatch.context() as patched:
        patched.setattr(writing, "_unlink", lambda *_: [])
        bench.do(writing.expunge, bench.number(), None, None)
    while bench.do(behind.remove_files, bench.number()):
        pass
    assert bench.cur() == []
    assert not changes.dead(bench.lane.db, bench.number())


def test_flags_that_a_crash_left_unwritten_are_written(bench: Bench) -> None:
    bench.append(MESSAGE)
    add = {"change": FlagChange.ADD, "named": intern_flags([SEEN]), "limit": None, "origin": None}
    bench.do(writing.store, bench.number(), EVERYTHING, **add)
    after = crash(bench)
    assert after.left == [after.number()]
    assert not after.do(behind.write_flags, after.number(), 10)
    assert after.cur()[0].endswith(":2,S")
    after.close()


def test_a_rename_that_dies_is_finished(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.do(tree.create, "a/b", SpecialUse.ARCHIVE)
    bench.append(MESSAGE, name="a/b")
    ids = {name: info.mailbox_id for name, info in bench.ears.folders.items()}
    with monkeypatch.context() as patched:
        patched.setattr(tree, "rename_folders", dies)
        raw(bench, tree.rename, "a", "x/y")
    after = crash(bench)
    assert {name: info.mailbox_id for name, info in after.ears.folders.items() if name != "x"} == {
        "INBOX": ids["INBOX"],
        "x/y": ids["a"],
        "x/y/b": ids["a/b"],
    }
    assert after.ears.folders["x/y/b"].special_use is SpecialUse.ARCHIVE
    assert len(after.names("x/y/b")) == 1
    after.close()


def test_too_many_keywords_are_refused_and_none_is_kept(bench: Bench) -> None:
    bench.append(MESSAGE)
    many = intern_flags(f"k{number}" for number in range(58))
    with pytest.raises(MailError) as refused:
        bench.do(writing.store, bench.number(), EVERYTHING, change=FlagChange.ADD, named=many, limit=None, origin=None)
    assert refused.value.kind is ErrorKind.LIMIT
    few = intern_flags(f"k{number}" for number in range(57))
    bench.do(writing.store, bench.number(), EVERYTHING, change=FlagChange.ADD, named=few, limit=None, origin=None)
    assert bench.flags()[1] == few
    assert not bench.do(behind.write_flags, bench.number(), 10)
    assert bench.flags()[1] == few
    after = crash(bench)
    after.look()
    assert after.flags()[1] == few
    after.close()


def test_a_new_account_gets_its_folders_once(tmp_path: Path) -> None:
    wanted = {"Sent": SpecialUse.SENT, "Later": None}
    bench = Bench(tmp_path / "new", wanted)
    assert {name: info.special_use for name, info in bench.ears.folders.items()} == {"INBOX": None, **wanted}
    assert bench.ears.subscriptions == {"INBOX", "Sent", "Later"}
    bench.do(tree.subscribe, "Later", False)
    bench.close()
    again = Bench(tmp_path / "new")
    assert again.ears.subscriptions == {"INBOX", "Sent"}
    assert again.ears.folders["Sent"].special_use is SpecialUse.SENT
    again.close()


def test_octets_are_0600_and_folders_0700(bench: Bench) -> None:
    bench.append(MESSAGE)
    bench.do(tree.create, "a", None)
    for path in bench.root.rglob("*"):
        expected = 0o700 if path.is_dir() else 0o600
        assert os.stat(path).st_mode & 0o777 & ~expected == 0, path


def test_an_append_asks_twice_whether_the_folder_is_in_its_place(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its start and under the lock. (It did at every use of the directories, two system calls each.)"""
    bench.append(MESSAGE)
    asked = []
    looks = FolderFiles.is_replaced
    monkeypatch.setattr(FolderFiles, "is_replaced", lambda *args: asked.append(args) or looks(*args))
    bench.append(MESSAGE)
    assert len(asked) == 2


def test_a_folder_made_anew_while_an_append_waits_for_the_lock_gets_the_message(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.do(tree.create, "Work", None)
    bench.append(MESSAGE, name="Work")
    locked = scan.locked

    @contextmanager
    def replaced(name: str, fd: int) -> Iterator[None]:
        with locked(name, fd):
            (bench.root / ".Work").rename(bench.root.parent / "away")
            for part in ("cur", "new", "tmp"):
                (bench.root / ".Work" / part).mkdir(parents=True)
            yield

    with monkeypatch.context() as patched:
        patched.setattr(scan, "locked", replaced)
        bench.append(MESSAGE, name="Work")
    assert len(bench.cur(".Work")) == 1
    assert len(list((bench.root.parent / "away" / "cur").iterdir())) == 1
