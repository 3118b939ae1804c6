"""The Maildir store fulfils the contract of all stores, in both layouts."""

from __future__ import annotations

from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from mailpost.storage.maildir.layout import Hierarchy
from mailpost.storage.maildir.store import MaildirStore
from mailpost.testing.storesuite import MaildropContract, PersistentStoreContract
from mailpost.wire.imap.structures import summarise


class MaildirStoreTests(PersistentStoreContract, MaildropContract, TestCase):
    hierarchy = Hierarchy.MAILDIR_PLUS_PLUS

    def make_store(self) -> MaildirStore:
        self.place = Path(self.mktemp())
        return self._store()

    def _store(self) -> MaildirStore:
        return MaildirStore(reactor, lambda user: self.place / user, summarise, hierarchy=self.hierarchy)

    def reopen(self, closed_store: object) -> MaildirStore:
        return self._store()


class NestedStoreTests(MaildirStoreTests):
    hierarchy = Hierarchy.FS
    names_refused = frozenset({"~tilde", "new", "cur", "below/new", "below/cur"})
