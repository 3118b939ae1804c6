"""Virtual folders: numbers, versions, flags, what is asked of the program and how often, and what goes wrong in it."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, date, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mailpost.mail import searchkeys as keys
from mailpost.mail.errors import ErrorKind, IncompleteError, MailError
from mailpost.mail.flags import DELETED, FLAGGED, NO_FLAGS, SEEN, FlagChange, intern_flags
from mailpost.mail.uidset import UidSet
from mailpost.storage.memory import MemoryStore
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute, HeaderFields, NewMessage
from mailpost.storage.virtual import Item, MountedStore, VirtualFolder, VirtualStore
from mailpost.storage.virtual.cache import Cache
from mailpost.storage.virtual.folder import checked
from mailpost.storage.virtual.ledger import Ledger, LedgerError
from mailpost.storage.virtual.source import PATIENCE, octets_of
from mailpost.storage.virtual.store import MOST_IDLE
from mailpost.wire.imap.structures import summarise
from tests.storage.turning import TurningReactor
from tests.storage.virtual.data import Shown, Written

SEEN_ONLY, DELETED_ONLY = intern_flags({SEEN}), intern_flags({DELETED})


def lists_slowly(kind: type[Shown | Written]) -> tuple[Any, list[Deferred[Any]]]:
    """A folder of this kind, and what it has been asked for: each `list` answers with what its Deferred is given."""
    waiting: list[Deferred[Any]] = []

    class Slow(kind):  # type: ignore[misc, valid-type]
        def list(self) -> Any:
            waiting.append(Deferred())
            return waiting[-1]

    return Slow(), waiting


class World:
    """A store over some folders, and answers at once."""

    def __init__(self, folders: Any, **settings: Any) -> None:
        self.reactor = TurningReactor()
        self.store = VirtualStore(self.reactor, folders, summarise, **settings)
        self.account = self.answer(self.store.account("ann"))

    def answer(self, asked: Any) -> Any:
        return self.reactor.answer(asked)

    def open(self, name: str = "INBOX") -> Any:
        return self.answer(self.account.open(name))

    def rows(self, mailbox: Any, *attributes: Any, uids: Any = None) -> list[Any]:
        async def collect() -> list[Any]:
            wanted = list(mailbox.live.uids) if uids is None else uids
            return [row async for batch in mailbox.fetch(wanted, attributes) for row in batch]

        return self.answer(collect())


def refused(world: World, kind: ErrorKind, asked: Any) -> str:
    with pytest.raises(MailError) as caught:
        world.answer(asked)
    assert caught.value.kind is kind
    return caught.value.text


def test_an_item_keeps_its_uid_and_another_version_is_another_message() -> None:
    folder = Shown({"a": "one", "b": "two"})
    world = World({"INBOX": folder})
    mailbox = world.open()
    assert list(mailbox.live.uids) == [1, 2]
    world.answer(mailbox.store([1], FlagChange.ADD, intern_flags({SEEN, FLAGGED})))
    before = mailbox.live.highest_modseq
    folder.put("a", "three")
    folder.put("c", "four")
    world.answer(mailbox.refresh())
    assert list(mailbox.live.uids) == [2, 3, 4]
    assert mailbox.live.highest_modseq > before
    assert mailbox.vanished(before) == UidSet.of([1])
    assert mailbox.live.flags[1] == {FLAGGED}  # what was marked stays so; it has not been read
    subjects = HeaderFields((b"subject",))
    assert world.rows(mailbox, subjects)[1:] == [(3, b"Subject: a\r\n\r\n"), (4, b"Subject: c\r\n\r\n")]
    folder.drop("b")
    world.answer(mailbox.refresh())
    folder.put("b", "again")
    world.answer(mailbox.refresh())
    assert list(mailbox.live.uids) == [3, 4, 5]


def test_flags_that_the_program_changes_are_changed_and_others_stay() -> None:
    folder = Shown({"a": "one"})
    folder.flags["a"] = frozenset({"$Urgent"})
    world = World({"INBOX": folder})
    mailbox = world.open()
    world.answer(mailbox.store([1], FlagChange.ADD, SEEN_ONLY))
    folder.flags["a"] = frozenset({"\\flagged"})
    folder.changed()
    world.answer(mailbox.refresh())
    assert (list(mailbox.live.uids), mailbox.live.flags[0]) == ([1], {SEEN, FLAGGED})
    world.answer(mailbox.store([1], FlagChange.REMOVE, intern_flags({FLAGGED})))
    folder.changed()
    world.answer(mailbox.refresh())
    assert mailbox.live.flags[0] == {SEEN}  # it was told of that flag before


def test_messages_are_made_once_and_kept_within_bounds() -> None:
    folder = Shown(dict.fromkeys(range(20), "x" * 1000))
    world = World({"INBOX": folder}, cache_octets=200_000)
    mailbox = world.open()
    assert folder.fetches == []
    world.rows(mailbox, Attribute.INTERNALDATE)
    assert folder.fetches == []
    first = world.rows(mailbox, Attribute.OCTETS, Attribute.ENVELOPE)
    assert (len(first), len(folder.fetches)) == (20, 20)
    assert world.rows(mailbox, Attribute.OCTETS, Attribute.ENVELOPE) == first
    assert [size for _, size in world.rows(mailbox, Attribute.SIZE)] == [len(row[1]) for row in first]
    assert len(folder.fetches) == 20
    small = World({"INBOX": folder}, cache_octets=8000)
    for _ in range(2):
        assert small.rows(small.open(), Attribute.OCTETS) == [row[:2] for row in first]
    assert len(folder.fetches) == 60
    assert 0 < small.store.bodies.octets <= 6000
    assert len(small.rows(small.open(), Attribute.SIZE)) == 20
    assert len(folder.fetches) == 60  # sizes are remembered by themselves


def test_what_many_ask_for_at_once_is_asked_once() -> None:
    waiting: list[Deferred[bytes]] = []

    class Slow(Shown):
        def fetch(self, item: Any) -> Any:
            self.fetches.append(item)
            waiting.append(Deferred())
            return waiting[-1]

    folder = Slow(dict.fromkeys(range(10), ""))
    world = World({"INBOX": folder})
    boxes = [world.open(), world.answer(world.answer(world.store.account("bob")).open("INBOX"))]
    rows: list[Any] = []

    async def collect(mailbox: Any) -> None:
        async for batch in mailbox.fetch([1, 2], (Attribute.OCTETS,)):
            rows.extend(batch)

    asked = [Deferred.fromCoroutine(collect(box)) for box in boxes]
    assert folder.fetches == [0, 1]
    asked[0].addErrback(lambda _: None)
    asked[0].cancel()
    for number, each in enumerate(waiting):
        each.callback(b"Subject: %d\r\n\r\n" % number)
    world.answer(asked[1])
    assert rows == [(1, b"Subject: 0\r\n\r\n"), (2, b"Subject: 1\r\n\r\n")]
    everything = Deferred.fromCoroutine(settled(anext(boxes[0].fetch(list(range(3, 11)), (Attribute.SIZE,)))))
    assert len(waiting) == 10  # several are asked for before one has come
    for each in waiting[2:]:
        each.callback(b"\r\n")
    assert [row[0] for row in world.answer(everything)] == list(range(3, 11))


def test_searching_makes_only_the_messages_that_it_must() -> None:
    folder = Shown({number: f"text {number}" for number in range(10)})
    world = World({"INBOX": folder})
    mailbox = world.open()
    world.answer(mailbox.store([3, 4], FlagChange.ADD, SEEN_ONLY))
    day = keys.OnDate(keys.DateField.INTERNAL, keys.Comparison.ON, date(1970, 1, 1))
    assert world.answer(mailbox.search(keys.And((keys.HasFlag(SEEN), day)))) == [3, 4]
    assert world.answer(mailbox.search(keys.Not(keys.Or(keys.HasFlag(SEEN), keys.All())))) == []
    assert folder.fetches == []
    wanted = keys.And((keys.Header("subject", "2"), keys.HasFlag(SEEN)))
    assert world.answer(mailbox.search(wanted)) == [3]
    assert folder.fetches == [2, 3]
    assert world.answer(mailbox.search(keys.Or(keys.Text("text 7"), keys.HasFlag(SEEN)))) == [3, 4, 8]
    assert world.answer(mailbox.search(keys.Larger(1))) == list(range(1, 11))


def test_what_is_not_written_cannot_be_done() -> None:
    folder = Shown({"a": "one"})
    world = World({"INBOX": folder, "Sub/Deep": Shown()})
    mailbox = world.open()
    assert mailbox.flags_refused == DELETED_ONLY
    refused(world, ErrorKind.CANNOT, mailbox.store([1], FlagChange.ADD, DELETED_ONLY))
    refused(world, ErrorKind.CANNOT, mailbox.remove([1]))
    assert world.answer(mailbox.expunge()) == []
    refused(world, ErrorKind.NO_PERMISSION, world.account.append("INBOX", [NewMessage(b"x")]))
    refused(world, ErrorKind.NO_PERMISSION, mailbox.copy([1], "Sub/Deep"))
    refused(world, ErrorKind.NO_SUCH_FOLDER, mailbox.copy([1], "None"))
    for wrong, kind in (("create", ErrorKind.NO_PERMISSION), ("delete", ErrorKind.CANNOT)):
        with pytest.raises(MailError) as caught:
            getattr(world.account, wrong)("Sub" if wrong == "delete" else "New")
        assert caught.value.kind is kind
    with pytest.raises(MailError) as caught:
        world.account.rename("Sub/Deep", "Other")
    assert caught.value.kind is ErrorKind.CANNOT
    assert [(each.name, each.selectable) for each in world.account.folders()] == [
        ("INBOX", True),
        ("Sub", False),
        ("Sub/Deep", True),
    ]


def test_subscriptions_are_all_but_those_that_are_off() -> None:
    world = World({"A": Shown(), "B": Shown()})
    assert world.account.subscriptions() == {"INBOX", "A", "B"}
    world.answer(world.account.subscribe("A", False))
    assert world.account.subscriptions() == {"INBOX", "B"}
    world.answer(world.account.subscribe("A", True))
    assert world.account.subscriptions() == {"INBOX", "A", "B"}
    refused(world, ErrorKind.NO_SUCH_FOLDER, world.account.subscribe("None", True))
    world.answer(world.account.subscribe("None", False))


def test_folders_on_demand_come_and_go_with_the_function() -> None:
    names = ["One"]
    made: dict[str, Shown] = {}

    async def folders(user: str) -> dict[str, Shown]:
        return {name: made.setdefault(f"{user} {name}", Shown({user: name})) for name in names}

    world = World(folders)
    mailbox = world.open("One")
    assert world.rows(mailbox, HeaderFields((b"subject",))) == [(1, b"Subject: ann\r\n\r\n")]
    names.append("Two")
    assert world.open("Two").live.uidvalidity > mailbox.live.uidvalidity
    names.remove("One")
    world.answer(world.account.refresh())
    assert mailbox.live.gone
    refused(world, ErrorKind.NO_SUCH_FOLDER, world.account.open("One"))
    names.append("One")
    assert world.open("One").live.uidvalidity > mailbox.live.uidvalidity
    made["ann Two"] = Shown({"ann": "Two", "more": ""})  # another object: the same folder by its name and ids
    two = world.open("Two")
    assert list(two.live.uids) == [1, 2]


class TestErrors(SynchronousTestCase):
    """A program's bugs are logged once and told nobody."""

    def test_listing(self) -> None:
        folder = Shown({"a": "one"})
        world = World({"INBOX": folder})
        mailbox = world.open()
        broken = Shown.list
        try:
            Shown.list = lambda self: 1 / 0  # type: ignore[method-assign,assignment,return-value]
            for _ in range(3):
                folder.changed()
                world.answer(mailbox.refresh())  # what was listed last stays
            assert list(mailbox.live.uids) == [1]
            other = World({"INBOX": Shown()}).account
            text = refused(world, ErrorKind.BUG, other.open("INBOX"))
            assert "zero" not in text
        finally:
            Shown.list = broken  # type: ignore[method-assign]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 2
        folder.put("b", "two")
        world.answer(mailbox.refresh())
        assert list(mailbox.live.uids) == [1, 2]

    def test_a_failed_listing_is_tried_again_after_a_while(self) -> None:
        folder = Shown({"a": "one"})
        world = World({"INBOX": folder})
        mailbox = world.open()
        good, folder.texts = folder.texts, None  # type: ignore[assignment]
        folder.changed()
        world.answer(mailbox.refresh())
        folder.texts = {**good, "b": "two"}
        world.answer(mailbox.refresh())
        assert list(mailbox.live.uids) == [1]
        world.reactor.advance(6)
        world.answer(mailbox.refresh())
        assert list(mailbox.live.uids) == [1, 2]
        assert len(self.flushLoggedErrors(TypeError)) == 1

    def test_fetching(self) -> None:
        folder = Shown({"a": "one", "b": "two", "c": "three"})
        world = World({"INBOX": folder})
        mailbox = world.open()
        del folder.texts["c"]  # gone without a word: nobody's fault
        assert [row[0] for row in world.rows(mailbox, Attribute.OCTETS)] == [1, 2]
        assert list(mailbox.live.uids) == [1, 2]
        folder.put("b", 7)  # type: ignore[arg-type]
        world.answer(mailbox.refresh())
        rows: list[Any] = []

        async def collect() -> None:
            async for batch in mailbox.fetch([1, 4], (Attribute.SIZE, Attribute.OCTETS)):
                rows.extend(batch)

        for _ in range(2):
            rows.clear()
            text = refused(world, ErrorKind.BUG, collect())
            assert [row[0] for row in rows] == [1]
            assert "encode" not in text
        with pytest.raises(IncompleteError) as caught:
            world.answer(mailbox.search(keys.Text("one")))
        assert caught.value.found == [1]
        assert len(self.flushLoggedErrors(AttributeError)) == 1

    def test_what_takes_for_ever(self) -> None:
        folder = Shown({"a": "one"})
        folder.fetch = lambda item: Deferred()  # type: ignore[method-assign,assignment,return-value]
        world = World({"INBOX": folder})
        mailbox = world.open()
        outcome: list[Any] = []
        Deferred.fromCoroutine(settled(anext(mailbox.fetch([1], (Attribute.SIZE,))))).addBoth(outcome.append)
        world.reactor.advance(PATIENCE - 1)
        assert not outcome
        world.reactor.advance(2)
        assert outcome[0].value.kind is ErrorKind.UNAVAILABLE

    def test_a_refusal_of_the_program_is_told(self) -> None:
        class Busy(Shown):
            def remove(self, item: Any) -> None:
                raise MailError(ErrorKind.NO_PERMISSION, "Tickets are for ever")

        world = World({"INBOX": Busy({"a": "one"})})
        mailbox = world.open()
        world.answer(mailbox.store([1], FlagChange.ADD, DELETED_ONLY))
        assert refused(world, ErrorKind.NO_PERMISSION, mailbox.expunge()) == "Tickets are for ever"
        assert list(mailbox.live.uids) == [1]

    def test_what_cannot_be_a_folder_or_an_item(self) -> None:
        with pytest.raises(TypeError, match="needs the methods list and fetch"):
            World({"INBOX": object()})
        world = World(lambda user: {"Good": Shown(), "Bad": object(), "a//b": Shown()})
        assert [each.name for each in world.account.folders()] == ["INBOX", "Good"]
        for wrong in (Item(None), Item(b"x"), Item("x", 1.5)):  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                checked(wrong)
        for flag in ("two words", "\\Other", "", "{", "ü"):
            with pytest.raises(ValueError, match="no flag"):
                checked(Item("x", flags=[flag]))
        when = datetime(2001, 9, 9, 12, tzinfo=UTC)
        assert checked(Item("x", date=when, flags={"\\seen", "\\Deleted"})) == Item("x", None, 1_000_036_800, {SEEN})
        self.flushLoggedErrors()

    def test_folders_of_a_user_that_cannot_be_told(self) -> None:
        outcome: list[Any] = [{"One": Shown()}, ZeroDivisionError("secret"), ZeroDivisionError("secret"), None]

        def folders(user: str) -> Any:
            found = outcome.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        world = World(folders)
        for _ in range(3):
            world.answer(world.account.refresh())
        assert [each.name for each in world.account.folders()] == ["INBOX", "One"]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def test_an_id_that_is_listed_twice(self) -> None:
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        try:

            class Twice(Shown):
                def list(self) -> Any:
                    return ["a", "a", "b"]

            world = World({"INBOX": Twice({"a": "", "b": ""})})
            mailbox = world.open()
            world.answer(mailbox.refresh(doubt=True))
        finally:
            globalLogPublisher.removeObserver(events.append)
        assert list(mailbox.live.uids) == [1, 2]
        assert sum("twice" in event.get("log_format", "") for event in events) == 1


