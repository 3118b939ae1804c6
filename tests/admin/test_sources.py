from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailpost.admin.errors import SourceError
from mailpost.admin.sources import Found, open_source
from mailpost.mail.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

LETTER = b"From: a@example.org\nDate: Sun, 1 Sep 2002 12:00:00 +0200\nSubject: x\n\nText\n"
SENT = 1030874400
MBOX = (
    b"From a@example.org Thu Aug 22 12:36:23 2002\n" + LETTER + b">From here\n>>From there\nFrom nowhere\n\n"
    b"From b@example.org  Fri Aug 23 00:00:00 2002\nStatus: RO\nX-Status: AF\n" + LETTER + b"\n"
    b"From MAILER-DAEMON Sat Aug 24 00:00:00 2002\r\nStatus: O\r\nX-Status: DT\r\n\r\nCRLF\r\n\r\n"
)


def read(path: Path) -> list[Found]:
    source = open_source(path, "/")
    messages = list(source.messages)
    assert sum(each.read for each in messages) == source.size
    return messages


def test_an_mbox(tmp_path: Path) -> None:
    path = tmp_path / "mbox"
    path.write_bytes(MBOX)
    first, second, third = read(path)
    assert first.octets == LETTER.replace(b"\n", b"\r\n") + b"From here\r\n>From there\r\nFrom nowhere\r\n"
    assert first.internaldate == 1030019783
    assert first.flags == frozenset()
    assert second.octets.endswith(b"\r\n\r\nText\r\n")
    assert second.octets.startswith(b"Status: RO\r\n")
    assert second.flags == {SEEN, ANSWERED, FLAGGED}
    assert third.octets == b"Status: O\r\nX-Status: DT\r\n\r\nCRLF\r\n"
    assert third.flags == {DELETED, DRAFT}
    assert {each.folder for each in (first, second, third)} == {"INBOX"}


def test_a_from_line_without_a_date_is_text(tmp_path: Path) -> None:
    path = tmp_path / "mbox"
    path.write_bytes(b"From x\n" + LETTER + b"\nFrom now on I write\n")
    (only,) = read(path)
    assert only.octets.endswith(b"\r\n\r\nFrom now on I write\r\n")
    assert only.internaldate == SENT, "from the Date field"


def test_a_directory_of_messages(tmp_path: Path) -> None:
    (tmp_path / "2.eml").write_bytes(LETTER)
    (tmp_path / "1.TXT").write_bytes(b"From a@example.org  Thu Aug 22 12:36:23 2002\n" + LETTER + b"From here\n\n")
    (tmp_path / "3.eml").write_bytes(b"Subject: no date\n\n")
    os.utime(tmp_path / "3.eml", (5, 5))
    (tmp_path / "4.jpg").write_bytes(b"no mail")
    (tmp_path / "5.eml").mkdir()
    first, second, third = read(tmp_path)
    assert first.octets == LETTER.replace(b"\n", b"\r\n") + b"From here\r\n\r\n", "only its first line is taken off"
    assert [each.internaldate for each in (first, second, third)] == [1030019783, SENT, 5]


def test_a_single_message(tmp_path: Path) -> None:
    path = tmp_path / "one.eml"
    path.write_bytes(LETTER)
    (only,) = read(path)
    assert only.octets == LETTER.replace(b"\n", b"\r\n")


def test_a_maildir_with_folders(tmp_path: Path) -> None:
    for folder in ("", ".A.B", ".Entw&APw-rfe"):
        for part in ("cur", "new", "tmp"):
            (tmp_path / folder / part).mkdir(parents=True)

    def put(name: str, seconds: int) -> None:
        (tmp_path / name).write_bytes(LETTER)
        os.utime(tmp_path / name, (seconds, seconds))

    put("cur/2.x:2,FRS", 200)
    put("new/1.x", 100)
    put("cur/.hidden", 1)
    put("tmp/3.x", 1)
    put(".A.B/cur/4.x,S=70:2,Tb", 300)
    put(".Entw&APw-rfe/cur/5.x:2,DP", 400)
    (tmp_path / ".A.B" / "dovecot-keywords").write_text("0 Work\n1 $Label1\n")
    found = {each.internaldate: each for each in read(tmp_path)}
    assert sorted(found) == [100, 200, 300, 400]
    assert [found[seconds].folder for seconds in (100, 200, 300, 400)] == ["INBOX", "INBOX", "A/B", "Entwürfe"]
    assert found[100].flags == frozenset()
    assert found[200].flags == {FLAGGED, ANSWERED, SEEN}
    assert found[300].flags == {DELETED, "$Label1"}
    assert found[400].flags == {DRAFT, "$Forwarded"}


def test_a_message_that_goes_away_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "cur").mkdir()
    for number in range(3):
        (tmp_path / "cur" / f"{number}.x:2,").write_bytes(LETTER)
    source = open_source(tmp_path, "/")
    (tmp_path / "cur" / "1.x:2,").unlink()
    assert len(list(source.messages)) == 2


def test_directories_in_a_directory_of_messages_are_named(tmp_path: Path) -> None:
    (tmp_path / "1.eml").write_bytes(LETTER)
    (tmp_path / "more").mkdir()
    assert open_source(tmp_path, "/").left_out == [tmp_path / "more"]


def test_paths_without_mail(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_bytes(b"127.0.0.1 localhost\n")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "noise").write_bytes(b"\0" * 3000)
    for path in (tmp_path / "none", tmp_path, tmp_path / "hosts", tmp_path / "empty", tmp_path / "noise"):
        with pytest.raises(SourceError, match=str(path)):
            open_source(path, "/")


def test_a_maildir_whose_folders_lie_in_each_other(tmp_path: Path) -> None:
    for folder in ("", "A/B", "Entw&APw-rfe"):
        for part in ("cur", "new", "tmp"):
            (tmp_path / folder / part).mkdir(parents=True)
        (tmp_path / folder / "cur" / "1.x:2,S").write_bytes(LETTER)
    source = open_source(tmp_path, ".")
    assert {each.folder for each in source.messages} == {"INBOX", "A.B", "Entwürfe"}
    assert source.left_out == []


def test_a_maildir_of_both_layouts_names_what_is_left_out(tmp_path: Path) -> None:
    for folder in ("", ".Sent", "old/2019"):
        for part in ("cur", "new", "tmp"):
            (tmp_path / folder / part).mkdir(parents=True)
        (tmp_path / folder / "cur" / "1.x:2,S").write_bytes(LETTER)
    source = open_source(tmp_path, "/")
    assert {each.folder for each in source.messages} == {"INBOX", "Sent"}
    assert source.left_out == [tmp_path / "old/2019"]
