"""Changes to a users file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mailpost.accounts.account import UserNameError
from mailpost.accounts.userlist import UserListError, add, change, names, remove

from .test_usersfile import HASH, TEXT


def test_changes_keep_everything_else(tmp_path: Path) -> None:
    path = tmp_path / "users"
    odd = TEXT.encode() + b"\xff\xfe not UTF-8\nlast:{PLAIN}x"
    path.write_bytes(odd)
    path.chmod(0o644)
    with path.open("rb") as old:
        change(path, "joe", "{PLAIN}other")
        assert old.read() == odd, "replaced, not written over"
    change(path, "none", "{PLAIN}some")
    assert (
        path.read_bytes()
        == odd.replace(b"joe:{PLAIN}secret", b"joe:{PLAIN}other")
        .replace(b"\nnone\n", b"\nnone:{PLAIN}some\n")
        .replace(b"joe:{PLAIN}again", b"joe:{PLAIN}other")
        + b"\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    add(path, "neu", "{PLAIN}n")
    assert path.read_bytes().endswith(b"last:{PLAIN}x\nneu:{PLAIN}n::::::\n")
    remove(path, "joe")
    assert b"joe" not in path.read_bytes().replace(b"/home/joe", b"")
    assert b"# people\n" in path.read_bytes()
    assert names(path) == ["ann", "gone", "shadow", "none", "off", "kurt", "last", "neu"]
    assert os.listdir(tmp_path) == ["users"]


@pytest.mark.parametrize(
    ("before", "after"), [(0o640, 0o640), (0o660, 0o660), (0o400, 0o400), (0o644, 0o600), (0o604, 0o600)]
)
def test_a_group_that_may_read_the_file_still_may(tmp_path: Path, before: int, after: int) -> None:
    path = tmp_path / "users"
    path.write_text("ann:{PLAIN}word\n")
    path.chmod(before)
    add(path, "joe", "{PLAIN}x")
    assert names(path) == ["ann", "joe"]
    assert stat.S_IMODE(path.stat().st_mode) == after


def test_a_new_file_and_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users"
    assert names(path) == []
    add(path, "joe", "{PLAIN}x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(UserListError):
        add(path, "joe", "{PLAIN}x")
    with pytest.raises(UserNameError):
        add(path, "../joe", "{PLAIN}x")
    with pytest.raises(UserListError):
        change(path, "ann", "{PLAIN}x")
    with pytest.raises(UserListError):
        remove(path, "ann")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["users"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "users"
    link.symlink_to(tmp_path / "real" / "users")
    add(link, "joe", "{PLAIN}x")
    assert link.is_symlink()
    assert names(tmp_path / "real" / "users") == ["joe"]


def test_verifiers_go_with_the_password_they_are_of(tmp_path: Path) -> None:
    path = tmp_path / "users"
    add(path, "ann", HASH, "first")
    add(path, "joe", HASH, "second")
    assert path.read_text() == (
        f"ann:{HASH}::::::\n#mailpost_scram:ann:first\njoe:{HASH}::::::\n#mailpost_scram:joe:second\n"
    )
    change(path, "ann", "{PLAIN}x", "third")
    assert path.read_text().startswith("ann:{PLAIN}x::::::\n#mailpost_scram:ann:third\njoe:")
    change(path, "ann", "{PLAIN}x")
    assert path.read_text().startswith("ann:{PLAIN}x::::::\njoe:")
    remove(path, "joe")
    assert path.read_text() == "ann:{PLAIN}x::::::\n"
