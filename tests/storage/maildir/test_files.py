from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from threading import Thread

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.maildir import files
from mailpost.storage.maildir.files import (
    Ballast,
    create_file,
    file_stamp,
    fsync_directory,
    mail_errors,
    make_directory,
    names_in,
    open_directory,
    read_file,
    replace_file,
    write_all,
)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, ErrorKind.DISK_FULL),
        (errno.EDQUOT, ErrorKind.OVER_QUOTA),
        (errno.EACCES, ErrorKind.NO_PERMISSION),
        (errno.EROFS, ErrorKind.READ_ONLY),
        (errno.EMFILE, ErrorKind.UNAVAILABLE),
    ],
)
def test_errors_have_kinds_and_name_no_path(number: int, kind: ErrorKind) -> None:
    with pytest.raises(MailError) as caught, mail_errors():
        raise OSError(number, os.strerror(number), "/secret/path")
    assert caught.value.kind is kind
    assert "secret" not in caught.value.text


def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"), mail_errors():
        os.fstat(-1)


def test_modes_are_independent_of_the_umask(root: Path, root_fd: int) -> None:
    for umask in (0, 0o277):
        old = os.umask(umask)
        try:
            make_directory(f"d{umask}", root_fd)
            os.close(create_file(f"f{umask}", root_fd))
        finally:
            os.umask(old)
        assert (root / f"d{umask}").stat().st_mode & 0o777 == 0o700
        assert (root / f"f{umask}").stat().st_mode & 0o777 == 0o600


def test_replacing_is_atomic_and_leaves_no_temporary_file(
    root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = replace_file("x", b"one", root_fd)
    assert read_file("x", root_fd) == (b"one", stamp)
    assert file_stamp("x", root_fd) == stamp

    def full(fd: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(files, "write_all", full)
    before = sorted(os.listdir(root))
    with pytest.raises(MailError), mail_errors():
        replace_file("x", b"two", root_fd)
    assert (root / "x").read_bytes() == b"one"
    assert sorted(os.listdir(root)) == before


def test_a_left_temporary_file_is_no_obstacle(root: Path, root_fd: int) -> None:
    (root / "x.tmp").write_bytes(b"old and long")
    replace_file("x", b"new", root_fd, temporary="x.tmp")
    assert (root / "x").read_bytes() == b"new"
    assert not (root / "x.tmp").exists()


def test_reading_follows_no_link_and_waits_for_no_fifo(root: Path, root_fd: int) -> None:
    (root / "link").symlink_to("/etc/passwd")
    os.mkfifo(root / "fifo")
    (root / "directory").mkdir()
    for name in ("link", "fifo", "directory", "missing"):
        assert read_file(name, root_fd) is None


def test_a_linked_directory_is_refused_below_and_followed_above(root: Path, root_fd: int) -> None:
    (root / "link").symlink_to(root / "cur")
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        open_directory("link", root_fd)
    os.close(open_directory(root / "link", follow=True))


def test_short_writes_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    got = bytearray()

    def short(fd: int, data: bytes) -> int:
        got.extend(bytes(data[:3]))
        return min(3, len(data))

    monkeypatch.setattr(os, "write", short)
    write_all(7, b"0123456789")
    assert got == b"0123456789"


def test_fsync_of_a_directory(root_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync_directory(root_fd)

    def refuse(number: int) -> None:
        monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(number, "no")))

    refuse(errno.EINVAL)
    fsync_directory(root_fd)
    refuse(errno.EIO)
    with pytest.raises(OSError, match="no"):
        fsync_directory(root_fd)


def test_ballast_is_held_and_given_up(root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ballast = Ballast(root_fd, size=65_536)
    assert ballast.ensure()
    assert ballast.ensure()
    assert (root / "mailpost-ballast").stat().st_blocks * 512 >= 65_536
    assert ballast.release()
    assert not ballast.release()

    def full(fd: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert not ballast.ensure()
    assert not (root / "mailpost-ballast").exists()


def test_a_directory_is_listed_whole_by_several_threads_at_once(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / str(number)).write_text("")
    fd = open_directory(tmp_path)
    counts: list[int] = []

    def look() -> None:
        counts.extend(len(names_in(fd)) for _ in range(300))

    threads = [Thread(target=look) for _ in range(3)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
        os.close(fd)
    assert len(counts) == 900
    assert set(counts) == {300}


def test_a_directory_that_has_been_removed_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    fd = open_directory(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert names_in(fd) == []
    os.close(fd)
