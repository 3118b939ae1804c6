from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.storage.maildir import uidlist as module
from mailpost.storage.maildir.uidlist import (
    LARGEST_UID,
    UIDLIST_FILE,
    UidEntry,
    UidList,
    append_uids,
    flush_uidlist,
    format_uidlist,
    new_guid,
    parse_uidlist,
    read_uidlist,
    uidlist_stamp,
    write_uidlist,
)

DOVECOT = b"""3 V1795411588 N3 Gcd06b9207dce036b3033000083ecc375
1 :1795411581.M548740P13104.vm,S=25,W=29
2 W31 P00001f :1795411581.M566151P13105.vm,S=25
"""


def test_what_dovecot_writes() -> None:
    read = parse_uidlist(DOVECOT)
    assert read == UidList(
        1795411588,
        3,
        "cd06b9207dce036b3033000083ecc375",
        {
            "1795411581.M548740P13104.vm,S=25,W=29": UidEntry(1),
            "1795411581.M566151P13105.vm,S=25": UidEntry(2, "W31 P00001f"),
        },
        appendable=True,
    )
    assert format_uidlist(read) == DOVECOT.replace(b"N3", b"N3")


def test_version_1_is_read() -> None:
    read = parse_uidlist(b"1 1234 9\n1 a.host:2,S\n5 b.host,S=3\n")
    assert read == UidList(1234, 9, "", {"a.host": UidEntry(1), "b.host,S=3": UidEntry(5)})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"3 V1 N1",
        b"2 V1 N1\n",
        b"3 N1\n",
        b"3 V1\n",
        b"3 V0 N1\n",
        b"3 Vx N1\n",
        b"3 V1 N99999999999\n",
        b"1 0 1\n",
        b"1 1\n",
        b"\x00\xff\n",
    ],
)
def test_a_file_without_sense_is_none(data: bytes) -> None:
    assert parse_uidlist(data) is None


@pytest.mark.parametrize(
    "rest",
    [b"3 :c", b"3 ", b"x y z\n", b"\n", b"2 :again\n", b"1 :below\n", b"9 :a\n", b"99999999999 :c\n", b"\xff\x00\n"],
)
def test_garbage_behind_is_passed_over_and_stops_appending(rest: bytes) -> None:
    read = parse_uidlist(b"3 V7 N1\n1 :a\n2 :b\n" + rest)
    assert read is not None
    assert read.entries == {"a": UidEntry(1), "b": UidEntry(2)}
    assert read.uidnext == 3
    assert not read.appendable


def test_flags_in_a_line_are_no_part_of_the_base() -> None:
    read = parse_uidlist(b"3 V7 N9\n1 :a:2,S\n2 W5 :b:2,\n")
    assert read is not None
    assert list(read.entries.items()) == [("a", UidEntry(1)), ("b", UidEntry(2, "W5"))]
    assert read.appendable


def test_the_larger_next_uid_counts() -> None:
    assert parse_uidlist(b"3 V7 N2\n8 :a\n") == UidList(7, 9, "", {"a": UidEntry(8)}, appendable=True)
    ahead = parse_uidlist(b"3 V7 N2000\n8 :a\n")
    assert ahead is not None
    assert ahead.uidnext == 2000


def test_unknown_header_fields_stay() -> None:
    read = parse_uidlist(b"3 V7 N2 Gaa Xnew Y\n")
    assert read is not None
    assert format_uidlist(read) == b"3 V7 N2 Gaa Xnew Y\n"


BASES = st.text(st.characters(codec="utf-8", exclude_characters=":\n\r/\x00"), min_size=1, max_size=20)


@given(
    st.integers(1, LARGEST_UID),
    st.lists(BASES, unique=True, max_size=20),
    st.lists(st.integers(1, 10**6), max_size=20, unique=True),
    st.sampled_from(["", "W12", "P00a W3"]),
)
def test_round_trip(uidvalidity: int, bases: list[str], uids: list[int], extensions: str) -> None:
    entries = {base: UidEntry(uid, extensions) for base, uid in zip(bases, sorted(uids), strict=False)}
    original = UidList(uidvalidity, 10**6 + 1, new_guid(), entries, appendable=True)
    assert parse_uidlist(format_uidlist(original)) == original