def test_polling_asks_again_only_while_somebody_is_there() -> None:
    folder = Shown({"a": "one"})
    folder.poll = 30.0
    world = World({"INBOX": folder})
    mailbox = world.open()
    woken: list[int] = []

    class Watcher:
        def wake(self) -> None:
            woken.append(1)

        def catch_up(self) -> None:
            raise AssertionError

    cursor = mailbox.live.attach(Watcher())
    folder.texts["b"] = "two"
    world.answer(mailbox.refresh())
    assert list(mailbox.live.uids) == [1]
    world.reactor.advance(31)
    assert woken
    world.answer(mailbox.refresh())
    assert list(mailbox.live.uids) == [1, 2]
    cursor.close()
    mailbox.release()
    assert world.reactor.getDelayedCalls() == []
    folder.texts["c"] = "three"
    assert world.answer(world.account.counts("INBOX")).messages == 3  # who comes in is told what there is now


def test_numbers_and_flags_outlive_the_program(tmp_path: Path) -> None:
    path = tmp_path / "below" / "numbers.sqlite3"
    folder = Shown({"a": "one", 2: "two", "c": "three"})
    folder.flags["c"] = frozenset({"$Urgent"})
    folders = {"Kept/Here": folder}
    world = World(folders, path=path)
    mailbox = world.open("Kept/Here")
    world.answer(mailbox.store([2], FlagChange.ADD, intern_flags({SEEN, "$Work"})))
    mailbox.live.claim_recent()
    world.answer(world.account.subscribe("Kept/Here", False))
    live = mailbox.live
    before = live.uidvalidity, live.mailbox_id, live.uids[:], live.flags[:], live.modseqs[:]
    modseq = live.highest_modseq
    world.answer(world.store.close())
    del folder.texts["a"]
    folder.texts["d"] = "four"
    again = World(folders, path=path)
    assert again.account.subscriptions() == {"INBOX"}
    mailbox = again.open("Kept/Here")
    live = mailbox.live
    assert (live.uidvalidity, live.mailbox_id) == before[:2]
    assert live.uids == [2, 3, 4]
    assert (live.flags[:2], live.modseqs[:2]) == (before[3][1:], before[4][1:])
    assert live.modseqs[2] > modseq
    assert live.first_recent == 4
    assert mailbox.vanished(modseq - 1) is None
    again.answer(again.store.close())


