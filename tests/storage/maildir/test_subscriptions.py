from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.maildir.layout import MaildirPlusPlus, Nested
from mailpost.storage.maildir.subscriptions import (
    SUBSCRIPTIONS_FILE,
    Subscriptions,
    change_subscriptions,
    format_subscriptions,
    parse_subscriptions,
    read_subscriptions,
)

LAYOUT = MaildirPlusPlus()
DOVECOT = rb"""V	2

A\2eB
a	b
B&APw-ch\2eer	&-x
\7et
INBOX	Sub
INBOX
"""
NAMES = ("A.B", "a/b", "Büch.er/&x", "~t", "INBOX/Sub", "INBOX")


def test_what_dovecot_writes() -> None:
    read = parse_subscriptions(DOVECOT, LAYOUT)
    assert read == Subscriptions(NAMES)
    assert format_subscriptions(read, LAYOUT) == DOVECOT


def test_version_1() -> None:
    data = b"\n".join(DOVECOT.split(b"\n")[2:]).replace(b"\t", b".")
    read = parse_subscriptions(data, LAYOUT)
    assert read == Subscriptions(NAMES, version=1)
    assert format_subscriptions(read, LAYOUT) == data


def test_lines_without_sense_stay() -> None:
    data = b"A\n..\n\xff\xfe\nB&\n"
    read = parse_subscriptions(data, LAYOUT)
    assert read.names == ("A",)
    assert format_subscriptions(read, LAYOUT) == data


def test_a_prefix_of_other_servers_is_tolerated() -> None:
    data = b"INBOX.A\nINBOX.B\nINBOX.C\n"
    read = parse_subscriptions(data, LAYOUT, existing={"A", "INBOX/B", "B"})
    assert read.names == ("A", "INBOX/B", "INBOX/C")


def test_changes_are_written(root: Path, root_fd: int) -> None:
    assert read_subscriptions(root_fd, LAYOUT) == Subscriptions()
    change_subscriptions(root_fd, LAYOUT, added=["A/B", "inbox"])
    assert (root / SUBSCRIPTIONS_FILE).read_bytes() == b"V\t2\n\nA\tB\nINBOX\n"
    assert (root / SUBSCRIPTIONS_FILE).stat().st_mode & 0o777 == 0o600
    change_subscriptions(root_fd, LAYOUT, added=["A/B", "C"], removed=["INBOX", "unknown"])
    assert read_subscriptions(root_fd, LAYOUT).names == ("A/B", "C")
    before = (root / SUBSCRIPTIONS_FILE).stat()
    change_subscriptions(root_fd, LAYOUT, added=["C"])
    assert (root / SUBSCRIPTIONS_FILE).stat().st_ino == before.st_ino


def test_the_version_of_the_file_is_kept(root: Path, root_fd: int) -> None:
    (root / SUBSCRIPTIONS_FILE).write_bytes(b"Old.Name\n..\n")
    assert change_subscriptions(root_fd, LAYOUT, added=["New/Name"]).names == ("Old/Name", "New/Name")
    assert (root / SUBSCRIPTIONS_FILE).read_bytes() == b"Old.Name\nNew.Name\n..\n"


def test_a_bad_name_is_refused(root_fd: int) -> None:
    with pytest.raises(MailError) as caught:
        change_subscriptions(root_fd, LAYOUT, added=["../x"])
    assert caught.value.kind is ErrorKind.BAD_FOLDER_NAME


@given(st.binary(max_size=60))
def test_reading_never_fails_and_writing_loses_nothing(data: bytes) -> None:
    read = parse_subscriptions(data, LAYOUT)
    assert parse_subscriptions(format_subscriptions(read, LAYOUT), LAYOUT).names == read.names


def test_what_dovecot_writes_where_folders_lie_in_each_other() -> None:
    data = b"V\t2\n\nWork\tReports\nGr&APYA3w-e\nA.B\nINBOX\tSub\nINBOX\ncur\n"
    read = parse_subscriptions(data, Nested())
    assert read == Subscriptions(("Work/Reports", "Größe", "A.B", "INBOX/Sub", "INBOX"), ("cur",))
    assert format_subscriptions(read, Nested()) == data
    first = parse_subscriptions(b"Work/Reports\nA.B\n", Nested())
    assert first == Subscriptions(("Work/Reports", "A.B"), version=1)
    assert format_subscriptions(first, Nested()) == b"Work/Reports\nA.B\n"
