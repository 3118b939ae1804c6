"""Folders that lie in each other, as Dovecot keeps them with LAYOUT=fs."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.maildir import nesting
from mailpost.storage.maildir.directories import (
    create_folder,
    list_folders,
    purge_trash,
    remove_folder,
    rename_folders,
)
from mailpost.storage.maildir.folder import FolderFiles
from mailpost.storage.maildir.layout import Nested

LAYOUT = Nested()


def make(root: Path, *directories: str) -> None:
    """Folders, as another program makes them."""
    for directory in directories:
        for name in ("cur", "new", "tmp"):
            (root / directory / name).mkdir(parents=True, exist_ok=True)


def directories(root_fd: int) -> list[str]:
    return [each.directory for each in list_folders(root_fd, LAYOUT)]


def refused(kind: ErrorKind, work: Callable[[], object]) -> None:
    with pytest.raises(MailError) as caught:
        work()
    assert caught.value.kind is kind


def test_what_is_a_folder_and_what_is_not(root: Path, root_fd: int) -> None:
    make(root, "Work/Reports", ".dot/x", "Gr&APYA3w-e", "cur/inner", "Deep/new/inner", "Deep", "dbox-Mails", "~h")
    make(root, "INBOX", "INBOX/Sub", "tmp/..mailpost-trash.1", "..DOVECOT-TRASHED", "star*", "x\ny")
    (root / "plain").mkdir()
    (root / "only" / "new").mkdir(parents=True)
    (root / "file").write_text("")
    (root / "link").symlink_to("Work")
    assert {folder.name: folder.directory for folder in list_folders(root_fd, LAYOUT)} == {
        "INBOX": ".",
        "Work/Reports": "Work/Reports",
        ".dot/x": ".dot/x",
        "Größe": "Gr&APYA3w-e",
        "Deep": "Deep",
        "dbox-Mails": "dbox-Mails",
        "~h": "~h",
        "INBOX/Sub": "INBOX/Sub",
        "star*": "star*",
        "x\ufffdy": "x\ny",
    }


def test_folders_are_made_in_each_other(root: Path, root_fd: int) -> None:
    create_folder(root_fd, LAYOUT, "A/B/C")
    assert directories(root_fd) == [".", "A/B/C"]
    assert sorted(os.listdir(root / "A" / "B" / "C")) == ["cur", "new", "tmp"], "no file that others do not know"
    create_folder(root_fd, LAYOUT, "A")
    assert directories(root_fd) == [".", "A", "A/B/C"], "a directory on the way became a folder"
    for directory in ("A", "A/B/C"):
        refused(ErrorKind.FOLDER_EXISTS, lambda directory=directory: create_folder(root_fd, LAYOUT, directory))
    for place in (root / "A", root / "A" / "B", root / "A" / "cur"):
        assert place.stat().st_mode & 0o777 == 0o700


def test_what_is_in_the_way_is_left_alone(root: Path, root_fd: int) -> None:
    (root / "file").write_text("kept")
    (root / "link").symlink_to("/tmp")
    for directory in ("file", "link"):
        refused(ErrorKind.FOLDER_EXISTS, lambda directory=directory: create_folder(root_fd, LAYOUT, directory))
    assert (root / "file").read_text() == "kept"
    assert (root / "link").is_symlink()


def test_a_folder_that_cannot_be_made_leaves_nothing(root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    make_directory = nesting.make_directory

    def full(name: str, dir_fd: int) -> None:
        if name == "cur":
            raise OSError(errno.ENOSPC, "full")
        make_directory(name, dir_fd)

    (root / "plain").mkdir()
    monkeypatch.setattr(nesting, "make_directory", full)
    for directory in ("A", "plain"):
        refused(ErrorKind.DISK_FULL, lambda directory=directory: create_folder(root_fd, LAYOUT, directory))
    assert sorted(os.listdir(root)) == ["cur", "new", "plain", "tmp"]
    assert not os.listdir(root / "plain")


def test_a_folder_goes_and_those_in_it_stay(root: Path, root_fd: int) -> None:
    make(root, "A", "A/B")
    (root / "A" / "cur" / "1:2,").write_text("")
    (root / "A" / "dovecot-uidlist").write_text("")
    remove_folder(root_fd, LAYOUT, "A")
    assert directories(root_fd) == [".", "A/B"]
    assert os.listdir(root / "A") == ["B"], "its UIDs are not those of a later one"
    refused(ErrorKind.NO_SUCH_FOLDER, lambda: remove_folder(root_fd, LAYOUT, "A"))
    remove_folder(root_fd, LAYOUT, "A/B")
    assert directories(root_fd) == ["."]
    assert sorted(os.listdir(root)) == ["cur", "new", "tmp"], "what was only on the way goes too"
    assert len(os.listdir(root / "tmp")) == 2
    assert not purge_trash(root_fd, LAYOUT, 1)
    assert purge_trash(root_fd, LAYOUT)
    assert not os.listdir(root / "tmp")
    refused(ErrorKind.NO_SUCH_FOLDER, lambda: remove_folder(root_fd, LAYOUT, "A/B"))
    refused(ErrorKind.CANNOT, lambda: remove_folder(root_fd, LAYOUT, "."))


def test_what_somebody_put_beside_a_folder_keeps_its_directory(root: Path, root_fd: int) -> None:
    make(root, "A/B")
    (root / "A" / "notes").write_text("mine")
    remove_folder(root_fd, LAYOUT, "A/B")
    assert os.listdir(root / "A") == ["notes"]
    assert directories(root_fd) == ["."]


def test_a_tree_is_renamed_in_one_step(root: Path, root_fd: int) -> None:
    make(root, "A", "A/B/C", "AB", "Z")
    moves = LAYOUT.moves(directories(root_fd), "A", "N/M")
    rename_folders(root_fd, LAYOUT, moves)
    assert directories(root_fd) == [".", "AB", "N/M", "N/M/B/C", "Z"]
    rename_folders(root_fd, LAYOUT, moves)
    rename_folders(root_fd, LAYOUT, [(new, old) for old, new in moves])
    assert directories(root_fd) == [".", "A", "A/B/C", "AB", "Z"]
    assert sorted(os.listdir(root)) == ["A", "AB", "Z", "cur", "new", "tmp"]


def test_a_name_above_folders_is_renamed_too(root: Path, root_fd: int) -> None:
    make(root, "A/B")
    (root / "N").mkdir()
    rename_folders(root_fd, LAYOUT, LAYOUT.moves(directories(root_fd), "A", "N"))
    assert directories(root_fd) == [".", "N/B"], "onto an empty directory that was no folder"


def test_nothing_is_renamed_onto_something_else(root: Path, root_fd: int) -> None:
    make(root, "A", "A/B", "N")
    (root / "file").write_text("")
    (root / "full" / "of").mkdir(parents=True)
    for new in ("N", "file", "full"):
        moves = LAYOUT.moves(directories(root_fd), "A", new)
        refused(ErrorKind.FOLDER_EXISTS, lambda moves=moves: rename_folders(root_fd, LAYOUT, moves))
    moves = LAYOUT.moves(directories(root_fd), "A", "x/file/" + "n" * 256)
    refused(ErrorKind.BAD_FOLDER_NAME, lambda: rename_folders(root_fd, LAYOUT, moves))
    assert directories(root_fd) == [".", "A", "A/B", "N"]
    assert not (root / "x").exists()


def test_links_on_the_way_are_not_followed(root: Path, root_fd: int, tmp_path: Path) -> None:
    make(tmp_path / "elsewhere", "B")
    (root / "A").symlink_to(tmp_path / "elsewhere")
    assert directories(root_fd) == ["."]
    refused(ErrorKind.NO_SUCH_FOLDER, lambda: FolderFiles.open(root_fd, "A/B", must_have_cur=True))
    for work in (
        lambda: create_folder(root_fd, LAYOUT, "A/C"),
        lambda: remove_folder(root_fd, LAYOUT, "A/B"),
        lambda: rename_folders(root_fd, LAYOUT, [("A/B", "C")]),
    ):
        with pytest.raises((MailError, OSError)):
            work()
    assert sorted(os.listdir(tmp_path / "elsewhere")) == ["B"]


def test_a_folder_that_is_gone_is_not_made_by_looking(root: Path, root_fd: int) -> None:
    make(root, "A", "A/B")
    (root / "A" / "cur").rmdir()
    refused(ErrorKind.NO_SUCH_FOLDER, lambda: FolderFiles.open(root_fd, "A", must_have_cur=True))
    (root / "A" / "B" / "tmp").rmdir()
    FolderFiles.open(root_fd, "A/B", must_have_cur=True).close()
    assert sorted(os.listdir(root / "A" / "B")) == ["cur", "new", "tmp"]


def test_very_deep_directories_do_no_harm(root: Path, root_fd: int) -> None:
    deep = root
    for _ in range(150):
        deep /= "d"
        deep.mkdir()
    make(root, "d/d/d")
    assert directories(root_fd) == [".", "d/d/d"]
