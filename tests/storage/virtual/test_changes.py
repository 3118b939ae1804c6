"""Whatever a program does to its data, sessions that are told of it know what a session that comes in is told."""

from __future__ import annotations

import re
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


@settings(max_examples=200, deadline=None)
@given(st.lists(OPERATIONS, max_size=40))
def test_two_sessions_know_what_a_new_one_is_told(operations: list[tuple[Any, ...]]) -> None:
    reactor, folder = TurningReactor(), Removable({number: "x" for number in range(4)})
    store = VirtualStore(reactor, {"INBOX": folder}, summarise)
    account = reactor.answer(store.account("ann"))
    clients = [Client(reactor.answer(account.open("INBOX"))) for _ in range(2)]
    mailbox = clients[0].selected.mailbox
    of: dict[int, tuple[Any, int]] = {}
    for operation in operations:
        match operation:
            case "put", name:
                folder.put(name, f"text {len(of)}")
            case "drop", name if name in folder.texts:
                folder.drop(name)
            case "flags", name, flags:
                folder.flags[name] = flags
                folder.changed()
            case "told", which:
                reactor.answer(mailbox.refresh())
                clients[which].told()
            case "store", which, at, flags if at < len(clients[which].known):
                uid = clients[which].known[at][0]
                stored = reactor.answer(
                    mailbox.store([uid], FlagChange.REPLACE, intern_flags(flags), origin=clients[which].selected)
                )
                if stored.changed:
                    clients[which].known[at] = uid, flags
            case "expunge", which, at if at < len(clients[which].known):
                uid = clients[which].known[at][0]
                reactor.answer(mailbox.store([uid], FlagChange.ADD, intern_flags({DELETED})))
                if mailbox.entries.get(uid) and mailbox.entries[uid].id in folder.texts:
                    reactor.answer(mailbox.expunge([uid]))
                else:
                    reactor.answer(mailbox.refresh())
        for uid, entry in mailbox.entries.items():  # a UID is of one version of one item for ever
            assert of.setdefault(uid, (entry.id, entry.version)) == (entry.id, entry.version)
    fresh = Client(reactor.answer(account.open("INBOX")))
    for client in clients:
        client.told()
        assert client.known == fresh.known
    assert {mailbox.entries[uid].id for uid, _ in fresh.known} == set(folder.texts)
    live = mailbox.live
    assert live.uids == sorted(set(live.uids)) == sorted(mailbox.entries)

    async def texts() -> dict[int, bytes]:
        return {uid: octets async for rows in mailbox.fetch(live.uids, (Attribute.OCTETS,)) for uid, octets in rows}

    for uid, octets in reactor.answer(texts()).items():
        assert octets.endswith(folder.texts[mailbox.entries[uid].id].encode() + b"\r\n")
