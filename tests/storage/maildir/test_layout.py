from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.maildir import layout as module
from mailpost.storage.maildir.layout import (
    ROOT,
    FolderDirectory,
    Layout,
    create_folder,
    list_folders,
    moves_of_rename,
    open_root,
    purge_trash,
    remove_folder,
    rename_folders,
)

LAYOUT = Layout()


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        ("INBOX", "."),
        ("inbox", "."),
        ("INBOX/Sub", ".INBOX.Sub"),
        ("inBox/Sub", ".INBOX.Sub"),
        ("A/B", ".A.B"),
        ("A.B", r".A\2eB"),
        ("Büch.er/&x", r".B&APw-ch\2eer.&-x"),
        (r"back\slash", r".back\5cslash"),
        ("A/~u", r".A.\7eu"),
        ("a~", ".a~"),
        ("x y", ".x y"),
        ("日本", ".&ZeVnLA-"),
    ],
)
def test_directories_are_named_as_dovecot_names_them(name: str, directory: str) -> None:
    assert LAYOUT.directory(name) == directory
    read = LAYOUT.name(directory)
    assert read is not None
    assert read.upper() == name.upper()


def test_other_separators_and_utf8() -> None:
    assert Layout(".").directory("A.b/c") == r".A.b\2fc"
    assert Layout(".").name(r".A.b\2fc") == "A.b/c"
    assert Layout(utf8=True).directory("Bücher/日本") == ".Bücher.日本"
    assert Layout(utf8=True).name(".Bücher.日本") == "Bücher/日本"


@pytest.mark.parametrize(
    "name",
    ["", "/", "/A", "A/", "A//B", "..", "A/..", "../A", ".", "A/./B", "A\x00B", "A\nB", "A\x7f", "\x85", "\ud800"],
)
def test_names_that_no_folder_may_have(name: str) -> None:
    with pytest.raises(MailError) as caught:
        LAYOUT.directory(name)
    assert caught.value.kind is ErrorKind.BAD_FOLDER_NAME


def test_a_name_is_measured_in_octets_on_the_disk() -> None:
    assert len(LAYOUT.directory("a" * 254)) == 255
    for name in ("a" * 255, "日本" * 60, "." + "." * 100):
        with pytest.raises(MailError) as caught:
            LAYOUT.directory(name)
        assert caught.value.kind is ErrorKind.BAD_FOLDER_NAME


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_a_name_never_leaves_the_root(name: str) -> None:
    try:
        directory = LAYOUT.directory(name)
    except MailError:
        return
    assert "/" not in directory
    assert directory.startswith(".")
    assert not directory.startswith("..")
    assert len(directory.encode()) <= 255


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8), min_size=1, max_size=3),
    st.sampled_from("/.|"),
    st.booleans(),
)
def test_names_and_directories_are_one_to_one(levels: list[str], separator: str, utf8: bool) -> None:
    layout = Layout(separator, utf8)
    name = separator.join(levels)
    try:
        directory = layout.directory(name)
    except MailError:
        return
    read = layout.name(directory)
    assert read is not None
    assert layout.directory(read) == directory
    assert read == name or name.upper().startswith("INBOX")


@given(st.text(st.sampled_from("aB.\\25ef&-~üIN"), max_size=12))
def test_a_directory_that_has_a_name_is_what_the_name_has(text: str) -> None:
    name = LAYOUT.name("." + text)
    if name is not None:
        assert LAYOUT.directory(name) == "." + text


@pytest.mark.parametrize("directory", ["", "A", "..", "..A", ".A..B", ".A.", ".INBOX", ".Inbox"])
def test_directories_that_are_no_folders(directory: str) -> None:
    assert LAYOUT.name(directory) is None
    assert LAYOUT.lenient_name(directory) is None


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
        create_folder(root_fd, LAYOUT.directory(name))
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
        create_folder(root_fd, ".B")
    assert caught.value.kind is ErrorKind.FOLDER_EXISTS
    assert not [name for name in os.listdir(root) if name.startswith("..")]


def test_a_folder_in_the_way_is_never_a_file_or_a_link(root: Path, root_fd: int) -> None:
    (root / ".F").write_text("")
    (root / ".L").symlink_to("/tmp")
    for directory in (".F", ".L"):
        with pytest.raises(MailError) as caught:
            create_folder(root_fd, directory)
        assert caught.value.kind is ErrorKind.FOLDER_EXISTS


def test_files_links_and_odd_directories_in_the_root(root: Path, root_fd: int) -> None:
    (root / ".file").write_text("")
    (root / ".link").symlink_to("/tmp")
    for name in ("plain", "..DOVECOT-TRASHED", ".INBOX", ".B&APw-x", ".Büx", r".a\2Eb", ".a&b", ".inbox.Sub", ".x\ny"):
        (root / name).mkdir()
    assert {folder.name: folder.directory for folder in list_folders(root_fd, LAYOUT)} == {
        "INBOX": ".",
        "INBOX/Sub": ".inbox.Sub",
        "Büx": ".B&APw-x",
        "Büx~": ".Büx",
        "a&b": ".a&b",
        "a.b": r".a\2Eb",
        "x\ufffdy": ".x\ny",
    }


