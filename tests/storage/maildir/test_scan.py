"""What other programs do to the directories: deliveries, renames, removals, other servers' UID lists."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import ANSWERED, DELETED, FLAGGED, SEEN, FlagChange, intern_flags
from mailpost.storage.index import messages
from mailpost.storage.maildir import behind, loading, scan, tree, writing
from mailpost.storage.maildir.layout import Hierarchy
from mailpost.storage.maildir.uidlist import read_uidlist

from .lanes import MESSAGE, Bench

STORED = MESSAGE.replace(b"\r\n", b"\n")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "ann")
    yield made
    made.close()


def deliver(root: Path, name: str, place: str = "new", mtime: int | None = None) -> Path:
    path = root / place / name
    path.write_bytes(STORED)
    if mtime is not None:
        os.utime(path, (mtime, mtime))
    return path


def test_deliveries_get_uids_in_the_order_of_their_age(bench: Bench) -> None:
    deliver(bench.root, "b", mtime=2000)
    deliver(bench.root, "a", mtime=3000)
    deliver(bench.root, "c:2,S", place="cur", mtime=1000)
    bench.look()
    assert bench.names() == {1: "c:2,S", 2: "b:2,", 3: "a:2,"}
    assert bench.cur() == ["a:2,", "b:2,", "c:2,S"]
    assert bench.flags()[1] == frozenset([SEEN])
    arrived = bench.ears.take("arrived")
    assert [list(uids) for _, uids, *_ in arrived] == [[1, 2, 3]]
    assert bench.lane.db.execute("SELECT internaldate FROM messages ORDER BY uid").fetchall() == [
        (1000,),
        (2000,),
        (3000,),
    ]


def test_a_later_delivery_is_above_all_before(bench: Bench) -> None:
    bench.append(MESSAGE, MESSAGE)
    deliver(bench.root, "old", mtime=5)
    bench.look()
    assert bench.names()[3] == "old:2,"


def test_nothing_is_listed_while_nothing_happens(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(bench.root, "a")
    bench.look()
    time.sleep(0.03)  # until the directories' mtimes can be trusted
    bench.look()
    bench.append(MESSAGE)
    monkeypatch.setattr(scan, "scan", lambda *_: pytest.fail("listed"))
    bench.look()
    assert len(bench.names()) == 2


def test_a_rename_outside_is_a_change_of_flags(bench: Bench) -> None:
    (uid,) = bench.append(MESSAGE)
    name = bench.names()[uid]
    (bench.root / "cur" / name).rename(bench.root / "cur" / (name + "FS"))
    bench.look()
    assert bench.flags()[uid] == frozenset([FLAGGED, SEEN])
    assert [(uids, flags) for _, uids, flags, *_ in bench.ears.take("flagged")] == [
        ([uid], [frozenset([FLAGGED, SEEN])])
    ]


def test_a_rename_outside_is_merged_with_what_is_not_written_yet(bench: Bench) -> None:
    (uid,) = bench.append(MESSAGE, flags=intern_flags([SEEN]))
    name = bench.names()[uid]
    add = {"change": FlagChange.ADD, "named": intern_flags([ANSWERED]), "limit": None, "origin": None}
    bench.do(writing.store, bench.number(), [(uid, uid)], **add)
    (bench.root / "cur" / name).rename(bench.root / "cur" / name.replace(":2,S", ":2,F"))
    bench.look()
    assert bench.flags()[uid] == frozenset([FLAGGED, ANSWERED])
    assert not bench.do(behind.write_flags, bench.number(), 10)
    assert bench.cur()[0].endswith(":2,FR")


def test_a_rename_outside_that_writing_behind_meets_is_merged(bench: Bench) -> None:
    (uid,) = bench.append(MESSAGE)
    name = bench.names()[uid]
    add = {"change": FlagChange.ADD, "named": intern_flags([ANSWERED, "work"]), "limit": None, "origin": None}
    bench.do(writing.store, bench.number(), [(uid, uid)], **add)
    (bench.root / "cur" / name).rename(bench.root / "cur" / (name + "S"))
    assert not bench.do(behind.write_flags, bench.number(), 10)
    assert bench.flags()[uid] == frozenset([SEEN, ANSWERED, "work"])
    assert bench.cur()[0].endswith(":2,RSa")
    bench.look()
    assert bench.flags()[uid] == frozenset([SEEN, ANSWERED, "work"])


def test_a_file_removed_outside_is_expunged(bench: Bench) -> None:
    first, second = bench.append(MESSAGE, MESSAGE)
    (bench.root / "cur" / bench.names()[first]).unlink()
    bench.look()
    assert list(bench.names()) == [second]
    assert [uids for _, uids, *_ in bench.ears.take("expunged")] == [[first]]


def test_dovecots_uids_and_keywords_are_taken_over(tmp_path: Path) -> None:
    root = tmp_path / "ann"
    for place in ("cur", "new", "tmp"):
        (root / place).mkdir(parents=True)
    deliver(root, "x,S=5:2,Sa", place="cur", mtime=9)
    deliver(root, "y", place="cur", mtime=7)
    deliver(root, "z", place="new", mtime=1)
    (root / "dovecot-uidlist").write_text("3 V77 N50 G0123456789abcdef0123456789abcdef\n40 :x,S=5\n44 W9 :y\n")
    (root / "dovecot-keywords").write_text("0 $Work\n")
    bench = Bench(root)
    bench.look()
    assert bench.names() == {40: "x,S=5:2,Sa", 44: "y", 50: "z:2,"}
    assert bench.flags()[40] == frozenset([SEEN, "$Work"])
    assert bench.lane.folder(bench.number()).row.uidvalidity == 77
    bench.do(behind.write_uids, bench.number())
    known = read_uidlist(bench.lane.root_fd)
    assert known is not None
    assert (known.uidvalidity, {base: entry.uid for base, entry in known.entries.items()}) == (
        77,
        {"x,S=5": 40, "y": 44, "z": 50},
    )
    assert known.entries["y"].extensions == "W9"
    assert known.uidnext == 51
    bench.close()


def test_the_state_may_be_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ann")
    uids = bench.append(MESSAGE, MESSAGE, MESSAGE)
    bench.do(behind.finish, bench.number(), 0)
    validity, names = bench.lane.folder(bench.number()).row.uidvalidity, bench.names()
    bench.close()
    for path in (tmp_path / "ann").glob("mailpost-*"):
        path.unlink()
    again = Bench(tmp_path / "ann")
    again.look()
    assert again.names() == names
    assert again.lane.folder(again.number()).row.uidvalidity == validity
    assert again.append(MESSAGE)[0] > uids[-1]
    again.close()


def test_another_servers_uidvalidity_is_a_new_life(bench: Bench) -> None:
    bench.append(MESSAGE)
    bench.do(loading.load, bench.number())
    validity = bench.lane.folder(bench.number()).row.uidvalidity + 5
    base = bench.names()[1].partition(":")[0]
    (bench.root / "dovecot-uidlist").write_text(f"3 V{validity} N9\n8 :{base}\n")
    deliver(bench.root, "x")
    bench.look()
    assert bench.lane.folder(bench.number()).row.uidvalidity == validity
    assert sorted(bench.names()) == [8, 9]
    assert ("vanished",) in bench.ears.take("vanished")


def test_another_servers_uid_for_another_message_raises_uidvalidity(bench: Bench) -> None:
    bench.append(MESSAGE)
    bench.do(behind.write_uids, bench.number())
    validity = bench.lane.folder(bench.number()).row.uidvalidity
    bench.append(MESSAGE)
    (bench.root / "dovecot-uidlist").write_text(f"3 V{validity} N3000\n1 :other\n")
    bench.do(behind.write_uids, bench.number())
    bench.look()
    assert bench.lane.folder(bench.number()).row.uidvalidity > validity
    assert len(bench.names()) == 2


def test_uids_are_not_given_twice_when_another_server_gave_some(bench: Bench) -> None:
    bench.append(MESSAGE)
    bench.do(behind.write_uids, bench.number())
    known = read_uidlist(bench.lane.root_fd)
    assert known is not None
    taken = known.uidnext
    base = bench.names()[1].partition(":")[0]
    deliver(bench.root, "theirs", place="cur")
    (bench.root / "dovecot-uidlist").write_text(f"3 V{known.uidvalidity} N{taken + 1}\n1 :{base}\n{taken} :theirs\n")
    bench.look()
    assert bench.names()[taken] == "theirs"
    assert bench.append(MESSAGE)[0] > taken


def listed(bench: Bench) -> dict[str, int]:
    known = read_uidlist(bench.lane.root_fd)
    assert known is not None
    return {base: entry.uid for base, entry in known.entries.items()}


def bases(bench: Bench) -> dict[str, int]:
    return {name.partition(":")[0]: uid for uid, name in bench.names().items()}


def test_a_uid_list_that_was_removed_or_cut_is_written_anew(bench: Bench) -> None:
    bench.append(MESSAGE)
    bench.do(behind.write_uids, bench.number())
    path = bench.root / "dovecot-uidlist"
    path.unlink()
    bench.append(MESSAGE)
    bench.do(behind.write_uids, bench.number())
    assert listed(bench) == bases(bench)
    path.write_text(path.read_text().rstrip())
    bench.append(MESSAGE)
    bench.do(behind.write_uids, bench.number())
    assert listed(bench) == bases(bench)
    assert len(bases(bench)) == 3


def test_a_uid_list_of_the_dead_is_written_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "_FEW_LINES", 3)
    bench.append(*[MESSAGE] * 5, flags=intern_flags([DELETED]))
    bench.do(behind.finish, bench.number(), 0)
    bench.do(writing.expunge, bench.number(), None, None)
    bench.append(MESSAGE)
    bench.do(behind.finish, bench.number(), 0)
    assert listed(bench) == bases(bench)
    assert list(bases(bench).values()) == [6]


def test_how_many_are_gone_is_counted_seldom(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting takes as long as the folder is large; still no list is left to be mostly of messages that are gone."""
    counted: list[int] = []

    def count(*args: Any) -> int:
        counted.append(messages.count(*args))
        return counted[-1]

    monkeypatch.setattr(behind, "_FEW_LINES", 3)
    monkeypatch.setattr(behind, "messages", Mock(wraps=messages, count=count))
    bench.append(*[MESSAGE] * 60)
    bench.do(behind.finish, bench.number(), 0)
    written = 0
    for uid in range(1, 90):
        before = len(listed(bench))
        bench.append(MESSAGE)
        if uid % 2:
            bench.do(writing.remove, bench.number(), [(uid, uid)], None)
        else:
            (bench.root / "cur" / bench.names()[uid]).unlink()
            bench.look()
        bench.do(behind.finish, bench.number(), 0)
        there = set(bases(bench))
        assert there <= set(listed(bench))
        assert len(listed(bench)) < 2 * len(there)
        written += len(listed(bench)) < before
    assert written
    assert len(counted) <= 10


