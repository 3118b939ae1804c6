from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.maildir import chasing
from mailpost.storage.maildir import folder as module
from mailpost.storage.maildir.directories import create_folder
from mailpost.storage.maildir.filename import base_of
from mailpost.storage.maildir.folder import FileFacts, FolderFiles, Listing
from mailpost.storage.maildir.layout import MaildirPlusPlus


def put(root: Path, name: str, octets: bytes = b"Subject: x\n\nhi\n", place: str = "cur") -> str:
    (root / place / name).write_bytes(octets)
    return name


def test_opening_makes_what_is_missing(root: Path, root_fd: int) -> None:
    (root / ".A" / "cur").mkdir(parents=True)
    (root / "cur").rmdir()
    for directory in (".A", "."):
        FolderFiles.open(root_fd, directory).close()
    for place in (root / ".A" / "new", root / ".A" / "tmp", root / "cur"):
        assert place.stat().st_mode & 0o777 == 0o700


def test_a_directory_without_cur_is_no_folder_and_never_made_one(root: Path, root_fd: int) -> None:
    (root / ".A" / "new").mkdir(parents=True)
    with pytest.raises(MailError) as caught:
        FolderFiles.open(root_fd, ".A")
    assert caught.value.kind is ErrorKind.NO_SUCH_FOLDER
    assert os.listdir(root / ".A") == ["new"]


def test_opening_follows_no_link(root: Path, root_fd: int, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / ".L").symlink_to(outside)
    (root / ".M").mkdir()
    (root / ".M" / "cur").symlink_to(outside)
    (root / ".F").write_text("")
    for directory in (".L", ".M", ".F", ".N"):
        with pytest.raises(MailError) as caught:
            FolderFiles.open(root_fd, directory)
        assert caught.value.kind is ErrorKind.NO_SUCH_FOLDER
    assert os.listdir(outside) == []


