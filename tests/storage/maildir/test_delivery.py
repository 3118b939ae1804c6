from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.lineends import normalised, to_crlf, to_stored
from mailpost.storage.maildir import delivery
from mailpost.storage.maildir.delivery import Spool, clean_tmp, copied_base, copy_messages, write_message
from mailpost.storage.maildir.directories import create_folder
from mailpost.storage.maildir.filename import base_of, sizes_of
from mailpost.storage.maildir.files import fsync_directory
from mailpost.storage.maildir.folder import FolderFiles
from mailpost.storage.maildir.layout import MaildirPlusPlus

MESSAGE = b"Subject: x\r\n\r\nhi\r\n"


@pytest.fixture
def other(root_fd: int) -> FolderFiles:
    create_folder(root_fd, MaildirPlusPlus(), ".Other")
    return FolderFiles.open(root_fd, ".Other")


def fail(number: int) -> object:
    def failing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return failing


def test_a_written_message_is_published(root: Path, inbox: FolderFiles) -> None:
    written = write_message(inbox.tmp, MESSAGE, internaldate=837_590_685)
    assert (written.stored, written.wire) == (15, 18)
    assert sizes_of(written.base) == (15, 18)
    assert os.listdir(root / "cur") == []
    written.sync()
    name = written.publish(inbox, "FS")
    fsync_directory(inbox.cur)
    assert name == written.base + ":2,FS"
    assert os.listdir(root / "cur") == [name]
    assert os.listdir(root / "tmp") == []
    status = (root / "cur" / name).stat()
    assert status.st_mode & 0o777 == 0o600
    assert status.st_mtime == 837_590_685
    assert (root / "cur" / name).read_bytes() == b"Subject: x\n\nhi\n"
    assert inbox.read([(name, 18)]) == [MESSAGE]
    written.abort()
    assert os.listdir(root / "cur") == [name]


def test_a_delivery_goes_into_new(root: Path, inbox: FolderFiles) -> None:
    written = write_message(inbox.tmp, MESSAGE)
    written.date(5)
    assert written.publish(inbox, None) == written.base
    assert (root / "new" / written.base).stat().st_mtime == 5


def test_an_aborted_message_leaves_nothing(root: Path, inbox: FolderFiles) -> None:
    written = write_message(inbox.tmp, MESSAGE)
    written.abort()
    written.abort()
    assert os.listdir(root / "tmp") == []


@pytest.mark.parametrize(
    ("octets", "stored"),
    [
        (b"a: b\r\n\r\nx\r\n", b"a: b\n\nx\n"),
        (b"a: b\r\n\r\nx\ny\r\n", b"a: b\r\n\r\nx\ny\r\n"),
        (b"a: b\n\nx\r\n", b"a: b\n\nx\n"),
        (b"a: b\r\r\n\r\n", b"a: b\r\r\n\r\n"),
        (b"a\rb", b"a\rb"),
        (b"", b""),
    ],
)
def test_the_form_on_disk(root: Path, inbox: FolderFiles, octets: bytes, stored: bytes) -> None:
    written = write_message(inbox.tmp, octets)
    assert (root / "tmp" / written.name).read_bytes() == stored
    assert written.wire == len(to_crlf(stored))
    written.abort()


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, ErrorKind.DISK_FULL), (errno.EDQUOT, ErrorKind.OVER_QUOTA)]
)
def test_a_full_disk_leaves_nothing(
    root: Path, inbox: FolderFiles, monkeypatch: pytest.MonkeyPatch, number: int, kind: ErrorKind
) -> None:
    spool = Spool(inbox.tmp)
    spool.write(b"a: b\r\n")
    monkeypatch.setattr(delivery, "write_all", fail(number))
    with pytest.raises(MailError) as caught:
        write_message(inbox.tmp, MESSAGE)
    assert caught.value.kind is kind
    with pytest.raises(MailError) as caught:
        spool.write(b"more\r\n")
    assert caught.value.kind is kind
    assert os.listdir(root / "tmp") == []
    with pytest.raises(ValueError, match="finished or aborted"):
        spool.write(b"even more")


def test_a_full_disk_while_the_form_changes_leaves_nothing(
    root: Path, inbox: FolderFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(inbox.tmp)
    spool.write(b"a: b\r\n")
    monkeypatch.setattr(delivery, "write_all", fail(errno.ENOSPC))
    with pytest.raises(MailError):
        spool.write(b"bare\n")
    assert os.listdir(root / "tmp") == []


OCTETS = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"bc", b""]), max_size=12).map(b"".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(OCTETS, max_size=6))
def test_a_spool_makes_the_file_of_the_whole_message(inbox: FolderFiles, chunks: list[bytes]) -> None:
    octets = b"".join(chunks)
    spool = Spool(inbox.tmp)
    for chunk in chunks:
        spool.write(chunk)
    assert spool.size == len(octets)
    written = spool.finish()
    spool.abort()
    fd = os.open(written.name, os.O_RDONLY, dir_fd=inbox.tmp)
    stored = os.read(fd, 1000)
    os.close(fd)
    assert stored == to_stored(normalised(octets))
    assert to_crlf(stored) == normalised(octets)
    assert (written.stored, written.wire) == (len(stored), len(normalised(octets)))
    written.abort()