def test_a_number_is_on_the_disk_before_anybody_is_told(tmp_path: Path) -> None:
    path = tmp_path / "numbers.sqlite3"
    folder = Written()
    world = World({"INBOX": folder}, path=path)
    appended = world.answer(world.account.append("INBOX", [NewMessage(b"Subject: x\r\n\r\n", SEEN_ONLY)]))
    killed = World({"INBOX": folder}, path=path)  # the other one was never closed
    mailbox = killed.open()
    assert (list(mailbox.live.uids), mailbox.live.flags[0]) == (list(appended.uids), SEEN_ONLY)
    for each in (world, killed):
        each.answer(each.store.close())


def test_a_ledger_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "numbers.sqlite3"
    ledger = Ledger(path)
    ledger.folders("ann")
    ledger._database().execute("PRAGMA user_version = 99")
    ledger.close()
    with pytest.raises(LedgerError, match="later version"):
        Ledger(path).folders("ann")
    reactor = TurningReactor()
    store = VirtualStore(reactor, {"INBOX": Shown()}, summarise, path=path)
    with pytest.raises(MailError) as caught:
        reactor.answer(store.account("ann"))
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert str(tmp_path) not in caught.value.text


def test_without_a_file_a_folder_is_another_after_a_restart() -> None:
    folder = Shown({"a": "one"})
    first = World({"INBOX": folder}, now=lambda: 1000.0).open().live.uidvalidity
    assert World({"INBOX": folder}, now=lambda: 1001.0).open().live.uidvalidity > first


