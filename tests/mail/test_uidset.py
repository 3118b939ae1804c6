"""RFC: 3501 §9 (sequence-set)"""

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.uidset import STAR, SequenceSet, UidSet

NUMBERS = st.sets(st.integers(1, 60))
PAIRS = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)))


def members(pairs: list[tuple[int, int]]) -> set[int]:
    return {number for a, b in pairs for number in range(min(a, b), max(a, b) + 1)}


@given(PAIRS)
def test_ranges_are_sorted_disjoint_and_apart(pairs: list[tuple[int, int]]) -> None:
    found = UidSet.of_ranges(pairs)
    assert set(found) == members(pairs)
    assert list(found) == sorted(found)
    assert all(low <= high for low, high in found.ranges)
    assert all(a[1] + 1 < b[0] for a, b in zip(found.ranges, found.ranges[1:], strict=False))


@given(NUMBERS)
def test_it_is_a_set(numbers: set[int]) -> None:
    found = UidSet.of(numbers)
    assert set(found) == numbers
    assert len(found) == len(numbers)
    assert bool(found) is bool(numbers)
    assert [number in found for number in range(70)] == [number in numbers for number in range(70)]


@given(NUMBERS, NUMBERS)
def test_union_and_intersection(one: set[int], two: set[int]) -> None:
    assert UidSet.of(one) | UidSet.of(two) == UidSet.of(one | two)
    assert UidSet.of(one) & UidSet.of(two) == UidSet.of(one & two)


@given(NUMBERS, NUMBERS)
def test_difference(one: set[int], two: set[int]) -> None:
    assert UidSet.of(one) - UidSet.of(two) == UidSet.of(one - two)


@given(NUMBERS, NUMBERS)
def test_members_of_ascending_numbers(one: set[int], two: set[int]) -> None:
    assert UidSet.of(one).members(sorted(two)) == sorted(one & two)


@given(NUMBERS)
def test_shown_as_a_client_would_write_it(numbers: set[int]) -> None:
    shown = str(UidSet.of(numbers))
    pairs = [tuple(map(int, (part + ":" + part).split(":")[:2])) for part in shown.split(",") if part]
    assert members([(a, b) for a, b in pairs]) == numbers


@given(PAIRS, st.integers(1, 60))
def test_resolved_sets(pairs: list[tuple[int, int]], largest: int) -> None:
    starred = [(STAR if a == largest else a, b) for a, b in pairs]
    assert set(SequenceSet(tuple(starred)).resolve(largest)) == members(pairs)


@pytest.mark.parametrize(
    ("parts", "largest", "expected"),
    [
        (((STAR, 5),), 3, "3:5"),
        (((STAR, STAR),), 3, "3"),
        (((1, STAR),), 0, ""),
        (((1, STAR), (2, 2)), 0, "2"),
        (((4, STAR),), 2, "2:4"),
    ],
)
def test_the_star(parts: tuple[tuple[int, int], ...], largest: int, expected: str) -> None:
    assert str(SequenceSet(parts).resolve(largest)) == expected


def test_wide_and_sparse_sets_cost_little() -> None:
    start = perf_counter()
    wide = UidSet.of_ranges([(1, 0xFFFF_FFFF)])
    sparse = UidSet.of(range(1, 100_000, 2))
    assert len(wide) == 0xFFFF_FFFF
    assert len(sparse & wide) == 50_000
    assert len(sparse.members(range(1, 100_000))) == 50_000
    assert all(number in sparse for number in range(1, 100_000, 2))
    assert perf_counter() - start < 2
