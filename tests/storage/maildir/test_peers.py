"""Another server that serves the same tree: what it gave is kept, what it is about to say is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailpost.storage.index.messages import Spans
from mailpost.storage.maildir import behind, scan, tree, writing
from mailpost.storage.maildir.dotlock import locked
from mailpost.storage.maildir.lane import HeldFiles
from mailpost.storage.maildir.uidlist import UIDLIST_FILE, UidList, read_uidlist
from tests.storage.maildir.lanes import MESSAGE, Bench

ALL: Spans = [(1, 0xFFFF_FFFF)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "ann")
    yield bench
    bench.close()


@contextmanager
def busy(bench: Bench, act: Callable[[], object]) -> Iterator[None]:
    """Another server holds the lock of INBOX's list, and acts shortly before it lets go."""
    has_lock = threading.Event()

    def work() -> None:
        with locked(UIDLIST_FILE, bench.lane.root_fd):
            has_lock.set()
            time.sleep(0.1)
            act()

    worker = threading.Thread(target=work)
    worker.start()
    has_lock.wait()
    yield
    worker.join()


def list_of(bench: Bench) -> UidList:
    known = read_uidlist(bench.lane.root_fd)
    assert known is not None
    return known


def settle(bench: Bench, name: str = "INBOX") -> None:
    bench.do(behind.finish, bench.number(name), 0)


def theirs(bench: Bench, *lines: str, directory: str = ".") -> None:
    """Another server puts lines behind the list."""
    with (bench.root / directory / UIDLIST_FILE).open("a") as file:
        file.writelines(line + "\n" for line in lines)


def test_a_uid_that_another_server_is_about_to_write_is_waited_for(bench: Bench) -> None:
    bench.append(MESSAGE)
    settle(bench)
    (bench.root / "cur" / "theirs:2,").write_bytes(MESSAGE)
    with busy(bench, lambda: theirs(bench, "7 :theirs")):
        bench.look()
    assert bench.names()[7] == "theirs:2,"
    assert bench.append(MESSAGE) == [8]


def test_a_keyword_that_another_server_is_about_to_name_is_waited_for(bench: Bench) -> None:
    (uid,) = bench.append(MESSAGE)
    settle(bench)
    file = bench.root / "cur" / bench.names()[uid]
    file.rename(file.with_name(file.name + "a"))
    with busy(bench, lambda: (bench.root / "dovecot-keywords").write_text("0 Work\n")):
        bench.look()
    assert bench.flags() == {uid: {"Work"}}


def test_a_delivery_has_its_line_at_once_and_no_block_is_taken_for_it(bench: Bench) -> None:
    bench.append(MESSAGE)
    settle(bench)
    (bench.root / "new" / "x").write_bytes(MESSAGE)
    bench.look()
    assert (list_of(bench).entries["x"].uid, list_of(bench).uidnext) == (2, 3)


def test_the_block_is_given_back(bench: Bench) -> None:
    bench.append(MESSAGE, MESSAGE)
    assert list_of(bench).uidnext > 1000
    settle(bench)
    assert list_of(bench).uidnext == 3
    theirs(bench, "3 :theirs")
    (bench.root / "cur" / "theirs:2,").write_bytes(MESSAGE)
    assert bench.append(MESSAGE) == [4]
    assert sorted(bench.names()) == [1, 2, 3, 4]


def test_messages_with_uids_are_noted_before_copies_get_theirs(bench: Bench) -> None:
    bench.do(tree.create, "Archive", None)
    settle(bench, "Archive")
    bench.append(MESSAGE)
    for name in ("first", "second"):
        (bench.root / ".Archive" / "cur" / name).write_bytes(MESSAGE)
    theirs(bench, "1 :first", "2 :second", directory=".Archive")
    copied = bench.do(writing.copy, bench.number(), bench.number("Archive"), ALL, move=False, origin=None)
    assert list(copied.target_uids) == [3]
    assert {1: "first", 2: "second"}.items() <= bench.names("Archive").items()


def test_uidnext_is_not_lower_than_another_server_said(bench: Bench) -> None:
    bench.append(MESSAGE)
    settle(bench)
    theirs(bench, "2 :came and went", "3 :stays")
    (bench.root / "cur" / "stays").write_bytes(MESSAGE)
    bench.look()
    theirs(bench, "4 :went as well")
    bench.do(scan.scan, bench.lane.folder(bench.number()))
    assert bench.lane.folder(bench.number()).row.uidnext == 5
    assert bench.ears.take("promised") == [("promised", 5)]


def test_a_list_with_an_older_uidvalidity_is_replaced_once(bench: Bench) -> None:
    bench.append(MESSAGE)
    settle(bench)
    old = bench.lane.folder(bench.number()).row.uidvalidity
    (bench.root / UIDLIST_FILE).write_text("3 V5 N9\n")
    (bench.root / "new" / "x").write_bytes(MESSAGE)
    bench.look()
    uidvalidity = bench.lane.folder(bench.number()).row.uidvalidity
    assert list_of(bench).uidvalidity == uidvalidity > old
    (bench.root / "new" / "y").write_bytes(MESSAGE)
    bench.look()
    settle(bench)
    assert bench.lane.folder(bench.number()).row.uidvalidity == uidvalidity
    assert sorted(bench.names()) == [1, 2, 3]
    assert list_of(bench).uidvalidity == uidvalidity


def test_a_list_that_is_written_anew_keeps_the_lines_of_others(bench: Bench) -> None:
    bench.append(MESSAGE)
    settle(bench)
    ours = bench.names()[1].partition(":")[0]
    validity = bench.lane.folder(bench.number()).row.uidvalidity
    bench.append(MESSAGE)
    # Not whole, so that it is not appended to; and their message was not seen here yet.
    (bench.root / UIDLIST_FILE).write_text(f"3 V{validity} N2\n1 :{ours}\n1500 W9 :theirs\n15")
    bench.do(behind.write_uids, bench.number())
    assert list_of(bench).entries["theirs"] == (1500, "W9")
    assert list_of(bench).uidnext == 1501
    assert bench.append(MESSAGE)[0] > 1500


def test_a_folder_without_messages_has_its_list(bench: Bench) -> None:
    bench.do(tree.create, "Empty", None)
    settle(bench, "Empty")
    validity = bench.lane.folder(bench.number("Empty")).row.uidvalidity
    assert (bench.root / ".Empty" / UIDLIST_FILE).read_text().startswith(f"3 V{validity} N0000000001 ")


def test_a_delivery_that_another_server_moves_first_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(MESSAGE)
    settle(bench)
    (bench.root / "new" / "x").write_bytes(MESSAGE)
    real = HeldFiles.accept

    def beaten(files: HeldFiles, names: Sequence[str]) -> list[str | None]:
        (bench.root / "new" / "x").rename(bench.root / "cur" / "x:2,")
        return real(files, names)

    monkeypatch.setattr(HeldFiles, "accept", beaten)
    bench.look()
    assert bench.names()[2] == "x:2,"
    assert bench.lane.folder(bench.number()).verify
