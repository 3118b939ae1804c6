"""A program that takes what clients do to its folder keeps the promises of a store, with other folders beside it."""

from __future__ import annotations

from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from mailpost.storage.memory import MemoryStore
from mailpost.storage.virtual import MountedStore, VirtualStore
from mailpost.testing.storesuite import MaildropContract, StoreContract
from mailpost.wire.imap.structures import summarise
from tests.storage.virtual.data import Written


class TestMounted(StoreContract, MaildropContract, TestCase):
    """INBOX is the program's, all other folders are kept in memory."""

    usage_is_counted = False

    def make_store(self) -> MountedStore:
        inboxes: dict[str, Written] = {}
        virtual = VirtualStore(
            reactor, lambda user: {"INBOX": inboxes.setdefault(user, Written())}, summarise, has_inbox=False
        )
        return MountedStore(MemoryStore(summarise), virtual)


class TestMountedFile(TestMounted):
    """The same with numbers in a file."""

    def make_store(self) -> MountedStore:
        inboxes: dict[str, Written] = {}
        virtual = VirtualStore(
            reactor,
            lambda user: {"INBOX": inboxes.setdefault(user, Written())},
            summarise,
            has_inbox=False,
            path=Path(self.mktemp()) / "numbers.sqlite3",
        )
        return MountedStore(MemoryStore(summarise), virtual)
