"""Another server that serves the same tree: what it gave is kept, what it is about to say is waited for."""

from __future__ import annotations

import errno
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import SEEN, FlagChange, intern_flags
from mailpost.storage.index.messages import Spans
from mailpost.storage.maildir import behind, directories, scan, survey, tree, writing
from mailpost.storage.maildir.dotlock import locked
from mailpost.storage.maildir.folder import FolderFiles, Listing
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


def test_messages_have_their_lines_at_once(bench: Bench) -> None:
    bench.do(tree.create, "Archive", None)
    bench.append(MESSAGE, MESSAGE)
    (bench.root / "new" / "x").write_bytes(MESSAGE)
    bench.look()
    bench.do(writing.copy, bench.number(), bench.number("Archive"), ALL, move=False, origin=None)
    archive = read_uidlist(bench.lane.own_files(bench.lane.folder(bench.number("Archive"))).directory)
    assert archive is not None
    for known, folder in ((list_of(bench), "INBOX"), (archive, "Archive")):
        listed = {entry.uid: base for base, entry in known.entries.items()}
        assert listed == {uid: name.partition(":")[0] for uid, name in bench.names(folder).items()}
        assert (sorted(listed), known.uidnext) == ([1, 2, 3], 4)


def test_a_block_that_an_earlier_version_reserved_is_passed_over(bench: Bench) -> None:
    bench.append(MESSAGE)
    path = bench.root / UIDLIST_FILE
    path.write_text(re.sub(r" N\d+ ", " N0000001001 ", path.read_text()))
    row = bench.lane.folder(bench.number()).row
    assert row.uidnext == 2
    row.reserved = 1001
    assert bench.append(MESSAGE) == [1001]


def test_an_append_waits_for_another_server_and_gets_a_higher_uid(bench: Bench) -> None:
    bench.append(MESSAGE)

    def save() -> None:
        (bench.root / "cur" / "theirs:2,").write_bytes(MESSAGE)
        theirs(bench, "2 :theirs")

    with busy(bench, save):
        appended = bench.append(MESSAGE)
    assert appended == [3]
    assert bench.names()[2] == "theirs:2,"
    assert list_of(bench).entries.keys() == {name.partition(":")[0] for name in bench.names().values()}


def test_names_are_changed_while_nobody_else_has_the_lock(bench: Bench) -> None:
    (uid,) = bench.append(MESSAGE)
    bench.do(
        writing.store, bench.number(), ALL, change=FlagChange.ADD, named=intern_flags([SEEN]), limit=None, origin=None
    )
    shown: list[list[str]] = []
    with busy(bench, lambda: shown.append(bench.cur())):
        bench.do(behind.write_flags, bench.number())
    assert [name.partition(":2,")[2] for name in shown[0]] == [""]
    assert bench.names()[uid].endswith(":2,S")
    assert bench.cur() == [bench.names()[uid]]


@pytest.mark.parametrize("full", [True, False])
def test_names_are_changed_on_a_full_disk_and_not_in_a_folder_that_is_busy(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, full: bool
) -> None:
    (uid,) = bench.append(MESSAGE)
    bench.do(
        writing.store, bench.number(), ALL, change=FlagChange.ADD, named=intern_flags([SEEN]), limit=None, origin=None
    )
    refusal = OSError(errno.ENOSPC, "full") if full else MailError(ErrorKind.IN_USE, "busy")

    def refused(*_: object) -> None:
        raise refusal

    with monkeypatch.context() as patched:
        patched.setattr(behind, "locked", refused)
        with nullcontext() if full else pytest.raises(MailError, match="busy"):
            assert not bench.do(behind.write_flags, bench.number())
    assert bench.names()[uid].endswith(":2,S") == full
    assert not bench.do(behind.write_flags, bench.number())
    assert bench.names()[uid].endswith(":2,S")


def first_listing(monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, str]], object]) -> None:
    """The next listing of cur is changed by this, as one that ran while another server was at work."""
    real = survey._listed

    def listed(files: FolderFiles) -> tuple[Listing, int, bool, list[str]]:
        monkeypatch.setattr(survey, "_listed", real)
        listing, *others = real(files)
        change(listing.cur)
        return listing, *others

    monkeypatch.setattr(survey, "_listed", listed)


@pytest.mark.parametrize("before", [True, False])
def test_what_another_server_is_saving_is_taken_in_whole(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, before: bool
) -> None:
    """Two messages are copied at once: the listing shows the second alone, their lines come before it or after."""
    bench.append(MESSAGE)
    lines = ("2 :first", "3 :second")
    for name in ("first", "second"):
        (bench.root / "cur" / f"{name}:2,").write_bytes(MESSAGE)
    if before:
        theirs(bench, *lines)

    def change(seen: dict[str, str]) -> None:
        del seen["first"]
        if not before:
            theirs(bench, *lines)

    first_listing(monkeypatch, change)
    bench.look()
    assert bench.names().items() >= {2: "first:2,", 3: "second:2,"}.items()
    assert bench.append(MESSAGE) == [4]


def test_nothing_is_numbered_past_a_message_that_cannot_be_found_just_now(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.append(MESSAGE)
    for name in ("first", "second"):
        (bench.root / "cur" / f"{name}:2,").write_bytes(MESSAGE)
    theirs(bench, "2 :first", "3 :second")
    with monkeypatch.context() as restless:  # it is renamed all the time, and no listing shows it
        restless.setattr(HeldFiles, "certainly_gone", lambda *_: (set(), Listing()))
        real = survey._listed

        def listed(files: FolderFiles) -> tuple[Listing, int, bool, list[str]]:
            listing, *others = real(files)
            del listing.cur["first"]
            return listing, *others

        restless.setattr(survey, "_listed", listed)
        bench.look()
        assert list(bench.names()) == [1]
        with pytest.raises(MailError) as refused:
            bench.append(MESSAGE)
        assert refused.value.kind is ErrorKind.IN_USE
    assert bench.append(MESSAGE) == [4]
    assert bench.names().items() >= {2: "first:2,", 3: "second:2,"}.items()


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


def test_a_folder_has_its_list_from_the_first_moment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[str] = []

    def placed(place: str) -> None:
        if place == "directory.placed":
            heads.append((bench.root / ".Empty" / UIDLIST_FILE).read_text())

    monkeypatch.setattr(directories, "passed", placed)
    bench.do(tree.create, "Empty", None)
    validity = bench.lane.folder(bench.number("Empty")).row.uidvalidity
    assert [head.startswith(f"3 V{validity} N1 G") for head in heads] == [True]


def test_a_folder_without_messages_has_its_list_again(bench: Bench) -> None:
    bench.do(tree.create, "Empty", None)
    validity = bench.lane.folder(bench.number("Empty")).row.uidvalidity
    (bench.root / ".Empty" / UIDLIST_FILE).unlink()
    settle(bench, "Empty")
    assert (bench.root / ".Empty" / UIDLIST_FILE).read_text().startswith(f"3 V{validity} N1 ")


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