def test_a_large_spool_changes_its_form(inbox: FolderFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_CHUNK", 7)
    octets = b"line\r\n" * 100 + b"bare\n" + b"line\r\n" * 100
    spool = Spool(inbox.tmp)
    for start in range(0, len(octets), 64):
        spool.write(octets[start : start + 64])
    name = spool.finish().publish(inbox, "")
    assert inbox.read([(name, 0)]) == [octets]
    assert sizes_of(name) == (len(octets), len(octets))


def test_an_aborted_spool_leaves_nothing(root: Path, inbox: FolderFiles) -> None:
    spool = Spool(inbox.tmp)
    spool.write(MESSAGE)
    spool.abort()
    spool.abort()
    assert os.listdir(root / "tmp") == []


def test_copies_are_links_with_fresh_names(root: Path, inbox: FolderFiles, other: FolderFiles) -> None:
    name = write_message(inbox.tmp, MESSAGE, 5).publish(inbox, "S")
    (root / "cur" / "plain:2,").write_bytes(b"x")
    first, second = copied_base(name), copied_base("plain:2,")
    assert sizes_of(first) == (15, 18)
    assert base_of(first) != base_of(name)
    got = copy_messages(inbox, other, [(name, first + ":2,S"), ("plain:2,", second + ":2,"), ("gone:2,", "z:2,")])
    assert got == [first + ":2,S", second + ":2,", None]
    assert (root / ".Other" / "cur" / got[0]).samefile(root / "cur" / name)
    other.close()


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EMLINK, errno.EPERM])
def test_copies_where_links_cannot_be(
    root: Path, inbox: FolderFiles, other: FolderFiles, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    name = write_message(inbox.tmp, MESSAGE, 837_590_685).publish(inbox, "S")
    monkeypatch.setattr(os, "link", fail(number))
    assert copy_messages(inbox, other, [(name, "a:2,S"), ("gone:2,", "b:2,")]) == ["a:2,S", None]
    copy = root / ".Other" / "cur" / "a:2,S"
    assert copy.read_bytes() == b"Subject: x\n\nhi\n"
    assert copy.stat().st_mtime == 837_590_685
    assert copy.stat().st_mode & 0o777 == 0o600
    assert os.listdir(root / ".Other" / "tmp") == []
    other.close()


def test_a_copy_finds_a_renamed_message(inbox: FolderFiles, other: FolderFiles) -> None:
    name = write_message(inbox.tmp, MESSAGE).publish(inbox, "FS")
    assert copy_messages(inbox, other, [(base_of(name) + ":2,", "a:2,")]) == ["a:2,"]
    other.close()


def test_copies_are_all_or_none(
    root: Path, inbox: FolderFiles, other: FolderFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [write_message(inbox.tmp, MESSAGE).publish(inbox, "") for _ in range(3)]
    real = os.link
    made = 0

    def full_at_last(*arguments: object, **named: object) -> None:
        nonlocal made
        made += 1
        if made == 3:
            raise OSError(errno.ENOSPC, "full")
        real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", full_at_last)
    with pytest.raises(MailError) as caught:
        copy_messages(inbox, other, [(name, f"{number}:2,") for number, name in enumerate(names)])
    assert caught.value.kind is ErrorKind.DISK_FULL
    assert made == 3
    assert os.listdir(root / ".Other" / "cur") == []
    other.close()


def test_publishing_onto_another_file_system_copies(
    root: Path, inbox: FolderFiles, other: FolderFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.rename

    def rename(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if src_dir_fd == inbox.tmp:
            raise OSError(errno.EXDEV, "another device")
        real(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "rename", rename)
    name = write_message(inbox.tmp, MESSAGE, 5).publish(other, "")
    assert other.read([(name, 18)]) == [MESSAGE]
    assert (root / ".Other" / "cur" / name).stat().st_mtime == 5
    assert os.listdir(root / "tmp") == os.listdir(root / ".Other" / "tmp") == []
    other.close()


def test_a_publication_that_fails_can_be_aborted(
    root: Path, inbox: FolderFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_message(inbox.tmp, MESSAGE)
    monkeypatch.setattr(os, "rename", fail(errno.EDQUOT))
    with pytest.raises(MailError) as caught:
        written.publish(inbox, "")
    assert caught.value.kind is ErrorKind.OVER_QUOTA
    written.abort()
    assert os.listdir(root / "tmp") == []


def test_only_what_nobody_writes_any_more_is_cleaned(root: Path, inbox: FolderFiles) -> None:
    old = write_message(inbox.tmp, MESSAGE, internaldate=5)
    (root / "tmp" / "directory").mkdir()
    assert clean_tmp(inbox.tmp) == 0
    time.sleep(0.03)
    assert clean_tmp(inbox.tmp, stale_seconds=0.01) == 1
    assert os.listdir(root / "tmp") == ["directory"]
    old.abort()
