"""The memory store and the Maildir store do the same operations: everything that can be seen of them is the same."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mailpost.mail import searchkeys as keys
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import ANSWERED, DELETED, FLAGGED, SEEN, FlagChange, intern_flags
from mailpost.mail.lineends import normalised, to_stored
from mailpost.mail.searchkeys import SearchKey
from mailpost.storage.maildir.layout import Hierarchy, layout_of
from mailpost.storage.maildir.store import MaildirStore
from mailpost.storage.memory import MemoryStore
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute, HeaderFields, NewMessage, SpecialUse
from mailpost.testing.contract.base import ENCODED, FOLDED, ODD, PLAIN, REPLY, Watching
from mailpost.wire.imap.structures import summarise
from tests.storage.turning import TurningReactor

NAMES = st.sampled_from(["INBOX", "inbox", "a", "a/b", "a/b/c", "b", "INBOX/x", "ü.&/~", "bad//name", "none"])
BOXES = st.sampled_from(["INBOX", "INBOX", "a", "a/b", "b", "none"])
FLAGS = st.sets(st.sampled_from([SEEN, DELETED, FLAGGED, ANSWERED, "$Work", "Other", "$forwarded"]), max_size=4)
UIDS = st.lists(st.integers(1, 15), unique=True, max_size=8).map(sorted)
MAIL = {"plain": PLAIN, "reply": REPLY, "encoded": ENCODED, "folded": FOLDED, **ODD}
MESSAGES = st.sampled_from(sorted(MAIL))
DEFAULTS = {"Trash": SpecialUse.TRASH}
ATTRIBUTES = (
    *(each for each in Attribute if each not in (Attribute.SAVEDATE, Attribute.PREVIEW_AT_HAND)),
    HeaderFields((b"subject", b"to")),
)
"""What both stores must say alike: not when, by the clock, a message came, nor what they have worked out already."""
SEARCHES: list[SearchKey] = [
    keys.HasFlag(SEEN),
    keys.Not(keys.HasFlag("$WORK")),
    keys.Text("lunch"),
    keys.Header("subject", "x"),
    keys.Body("ü"),
    keys.Or(keys.Larger(200), keys.HasFlag(DELETED)),
]


class Twin:
    """One of the two stores, with what a client would keep of it."""

    def __init__(self, open_store: Callable[[TurningReactor], Any]) -> None:
        self.reactor = TurningReactor()
        self.open_store = open_store
        self.watching: dict[str, tuple[Any, Watching]] = {}
        self.start()

    def start(self) -> None:
        self.store = self.open_store(self.reactor)
        self.account = self.reactor.answer(self.store.account("ann"))

    def stop(self) -> None:
        for name in list(self.watching):
            self.leave(name)
        self.account.release()
        self.reactor.answer(self.store.close())

    def leave(self, name: str) -> None:
        mailbox, session = self.watching.pop(name)
        session.cursor.close()
        mailbox.release()

    def attempt(self, asked: Callable[[], Any]) -> Any:
        """The answer, or the kind of the error."""
        try:
            return self.reactor.answer(asked())
        except MailError as error:
            return ErrorKind.NO_SUCH_FOLDER if error.kind is ErrorKind.NO_TARGET else error.kind

    def opened(self, name: str, work: Callable[[Any], Any]) -> Any:
        """Do something in a mailbox, opened for it."""
        mailbox = self.attempt(lambda: self.account.open(name))
        if isinstance(mailbox, ErrorKind):
            return mailbox
        try:
            return self.attempt(lambda: work(mailbox))
        finally:
            mailbox.release()

    async def rows(self, mailbox: Any, uids: Sequence[int]) -> list[Any]:
        batches: AsyncIterator[list[Any]] = mailbox.fetch(uids, ATTRIBUTES)
        return [row async for batch in batches for row in batch]

    def picture(self, name: str) -> Any:
        """Everything to be seen of a folder but for numbers that each store chooses."""
        status = self.attempt(lambda: self.account.status(name))
        if isinstance(status, ErrorKind):
            return status

        async def look(mailbox: Any) -> list[Any]:
            live = mailbox.live
            ranks = sorted(set(live.modseqs))
            rows = await self.rows(mailbox, list(live.uids))
            return [
                (status.messages, status.recent, status.unseen, status.deleted, status.size, status.uidnext),
                list(live.uids),
                list(live.flags),
                [ranks.index(modseq) for modseq in live.modseqs],
                (mailbox.name, live.uidnext, live.first_recent, live.gone, mailbox.read_only),
                rows,
            ]

        return self.opened(name, look)

    def folders(self) -> Any:
        return [(each.name, each.selectable, each.special_use) for each in self.account.folders()]

    def journal(self, name: str) -> Any:
        return [(change.kind, list(change.uids), change.origin) for change in self.watching[name][1].read()]


class Twins(RuleBasedStateMachine):
    """Both do the same, and are compared."""

    hierarchy = Hierarchy.MAILDIR_PLUS_PLUS

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="twins-"))
        self.touched: set[str] = set()
        self.delivered = 0

    @initialize()
    def begin(self) -> None:
        memory = MemoryStore(summarise, default_folders=DEFAULTS)
        self.twins = (Twin(lambda _: _Kept(memory)), Twin(self.maildir))
        self.create("a/b", None)
        for name in ("INBOX", "a"):
            self.append(name, [("plain", {SEEN}, 0), ("reply", {DELETED, "$Work"}, 10**9), ("folded", set(), 1)])

    def maildir(self, reactor: TurningReactor) -> MaildirStore:
        return MaildirStore(
            reactor,
            root=lambda user: self.root / user,
            hierarchy=self.hierarchy,
            default_folders=DEFAULTS,
            summariser=summarise,
        )

    def place(self, name: str) -> Path:
        return self.root / "ann" / layout_of(self.hierarchy).directory(name)

    def both(self, work: Callable[[Twin], Any]) -> Any:
        first, second = (work(twin) for twin in self.twins)
        assert first == second
        return first

    def same(self, asked: Callable[[Twin], Any]) -> Any:
        """Both answer the same, or fail alike."""
        return self.both(lambda twin: twin.attempt(lambda: asked(twin)))

    # -- folders

    @rule(name=NAMES, special_use=st.sampled_from([None, SpecialUse.JUNK]))
    def create(self, name: str, special_use: SpecialUse | None) -> None:
        async def create(twin: Twin) -> Any:
            folder = await settled(twin.account.create(name, special_use))
            return folder.name, folder.special_use

        self.touched.add(name)
        self.same(create)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        self.touched.add(name)
        self.same(lambda twin: twin.account.delete(name))

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        self.touched |= {"a", "a/b", "a/b/c", "b", "INBOX", "none", new}
        self.same(lambda twin: twin.account.rename(old, new))

    @rule(name=NAMES, subscribed=st.booleans())
    def subscribe(self, name: str, subscribed: bool) -> None:
        self.both(lambda twin: twin.attempt(lambda: twin.account.subscribe(name, subscribed)) is None)

    # -- messages

    @rule(name=BOXES, messages=st.lists(st.tuples(MESSAGES, FLAGS, st.integers(0, 2**31)), min_size=1, max_size=4))
    def append(self, name: str, messages: list[tuple[str, set[str], int]]) -> None:
        new = [NewMessage(MAIL[which], intern_flags(flags), date) for which, flags, date in messages]

        async def append(twin: Twin) -> Any:
            return list((await settled(twin.account.append(name, new, origin="me"))).uids)

        self.touched.add(name)
        self.same(append)

    @rule(
        name=BOXES, uids=UIDS, change=st.sampled_from(FlagChange), flags=FLAGS, since=st.sampled_from([None, 0, 2**60])
    )
    def flag(self, name: str, uids: list[int], change: FlagChange, flags: set[str], since: int | None) -> None:
        async def store(mailbox: Any) -> Any:
            stored = await settled(mailbox.store(uids, change, intern_flags(flags), since, origin="you"))
            return list(stored.changed), list(stored.refused)

        self.touched.add(name)
        self.both(lambda twin: twin.opened(name, store))

    @rule(name=BOXES, uids=st.none() | UIDS)
    def expunge(self, name: str, uids: list[int] | None) -> None:
        self.touched.add(name)
        self.both(lambda twin: twin.opened(name, lambda mailbox: mailbox.expunge(uids, origin="me")))

    @rule(name=BOXES, uids=UIDS, into=BOXES, move=st.booleans())
    def copy(self, name: str, uids: list[int], into: str, move: bool) -> None:
        async def copy(mailbox: Any) -> Any:
            copied = await settled(mailbox.copy(uids, into, move=move, origin="me"))
            return list(copied.source_uids), list(copied.target_uids)

        self.touched |= {name, into}
        self.both(lambda twin: twin.opened(name, copy))

    @rule(name=BOXES, key=st.sampled_from(SEARCHES))
    def search(self, name: str, key: SearchKey) -> None:
        self.both(lambda twin: twin.opened(name, lambda mailbox: mailbox.search(key)))

    @rule(name=BOXES, uids=UIDS)
    def fetch(self, name: str, uids: list[int]) -> None:
        self.both(lambda twin: twin.opened(name, lambda mailbox: twin.rows(mailbox, uids)))

    @rule(name=BOXES)
    def claim_recent(self, name: str) -> None:
        async def claim(mailbox: Any) -> Any:
            return mailbox.live.claim_recent()

        self.touched.add(name)
        self.both(lambda twin: twin.opened(name, claim))

    # -- other programs at the Maildir; what they do is done to the memory store by its own means

    def files(self, name: str) -> dict[int, list[Path]]:
        """Modification time -> files of a folder, for dates that our messages may have."""
        directory = self.place(name)
        found: dict[int, list[Path]] = {}
        for place in ("cur", "new"):
            for file in (directory / place).glob("*"):
                found.setdefault(int(file.stat().st_mtime), []).append(file)
        return found

    def one_file(self, name: str, data: st.DataObject) -> tuple[int, Path] | None:
        """A message that can be told from all others in its folder by its date: its UID, its file."""
        memory = self.twins[0].attempt(lambda: self.twins[0].account.open(name))
        if isinstance(memory, ErrorKind):
            return None
        files = self.files(name)
        rows = self.twins[0].reactor.answer(self.twins[0].rows(memory, list(memory.live.uids)))
        dates = [row[2] for row in rows]
        told = [(row[0], files[row[2]][0]) for row in rows if dates.count(row[2]) == 1 and len(files[row[2]]) == 1]
        return data.draw(st.sampled_from(told)) if told else None

    @rule(name=BOXES, which=MESSAGES)
    def outside_delivery(self, name: str, which: str) -> None:
        if not isinstance(self.both(lambda twin: twin.picture(name)), ErrorKind):
            self.delivered += 1
            octets, date = to_stored(normalised(MAIL[which])), 1_500_000_000 + self.delivered
            directory = self.place(name)
            file = directory / "tmp" / f"{date}.outside"
            file.write_bytes(octets)
            os.utime(file, (date, date))
            file.rename(directory / "new" / file.name)
            self.twins[0].account.append(name, [NewMessage(MAIL[which], internaldate=date)])
            self.touched.add(name)

    @rule(name=BOXES, data=st.data(), letter=st.sampled_from("SRFT"))
    def outside_flag(self, name: str, data: st.DataObject, letter: str) -> None:
        told = self.one_file(name, data)
        if told is not None:
            uid, file = told
            base, _, letters = file.name.partition(":2,")
            if letter not in letters:
                file.rename(file.parent.parent / "cur" / f"{base}:2,{''.join(sorted(letters + letter))}")
                flag = {"S": SEEN, "R": ANSWERED, "F": FLAGGED, "T": DELETED}[letter]
                self.twins[0].account.open(name).store([uid], FlagChange.ADD, intern_flags([flag]))
                self.touched.add(name)

    @rule(name=BOXES, data=st.data())
    def outside_removal(self, name: str, data: st.DataObject) -> None:
        told = self.one_file(name, data)
        if told is not None:
            uid, file = told
            file.unlink()
            self.twins[0].account.open(name).take_out([uid], None)
            self.touched.add(name)

    # -- sessions

    @rule(name=st.sampled_from(["INBOX", "a", "a/b"]))
    def stay(self, name: str) -> None:
        """A session opens the folder and stays in it."""
        for twin in self.twins:
            if name in twin.watching:
                twin.leave(name)
            mailbox = twin.attempt(lambda twin=twin: twin.account.open(name))
            if not isinstance(mailbox, ErrorKind):
                twin.watching[name] = mailbox, Watching(mailbox.live)
        self.both(lambda twin: sorted(twin.watching))

    @rule()
    def listen(self) -> None:
        """All sessions read their journals."""
        self.both(lambda twin: [(name, twin.journal(name)) for name in sorted(twin.watching)])
        self.both(lambda twin: [(each.name, each.live.gone) for _, (each, _) in sorted(twin.watching.items())])

    @rule()
    def restart(self) -> None:
        for twin in self.twins:
            twin.stop()
            twin.start()
        self.touched |= {"INBOX", "a", "a/b", "a/b/c", "b"}

    # -- what is seen

    @invariant()
    def folders_agree(self) -> None:
        self.both(Twin.folders)
        self.both(lambda twin: twin.account.subscriptions())

    @invariant()
    def touched_folders_agree(self) -> None:
        for name in sorted(self.touched):
            self.both(lambda twin, name=name: twin.picture(name))
        self.touched.clear()

    def teardown(self) -> None:
        for twin in self.twins:
            twin.stop()
        shutil.rmtree(self.root)


class _Kept:
    """A memory store that survives being closed, as its twin does."""

    def __init__(self, store: MemoryStore) -> None:
        self.account = store.account

    def close(self) -> None:
        """Keep everything."""


Twins.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestTwins = Twins.TestCase


class NestedTwins(Twins):
    """And where folders lie in each other."""

    hierarchy = Hierarchy.FS


NestedTwins.TestCase.settings = Twins.TestCase.settings
TestNestedTwins = NestedTwins.TestCase
