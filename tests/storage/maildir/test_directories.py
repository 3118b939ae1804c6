from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.maildir import directories as module
from mailpost.storage.maildir.directories import (
    FolderDirectory,
    create_folder,
    folder_places,
    list_folders,
    open_root,
    purge_trash,
    remove_folder,
    remove_leavings,
    rename_folders,
)
from mailpost.storage.maildir.layout import ROOT, MaildirPlusPlus, Nested

LAYOUT = MaildirPlusPlus()


def test_the_root_is_made_durable_and_private(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c"
    os.close(open_root(path))
    os.close(open_root(path))
    for directory in (path, path.parent, path / "cur", path / "new", path / "tmp"):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    os.close(open_root(tmp_path / "link"))
    assert (tmp_path / "real" / "cur").is_dir()


def test_folders_are_made_and_listed(root: Path, root_fd: int) -> None:
    for name in ("B", "A/B", "A.B", "Bücher"):
        create_folder(root_fd, LAYOUT, LAYOUT.directory(name))
    assert list_folders(root_fd, LAYOUT) == [
        FolderDirectory("INBOX", ROOT),
        FolderDirectory("A.B", r".A\2eB"),
        FolderDirectory("A/B", ".A.B"),
        FolderDirectory("B", ".B"),
        FolderDirectory("Bücher", ".B&APw-cher"),
    ]
    assert sorted(os.listdir(root / ".B")) == ["cur", "maildirfolder", "new", "tmp"]
    assert (root / ".B" / "cur").stat().st_mode & 0o777 == 0o700
    with pytest.raises(MailError) as caught:
        create_folder(root_fd, LAYOUT, ".B")
    assert caught.value.kind is ErrorKind.FOLDER_EXISTS
    assert not [name for name in os.listdir(root) if name.startswith("..")]


def test_a_folder_in_the_way_is_never_a_file_or_a_link(root: Path, root_fd: int) -> None:
    (root / ".F").write_text("")
    (root / ".L").symlink_to("/tmp")
    for directory in (".F", ".L"):
        with pytest.raises(MailError) as caught:
            create_folder(root_fd, LAYOUT, directory)
        assert caught.value.kind is ErrorKind.FOLDER_EXISTS


def test_files_links_and_odd_directories_in_the_root(root: Path, root_fd: int) -> None:
    (root / ".file").write_text("")
    (root / ".link").symlink_to("/tmp")
    for name in ("plain", "..DOVECOT-TRASHED", ".INBOX", ".B&APw-x", ".Büx", r".a\2Eb", ".a&b", ".inbox.Sub", ".x\ny"):
        (root / name / "cur").mkdir(parents=True)
    (root / ".cache").mkdir()
    (root / ".config").mkdir()
    (root / ".config" / "cur").write_text("")
    assert {folder.name: folder.directory for folder in list_folders(root_fd, LAYOUT)} == {
        "INBOX": ".",
        "INBOX/Sub": ".inbox.Sub",
        "Büx": ".B&APw-x",
        "Büx~": ".Büx",
        "a&b": ".a&b",
        "a.b": r".a\2Eb",
        "x\ufffdy": ".x\ny",
    }


def test_a_folder_that_may_not_be_looked_into_is_one(root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    create_folder(root_fd, LAYOUT, ".A")
    real = os.stat

    def refusing(path: str, **named: Any) -> os.stat_result:
        if path == ".A/cur":
            raise PermissionError(errno.EACCES, path)
        return real(path, **named)

    monkeypatch.setattr(os, "stat", refusing)
    assert [folder.name for folder in list_folders(root_fd, LAYOUT)] == ["INBOX", "A"]


def test_what_is_no_folder_can_become_one(root: Path, root_fd: int) -> None:
    (root / ".A" / "new").mkdir(parents=True)
    (root / ".A" / "dovecot-uidlist").write_text("3 V7 N9\n")
    (root / ".B").mkdir()
    for directory in (".A", ".B"):
        create_folder(root_fd, LAYOUT, directory, {"dovecot-uidlist": b"3 V8 N1\n"})
    assert [folder.name for folder in list_folders(root_fd, LAYOUT)] == ["INBOX", "A", "B"]
    assert (root / ".A" / "dovecot-uidlist").read_text() == "3 V7 N9\n", "UIDs that were given out are so"
    assert sorted(os.listdir(root / ".B")) == ["cur", "dovecot-uidlist", "maildirfolder", "new", "tmp"]


@pytest.mark.parametrize(
    ("within", "stays"),
    [
        (["dovecot-uidlist", "dovecot-keywords"], False),
        (["dovecot-uidlist"], False),
        ([], True),
        (["dovecot-uidlist", "notes"], True),
    ],
)
def test_only_what_servers_left_is_removed(root: Path, root_fd: int, within: list[str], stays: bool) -> None:
    (root / ".A").mkdir()
    for name in within:
        (root / ".A" / name).write_text("")
    remove_leavings(root_fd, ".A")
    remove_leavings(root_fd, ".Never")
    assert (root / ".A").exists() == stays
    if stays:
        assert sorted(os.listdir(root / ".A")) == sorted(within)


def test_the_places_where_folders_are_made(root: Path, root_fd: int) -> None:
    create_folder(root_fd, LAYOUT, ".A")
    (root / ".B" / "new").mkdir(parents=True)
    (root / "..mailpost-new.1").mkdir()
    assert folder_places(root_fd, LAYOUT, 9) == [".", ".B"]
    assert folder_places(root_fd, LAYOUT, 1) == ["."]
    nested = Nested()
    for name in ("A/B/cur", "C/D/E"):
        (root / name).mkdir(parents=True)
    assert folder_places(root_fd, nested, 99)[:1] == ["."]
    assert {"A", "A/B", "C", "C/D", "C/D/E"} <= set(folder_places(root_fd, nested, 99))
    assert not any(each.endswith(("cur", "new", "tmp")) for each in folder_places(root_fd, nested, 99))


def test_a_removed_folder_is_out_of_sight_and_purged_in_slices(root: Path, root_fd: int) -> None:
    create_folder(root_fd, LAYOUT, ".A")
    create_folder(root_fd, LAYOUT, ".A.B")
    for number in range(10):
        (root / ".A" / "cur" / f"{number}:2,").write_text("")
    (root / ".A" / "odd").symlink_to(root / ".A.B")
    remove_folder(root_fd, LAYOUT, ".A")
    assert [folder.name for folder in list_folders(root_fd, LAYOUT)] == ["INBOX", "A/B"]
    assert not purge_trash(root_fd, LAYOUT, 5)
    assert not purge_trash(root_fd, LAYOUT, 5)
    assert purge_trash(root_fd, LAYOUT, 5)
    assert sorted(os.listdir(root)) == [".A.B", "cur", "new", "tmp"]
    assert (root / ".A.B" / "cur").is_dir()


def test_a_folder_in_the_making_is_purged_only_when_abandoned(
    root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "..mailpost-new.1" / "cur").mkdir(parents=True)
    assert purge_trash(root_fd, LAYOUT)
    assert (root / "..mailpost-new.1").exists()
    monkeypatch.setattr(module, "_MAKING_SECONDS", -1)
    assert purge_trash(root_fd, LAYOUT)
    assert not (root / "..mailpost-new.1").exists()


def test_a_directory_that_fills_while_it_is_purged_goes_the_next_time(
    root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_folder(root_fd, LAYOUT, ".A")
    remove_folder(root_fd, LAYOUT, ".A")
    with monkeypatch.context() as patch:

        def busy(name: str, *, dir_fd: int) -> None:
            raise OSError(errno.ENOTEMPTY, "not empty")

        patch.setattr(os, "rmdir", busy)
        assert purge_trash(root_fd, LAYOUT)
    assert any(name.startswith("..") for name in os.listdir(root))
    assert purge_trash(root_fd, LAYOUT)
    assert sorted(os.listdir(root)) == ["cur", "new", "tmp"]


def test_what_cannot_be_removed(root_fd: int) -> None:
    with pytest.raises(MailError) as caught:
        remove_folder(root_fd, LAYOUT, ".A")
    assert caught.value.kind is ErrorKind.NO_SUCH_FOLDER
    with pytest.raises(MailError) as caught:
        remove_folder(root_fd, LAYOUT, ROOT)
    assert caught.value.kind is ErrorKind.CANNOT


def test_a_failed_creation_leaves_nothing(root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(name: str, data: bytes, dir_fd: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(module, "make_file", full)
    with pytest.raises(MailError) as caught:
        create_folder(root_fd, LAYOUT, ".A")
    assert caught.value.kind is ErrorKind.DISK_FULL
    assert sorted(os.listdir(root)) == ["cur", "new", "tmp"]


def test_renaming_takes_the_folders_below_along(root: Path, root_fd: int) -> None:
    for directory in (".A", ".A.B", ".A.B.C", ".AB", ".Z"):
        create_folder(root_fd, LAYOUT, directory)
    directories = [folder.directory for folder in list_folders(root_fd, LAYOUT)]
    moves = LAYOUT.moves(directories, ".A", ".N.M")
    rename_folders(root_fd, LAYOUT, moves[:1])
    rename_folders(root_fd, LAYOUT, moves)
    assert [folder.name for folder in list_folders(root_fd, LAYOUT)] == ["INBOX", "AB", "N/M", "N/M/B", "N/M/B/C", "Z"]
    rename_folders(root_fd, LAYOUT, [(new, old) for old, new in moves])
    assert (root / ".A.B.C").is_dir()


def test_renaming_onto_a_folder_changes_nothing(root: Path, root_fd: int) -> None:
    for directory in (".A", ".A.B", ".N.B"):
        create_folder(root_fd, LAYOUT, directory)
    with pytest.raises(MailError) as caught:
        rename_folders(root_fd, LAYOUT, [(".A", ".N"), (".A.B", ".N.B")])
    assert caught.value.kind is ErrorKind.FOLDER_EXISTS
    with pytest.raises(MailError) as caught:
        rename_folders(root_fd, LAYOUT, [(".A", ".N"), (".A.B", "." + "n" * 255)])
    assert caught.value.kind is ErrorKind.BAD_FOLDER_NAME
    assert (root / ".A").is_dir()


def test_what_the_disk_refuses_has_a_kind(root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    create_folder(root_fd, LAYOUT, ".A")
    monkeypatch.setattr(os, "rename", refuse)
    monkeypatch.setattr(os, "unlink", refuse)
    monkeypatch.setattr(os, "mkdir", refuse)
    for failing in (
        lambda: remove_folder(root_fd, LAYOUT, ".A"),
        lambda: rename_folders(root_fd, LAYOUT, [(".A", ".B")]),
        lambda: open_root(root / "new root"),
        lambda: open_root(root / ".A" / "cur"),
    ):
        with pytest.raises(MailError) as caught:
            failing()
        assert caught.value.kind is ErrorKind.READ_ONLY