def test_between_a_store_and_a_program() -> None:
    reactor = TurningReactor()
    folder, shown = Written(), Shown({"a": "one", "b": "two"})
    virtual = VirtualStore(reactor, {"Taken": folder, "Shown/Here": shown}, summarise, has_inbox=False)
    store = MountedStore(MemoryStore(summarise, {}), virtual)
    account: Any = reactor.answer(store.account("ann"))
    assert [each.name for each in account.folders()] == ["INBOX", "Shown", "Shown/Here", "Taken"]
    reactor.answer(account.append("INBOX", [NewMessage(b"Subject: mail\r\n\r\n", SEEN_ONLY, 5)]))
    inbox = reactor.answer(account.open("INBOX"))
    here = reactor.answer(account.open("Shown/Here"))
    assert reactor.answer(account.open("inbox")) is inbox
    reactor.answer(here.store([2], FlagChange.ADD, SEEN_ONLY))
    copied = reactor.answer(here.copy([1, 2, 9], "INBOX"))
    assert (copied.source_uids, list(copied.target_uids)) == ([1, 2], [2, 3])
    assert inbox.live.flags[1:] == [NO_FLAGS, SEEN_ONLY]
    with pytest.raises(MailError) as caught:
        reactor.answer(here.copy([1], "INBOX", move=True))
    assert caught.value.kind is ErrorKind.CANNOT
    assert len(inbox.live.uids) == 3
    taken = reactor.answer(account.open("Taken"))
    moved = reactor.answer(inbox.copy([1, 2], "Taken", move=True))
    assert (list(moved.source_uids), list(moved.target_uids)) == ([1, 2], [1, 2])
    assert (inbox.live.uids, taken.live.uids, taken.live.flags[0]) == ([3], [1, 2], SEEN_ONLY)
    assert folder.octets[1] == b"Subject: mail\r\n\r\n"
    back = reactor.answer(taken.copy([1], "INBOX", move=True))
    assert (list(back.target_uids), folder.octets.keys(), taken.live.uids) == ([4], {2}, [2])
    reactor.answer(account.create("Shown/Own"))
    with pytest.raises(MailError) as caught:
        reactor.answer(account.create("Shown/Here"))
    assert caught.value.kind is ErrorKind.FOLDER_EXISTS
    for wrong in (account.delete("Shown/Here"), account.rename("Taken", "Else"), account.rename("Shown/Here", "X")):
        with pytest.raises(MailError) as caught:
            reactor.answer(wrong)
        assert caught.value.kind is ErrorKind.CANNOT
    reactor.answer(store.close())


