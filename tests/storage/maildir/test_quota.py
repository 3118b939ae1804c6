"""What an account may hold: counted exactly, kept to, and found out again where nobody counted.

RFC: 9208 §4.3.1 (OVERQUOTA), §5
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import DELETED, intern_flags
from mailpost.storage.index.usage import is_right, usage
from mailpost.storage.interfaces import IMailAccount
from mailpost.storage.maildir.checking import usage_of
from mailpost.storage.maildir.store import MaildirStore
from mailpost.storage.memory import MemoryStore
from mailpost.storage.offload import settled
from mailpost.storage.records import NewMessage, QuotaLimit, Usage
from mailpost.wire.imap.structures import summarise
from tests.storage.maildir.lanes import Bench

MESSAGE = b"Subject: x\r\n\r\n" + b"y" * 86


def test_limits() -> None:
    assert not QuotaLimit()
    assert QuotaLimit(octets=10).allows(Usage(9, 99))
    assert not QuotaLimit(octets=10).allows(Usage(10, 0))
    assert not QuotaLimit(messages=1).allows(Usage(0, 1), 0, 1)
    assert QuotaLimit(10, 2).allows(Usage(5, 1), 5, 1)


class LimitTests(TestCase):
    """Both stores."""

    limit = QuotaLimit()

    def setUp(self) -> None:
        self.place = Path(self.mktemp()).absolute()

    def store_in(self, place: Path) -> Any:
        return MaildirStore(reactor, lambda user: place / user, summarise, quota=lambda _: self.limit)

    async def account(self) -> IMailAccount:
        store = self.store_in(self.place)
        self.addCleanup(lambda: Deferred.fromCoroutine(settled(store.close())))
        account: IMailAccount = await settled(store.account("ann"))
        self.addCleanup(account.release)
        return account

    async def full(self, answer: Any) -> None:
        try:
            await settled(answer())
        except MailError as error:
            self.assertIs(error.kind, ErrorKind.OVER_QUOTA)
        else:
            self.fail("this is more than is allowed")

    async def test_octets(self) -> None:
        account = await self.account()
        self.limit = QuotaLimit(octets=250)
        await settled(account.append("INBOX", [NewMessage(MESSAGE)] * 2))
        used = await settled(account.usage())
        await self.full(lambda: account.append("INBOX", [NewMessage(MESSAGE)]))
        spool = account.spool(100)
        spool.write(MESSAGE)
        await self.full(lambda: account.append("INBOX", [NewMessage(spool)]))
        self.assertEqual(await settled(account.usage()), used)
        await settled(account.append("INBOX", [NewMessage(MESSAGE[:40])]))
        self.limit = QuotaLimit(octets=1000)  # it may change while the account is open
        await settled(account.append("INBOX", [NewMessage(MESSAGE)]))

    async def test_messages_and_all_or_none(self) -> None:
        account = await self.account()
        self.limit = QuotaLimit(messages=3)
        await settled(account.append("INBOX", [NewMessage(MESSAGE)]))
        await self.full(lambda: account.append("INBOX", [NewMessage(MESSAGE)] * 3))
        self.assertEqual((await settled(account.usage())).messages, 1)
        await settled(account.append("INBOX", [NewMessage(MESSAGE)] * 2))
        self.assertEqual((await settled(account.usage())).messages, 3)

    async def test_copies_count_and_moves_do_not(self) -> None:
        account = await self.account()
        await settled(account.create("Other"))
        self.limit = QuotaLimit(messages=2)
        await settled(account.append("INBOX", [NewMessage(MESSAGE, intern_flags([DELETED]))] * 2))
        mailbox = await settled(account.open("INBOX"))
        self.addCleanup(mailbox.release)
        await self.full(lambda: mailbox.copy([1], "Other"))
        await settled(mailbox.copy([1], "Other", move=True))
        await settled(mailbox.expunge())
        await settled(account.append("INBOX", [NewMessage(MESSAGE)]))


class TakenOverTests(TestCase):
    """A tree of another server's, or one whose state is lost: what nobody has looked at counts too."""

    def setUp(self) -> Deferred[None]:
        self.root = Path(self.mktemp()).absolute()
        self.limit = QuotaLimit(octets=1000)
        for directory in (".", ".Work", ".Work.Deep"):
            for place in ("cur", "new", "tmp"):
                (self.root / directory / place).mkdir(parents=True, mode=0o700)
        (self.root / ".Work/cur/1.x:2,S").write_bytes(b"A: b\n\n" + b"x" * 394)
        (self.root / ".Work.Deep/new/2.x").write_bytes(b"A: b\n\n" + b"x" * 394)
        self.store = MaildirStore(reactor, lambda _: self.root, summarise, quota=lambda _: self.limit)
        return Deferred.fromCoroutine(self.open())

    async def open(self) -> None:
        self.account = await settled(self.store.account("ann"))

    async def tearDown(self) -> None:
        self.account.release()
        await settled(self.store.close())

    async def test_it_is_counted_before_anybody_is_told(self) -> None:
        self.assertEqual(await settled(self.account.usage()), Usage(800, 2))

    async def test_it_is_counted_before_more_comes_in(self) -> None:
        with pytest.raises(MailError) as refused:
            await settled(self.account.append("INBOX", [NewMessage(b"A: b\r\n\r\n" + b"x" * 300)]))
        self.assertIs(refused.value.kind, ErrorKind.OVER_QUOTA)
        await settled(self.account.append("INBOX", [NewMessage(b"A: b\r\n\r\n" + b"x" * 100)]))

    async def test_it_is_counted_before_copies_are_made(self) -> None:
        mailbox = await settled(self.account.open("Work"))
        self.limit = QuotaLimit(messages=2)
        try:
            with pytest.raises(MailError) as refused:
                await settled(mailbox.copy([1], "INBOX"))
            self.assertIs(refused.value.kind, ErrorKind.OVER_QUOTA)
        finally:
            mailbox.release()

    async def test_a_folder_that_another_program_puts_there_later(self) -> None:
        self.assertEqual((await settled(self.account.usage())).messages, 2)
        shutil.copytree(self.root / ".Work", self.root / ".Copy", ignore=shutil.ignore_patterns("dovecot-*"))
        await settled(self.account.sync())
        self.assertEqual(await settled(self.account.usage()), Usage(1200, 3))

    async def test_a_folder_that_cannot_be_read_is_in_nobodys_way(self) -> None:
        shutil.rmtree(self.root / ".Work/cur")
        (self.root / ".Work/cur").write_bytes(b"")  # as good as one without permission, whoever runs the tests
        self.assertEqual((await settled(self.account.usage())).messages, 1)
        await settled(self.account.append("INBOX", [NewMessage(MESSAGE)]))


