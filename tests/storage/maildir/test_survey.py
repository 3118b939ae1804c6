"""A survey is a hint: whatever happens between it and its use, no message is lost, gained or renumbered by it."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailpost.mail.flags import DELETED, SEEN, FlagChange, intern_flags
from mailpost.storage.maildir import behind, scan, survey, writing
from mailpost.storage.maildir.filename import base_of, letters_of
from mailpost.storage.maildir.scan import Then
from mailpost.storage.maildir.survey import Survey

from .lanes import MESSAGE, Bench

STORED = MESSAGE.replace(b"\r\n", b"\n")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "ann")
    yield made
    made.close()


def surveyed(bench: Bench) -> Survey:
    """A survey as a reader lane makes it."""
    files = bench.lane.own_files(bench.lane.folder(bench.number()))
    with bench.opened.state_readers.reading() as db:
        return survey.surveyed(files, db, bench.number())


def applied(bench: Bench, found: Survey) -> Then:
    while (then := bench.do(scan.apply, bench.number(), found)) is Then.THE_SAME:
        pass
    return then


def settle(bench: Bench) -> None:
    """Look until there is nothing more to see."""
    time.sleep(0.025)  # until the directories' mtimes can be trusted
    while bench.do(scan.look, bench.number()):
        pass
    while bench.do(behind.write_flags, bench.number()) or bench.do(behind.remove_files, bench.number()):
        pass


class Deeds:
    """What others and we do to a folder; `kept` are the base names of messages that nobody has removed."""

    def __init__(self, bench: Bench, chance: random.Random) -> None:
        self.bench = bench
        self.chance = chance
        self.kept: set[str] = set()
        self.delivered = 0

    def _file(self) -> Path | None:
        """Any message's file in cur."""
        files = [path for path in (self.bench.root / "cur").iterdir() if base_of(path.name) in self.kept]
        return self.chance.choice(sorted(files)) if files else None

    def _uid(self) -> int | None:
        uids = [uid for uid, name in self.bench.names().items() if base_of(name) in self.kept]
        return self.chance.choice(uids) if uids else None

    def deliver(self, place: str = "new", suffix: str = "") -> None:
        self.delivered += 1
        base = f"{self.delivered}.elsewhere"
        (self.bench.root / place / (base + suffix)).write_bytes(STORED)
        self.kept.add(base)

    def deliver_into_cur(self) -> None:
        self.deliver("cur", ":2,S")

    def rename(self) -> None:
        if path := self._file():
            path.rename(path.with_name(base_of(path.name) + ":2," + self.chance.choice(["", "S", "F", "FS"])))

    def remove(self) -> None:
        if path := self._file():
            path.unlink()
            self.kept.discard(base_of(path.name))

    def append(self) -> None:
        (uid,) = self.bench.append(MESSAGE)
        self.kept.add(base_of(self.bench.names()[uid]))

    def flag(self) -> None:
        if uid := self._uid():
            self._store(uid, SEEN)

    def _store(self, uid: int, flag: str) -> None:
        how = {"change": FlagChange.ADD, "named": intern_flags([flag]), "limit": None, "origin": None}
        self.bench.do(writing.store, self.bench.number(), [(uid, uid)], **how)

    def write_flags(self) -> None:
        self.bench.do(behind.write_flags, self.bench.number(), 10)

    def expunge(self) -> None:
        if uid := self._uid():
            base = base_of(self.bench.names()[uid])
            self._store(uid, DELETED)
            self.bench.do(writing.expunge, self.bench.number(), [(uid, uid)], None)
            self.kept.discard(base)

    def look(self) -> None:
        self.bench.look()