def test_twins_become_two_messages_or_one(bench: Bench) -> None:
    first = deliver(bench.root, "same:2,", place="cur", mtime=5)
    (bench.root / "cur" / "same:2,S").hardlink_to(first)
    bench.look()
    assert list(bench.names()) == [1]
    (name,) = bench.names().values()
    (bench.root / "cur" / ("same:2," if name.endswith("S") else "same:2,S")).write_bytes(b"Subject: other\n\n")
    bench.look()
    assert len(bench.names()) == 2
    assert len(set(bases(bench))) == 2


def test_what_changed_together_with_us_is_found_by_listing_once_more(bench: Bench) -> None:
    bench.append(MESSAGE, MESSAGE)
    time.sleep(0.03)
    bench.look()
    bench.append(MESSAGE)
    folder = bench.lane.folder(bench.number())
    (bench.root / "cur" / bench.names()[1]).unlink()
    folder.row.cur_mtime = bench.lane.own_files(folder).changed_at()[0]  # as if it had been between our steps
    bench.look()
    assert len(bench.names()) == 3
    bench.do(scan.look, bench.number(), doubt=True)
    assert list(bench.names()) == [2, 3]
    assert not bench.lane.folder(bench.number()).verify


def test_folders_that_others_make_and_remove_are_found(bench: Bench) -> None:
    for place in ("cur", "new", "tmp"):
        (bench.root / ".Lists.Twisted" / place).mkdir(parents=True)
    (bench.root / ".Sent" / "cur").mkdir(parents=True)
    bench.do(tree.sync_tree)
    assert sorted(bench.ears.folders) == ["INBOX", "Lists/Twisted", "Sent"]
    assert bench.ears.folders["Sent"].special_use is not None
    for path in sorted((bench.root / ".Lists.Twisted").rglob("*"), reverse=True):
        path.rmdir()
    (bench.root / ".Lists.Twisted").rmdir()
    bench.do(tree.sync_tree)
    assert "Lists/Twisted" not in bench.ears.folders