@given(st.binary(max_size=200))
def test_reading_never_fails(garbage: bytes) -> None:
    read = parse_uidlist(b"3 V7 N5\n1 :a\n" + garbage)
    assert read is not None
    assert read.uidnext >= 5
    assert read.entries["a"] == UidEntry(1)
    again = parse_uidlist(format_uidlist(read))
    assert again is not None
    assert again.entries == read.entries


def test_names_that_are_not_utf8_survive(root_fd: int) -> None:
    name = os.fsdecode(b"1.\xff\xfehost")
    written = write_uidlist(root_fd, UidList(1, 2, "", {name: UidEntry(1)}))
    assert read_uidlist(root_fd) == written


def test_writing_and_seeing_that_another_wrote(root: Path, root_fd: int) -> None:
    assert read_uidlist(root_fd) is None
    assert uidlist_stamp(root_fd) is None
    written = write_uidlist(root_fd, UidList(7, 2, new_guid(), {"a": UidEntry(1)}))
    assert written.stamp == uidlist_stamp(root_fd)
    assert read_uidlist(root_fd) == written
    with (root / UIDLIST_FILE).open("ab") as file:
        file.write(b"2 :b\n")
    assert written.stamp != uidlist_stamp(root_fd)
    assert append_uids(root_fd, written, [("c", UidEntry(3))]) is None


def test_appending(root: Path, root_fd: int) -> None:
    first = write_uidlist(root_fd, UidList(7, 1, "aa"))
    second = append_uids(root_fd, first, [("a:2,S", UidEntry(1)), ("b", UidEntry(2, "W5"))])
    assert second is not None
    third = append_uids(root_fd, second, [("c", UidEntry(7))])
    assert third == read_uidlist(root_fd)
    assert third is not None
    assert third.uidnext == 8
    assert append_uids(root_fd, third, []) is third
    assert (root / UIDLIST_FILE).read_bytes() == b"3 V7 N1 Gaa\n1 :a\n2 W5 :b\n7 :c\n"


def test_no_appending_where_the_end_is_broken_or_the_file_gone(root: Path, root_fd: int) -> None:
    (root / UIDLIST_FILE).write_bytes(b"3 V7 N1\n1 :a")
    broken = read_uidlist(root_fd)
    assert broken is not None
    assert append_uids(root_fd, broken, [("c", UidEntry(3))]) is None
    whole = write_uidlist(root_fd, broken)
    (root / UIDLIST_FILE).unlink()
    assert append_uids(root_fd, whole, [("c", UidEntry(3))]) is None
    assert append_uids(root_fd, UidList(7, 1, appendable=True), [("c", UidEntry(3))]) is None


def test_a_failed_append_leaves_no_half_line(root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write_uidlist(root_fd, UidList(7, 1, "aa"))

    def half(fd: int, data: bytes) -> None:
        os.write(fd, data[:3])
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(module, "write_all", half)
    with pytest.raises(OSError, match="full"):
        append_uids(root_fd, first, [("a", UidEntry(1))])
    assert (root / UIDLIST_FILE).read_bytes() == b"3 V7 N1 Gaa\n"


def test_flushing(root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    flush_uidlist(root_fd)  # there is none: nothing to do
    write_uidlist(root_fd, UidList(7, 1, "aa"))
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda fd: flushed.append(os.fstat(fd).st_ino))
    flush_uidlist(root_fd)
    assert flushed == [(root / UIDLIST_FILE).stat().st_ino]


def test_the_last_uid_is_a_limit(root_fd: int) -> None:
    write_uidlist(root_fd, UidList(7, LARGEST_UID, "aa", {"a": UidEntry(LARGEST_UID)}))
    read = read_uidlist(root_fd)
    assert read is not None
    assert read.uidnext == LARGEST_UID + 1


def test_entries_out_of_order_are_written_in_order() -> None:
    unordered = UidList(7, 9, "", {"b": UidEntry(5), "a": UidEntry(2)})
    assert format_uidlist(unordered) == b"3 V7 N9\n2 :a\n5 :b\n"
    assert format_uidlist(replace(unordered, entries={})) == b"3 V7 N9\n"
