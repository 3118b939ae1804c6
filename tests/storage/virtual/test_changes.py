"""Whatever a program does to its data, sessions that are told of it know what a session that comes in is told."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mailpost.mail.flags import DELETED, FLAGGED, SEEN, FlagChange, intern_flags
from mailpost.protocols.imap.selected import SelectedMailbox
from mailpost.storage.records import Attribute
from mailpost.storage.virtual import VirtualStore
from mailpost.wire.imap.structures import summarise
from tests.storage.turning import TurningReactor
from tests.storage.virtual.data import Shown

IDS = st.integers(0, 7)
FLAGS = st.frozensets(st.sampled_from([SEEN, FLAGGED, "$Work"]))
_LINE = re.compile(rb"\* (\d+) (EXPUNGE|EXISTS|FETCH \(UID (\d+) FLAGS \(([^)]*)\))")


class Removable(Shown):
    def remove(self, item: Any) -> None:
        del self.texts[item]


class Client:
    """What a client knows of the folder it has selected: UIDs and flags by sequence number."""

    def __init__(self, mailbox: Any) -> None:
        self.selected = SelectedMailbox(mailbox, read_only=False, enabled={"IMAP4REV2"})
        self.known: list[tuple[int, frozenset[str]]] = []
        self._fill(self.selected.view.exists)

    def _fill(self, exists: int) -> None:
        live = self.selected.live
        assert exists >= len(self.known)
        self.known += zip(live.uids[len(self.known) : exists], live.flags[len(self.known) : exists], strict=True)

    def told(self) -> None:
        """Take in what a command reports."""
        exists = None
        for line in b"".join(self.selected.report_changes(True)).split(b"\r\n"):
            found = _LINE.match(line)
            if found is None:
                continue
            number = int(found[1])
            if found[2] == b"EXPUNGE":
                del self.known[number - 1]
            elif found[2] == b"EXISTS":
                exists = number
            elif number <= len(self.known):
                assert self.known[number - 1][0] == int(found[3])
                self.known[number - 1] = int(found[3]), frozenset(found[4].decode().split())
        if exists is not None:
            self._fill(exists)


OPERATIONS = st.one_of(
    st.tuples(st.just("put"), IDS),
    st.tuples(st.just("drop"), IDS),
    st.tuples(st.just("flags"), IDS, FLAGS),
    st.tuples(st.just("told"), st.integers(0, 1)),
    st.tuples(st.just("store"), st.integers(0, 1), IDS, FLAGS),
    st.tuples(st.just("expunge"), st.integers(0, 1), IDS),
)


class Scene:
    """Two clients in one folder, and the program that changes it."""

    def __init__(self, path: Path | None = None) -> None:
        self.reactor, self.folder = TurningReactor(), Removable(dict.fromkeys(range(4), "x"))
        self.store = VirtualStore(self.reactor, {"INBOX": self.folder}, summarise, path=path)
        self.account = self.answer(self.store.account("ann"))
        self.clients = [self.come_in() for _ in range(2)]
        self.mailbox = self.clients[0].selected.mailbox
        self.puts = 0

    def answer(self, asked: Any) -> Any:
        return self.reactor.answer(asked)

    def come_in(self) -> Client:
        return Client(self.answer(self.account.open("INBOX")))

    def do(self, operation: tuple[Any, ...]) -> None:
        match operation:
            case "put", name:
                self.puts += 1
                self.folder.put(name, f"text {self.puts}")
            case "drop", name if name in self.folder.texts:
                self.folder.drop(name)
            case "flags", name, flags:
                self.folder.flags[name] = flags
                self.folder.changed()
            case "told", which:
                self.answer(self.mailbox.refresh())
                self.clients[which].told()
            case "store", which, at, flags if at < len(self.clients[which].known):
                self.mark(self.clients[which], at, flags)
            case "expunge", which, at if at < len(self.clients[which].known):
                self.expunge(self.clients[which].known[at][0])

    def mark(self, client: Client, at: int, flags: frozenset[str]) -> None:
        uid = client.known[at][0]
        change = FlagChange.REPLACE, intern_flags(flags)
        if self.answer(self.mailbox.store([uid], *change, origin=client.selected)).changed:
            client.known[at] = uid, flags

    def expunge(self, uid: int) -> None:
        self.answer(self.mailbox.store([uid], FlagChange.ADD, intern_flags({DELETED})))
        entry = self.mailbox.entries.get(uid)
        self.answer(self.mailbox.expunge([uid]) if entry and entry.id in self.folder.texts else self.mailbox.refresh())


@settings(max_examples=200, deadline=None)
@given(st.lists(OPERATIONS, max_size=40))
def test_two_sessions_know_what_a_new_one_is_told(operations: list[tuple[Any, ...]]) -> None:
    scene = Scene()
    mailbox, folder = scene.mailbox, scene.folder
    of: dict[int, tuple[Any, int]] = {}
    for operation in operations:
        scene.do(operation)
        for uid, entry in mailbox.entries.items():  # a UID is of one version of one item for ever
            assert of.setdefault(uid, (entry.id, entry.version)) == (entry.id, entry.version)
    fresh = scene.come_in()
    for client in scene.clients:
        client.told()
        assert client.known == fresh.known
    assert {mailbox.entries[uid].id for uid, _ in fresh.known} == set(folder.texts)
    live = mailbox.live
    assert live.uids == sorted(set(live.uids)) == sorted(mailbox.entries)

    async def texts() -> dict[int, bytes]:
        return {uid: octets async for rows in mailbox.fetch(live.uids, (Attribute.OCTETS,)) for uid, octets in rows}

    for uid, octets in scene.answer(texts()).items():
        assert octets.endswith(folder.texts[mailbox.entries[uid].id].encode() + b"\r\n")


@settings(max_examples=25, deadline=None)
@given(st.lists(OPERATIONS, max_size=25))
def test_what_is_kept_is_what_there_was(operations: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as place:
        path = Path(place) / "numbers.sqlite3"
        scene = Scene(path)
        for operation in operations:
            scene.do(operation)
        before = scene.come_in().selected.live
        scene.answer(scene.store.close())
        store = VirtualStore(scene.reactor, {"INBOX": scene.folder}, summarise, path=path)
        after = scene.answer(scene.answer(store.account("ann")).open("INBOX")).live
        for column in ("uids", "flags", "modseqs", "uidvalidity", "uidnext", "mailbox_id", "highest_modseq"):
            assert getattr(after, column) == getattr(before, column), column
        scene.answer(store.close())