def test_an_append_that_becomes_something_else_has_no_uid() -> None:
    class Comments(Shown):
        def add(self, message: NewMessage) -> None:
            self.put("a", "one, with a comment")

    world = World({"INBOX": Comments({"a": "one"})})
    mailbox = world.open()
    assert list(world.answer(world.account.append("INBOX", [NewMessage(b"x")])).uids) == []
    world.answer(mailbox.refresh())
    assert list(mailbox.live.uids) == [2]


def test_of_several_messages_none_stays_where_one_is_not_taken() -> None:
    class Full(Written):
        def add(self, message: NewMessage) -> int:
            if len(self.octets) == 2:
                raise MailError(ErrorKind.OVER_QUOTA, "Two are enough")
            return super().add(message)

    folder = Full()
    world = World({"INBOX": folder})
    mailbox = world.open()
    refused(world, ErrorKind.OVER_QUOTA, world.account.append("INBOX", [NewMessage(b"x")] * 3))
    assert (folder.octets, list(mailbox.live.uids)) == ({}, [])


def test_a_listing_of_before_an_append_does_not_undo_it() -> None:
    folder, waiting = lists_slowly(Written)
    world = World({"INBOX": folder})
    opening = Deferred.fromCoroutine(world.account.open("INBOX"))
    waiting[0].callback([])
    mailbox = world.answer(opening)
    folder.changed()
    refreshing = Deferred.fromCoroutine(mailbox.refresh())
    world.answer(world.account.append("INBOX", [NewMessage(b"x")]))
    waiting[1].callback([])  # it was asked before
    assert list(mailbox.live.uids) == [1]
    waiting[2].callback([1])
    world.answer(refreshing)
    assert (list(mailbox.live.uids), len(waiting)) == ([1], 3)


