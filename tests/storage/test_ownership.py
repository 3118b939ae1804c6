"""What the superuser makes belongs to the owner of the mail."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailpost.storage import ownership
from mailpost.storage.maildir.files import create_file, make_directory, open_directory, replace_file
from mailpost.storage.ownership import inherit_owner, make_private
from tests.storage.maildir.lanes import MESSAGE, Bench

SOMEBODY = (12_345, 23_456)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """(inode, owner, group) of what was given away by one who seems to be the superuser."""
    given: list[tuple[int, int, int]] = []
    monkeypatch.setattr(ownership.os, "geteuid", lambda: 0)
    monkeypatch.setattr(ownership.os, "fchown", lambda fd, *owner: given.append((os.fstat(fd).st_ino, *owner)))
    return given


def test_new_files_and_directories_take_the_owner_of_their_directory(
    tmp_path: Path, given: list[tuple[int, int, int]]
) -> None:
    owner = (tmp_path.stat().st_uid, tmp_path.stat().st_gid)
    above = open_directory(tmp_path)
    make_directory("directory", above)
    os.close(create_file("file", above))
    replace_file("list", b"x", above)
    make_private(str(tmp_path / "database"))
    make_private(str(tmp_path / "database"))
    os.close(above)
    made = ("directory", "file", "list", "database")
    assert given == [((tmp_path / name).stat().st_ino, *owner) for name in made]


def test_others_make_files_of_their_own(
    tmp_path: Path, given: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership.os, "geteuid", lambda: 1000)
    make_private(str(tmp_path / "database"))
    assert given == []
    assert (tmp_path / "database").stat().st_mode & 0o777 == 0o600


def test_a_superuser_without_that_power_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def refuse(fd: int, *owner: int) -> None:
        asked.append(fd)
        raise PermissionError

    monkeypatch.setattr(ownership.os, "geteuid", lambda: 0)
    monkeypatch.setattr(ownership.os, "fchown", refuse)
    with open(tmp_path / "file", "wb") as file:
        inherit_owner(file.fileno(), str(tmp_path))
    assert len(asked) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can give files away")
def test_an_account_that_the_superuser_serves_is_its_owners_to_the_last_file(tmp_path: Path) -> None:
    root = tmp_path / "mail"
    root.mkdir()
    os.chown(root, *SOMEBODY)
    bench = Bench(root, {})
    bench.append(MESSAGE)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in root.rglob("*")}
    assert owners == {SOMEBODY}
    bench.close()
