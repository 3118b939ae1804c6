from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.storage.maildir import keywords
from mailpost.storage.maildir.keywords import (
    KEYWORDS_FILE,
    add_keywords,
    extend_keywords,
    format_keywords,
    parse_keywords,
    read_keywords,
)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"", ()),
        (b"0 $Forwarded\n1 Junk\n", ("$Forwarded", "Junk")),
        (b"2 C\n0 A\n", ("A", "", "C")),
        (b"0 A\n0 B\nx y\n26 Z\n999 Z\n1\n3 \n-1 Q\n", ("A",)),
        (b"0 A\r\n1 B", ("A", "B")),
        (b"0 \xff\n", ("\ufffd",)),
    ],
)
def test_reading(data: bytes, names: tuple[str, ...]) -> None:
    assert parse_keywords(data) == names


@given(st.lists(st.from_regex(r"[!$#-'+-Z^-z|}~]{1,20}", fullmatch=True), max_size=26))
def test_round_trip(names: list[str]) -> None:
    assert parse_keywords(format_keywords(names)) == tuple(names)


def test_a_keyword_keeps_its_letter() -> None:
    assert extend_keywords(("A", "", "C"), ["a", "D", "d", "\\Seen"]) == ("A", "", "C", "D")
    assert len(extend_keywords((), [f"k{number}" for number in range(40)])) == 26


def test_adding_writes_once(root: Path, root_fd: int) -> None:
    assert read_keywords(root_fd) == ((), None)
    assert add_keywords(root_fd, []) == ((), None)
    names, stamp = add_keywords(root_fd, ["Junk", "$Label1"])
    assert names == ("Junk", "$Label1")
    assert (root / KEYWORDS_FILE).read_bytes() == b"0 Junk\n1 $Label1\n"
    assert (root / KEYWORDS_FILE).stat().st_mode & 0o777 == 0o600
    assert add_keywords(root_fd, ["junk"]) == (names, stamp)
    (root / KEYWORDS_FILE).write_bytes(b"0 Junk\n1 $Label1\n2 Theirs\n")
    assert add_keywords(root_fd, ["Ours"])[0] == ("Junk", "$Label1", "Theirs", "Ours")
    assert not list(root.glob("*.lock"))


def test_a_table_that_another_program_extended_meanwhile(
    root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def slow(name: str, dir_fd: int) -> Iterator[None]:
        (root / KEYWORDS_FILE).write_bytes(b"0 Theirs\n1 Ours\n")
        yield

    monkeypatch.setattr(keywords, "locked", slow)
    names, stamp = add_keywords(root_fd, ["Ours"])
    assert names == ("Theirs", "Ours")
    assert stamp == read_keywords(root_fd)[1]