def test_a_closed_folder_leaks_no_descriptor(root_fd: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    create_folder(root_fd, MaildirPlusPlus(), ".A")
    FolderFiles.open(root_fd, ".A").close()
    with pytest.raises(MailError):
        FolderFiles.open(root_fd, ".Missing")
    assert len(os.listdir("/proc/self/fd")) == before


def test_listing(root: Path, inbox: FolderFiles) -> None:
    put(root, "1.h:2,S")
    put(root, "2.h")
    put(root, "3.h", place="new")
    put(root, ".hidden")
    (root / "cur" / "directory").mkdir()
    (root / "cur" / "link").symlink_to("/etc/passwd")
    os.mkfifo(root / "new" / "fifo")
    assert inbox.listing() == Listing({"1.h": "1.h:2,S", "2.h": "2.h"}, {"3.h": "3.h"}, [])


def test_messages_are_read_with_any_expected_size(root: Path, inbox: FolderFiles) -> None:
    put(root, "lf:2,", b"a: b\n\nhi\n")
    put(root, "crlf:2,", b"a: b\r\n\r\nhi\n")
    put(root, "empty:2,", b"")
    for size in (0, 1, 5, 9, 12, 10_000, 1 << 40, -1):
        got = inbox.read([("lf:2,", size), ("crlf:2,", size), ("empty:2,", size)])
        assert got == [b"a: b\r\n\r\nhi\r\n", b"a: b\r\n\r\nhi\n", b""]


def test_what_is_no_plain_file_is_not_read(root: Path, inbox: FolderFiles) -> None:
    (root / "cur" / "directory").mkdir()
    (root / "cur" / "link").symlink_to("/etc/passwd")
    assert inbox.read([("directory", 0), ("link", 0), ("missing", 0)]) == [None, None, None]


def test_reading_finds_a_renamed_message(root: Path, inbox: FolderFiles) -> None:
    put(root, "1.h:2,FS", b"one\n")
    put(root, "2.h", b"two\n", place="new")
    put(root, "3.h:2,", b"three\n")
    assert inbox.read([("1.h:2,", 0), ("2.h:2,", 0), ("3.h:2,", 0), ("4.h:2,", 0)]) == [
        b"one\r\n",
        b"two\r\n",
        b"three\r\n",
        None,
    ]
    assert (root / "cur" / "2.h:2,").exists()


def test_facts(root: Path, inbox: FolderFiles) -> None:
    put(root, "1.h:2,S", b"12345")
    os.utime(root / "cur" / "1.h:2,S", (1, 837_590_685))
    assert inbox.facts(["1.h:2,", "none:2,"]) == [FileFacts(5, 837_590_685), None]


def test_renaming(root: Path, inbox: FolderFiles) -> None:
    put(root, "1.h:2,")
    put(root, "2.h:2,S")
    put(root, "3.h")
    changes = [("1.h:2,", "S"), ("2.h:2,S", "S"), ("3.h", ""), ("4.h:2,", "S")]
    assert inbox.rename(changes) == ["1.h:2,S", "2.h:2,S", "3.h:2,", None]
    assert sorted(os.listdir(root / "cur")) == ["1.h:2,S", "2.h:2,S", "3.h:2,"]


def test_renaming_merges_with_another_program(root: Path, inbox: FolderFiles) -> None:
    put(root, "1.h:2,FRSZ")
    assert inbox.rename([("1.h:2,FS", "ST")]) == ["1.h:2,RSTZ"]
    assert inbox.rename([("1.h:2,", "")]) == ["1.h:2,RSTZ"]


def test_removing(root: Path, inbox: FolderFiles) -> None:
    put(root, "1.h:2,")
    put(root, "2.h:2,ST")
    assert inbox.remove(["1.h:2,", "2.h:2,T", "3.h:2,"]) == [True, True, False]
    assert os.listdir(root / "cur") == []


def test_accepting(root: Path, inbox: FolderFiles) -> None:
    put(root, "1.h", place="new")
    put(root, "2.h:2,S", place="new")
    assert inbox.accept(["1.h", "2.h:2,S", "3.h"]) == ["1.h:2,", "2.h:2,S", None]
    assert sorted(os.listdir(root / "cur")) == ["1.h:2,", "2.h:2,S"]


def test_twins_are_parted(root: Path, inbox: FolderFiles) -> None:
    put(root, "1.h:2,", b"one")
    put(root, "1.h:2,S", b"other")
    put(root, "2.h:2,", b"same")
    os.link(root / "cur" / "2.h:2,", root / "new" / "2.h")
    put(root, "3.h:2,", b"three")
    listing = inbox.listing()
    assert len(listing.repeated) == 2
    fresh = inbox.part_twins([*listing.repeated, "cur/3.h:2,", "new/gone"])
    assert len(fresh) == 1
    after = inbox.listing()
    assert after.repeated == []
    assert after.new == {} or after.cur.keys().isdisjoint(after.new)
    assert len(after.cur) + len(after.new) == 4
    assert base_of(fresh[0]) in after.cur


def test_what_a_settled_listing_misses_is_gone(root: Path, inbox: FolderFiles) -> None:
    put(root, "1.h:2,S")
    put(root, "2.h", place="new")
    gone, second = inbox.certainly_gone(["1.h", "2.h", "3.h"])
    assert gone == {"3.h"}
    assert set(second.cur) | set(second.new) == {"1.h", "2.h"}


def test_nothing_is_gone_while_the_folder_changes(
    root: Path, inbox: FolderFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inbox.listing
    number = 0

    def busy() -> Listing:
        nonlocal number
        number += 1
        put(root, f"busy{number}:2,")
        return real()

    monkeypatch.setattr(FolderFiles, "listing", lambda self: busy())
    gone, second = inbox.certainly_gone(["1.h"])
    assert gone == set()
    assert second.cur
    assert number == module._MOST_LISTINGS


def test_a_change_just_before_is_waited_out(root: Path, inbox: FolderFiles) -> None:
    put(root, "1.h:2,S")
    started = time.monotonic()
    assert inbox.settled_listing()[1]
    assert time.monotonic() - started >= module._CLOCK_TICK / 2


def test_a_clock_ahead_stops_nothing(root: Path, inbox: FolderFiles) -> None:
    then = time.time() + 1000
    os.utime(root / "cur", (then, then))
    assert inbox.certainly_gone(["1.h"])[0] == {"1.h"}


def test_errors_that_are_none_of_a_missing_file_pass(inbox: FolderFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Callable[[], None]:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "unlink", broken)
    with pytest.raises(MailError) as caught:
        inbox.remove(["1.h:2,"])
    assert caught.value.kind is ErrorKind.UNAVAILABLE


def test_a_listing_tells_whether_anything_changed_since(root: Path, inbox: FolderFiles) -> None:
    put(root, "1.h:2,")
    assert inbox.listing().changed_at == (0, 0)
    time.sleep(2 * module._CLOCK_TICK)
    listing = inbox.listing()
    assert listing.changed_at == inbox.changed_at()
    put(root, "2.h", place="new")
    assert listing.changed_at != inbox.changed_at()


def test_no_message_is_called_gone_while_all_are_renamed(root: Path, inbox: FolderFiles) -> None:
    bases = [f"{number}.host" for number in range(300)]
    for base in bases:
        put(root, base + ":2,", b"x\n")
    stop = threading.Event()

    def rename() -> None:
        letters = ["", "S"]
        while not stop.is_set():
            for base in bases:
                (root / "cur" / f"{base}:2,{letters[0]}").rename(root / "cur" / f"{base}:2,{letters[1]}")
            letters.reverse()
            time.sleep(0.005)

    renamer = threading.Thread(target=rename)
    renamer.start()
    try:
        for _ in range(5):
            assert inbox.certainly_gone([*bases, "gone.host"])[0] <= {"gone.host"}
    finally:
        stop.set()
        renamer.join()
    assert inbox.certainly_gone([*bases, "gone.host"])[0] == {"gone.host"}
    assert inbox.read([(base + ":2,T", 0) for base in bases]) == [b"x\r\n"] * 300


def test_a_message_with_other_letters_is_found_without_a_listing(
    root: Path, inbox: FolderFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root, "1.h:2,FSa", b"x\n")
    monkeypatch.setattr(os, "scandir", lambda *_: pytest.fail("listed"))
    assert inbox.read([("1.h:2,a", 0)]) == [b"x\r\n"]
    assert inbox.rename([("1.h:2,Sa", "RSa")]) == ["1.h:2,FRSa"]


def test_many_messages_with_other_letters_are_found_in_one_listing(
    root: Path, inbox: FolderFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(100):
        put(root, f"{number}.h:2,S", b"x\n")
    real, listings = os.scandir, []

    def scandir(place: Any) -> Any:
        listings.append(place)
        return real(place)

    monkeypatch.setattr(os, "scandir", scandir)
    assert inbox.read([(f"{number}.h:2,", 0) for number in range(100)]) == [b"x\r\n"] * 100
    assert len(listings) == 1


def test_the_chase_after_a_message_ends(root: Path, inbox: FolderFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "1.h:2,", b"x\n")
    real, busy = chasing._met, []

    def met(files: FolderFiles, missing: dict[str, int]) -> Iterator[str]:
        busy.append(len(busy))
        put(root, f"busy{len(busy)}:2,")
        time.sleep(0.02)
        return real(files, missing)

    with monkeypatch.context() as patched:
        patched.setattr(chasing, "_met", met)
        assert inbox.read([("gone.h:2,", 0), ("1.h:2,", 0)], 0.1) == [None, b"x\r\n"]
    assert 1 < len(busy) < 10
    assert inbox.read([("gone.h:2,", 0)], 0.1) == [None]