def test_a_removed_folder_is_out_of_sight_and_purged_in_slices(root: Path, root_fd: int) -> None:
    create_folder(root_fd, ".A")
    create_folder(root_fd, ".A.B")
    for number in range(10):
        (root / ".A" / "cur" / f"{number}:2,").write_text("")
    (root / ".A" / "odd").symlink_to(root / ".A.B")
    remove_folder(root_fd, ".A")
    assert [folder.name for folder in list_folders(root_fd, LAYOUT)] == ["INBOX", "A/B"]
    assert not purge_trash(root_fd, 5)
    assert not purge_trash(root_fd, 5)
    assert purge_trash(root_fd, 5)
    assert sorted(os.listdir(root)) == [".A.B", "cur", "new", "tmp"]
    assert (root / ".A.B" / "cur").is_dir()


def test_a_folder_in_the_making_is_purged_only_when_abandoned(
    root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "..mailpost-new.1" / "cur").mkdir(parents=True)
    assert purge_trash(root_fd)
    assert (root / "..mailpost-new.1").exists()
    monkeypatch.setattr(module, "_MAKING_SECONDS", -1)
    assert purge_trash(root_fd)
    assert not (root / "..mailpost-new.1").exists()


def test_a_directory_that_fills_while_it_is_purged_goes_the_next_time(
    root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_folder(root_fd, ".A")
    remove_folder(root_fd, ".A")
    with monkeypatch.context() as patch:

        def busy(name: str, *, dir_fd: int) -> None:
            raise OSError(errno.ENOTEMPTY, "not empty")

        patch.setattr(os, "rmdir", busy)
        assert purge_trash(root_fd)
    assert any(name.startswith("..") for name in os.listdir(root))
    assert purge_trash(root_fd)
    assert sorted(os.listdir(root)) == ["cur", "new", "tmp"]


def test_what_cannot_be_removed(root_fd: int) -> None:
    with pytest.raises(MailError) as caught:
        remove_folder(root_fd, ".A")
    assert caught.value.kind is ErrorKind.NO_SUCH_FOLDER
    with pytest.raises(MailError) as caught:
        remove_folder(root_fd, ROOT)
    assert caught.value.kind is ErrorKind.CANNOT


def test_a_failed_creation_leaves_nothing(root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(name: str, dir_fd: int) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(module, "create_file", full)
    with pytest.raises(MailError) as caught:
        create_folder(root_fd, ".A")
    assert caught.value.kind is ErrorKind.DISK_FULL
    assert sorted(os.listdir(root)) == ["cur", "new", "tmp"]


def test_renaming_takes_the_folders_below_along(root: Path, root_fd: int) -> None:
    for directory in (".A", ".A.B", ".A.B.C", ".AB", ".Z"):
        create_folder(root_fd, directory)
    directories = [folder.directory for folder in list_folders(root_fd, LAYOUT)]
    moves = moves_of_rename(directories, ".A", ".N.M")
    assert moves == [(".A", ".N.M"), (".A.B", ".N.M.B"), (".A.B.C", ".N.M.B.C")]
    rename_folders(root_fd, moves[:1])
    rename_folders(root_fd, moves)
    assert [folder.name for folder in list_folders(root_fd, LAYOUT)] == ["INBOX", "AB", "N/M", "N/M/B", "N/M/B/C", "Z"]
    rename_folders(root_fd, [(new, old) for old, new in moves])
    assert (root / ".A.B.C").is_dir()


def test_renaming_onto_a_folder_changes_nothing(root: Path, root_fd: int) -> None:
    for directory in (".A", ".A.B", ".N.B"):
        create_folder(root_fd, directory)
    with pytest.raises(MailError) as caught:
        rename_folders(root_fd, [(".A", ".N"), (".A.B", ".N.B")])
    assert caught.value.kind is ErrorKind.FOLDER_EXISTS
    with pytest.raises(MailError) as caught:
        rename_folders(root_fd, [(".A", ".N"), (".A.B", "." + "n" * 255)])
    assert caught.value.kind is ErrorKind.BAD_FOLDER_NAME
    assert (root / ".A").is_dir()


def test_what_the_disk_refuses_has_a_kind(root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    create_folder(root_fd, ".A")
    monkeypatch.setattr(os, "rename", refuse)
    monkeypatch.setattr(os, "unlink", refuse)
    monkeypatch.setattr(os, "mkdir", refuse)
    for failing in (
        lambda: remove_folder(root_fd, ".A"),
        lambda: rename_folders(root_fd, [(".A", ".B")]),
        lambda: open_root(root / "new root"),
        lambda: open_root(root / ".A" / "cur"),
    ):
        with pytest.raises(MailError) as caught:
            failing()
        assert caught.value.kind is ErrorKind.READ_ONLY