@pytest.mark.parametrize("hierarchy", list(Hierarchy))
def test_a_folder_that_is_being_removed_is_not_written_into(tmp_path: Path, hierarchy: Hierarchy) -> None:
    bench = Bench(tmp_path / "ann", hierarchy=hierarchy)
    bench.do(tree.create, "a", None)
    number, place = bench.number("a"), bench.root / bench.directory("a")
    bench.append(MESSAGE, name="a")
    for within in list(place.iterdir()):  # all but the directory itself
        shutil.rmtree(within) if within.is_dir() else within.unlink()
    for job in (behind.write_uids, scan.look):
        with pytest.raises(MailError) as refused:
            bench.do(job, number)
        assert refused.value.kind is ErrorKind.NO_SUCH_FOLDER
    assert list(place.iterdir()) == []
    bench.close()


@pytest.mark.parametrize("hierarchy", list(Hierarchy))
def test_what_was_written_into_a_folder_while_it_was_removed_is_no_folder(tmp_path: Path, hierarchy: Hierarchy) -> None:
    bench = Bench(tmp_path / "ann", hierarchy=hierarchy)
    bench.do(tree.create, "a", None)
    bench.do(tree.create, "b", None)
    for name in ("a", "b"):
        for within in list((bench.root / bench.directory(name)).iterdir()):
            if within.name != "dovecot-uidlist":  # as if it had been written just after it was removed
                shutil.rmtree(within) if within.is_dir() else within.unlink()
    (bench.root / bench.directory("b") / "notes").write_text("somebody's")
    bench.do(tree.sync_tree)
    assert sorted(bench.ears.folders) == ["INBOX"]
    assert not (bench.root / bench.directory("a")).exists()
    for name in ("a", "b"):
        bench.do(tree.create, name, None)
        assert bench.append(MESSAGE, name=name) == [1]
    assert (bench.root / bench.directory("b") / "notes").exists()
    bench.close()


def test_a_folder_whose_directory_is_gone_is_no_folder(bench: Bench) -> None:
    bench.do(tree.create, "a", None)
    number = bench.number("a")
    bench.do(tree.delete, "a")
    with pytest.raises(MailError) as refused:
        bench.do(scan.look, number)
    assert refused.value.kind is ErrorKind.NO_SUCH_FOLDER


def test_an_older_state_that_is_put_back_gives_no_uid_twice(tmp_path: Path) -> None:
    root = tmp_path / "ann"
    bench = Bench(root)
    bench.append(MESSAGE)
    bench.close()
    saved = (root / "mailpost-state.sqlite3").read_bytes()
    bench = Bench(root)
    assert bench.append(MESSAGE) == [2]  # a state that was closed well goes on where it was
    (root / "cur" / bench.names()[2]).unlink()
    highest = bench.lane.folder(bench.number()).row.highest_modseq
    bench.close()
    (root / "mailpost-state.sqlite3").write_bytes(saved)
    bench = Bench(root)
    assert bench.append(MESSAGE)[0] > 2
    assert bench.lane.folder(bench.number()).row.highest_modseq > highest
    bench.close()