def test_a_message_is_the_same_each_time_it_is_made() -> None:
    def made() -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = "parts"
        message.set_content("Text\n")
        message.add_alternative("<p>Text", subtype="html")
        message.add_attachment(b"\0\1", maintype="application", subtype="octet-stream")
        return message

    first = octets_of(made(), "7")
    assert first == octets_of(made(), "7") != octets_of(made(), "8")
    assert b"\n" not in first.replace(b"\r\n", b"")
    assert octets_of(b"a\nb\n", "") == b"a\r\nb\r\n"


def test_the_cache_lets_go_of_what_was_not_asked_for_longest() -> None:
    cache: Cache[str] = Cache(100)
    for key in "abcde":
        cache.put(key, key, 25)
        cache.get("a")
    assert [cache.get(key) for key in "abcde"] == ["a", None, "c", "d", "e"]
    cache.put("large", "x", 26)
    assert (cache.get("large"), cache.octets) == (None, 100)


def test_a_folder_that_lacks_a_method_cannot_be_made() -> None:
    class Lists(VirtualFolder):
        def list(self) -> Any:
            return []

    for lacking in (VirtualFolder, Lists):
        with pytest.raises(TypeError, match="fetch"):
            lacking()  # type: ignore[abstract]


def test_a_folder_that_stays_as_it_is_costs_no_writing(tmp_path: Path) -> None:
    class Plain(Shown):
        def list(self) -> Any:
            return [Item(name, flags=[]) for name in self.texts]

    world = World({"INBOX": Plain({"a": "one"})}, path=tmp_path / "numbers.sqlite3")
    mailbox = world.open()
    modseq = mailbox.live.highest_modseq
    for _ in range(3):
        world.answer(mailbox.refresh(doubt=True))
    assert mailbox.live.highest_modseq == modseq
    world.answer(world.store.close())


