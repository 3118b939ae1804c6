"""The Maildir store in a running reactor: outside changes, other processes, damage, warmth, big messages."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import TestCase

from mailpost.mail.errors import ErrorKind, IncompleteError, MailError
from mailpost.mail.flags import DELETED, FLAGGED, SEEN, FlagChange, intern_flags
from mailpost.mail.searchkeys import And, Body, HasFlag, Header, Larger, Not
from mailpost.mail.summary import Summary
from mailpost.storage.index.state import SCHEMA_VERSION
from mailpost.storage.interfaces import IMailpostMailbox
from mailpost.storage.maildir import account as account_module
from mailpost.storage.maildir import behind, counting, scan, writing
from mailpost.storage.maildir import folder as folder_module
from mailpost.storage.maildir import folderlist as folderlist_module
from mailpost.storage.maildir import looking as looking_module
from mailpost.storage.maildir import mailbox as mailbox_module
from mailpost.storage.maildir import reading as reading_module
from mailpost.storage.maildir import store as store_module
from mailpost.storage.maildir import survey as survey_module
from mailpost.storage.maildir import upkeep as upkeep_module
from mailpost.storage.maildir.account import MaildirAccount
from mailpost.storage.maildir.lane import FolderInfo
from mailpost.storage.maildir.layout import Hierarchy, layout_of
from mailpost.storage.maildir.looking import Looking
from mailpost.storage.maildir.store import MaildirStore
from mailpost.storage.records import Attribute, HeaderFields, NewMessage
from mailpost.wire.imap.structures import summarise

MESSAGE = b"From: ann@example.org\r\nSubject: hello\r\n\r\nbody\r\n"


def later(seconds: float) -> Deferred[None]:
    waiting: Deferred[None] = Deferred()
    reactor.callLater(seconds, waiting.callback, None)  # type: ignore[attr-defined]
    return waiting


class Session:
    """One who is told of changes."""

    def __init__(self, mailbox: IMailpostMailbox) -> None:
        self.woken: Deferred[None] = Deferred()
        self.cursor = mailbox.live.attach(self)

    def wake(self) -> None:
        if not self.woken.called:
            self.woken.callback(None)

    def catch_up(self) -> None:
        self.cursor.read()


class AccountTests(TestCase):
    hierarchy = Hierarchy.MAILDIR_PLUS_PLUS

    def setUp(self) -> None:
        self.place = Path(self.mktemp())
        self.stores: list[MaildirStore] = []

    async def tearDown(self) -> None:
        for store in self.stores:
            await store.close()

    def store(self, summariser: Callable[[bytes], Summary] = summarise, **settings: Any) -> MaildirStore:
        store = MaildirStore(reactor, lambda user: self.place / user, summariser, hierarchy=self.hierarchy, **settings)
        self.stores.append(store)
        return store

    def directory(self, name: str) -> str:
        return layout_of(self.hierarchy).directory(name)

    async def account(self, **settings: Any) -> MaildirAccount:
        return await self.store(**settings).account("ann")

    async def closed(self) -> None:
        while self.stores:
            await self.stores.pop().close()

    async def all_rows(self, mailbox: Any, *attributes: Any) -> list[tuple[Any, ...]]:
        return [row async for batch in mailbox.fetch(mailbox.live.uids[:], attributes) for row in batch]

    async def refused(self, kind: ErrorKind, answer: Awaitable[object]) -> None:
        try:
            await answer
        except MailError as error:
            self.assertIs(error.kind, kind)
        else:
            self.fail("nothing was refused")

    async def test_a_delivery_by_another_program_wakes_a_session(self) -> None:
        account = await self.account()
        mailbox = await account.open("INBOX")
        session = Session(mailbox)
        (self.place / "ann" / "new" / "1.delivered").write_bytes(MESSAGE)
        await session.woken.addTimeout(5, reactor)
        self.assertEqual(mailbox.live.uids, [1])
        self.assertEqual(await self.all_rows(mailbox, Attribute.OCTETS), [(1, MESSAGE)])

    async def test_polling_finds_deliveries_too(self) -> None:
        self.patch(account_module, "MOST_WARM", 0)
        account = await self.account(use_inotify=False)
        (self.place / "ann" / "new" / "1.delivered").write_bytes(MESSAGE)
        mailbox = await account.open("INBOX")
        self.assertEqual(mailbox.live.uids, [1])
        mailbox.release()
        self.assertEqual((await account.status("INBOX")).messages, 1)

    async def test_a_file_removed_while_it_is_fetched(self) -> None:
        account = await self.account()
        await account.append("INBOX", [NewMessage(MESSAGE), NewMessage(MESSAGE)])
        mailbox = await account.open("INBOX")
        sorted((self.place / "ann" / "cur").iterdir())[0].unlink()
        rows = await self.all_rows(mailbox, Attribute.OCTETS)
        self.assertEqual(rows, [(2, MESSAGE)])
        await mailbox.refresh()
        self.assertEqual(mailbox.live.uids, [2])

    async def test_another_process_is_seen_by_the_next_refresh(self) -> None:
        ours, theirs = await self.account(), await self.account()
        here = await ours.open("INBOX")
        there = await theirs.open("INBOX")
        session = Session(here)
        await theirs.append("INBOX", [NewMessage(MESSAGE), NewMessage(MESSAGE), NewMessage(MESSAGE)])
        await here.refresh()
        self.assertEqual(here.live.uids, [1, 2, 3])
        await there.store([2, 3], FlagChange.ADD, intern_flags([DELETED, "work"]))
        await there.expunge([3])
        await here.refresh()
        self.assertEqual(here.live.uids, [1, 2])
        self.assertEqual(here.live.flags[1], frozenset([DELETED, "work"]))
        self.assertEqual(len(session.cursor.read()), 3)
        await here.store([1], FlagChange.ADD, intern_flags([SEEN]))
        await there.refresh()
        self.assertEqual(there.live.flags, here.live.flags)
        self.assertEqual(there.live.highest_modseq, here.live.highest_modseq)

    async def test_a_folder_that_another_process_makes_and_deletes(self) -> None:
        ours, theirs = await self.account(), await self.account()
        await theirs.create("News")
        mailbox = await ours.open("News")
        await theirs.delete("News")
        await mailbox.refresh()
        self.assertTrue(mailbox.live.gone)
        await self.refused(ErrorKind.NO_SUCH_FOLDER, ours.open("News"))

    async def test_two_processes_never_give_one_uid_twice(self) -> None:
        ours, theirs = await self.account(), await self.account()
        answers = [
            Deferred.fromCoroutine(account.append("INBOX", [NewMessage(MESSAGE)]))
            for _ in range(10)
            for account in (ours, theirs)
        ]
        given = [answer.uids[0] for answer in await gatherResults(answers)]
        self.assertEqual(sorted(given), list(range(1, 21)))

    async def test_a_damaged_state_is_set_aside(self) -> None:
        account = await self.account()
        await account.append("INBOX", [NewMessage(MESSAGE)])
        await self.closed()
        state = self.place / "ann" / "mailpost-state.sqlite3"
        state.write_bytes(b"this is no database, not by any means" * 100)
        account = await self.account()
        mailbox = await account.open("INBOX")
        self.assertEqual(mailbox.live.uids, [1])
        self.assertEqual(len(list(state.parent.glob("*.corrupt-*"))), 1)

    async def test_a_newer_state_is_refused(self) -> None:
        await self.account()
        await self.closed()
        state = self.place / "ann" / "mailpost-state.sqlite3"
        db = sqlite3.connect(state)
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
        db.close()
        await self.refused(ErrorKind.UNAVAILABLE, self.account())
        self.assertEqual(list(state.parent.glob("*.corrupt-*")), [])

    async def test_a_damaged_cache_is_thrown_away(self) -> None:
        account = await self.account()
        await account.append("INBOX", [NewMessage(MESSAGE)])
        await self.closed()
        (self.place / "ann" / "mailpost-cache.sqlite3").write_bytes(b"no database either" * 200)
        account = await self.account()
        mailbox = await account.open("INBOX")
        rows = await self.all_rows(mailbox, Attribute.SIZE, Attribute.ENVELOPE)
        self.assertEqual(rows, [(1, len(MESSAGE), summarise(MESSAGE).envelope)])

    async def test_summaries_are_made_once(self) -> None:
        asked: list[bytes] = []

        def counting(octets: bytes) -> Summary:
            asked.append(octets)
            return summarise(octets)

        account = await self.account(summariser=counting)
        (self.place / "ann" / "new" / "1.delivered").write_bytes(MESSAGE)
        mailbox = await account.open("INBOX")
        while not asked:
            await later(0.02)
        while account.upkeep.busy:
            await later(0.02)
        for _ in range(2):
            await self.all_rows(mailbox, Attribute.SIZE, Attribute.ENVELOPE, Attribute.BODYSTRUCTURE)
            self.assertEqual(await mailbox.search(Header("Subject", "HELLO")), [1])
        self.assertEqual(asked, [MESSAGE])
        await mailbox.copy([1], "Sent", move=True)
        sent = await account.open("Sent")
        while account.upkeep.busy:
            await later(0.02)
        self.assertEqual(await self.all_rows(sent, Attribute.SIZE), [(1, len(MESSAGE))])
        self.assertEqual(asked, [MESSAGE])

    async def test_cold_folders_are_forgotten_and_come_back(self) -> None:
        self.patch(account_module, "MOST_WARM", 2)
        account = await self.account()
        for number in range(5):
            await account.create(f"f{number}")
            await account.append(f"f{number}", [NewMessage(MESSAGE)])
            mailbox = await account.open(f"f{number}")
            mailbox.live.claim_recent()
            mailbox.release()
        self.assertEqual(len(account.registry.mailboxes), 2)
        await account.append("f0", [NewMessage(MESSAGE)])
        mailbox = await account.open("f0")
        self.assertEqual(mailbox.live.uids, [1, 2])
        self.assertEqual(mailbox.live.first_recent, 2)
        self.assertEqual((await account.status("f1")).recent, 0)

    async def test_accounts_that_nobody_uses_are_closed_and_opened_again(self) -> None:
        self.patch(store_module, "MOST_WARM", 1)
        store = self.store()
        for user in ("a", "b", "c", "a", "b"):
            account = await store.account(user)
            await account.append("INBOX", [NewMessage(MESSAGE)])
            account.release()
        account = await store.account("a")
        self.assertEqual((await account.status("INBOX")).messages, 2)
        self.assertIs(await store.account("a"), account)

    async def test_an_account_is_not_closed_while_it_is_opened_again(self) -> None:
        self.patch(store_module, "MOST_WARM", 1)
        store = self.store()
        first = await store.account("a")
        first.release()
        sync = first.sync

        async def slow() -> None:
            await later(0.05)
            await sync()

        self.patch(first, "sync", slow)
        opening = Deferred.fromCoroutine(store.account("a"))
        (await store.account("b")).release()
        account = await opening
        self.assertIs(account, first)
        await account.append("INBOX", [NewMessage(MESSAGE)])
        account.release()

    async def test_an_account_that_cannot_be_looked_at_is_given_back(self) -> None:
        store = self.store()
        account = await store.account("a")
        account.release()

        async def failing() -> None:
            raise MailError(ErrorKind.UNAVAILABLE, "away")

        self.patch(account, "sync", failing)
        with self.assertRaises(MailError):
            await store.account("a")
        self.assertEqual(account.uses, 0)

    async def test_an_index_directory_of_its_own(self) -> None:
        index = Path(self.mktemp())
        account = await self.account(index=lambda user: index / user)
        await account.append("INBOX", [NewMessage(MESSAGE)])
        await self.closed()
        self.assertTrue((index / "ann" / "state.sqlite3").exists())
        self.assertEqual([path.stat().st_mode & 0o777 for path in (index, index / "ann")], [0o700, 0o700])
        self.assertEqual([path.name for path in (self.place / "ann").glob("*sqlite3*")], [])

    async def test_a_big_message_is_spooled_to_a_file(self) -> None:
        account = await self.account()
        octets = b"Subject: big\r\n\r\n" + b"0123456789abcdef" * 64 * 1024 + b"\r\n"
        spool = account.spool(len(octets))
        for start in range(0, len(octets), 100_000):
            waiting = spool.write(octets[start : start + 100_000])
            if waiting is not None:
                await waiting
        self.assertEqual(len(list((self.place / "ann" / "tmp").iterdir())), 1)
        await account.append("INBOX", [NewMessage(spool)])
        spool.abort()
        mailbox = await account.open("INBOX")
        self.assertEqual(await self.all_rows(mailbox, Attribute.SIZE, Attribute.OCTETS), [(1, len(octets), octets)])
        self.assertEqual(await mailbox.search(Body("EFCDEF")), [])
        self.assertEqual(await mailbox.search(Body("EF0123")), [1])

    async def test_a_spool_whose_writing_is_cancelled_leaves_nothing(self) -> None:
        account = await self.account()
        spool = account.spool(0)
        make = spool._tmp

        def slowly() -> Any:
            time.sleep(0.05)
            return make()

        spool._tmp = slowly
        writing = spool.write(b"x" * 500_000)
        assert isinstance(writing, Deferred)
        writing.addErrback(lambda _: None)
        await later(0.02)
        writing.cancel()
        spool.abort()
        await later(0.1)
        self.assertEqual(os.listdir(self.place / "ann" / "tmp"), [])

    async def test_messages_that_come_together_are_not_held_together(self) -> None:
        account = await self.account()
        spools = []
        for number in range(8):
            spool = account.spool(100_000, beside=number * 100_000)
            for _ in range(10):
                waiting = spool.write(b"x" * 10_000)
                if waiting is not None:
                    await waiting
            spools.append(spool)
        self.assertLess(sum(sum(map(len, spool._pieces)) for spool in spools), 400_000)
        await account.append("INBOX", [NewMessage(spool) for spool in spools])
        self.assertEqual((await account.status("INBOX")).size, 800_000)

    async def test_a_spool_that_is_given_up_leaves_nothing(self) -> None:
        account = await self.account()
        spool = account.spool(1 << 20)
        writing_it = spool.write(b"x" * (1 << 20))
        spool.abort()
        if writing_it is not None:
            await writing_it
        await self.closed()
        self.assertEqual(list((self.place / "ann" / "tmp").iterdir()), [])

    async def test_expunging_on_a_full_disk_gives_up_the_ballast(self) -> None:
        account = await self.account()
        await account.append("INBOX", [NewMessage(MESSAGE, intern_flags([DELETED]))])
        mailbox = await account.open("INBOX")
        real = writing.expunge
        ballast = self.place / "ann" / "mailpost-ballast"
        self.assertTrue(ballast.exists())

        def full(*values: Any) -> list[int]:
            if ballast.exists():
                raise MailError(ErrorKind.DISK_FULL, "The disk is full")
            return real(*values)

        self.patch(writing, "expunge", full)
        self.assertEqual(await mailbox.expunge(), [1])

    async def test_who_gives_up_waiting_changes_nothing(self) -> None:
        account = await self.account()
        mailbox = await account.open("INBOX")
        asked = Deferred.fromCoroutine(account.append("INBOX", [NewMessage(MESSAGE)]))
        await later(0)
        asked.cancel()
        await self.assertFailure(asked, CancelledError)
        await account.workers.write(scan.look, mailbox.folder.number)
        self.assertEqual(mailbox.live.uids, [1])

    async def test_what_cannot_be_written_behind_is_tried_again(self) -> None:
        self.patch(upkeep_module, "BEHIND_SECONDS", 0.01)
        self.patch(upkeep_module, "VERIFY_SECONDS", 0.01)
        real, tried = behind.finish, []

        def full(*values: Any) -> None:
            tried.append(values)
            if len(tried) == 1:
                raise MailError(ErrorKind.DISK_FULL, "The disk is full")
            real(*values)

        self.patch(behind, "finish", full)
        account = await self.account()
        looking, verified = account._looking, []

        async def look(folder: FolderInfo, **how: Any) -> bool:
            if how.get("doubt"):
                verified.append(folder)
            return await Looking.look(looking, folder, **how)

        self.patch(looking, "look", look)
        await account.append("INBOX", [NewMessage(MESSAGE)])
        uidlist = self.place / "ann" / "dovecot-uidlist"
        while not verified or len(uidlist.read_text().splitlines()) < 2:
            await later(0.01)
        self.assertGreaterEqual(len(tried), 2)

    async def test_a_folder_may_be_deleted_while_it_is_looked_after(self) -> None:
        self.patch(upkeep_module, "QUIET_SECONDS", 0.01)
        self.patch(upkeep_module, "BEHIND_SECONDS", 0.01)
        self.patch(upkeep_module, "VERIFY_SECONDS", 0.01)
        account = await self.account()
        for number in range(20):
            name = f"f{number}"
            await account.create(name)
            await account.append(name, [NewMessage(MESSAGE)] * 3)
            await later(number / 1000)
            await account.delete(name)
        while account.upkeep.busy:
            await later(0.01)
        self.assertEqual(list(self.place.glob("ann/**/.*trash*")), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_a_folder_that_does_not_come_to_rest_keeps_nobody_waiting(self) -> None:
        self.patch(looking_module, "PATIENCE", -1)  # every survey that was not steady took too long
        account = await self.account()
        await account.append("INBOX", [NewMessage(MESSAGE)] * 3)
        mailbox = await account.open("INBOX")
        await later(0.05)  # until the directories' mtimes can be trusted
        cur = self.place / "ann" / "cur"
        renaming = True
        real = survey_module.survey

        def restless(*values: Any) -> Any:
            found = yield from real(*values)
            if renaming:
                path = sorted(cur.iterdir())[0]
                path.rename(path.with_name(path.name.partition(":")[0] + (":2," if "S" in path.name[-2:] else ":2,S")))
                found.steady = False
            return found

        self.patch(reading_module, "survey", restless)
        last = sorted(cur.iterdir())[-1]
        last.rename(last.with_name(last.name + "F"))
        await gatherResults([Deferred.fromCoroutine(mailbox.refresh()) for _ in range(3)])
        self.assertTrue(mailbox.restless)
        await gatherResults([Deferred.fromCoroutine(mailbox.refresh()) for _ in range(3)])  # they are answered
        self.assertIsNone(mailbox.looking)
        while not any(FLAGGED in flags for flags in mailbox.live.flags):  # and looks go on behind
            await later(0.01)
        self.assertTrue(mailbox.restless)
        renaming = False
        while mailbox.restless:
            await later(0.01)
        await mailbox.refresh()
        self.assertEqual(
            [SEEN in flags for flags in mailbox.live.flags], [name.endswith("S") for name in sorted(os.listdir(cur))]
        )
        mailbox.release()

    async def test_one_look_at_a_large_folder_that_changes_is_waited_for(self) -> None:
        self.patch(looking_module, "PATIENCE", -1)
        self.patch(looking_module, "LARGE", 2)
        account = await self.account()
        await account.append("INBOX", [NewMessage(MESSAGE)] * 3)
        mailbox = await account.open("INBOX")
        await later(0.05)
        surveys: list[Any] = []
        real = survey_module.survey

        def restless(*values: Any) -> Any:
            found = yield from real(*values)
            found.steady = bool(surveys)  # but for the first one
            surveys.append(found)
            return found

        self.patch(reading_module, "survey", restless)
        first = min((self.place / "ann" / "cur").iterdir())
        first.rename(first.with_name(first.name + "F"))
        await mailbox.refresh()
        self.assertEqual(len(surveys), 1)
        self.assertTrue(mailbox.restless)
        while mailbox.restless:
            await later(0.01)
        await mailbox.refresh()
        self.assertEqual([FLAGGED in flags for flags in mailbox.live.flags], [True, False, False])
        mailbox.release()

    async def test_who_waits_for_a_look_that_fails_asks_again(self) -> None:
        account = await self.account()
        mailbox = await account.open("INBOX")
        calls = []
        real = Looking.look

        async def look(*values: Any, **named: Any) -> bool:
            calls.append(values)
            if len(calls) == 1:
                await later(0.01)
                raise MailError(ErrorKind.NO_PERMISSION, "The server may not do this to its files")
            return await real(account._looking, *values, **named)

        self.patch(account._looking, "look", look)
        mailbox.dirty = True
        first, second = (Deferred.fromCoroutine(mailbox.refresh()) for _ in range(2))
        await self.refused(ErrorKind.NO_PERMISSION, first)
        await second
        self.assertEqual(len(calls), 2)
        mailbox.release()

    async def test_a_list_of_folders_shows_what_others_made(self) -> None:
        self.patch(folderlist_module, "LOOK_SECONDS", -1)
        account = await self.account()
        for place in ("tmp", "new", "cur"):  # with cur it is a folder, and we make what it lacks
            (self.place / "ann" / self.directory("Theirs") / place).mkdir(parents=True)
        await account.refresh()
        self.assertIn("Theirs", [folder.name for folder in account.folders()])
        self.assertEqual((await account.status("Theirs")).messages, 0)

    async def test_an_empty_folder_that_others_make_anew_is_watched(self) -> None:
        """Nothing is heard of its own directories: they are still open."""
        account = await self.account()
        await account.create("Work")
        mailbox = await account.open("Work")
        place = self.place / "ann" / self.directory("Work")
        for _ in range(2):
            shutil.rmtree(place)
            for name in ("new", "tmp", "cur"):
                (place / name).mkdir(parents=True)
            await account.refresh()
            await mailbox.refresh()
            before = len(mailbox.live.uids)
            (place / "new" / f"{before}.x").write_bytes(MESSAGE)
            await mailbox.refresh()
            self.assertEqual(len(mailbox.live.uids), 1)
            (place / "cur").joinpath(f"{before}.x:2,").unlink()
            await mailbox.refresh()
            self.assertEqual(len(mailbox.live.uids), 0)
        mailbox.release()

    async def test_a_directory_that_others_replace_is_not_written_into_unseen(self) -> None:
        account = await self.account()
        await account.create("Work")
        await account.append("Work", [NewMessage(MESSAGE)])
        mailbox = await account.open("Work")
        session = Session(mailbox)
        place = self.place / "ann" / self.directory("Work")
        place.rename(self.place / "elsewhere")
        for name in ("new", "tmp", "cur"):
            (place / name).mkdir(parents=True)
        await account.append("Work", [NewMessage(MESSAGE), NewMessage(MESSAGE)])
        self.assertEqual(len(list((place / "cur").iterdir())), 2)
        self.assertEqual(len(list((self.place / "elsewhere" / "cur").iterdir())), 1)
        await mailbox.refresh()
        self.assertEqual(len(mailbox.live.uids), 2)
        self.assertNotIn(1, mailbox.live.uids)
        session.catch_up()
        session.woken = Deferred()
        (place / "new" / "1.delivered").write_bytes(MESSAGE)
        await session.woken.addTimeout(5, reactor)
        self.assertEqual(len(mailbox.live.uids), 3)

    async def test_the_size_of_many_unknown_messages_is_believed(self) -> None:
        self.patch(counting, "_MOST_READ", 1)
        account = await self.account()
        for name in ("1.a,S=47,W=51", "2.b,W=60", "3.c"):
            (self.place / "ann" / "cur" / f"{name}:2,S").write_bytes(MESSAGE)
        self.assertEqual((await account.status("INBOX")).size, 51 + 60 + len(MESSAGE))

    async def unreadable(self) -> MaildirAccount:
        """An account with four messages; the machine refuses to read the second."""
        for name in ("1.a:2,S", "2.b:2,S", "3.c:2,", "4.d:2,"):
            path = self.place / "ann" / "cur" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(MESSAGE)
        real = folder_module._read

        def read(dir_fd: int, name: str, size: int) -> bytes:
            if name.startswith("2."):
                raise PermissionError(errno.EACCES, "no", name)
            return real(dir_fd, name, size)

        self.patch(folder_module, "_read", read)
        return await self.account()

    async def test_a_message_that_cannot_be_read_keeps_no_other_back(self) -> None:
        account = await self.unreadable()
        mailbox = await account.open("INBOX")
        uids = mailbox.live.uids[:]
        for few in (64, 0):
            self.patch(mailbox_module, "_FEW", few)
            self.patch(mailbox_module, "_FEW_WHOLE", few)
            for wanted in (Attribute.OCTETS, Attribute.SIZE, Attribute.ENVELOPE, HeaderFields((b"x-none",))):
                rows = []
                with self.assertRaises(MailError) as caught:
                    async for batch in mailbox.fetch(uids, (wanted,)):
                        rows += batch
                self.assertEqual(caught.exception.kind, ErrorKind.NO_PERMISSION)
                self.assertIsInstance(caught.exception.__cause__, PermissionError)
                self.assertEqual([row[0] for row in rows], [uids[0], *uids[2:]])
        self.assertEqual(len(await self.all_rows(mailbox, Attribute.INTERNALDATE)), 4)

    async def test_a_search_goes_on_without_what_cannot_be_read(self) -> None:
        mailbox = await (await self.unreadable()).open("INBOX")
        uids = mailbox.live.uids[:]
        for key in (Body("body"), Header("x-none", ""), Header("subject", "hello"), Not(Body("other")), Larger(5)):
            found = uids[:1] + uids[2:] if key != Header("x-none", "") else []
            with self.assertRaises(IncompleteError) as caught:
                await mailbox.search(key)
            self.assertEqual(caught.exception.kind, ErrorKind.NO_PERMISSION)
            self.assertEqual(caught.exception.found, found)
        self.assertEqual(await mailbox.search(And((HasFlag("\\Flagged"), Body("body")))), [])

    async def test_the_counts_of_a_folder_need_no_file_that_can_be_read(self) -> None:
        account = await self.unreadable()
        status = await account.status("INBOX")
        self.assertEqual((status.messages, status.unseen), (4, 2))
        self.assertEqual(status.size, 4 * len(MESSAGE))
        mailbox = await account.open("INBOX")
        self.assertEqual((await account.status("INBOX")).size, 4 * len(MESSAGE))
        mailbox.release()

    async def test_flags_are_in_the_file_names_when_the_store_is_closed(self) -> None:
        account = await self.account()
        await account.append("INBOX", [NewMessage(MESSAGE)])
        mailbox = await account.open("INBOX")
        await mailbox.store([1], FlagChange.ADD, intern_flags([SEEN, "$Work"]))
        await self.closed()
        (file,) = (self.place / "ann" / "cur").iterdir()
        self.assertTrue(file.name.endswith(":2,Sa"), file.name)
        self.assertEqual((self.place / "ann" / "dovecot-keywords").read_text(), "0 $Work\n")
        self.assertIn(f":{file.name.partition(':')[0]}\n", (self.place / "ann" / "dovecot-uidlist").read_text())

    async def test_a_folder_of_the_same_name_does_not_get_what_was_waiting_for_the_one_before(self) -> None:
        account = await self.account()
        await account.append("INBOX", [NewMessage(b"Subject: new\r\n\r\n")])
        await account.create("again")
        await account.append("again", [NewMessage(b"Subject: old\r\n\r\n")])
        await account.delete("again")
        await account.create("again")
        inbox = await account.open("INBOX")
        await inbox.copy([1], "again")
        inbox.release()
        while account.upkeep.busy:
            await later(0.05)
        mailbox = await account.open("again")
        ((_, envelope),) = await self.all_rows(mailbox, Attribute.ENVELOPE)
        self.assertIn(b'"new"', envelope)
        mailbox.release()


class NestedAccountTests(AccountTests):
    hierarchy = Hierarchy.FS