DEEDS: list[Callable[[Deeds], None]] = [
    Deeds.deliver,
    Deeds.deliver_into_cur,
    Deeds.rename,
    Deeds.remove,
    Deeds.append,
    Deeds.flag,
    Deeds.write_flags,
    Deeds.expunge,
    Deeds.look,
]
some_deeds = st.lists(st.sampled_from(DEEDS), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=some_deeds, between=some_deeds, after=some_deeds, seed=st.integers(0, 1000))
def test_a_survey_may_be_old(
    before: list[Callable[[Deeds], None]],
    between: list[Callable[[Deeds], None]],
    after: list[Callable[[Deeds], None]],
    seed: int,
) -> None:
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place) / "ann")
        deeds = Deeds(bench, random.Random(seed))
        for _ in range(3):
            deeds.append()
        for deed in before:
            deed(deeds)
        found = surveyed(bench)
        for deed in between:
            deed(deeds)
        uids = {base_of(name): uid for uid, name in bench.names().items()}
        applied(bench, found)
        for base, uid in uids.items():  # who has a UID keeps it, unless the message was removed
            assert base not in deeds.kept or base_of(bench.names().get(uid, "")) == base
        for deed in after:
            deed(deeds)
        settle(bench)
        assert sorted(base_of(name) for name in bench.names().values()) == sorted(deeds.kept)
        assert sorted(bench.cur()) == sorted(bench.names().values())
        flags = bench.flags()
        for uid, name in bench.names().items():
            assert (SEEN in flags[uid]) == ("S" in letters_of(name)), name
        bench.close()


def test_what_got_a_row_since_gets_no_second_one(bench: Bench) -> None:
    (bench.root / "cur" / "1.elsewhere:2,").write_bytes(STORED)
    first, second = surveyed(bench), surveyed(bench)
    assert applied(bench, first) is Then.NOTHING
    assert applied(bench, second) is Then.NOTHING
    assert bench.names() == {1: "1.elsewhere:2,"}


def test_a_survey_of_another_uidvalidity_says_nothing(bench: Bench) -> None:
    bench.append(MESSAGE)
    base = base_of(bench.names()[1])
    found = surveyed(bench)
    validity = bench.lane.folder(bench.number()).row.uidvalidity + 5
    (bench.root / "dovecot-uidlist").write_text(f"3 V{validity} N9\n8 :{base}\n")
    assert applied(bench, found) is Then.A_GLANCE  # the list is taken note of first
    assert applied(bench, found) is Then.A_GLANCE
    settle(bench)
    assert list(bench.names()) == [8]


def test_what_is_missing_while_others_are_renamed_is_not_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(MESSAGE, MESSAGE)
    time.sleep(0.025)
    files = bench.lane.own_files(bench.lane.folder(bench.number()))
    real = type(files).listing
    (bench.root / "cur" / bench.names()[1]).unlink()

    def restless(self: object) -> object:
        listing = real(files)
        (path,) = (bench.root / "cur").iterdir()
        path.rename(path.with_name(base_of(path.name) + (":2,S" if path.name.endswith(",") else ":2,")))
        return listing

    with monkeypatch.context() as patched:
        patched.setattr(type(files), "listing", restless)
        found = surveyed(bench)
    assert not found.steady
    assert found.gone == []
    applied(bench, found)
    assert list(bench.names()) == [1, 2]
    settle(bench)
    assert list(bench.names()) == [2]


def test_a_name_that_is_shown_twice_by_a_rename_is_not_looked_into(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder does not stand still: the next look tells, and this one is to be quick."""
    bench.append(MESSAGE, MESSAGE)
    settle(bench)
    files = bench.lane.own_files(bench.lane.folder(bench.number()))
    real, listings = type(files).listing, 0

    def restless(self: object) -> object:
        nonlocal listings
        listings += 1
        path = min((bench.root / "cur").iterdir())
        listing = real(files)
        path.rename(path.with_name(base_of(path.name) + ":2,S"))
        listing.repeated.append(f"cur/{path.name}")
        return listing

    with monkeypatch.context() as patched:
        patched.setattr(type(files), "listing", restless)
        found = surveyed(bench)
    assert listings == 1
    assert (found.steady, found.twins) == (False, [])
    applied(bench, found)
    settle(bench)
    assert list(bench.names()) == [1, 2]


def test_many_renames_are_taken_note_of_in_several_jobs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "SLICE", 0.0001)
    bench.append(*[MESSAGE] * 300)
    for path in (bench.root / "cur").iterdir():
        path.rename(path.with_name(path.name + "S"))
    found = surveyed(bench)
    jobs = 1
    while bench.do(scan.apply, bench.number(), found) is Then.THE_SAME:
        jobs += 1
    assert jobs > 3
    assert all(flags == frozenset([SEEN]) for flags in bench.flags().values())
    assert [uid for _, uids, *_ in bench.ears.take("flagged") for uid in sorted(uids)] != []