def test_whoever_goes_in_the_middle_of_a_change_leaves_nothing_half_done(tmp_path: Path) -> None:
    path = tmp_path / "numbers.sqlite3"
    waiting: list[Deferred[None]] = []

    class Slow(Shown):
        def remove(self, item: Any) -> Deferred[None]:
            del self.texts[item]
            waiting.append(Deferred())
            return waiting[-1]

    folder = Slow({"a": "one", "b": "two"})
    world = World({"INBOX": folder}, path=path)
    mailbox = world.open()
    world.answer(mailbox.store([1], FlagChange.ADD, DELETED_ONLY))
    expunging = Deferred.fromCoroutine(mailbox.expunge()).addErrback(lambda _: None)
    expunging.cancel()
    waiting[0].callback(None)
    refreshed = world.answer(mailbox.refresh(doubt=True))  # has its turn behind that
    assert refreshed is None
    assert list(mailbox.live.uids) == [2]
    opening = Deferred.fromCoroutine(world.account.open("INBOX")).addErrback(lambda _: None)
    folder.put("c", "three")
    opening.cancel()
    world.answer(mailbox.refresh())
    before = list(mailbox.live.uids), mailbox.live.uidnext
    world.answer(world.store.close())
    again = World({"INBOX": folder}, path=path)
    mailbox = again.open()
    assert (list(mailbox.live.uids), mailbox.live.uidnext) == before == ([2, 3], 4)
    again.answer(again.store.close())


def test_a_program_that_takes_long_for_one_user_keeps_no_other_out() -> None:
    waiting: Deferred[dict[str, Shown]] = Deferred()
    reactor = TurningReactor()
    store = VirtualStore(reactor, lambda user: waiting if user == "slow" else {"One": Shown()}, summarise)
    asked = [Deferred.fromCoroutine(store.account("slow")) for _ in range(2)]
    quick = reactor.answer(store.account("quick"))
    assert [each.name for each in quick.folders()] == ["INBOX", "One"]
    assert not asked[0].called
    waiting.callback({"Two": Shown()})
    slow = [reactor.answer(each) for each in asked]
    assert slow[0] is slow[1]
    assert [each.name for each in slow[0].folders()] == ["INBOX", "Two"]


def test_accounts_that_nobody_uses_are_let_go_where_they_can_be_had_again(tmp_path: Path) -> None:
    world = World(lambda user: {"INBOX": Shown({user: "text"})}, path=tmp_path / "numbers.sqlite3")
    seen: dict[str, Any] = {}
    for number in range(MOST_IDLE + 20):
        account = world.answer(world.store.account(f"user{number}"))
        mailbox = world.answer(account.open("INBOX"))
        world.answer(mailbox.store([1], FlagChange.ADD, SEEN_ONLY))
        mailbox.live.claim_recent()
        seen[account.user] = mailbox.live.uidvalidity
        mailbox.release()
        account.release()
    assert len(world.store._accounts) == MOST_IDLE + 1  # and ann, who is still there
    account = world.answer(world.store.account("user0"))
    mailbox = world.answer(account.open("INBOX"))
    assert (mailbox.live.uidvalidity, list(mailbox.live.uids)) == (seen["user0"], [1])
    assert (mailbox.live.flags, mailbox.live.first_recent) == ([SEEN_ONLY], 2)
    world.answer(world.store.close())


def test_what_an_item_costs() -> None:
    class Large(Shown):
        def list(self) -> Any:
            return self.items

        items = [Item(number, 1, 1000 + number) for number in range(20_000)]

    folder = Large()
    world = World({"Large": folder})
    tracemalloc.start()
    mailbox = world.open("Large")
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(mailbox.live.uids) == 20_000
    assert folder.fetches == []
    assert taken / 20_000 < 700


