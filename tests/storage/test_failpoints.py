"""Failpoints: nothing when off, the end when the time has come."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailpost.storage import failpoints


def test_nothing_happens_without_a_setting() -> None:
    died: list[int] = []
    passed = failpoints.armed("", lambda: died.append(1))
    for place in failpoints.FAILPOINTS:
        passed(place)
    assert not died


def test_one_place_ends_it_the_so_manieth_time() -> None:
    died: list[int] = []
    passed = failpoints.armed("batch.committed:3", lambda: died.append(1))
    for _ in range(2):
        passed("batch.committed")
        passed("batch.told")
    assert not died
    passed("batch.committed")
    assert died == [1]


def test_a_name_alone_means_the_first_time() -> None:
    died: list[int] = []
    failpoints.armed("batch.told", lambda: died.append(1))("batch.told")
    assert died == [1]


def test_a_place_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no failpoint nowhere"):
        failpoints.armed("nowhere", lambda: None)


def test_the_places_are_those_in_the_code() -> None:
    storage = Path(failpoints.__file__).parent
    for names, folder in ((failpoints.FAILPOINTS, storage), (failpoints.QUEUE_FAILPOINTS, storage.parent / "delivery")):
        text = "".join(path.read_text() for path in folder.rglob("*.py"))
        assert {name for name in names if f'passed("{name}")' not in text} == set()
