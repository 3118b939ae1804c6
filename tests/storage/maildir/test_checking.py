"""A check finds each kind of damage, says what it would do, and a repair does it without changing a UID."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import FLAGGED, SEEN, FlagChange, intern_flags
from mailpost.storage.interfaces import IMailAccount
from mailpost.storage.maildir import backup, checking, repairing
from mailpost.storage.maildir.findings import Remedy, Report
from mailpost.storage.maildir.layout import Hierarchy, layout_of
from mailpost.storage.maildir.store import MaildirStore
from mailpost.storage.records import Attribute, NewMessage
from mailpost.wire.imap.structures import summarise
from tests.storage.turning import TurningReactor

UIDS = list(range(1, 13))


class Home:
    """An account that is opened, damaged, checked and repaired."""

    def __init__(self, place: Path, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self.layout = layout_of(hierarchy)
        self.root = place / "ann"
        self.reactor = TurningReactor()
        self.store: MaildirStore | None = None

    def start(self, root: Path | None = None) -> Any:
        """Open the account, in a store of its own."""
        where = root or self.root
        store = MaildirStore(self.reactor, lambda _: where, summarise, hierarchy=self.hierarchy, use_inotify=False)
        return store, self.reactor.answer(store.account("ann"))

    def opened(self, use: Callable[[Any], Any], root: Path | None = None) -> Any:
        """Open it for this, and close it."""
        store, account = self.start(root)
        try:
            return use(account)
        finally:
            account.release()
            self.reactor.answer(store.close())

    def fill(self, account: IMailAccount) -> None:
        """Twelve messages in INBOX, some with flags, and all in the cache."""
        answer = self.reactor.answer
        letters = [NewMessage(b"Subject: %d\r\n\r\ntext\r\n" % uid, intern_flags(["$Work"]), 10**9) for uid in UIDS]
        answer(account.append("INBOX", letters))
        mailbox = answer(account.open("INBOX"))
        answer(mailbox.store([2, 3], FlagChange.ADD, intern_flags([SEEN, FLAGGED])))
        self.rows(account)
        mailbox.release()

    def rows(self, account: IMailAccount) -> dict[int, tuple[Any, ...]]:
        """UID -> all that clients see of a message in INBOX."""

        async def fetch(mailbox: Any) -> dict[int, tuple[Any, ...]]:
            flags = dict(zip(mailbox.live.uids, mailbox.live.flags, strict=True))
            shown = (Attribute.SIZE, Attribute.ENVELOPE, Attribute.OCTETS, Attribute.INTERNALDATE)
            return {
                uid: (flags[uid], *values)
                async for batch in mailbox.fetch(list(flags), shown)
                for uid, *values in batch
            }

        mailbox = self.reactor.answer(account.open("INBOX"))
        found = self.reactor.answer(fetch(mailbox))
        mailbox.release()
        return found

    def check(self, root: Path | None = None) -> Report:
        """What a full check finds."""
        return checking.check(root or self.root, None, self.layout, summarise, sample=None)

    def repair(self, report: Report) -> None:
        """What `--repair` does."""
        repairing.repair_closed(self.root, None, report.findings)
        with checking.nobody_else(self.root, None) as alone:
            pass

        def work(account: Any) -> None:
            self.reactor.answer(repairing.repair(account, report.findings, alone=alone))
            if alone:
                self.reactor.answer(repairing.settle(account))

        self.opened(work)

    def sql(self, statement: str, file: str = "state") -> None:
        """Damage a database."""
        with closing(sqlite3.connect(self.root / f"mailpost-{file}.sqlite3")) as db:
            db.execute(statement)
            db.commit()


@pytest.fixture(params=Hierarchy, ids=lambda hierarchy: hierarchy.value)
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setattr(checking, "_PAUSES", (0.02, 0.02))
    made = Home(tmp_path, request.param)
    made.opened(made.fill)
    made.opened(lambda account: made.reactor.answer(repairing.settle(account)))
    yield made


def inbox(statement: str) -> Callable[[Home], None]:
    return lambda home: home.sql(statement.replace("INBOX", "(SELECT id FROM folders WHERE directory='.')"))


def cached(statement: str) -> Callable[[Home], None]:
    return lambda home: home.sql(statement, "cache")


def listed(change: Callable[[list[str]], None]) -> Callable[[Home], None]:
    def damage(home: Home) -> None:
        path = home.root / "dovecot-uidlist"
        lines = path.read_text().splitlines()
        change(lines)
        path.write_text("".join(f"{line}\n" for line in lines))

    return damage


def swap(lines: list[str]) -> None:
    one, other = lines[1].split(":", 1)[1], lines[2].split(":", 1)[1]
    lines[1:3] = [f"1 :{other}", f"2 :{one}"]


def left_behind(home: Home) -> None:
    (home.root / "tmp" / f"1.M000001P4194305Q1R00000000.{os.uname().nodename}").touch()


def overwritten(file: str) -> Callable[[Home], None]:
    def damage(home: Home) -> None:
        path = home.root / f"mailpost-{file}.sqlite3"
        path.write_bytes(b"noise" * 2000)
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)

    return damage


DAMAGE: dict[str, tuple[Callable[[Home], None], Remedy]] = {
    "rows lost": (inbox("DELETE FROM messages WHERE folder=INBOX AND uid=5"), Remedy.PUT_BACK),
    "names lost": (inbox("DELETE FROM files WHERE folder=INBOX AND uid IN (5, 6)"), Remedy.PUT_BACK),
    "flags without a name": (
        inbox("UPDATE messages SET flags=flags+(1<<50) WHERE folder=INBOX AND uid=5"),
        Remedy.ROWS,
    ),
    "next UID": (inbox("UPDATE folders SET uidnext=4 WHERE id=INBOX"), Remedy.ROWS),
    "mod-sequence": (inbox("UPDATE folders SET highest_modseq=4 WHERE id=INBOX"), Remedy.ROWS),
    "another name": (inbox("UPDATE files SET name=name||'S' WHERE folder=INBOX AND uid=5"), Remedy.RELIST),
    "names say less": (inbox("UPDATE messages SET file_flags=flags WHERE folder=INBOX"), Remedy.NAMES),
    "orphans": (inbox("INSERT INTO files VALUES(99, 1, 'x', 1)"), Remedy.ORPHANS),
    "usage": (inbox("UPDATE usage SET octets=octets+1"), Remedy.USAGE),
    "never finished": (
        inbox('INSERT INTO intents VALUES(1, \'append\', \'{"folder": 1, "bases": ["x"]}\')'),
        Remedy.OPENING,
    ),
    "line lost": (listed(lambda lines: lines.pop(4)), Remedy.UID_LIST),
    "lines swapped": (listed(swap), Remedy.UID_LIST),
    "no header": (listed(lambda lines: lines.pop(0)), Remedy.UID_LIST),
    "leftovers": (left_behind, Remedy.LEFTOVERS),
    "size": (cached("UPDATE facts SET size=size+1 WHERE uid=3"), Remedy.CACHED),
    "envelope": (cached("UPDATE envelopes SET octets=x'2829' WHERE uid=3"), Remedy.CACHED),
    "cache": (overwritten("cache"), Remedy.CACHE_FILE),
    "state": (overwritten("state"), Remedy.STATE_FILE),
    "modes": (lambda home: (home.root / "mailpost-state.sqlite3").chmod(0o644), Remedy.MODES),
    "modes of all": (lambda home: home.root.chmod(0o755), Remedy.MODES),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_repaired(home: Home, kind: str) -> None:
    assert home.check().findings == []
    before = home.opened(home.rows)
    damage, remedy = DAMAGE[kind]
    if kind == "names say less":
        name = next(each for each in (home.root / "cur").iterdir() if "FS" in each.name)
        inode = os.stat(home.root / "cur")
        name.rename(name.with_name(name.name.replace("FS", "")))
        with closing(sqlite3.connect(home.root / "mailpost-state.sqlite3")) as db:
            db.execute("UPDATE files SET name=replace(name, 'FS', '') WHERE name=?", (name.name,))
            db.commit()
        os.utime(home.root / "cur", ns=(inode.st_atime_ns, inode.st_mtime_ns))
    damage(home)
    found = home.check()
    assert remedy in {one.remedy for one in found.findings}, [str(one) for one in found.findings]
    assert home.check().findings == found.findings, "a check changes nothing"
    home.repair(found)
    left = home.check()
    assert [str(one) for one in left.findings] == []
    assert home.opened(home.rows) == before


def test_what_is_on_its_way_is_no_finding(home: Home) -> None:
    for number in range(3):
        (home.root / "new" / f"{number}.other").write_bytes(b"Subject: new\n\ntext\n")
    next((home.root / "cur").iterdir()).unlink()
    (home.root / "dovecot-uidlist").unlink()
    report = home.check()
    assert report.findings == []
    assert report.coming >= 5
    assert report.folders == 6


def test_beside_a_server(home: Home) -> None:
    """Who has it open keeps it from being replaced, and sees what is repaired."""
    store, account = home.start()
    mailbox = home.reactor.answer(account.open("INBOX"))
    assert home.check().findings == []
    home.sql("UPDATE facts SET size=size+1 WHERE uid=3", "cache")
    home.repair(home.check())
    assert home.check().findings == []
    inbox("DELETE FROM files WHERE folder=INBOX AND uid IN (5, 6)")(home)
    home.repair(home.check())
    assert Remedy.PUT_BACK in {one.remedy for one in home.check().findings}
    assert not repairing.discard_cache(home.root, None)
    with pytest.raises(MailError) as refused:
        repairing.set_state_aside(home.root, None)
    assert refused.value.kind is ErrorKind.IN_USE
    mailbox.release()
    account.release()
    home.reactor.answer(store.close())
    home.repair(home.check())
    assert home.check().findings == []
    assert sorted(home.opened(home.rows)) == UIDS


def test_reindex(home: Home) -> None:
    before = home.opened(home.rows)
    cached("UPDATE facts SET size=size+1")(home)
    count = home.opened(lambda account: home.reactor.answer(repairing.reindex(account)))
    assert count == len(UIDS)
    assert home.check().findings == []
    assert home.opened(home.rows) == before
    repairing.set_state_aside(home.root, None)
    assert home.opened(home.rows) == before


def test_a_newer_state_is_refused(home: Home) -> None:
    home.sql("PRAGMA user_version=99")
    with pytest.raises(MailError, match="newer version"):
        home.check()


def test_a_backup_takes_the_place_of_the_account(home: Home, tmp_path: Path) -> None:
    before = home.opened(home.rows)
    target = tmp_path / "copy"
    assert backup.backup(home.root, None, home.layout, target) == len(UIDS)
    assert home.opened(home.rows, target) == before
    assert home.check(target).findings == []
    with pytest.raises(MailError, match="not empty"):
        backup.backup(home.root, None, home.layout, target)
    assert {each.stat().st_mode & 0o777 for each in target.rglob("*") if each.is_file()} == {0o600}