def test_an_item_that_is_called_as_one_that_is_gone_is_another() -> None:
    class Numbered(Written):
        def add(self, message: NewMessage) -> int:
            self._next = len(self.octets)
            return super().add(message)

    world = World({"INBOX": Numbered()})
    mailbox = world.open()
    for uid, text in ((1, b"first"), (2, b"second")):
        world.answer(world.account.append("INBOX", [NewMessage(b"Subject: %b\r\n\r\n" % text)]))
        for _ in range(2):
            (row,) = world.rows(mailbox, Attribute.OCTETS, HeaderFields((b"subject",)))
            assert row == (uid, *[b"Subject: %b\r\n\r\n" % text] * 2)
            world.answer(mailbox.refresh(doubt=True))
        world.answer(mailbox.remove([uid]))


def test_what_was_asked_for_before_an_item_went_is_not_kept() -> None:
    waiting: list[Deferred[bytes]] = []

    class Slow(Shown):
        def fetch(self, item: Any) -> Any:
            waiting.append(Deferred())
            return waiting[-1]

    folder = Slow({"a": "", "b": ""})
    world = World({"INBOX": folder})
    mailbox = world.open()
    asked = Deferred.fromCoroutine(settled(anext(mailbox.fetch([1], (Attribute.OCTETS,)))))
    for change in (folder.drop, folder.texts.setdefault):
        change("a")
        folder.changed()
        world.answer(mailbox.refresh())
    waiting[0].callback(b"old")
    asked.addErrback(lambda _: None)
    assert list(mailbox.live.uids) == [2, 3]
    again = Deferred.fromCoroutine(settled(anext(mailbox.fetch([3], (Attribute.OCTETS,)))))
    waiting[1].callback(b"new")
    assert world.answer(again) == [(3, b"new")]


def test_an_older_listing_that_comes_later_changes_nothing() -> None:
    folder, waiting = lists_slowly(Shown)
    world = World({"INBOX": folder})
    opening = Deferred.fromCoroutine(world.account.open("INBOX"))
    waiting[0].callback(["a"])
    mailbox = world.answer(opening)
    refreshing = []
    for _ in range(2):
        folder.changed()
        refreshing.append(Deferred.fromCoroutine(mailbox.refresh()))
    waiting[2].callback(["a", "b"])
    world.answer(refreshing[1])
    waiting[1].callback(["a"])
    world.answer(refreshing[0])
    assert (list(mailbox.live.uids), mailbox.live.uidnext) == ([1, 2], 3)


def test_of_many_messages_that_are_copied_in_none_stays_where_one_is_not_taken() -> None:
    class Full(Written):
        def add(self, message: NewMessage) -> int:
            if len(self.octets) == 2:
                raise MailError(ErrorKind.OVER_QUOTA, "Two are enough")
            return super().add(message)

    reactor, folder = TurningReactor(), Full()
    virtual = VirtualStore(reactor, {"Taken": folder}, summarise, has_inbox=False)
    account: Any = reactor.answer(MountedStore(MemoryStore(summarise), virtual).account("ann"))
    large = [NewMessage(b"Subject: %d\r\n\r\n" % number + b"x" * 300_000) for number in range(3)]
    reactor.answer(account.append("INBOX", large))
    inbox = reactor.answer(account.open("INBOX"))
    for move in (False, True):
        with pytest.raises(MailError, match="Two are enough"):
            reactor.answer(inbox.copy([1, 2, 3], "Taken", move=move))
        assert (folder.octets, len(inbox.live.uids)) == ({}, 3)
    assert reactor.answer(account.counts("Taken")).messages == 0
    reactor.answer(inbox.copy([1, 2], "Taken"))
    assert sorted(folder.octets.values()) == [each.octets for each in large[:2]]


def test_nothing_is_renamed_onto_a_name_of_the_program() -> None:
    reactor = TurningReactor()
    virtual = VirtualStore(reactor, {"Tickets/Open": Shown()}, summarise, has_inbox=False)
    account: Any = reactor.answer(MountedStore(MemoryStore(summarise, {}), virtual).account("ann"))
    reactor.answer(account.create("Mine/Open"))
    for new in ("Tickets", "Tickets/Open"):
        with pytest.raises(MailError) as caught:
            reactor.answer(account.rename("Mine", new))
        assert caught.value.kind is ErrorKind.FOLDER_EXISTS
    reactor.answer(account.rename("Mine", "Tickets/Mine"))
    assert [each.name for each in account.folders()] == [
        "INBOX",
        "Tickets",
        "Tickets/Mine",
        "Tickets/Mine/Open",
        "Tickets/Open",
    ]