class MemoryLimitTests(LimitTests):
    def store_in(self, place: Path) -> Any:
        return MemoryStore(summarise, quota=lambda _: self.limit)


def delivered(root: Path, name: str, octets: bytes) -> None:
    (root / "tmp" / name).write_bytes(octets)
    (root / "tmp" / name).rename(root / "new" / name)


def test_what_others_deliver_is_measured(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "mail")
    delivered(bench.root, "1.silent.host", b"A: b\n\n" + b"x" * 94)
    delivered(bench.root, "2.told.host,S=50", b"A: b\n\n" + b"x" * 44)
    bench.look()
    assert usage(bench.lane.db) == Usage(150, 2)
    (next((bench.root / "cur").glob("1.*"))).unlink()
    bench.look()
    assert usage(bench.lane.db) == Usage(50, 1)
    assert is_right(bench.lane.db)
    assert usage_of(bench.root, None) == Usage(50, 1)
    bench.close()


def test_who_has_no_state_of_ours_has_no_count(tmp_path: Path) -> None:
    assert usage_of(tmp_path, None) is None
    (tmp_path / "mailpost-state.sqlite3").write_bytes(b"no database at all" * 100)
    assert usage_of(tmp_path, None) is None


@pytest.mark.parametrize("gone", [False, True])
def test_files_that_nobody_measured_are_measured_at_the_next_opening(tmp_path: Path, gone: bool) -> None:
    bench = Bench(tmp_path / "mail")
    delivered(bench.root, "1.silent.host", b"A: b\n\n" + b"x" * 94)
    bench.look()
    bench.close()
    with closing(sqlite3.connect(bench.root / "mailpost-state.sqlite3", isolation_level=None)) as db:
        db.execute("UPDATE files SET octets=NULL")
        assert usage(db) == Usage(0, 1)
    if gone:
        next((bench.root / "cur").glob("1.*")).unlink()
    bench = Bench(tmp_path / "mail")
    assert usage(bench.lane.db) == Usage(0 if gone else 100, 1)
    assert bench.lane.db.execute("SELECT count(*) FROM files WHERE octets IS NULL").fetchone() == (0,)
    bench.close()
