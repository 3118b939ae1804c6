"""The cache: what is kept is found again, and thrown away on any doubt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailpost.mail.summary import Summary
from mailpost.storage.index import cache
from mailpost.storage.index.cache import CacheFile

EVERYTHING = (1, 0xFFFF_FFFF)


def summary(number: int) -> Summary:
    return Summary(
        size=number,
        envelope=b"(envelope %d)" % number,
        bodystructure=b"(structure %d)" % number,
        header=b"Subject: %d\r\n" % number,
        sent=number,
        sent_day=None,
        subject=f"subject {number}",
        from_="ann",
        to="bob" if number % 2 else "cleo",
        cc="",
        bcc="",
        email_id=b"M%d" % number,
        thread_id=b"T%d" % number,
        preview=b'"%d"' % number,
    )


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[CacheFile]:
    made = CacheFile(str(tmp_path / "cache.sqlite3"))
    yield made
    made.close()


def put(opened: CacheFile, key: str, *uids: int) -> None:
    opened.begin()
    opened.run(lambda: opened.put(key, [(uid, summary(uid)) for uid in uids]))
    opened.commit()


def kept(opened: CacheFile, key: str, table: str = "envelopes", column: str = "octets") -> dict[int, object]:
    return cache.values(opened.db, cache.folder_number(opened.db, key), table, column, EVERYTHING)


def test_summaries_are_found_by_folder_and_range(opened: CacheFile) -> None:
    put(opened, "a", 1, 2, 3)
    put(opened, "b", 2)
    number = cache.folder_number(opened.db, "a")
    assert cache.values(opened.db, number, "facts", "size", (2, 3)) == {2: 2, 3: 3}
    assert kept(opened, "b") == {2: b"(envelope 2)"}
    assert cache.total_size(opened.db, number) == ((3, 6), 6)
    assert cache.holding(opened.db, number, "to_", "bob", EVERYTHING) == ({1, 3}, {1, 2, 3})
    assert cache.folder_number(opened.db, "c") == 0


def test_selections_of_fields(opened: CacheFile) -> None:
    names = (b"from", b"subject")
    assert cache.fieldset_number(opened.db, names) == 0
    opened.begin()
    opened.put_fields("a", names, [(1, b"From: x\r\n"), (2, b"")])
    opened.commit()
    number, fields = cache.folder_number(opened.db, "a"), cache.fieldset_number(opened.db, names)
    assert cache.selected_fields(opened.db, number, fields, (1, 2)) == {1: b"From: x\r\n", 2: b""}
    opened.remove("a", [(1, 1)])
    assert cache.selected_fields(opened.db, number, fields, (1, 2)) == {2: b""}


def test_copies_take_their_summaries_along(opened: CacheFile) -> None:
    put(opened, "a", 1, 2, 5, 6)
    opened.copy("a", "b", [(1, 11), (2, 12), (5, 13), (6, 14)])
    assert list(kept(opened, "b")) == [11, 12, 13, 14]
    assert kept(opened, "b")[13] == b"(envelope 5)"


def test_what_is_gone_is_removed(opened: CacheFile) -> None:
    put(opened, "a", 1, 2, 3)
    opened.remove("a", [(1, 2)])
    assert list(kept(opened, "a", "texts", "subject")) == [3]
    opened.remove_folder("a")
    assert cache.folder_number(opened.db, "a") == 0
    put(opened, "a", 9)
    assert list(kept(opened, "a")) == [9]


def test_a_batch_that_fails_keeps_nothing(opened: CacheFile) -> None:
    opened.begin()
    opened.put("a", [(1, summary(1))])
    opened.abort()
    opened.abort()
    put(opened, "a", 2)
    assert list(kept(opened, "a")) == [2]


def reopened(opened: CacheFile) -> dict[int, object]:
    again = CacheFile(opened.path)
    found = kept(again, "a")
    again.close()
    return found


def test_it_outlives_a_kill_but_no_power_cut(opened: CacheFile, monkeypatch: pytest.MonkeyPatch) -> None:
    put(opened, "a", 1)
    assert list(reopened(opened)) == [1]
    opened.db.execute("INSERT INTO opened VALUES('another boot')")
    opened.db.execute("DELETE FROM opened WHERE boot != 'another boot'")
    assert reopened(opened) == {}


def test_it_is_of_one_format(tmp_path: Path) -> None:
    first = CacheFile(str(tmp_path / "cache.sqlite3"))
    put(first, "a", 1)
    first.close()
    assert list(reopened(first)) == [1]
    again = CacheFile(first.path)
    again.db.execute("PRAGMA user_version=1")
    again.close()
    assert reopened(first) == {}


def test_what_is_no_database_is_thrown_away(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite3"
    path.write_bytes(b"nothing of the kind" * 500)
    made = CacheFile(str(path))
    put(made, "a", 1)
    assert list(kept(made, "a")) == [1]
    made.close()
