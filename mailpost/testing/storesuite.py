"""One contract suite that any mail store can be put through.

    class MyStoreTests(StoreContract, TestCase):
        def make_store(self):
            return MyStore()

`TestCase` is `twisted.trial.unittest.TestCase`; pytest and trial both run it. `make_store` gives a new store whose
separator is "/", or a Deferred or coroutine for one. A store that keeps its mail takes `PersistentStoreContract` and
adds `reopen(closed_store)`.

A store whose accounts POP3 can serve (`IMaildropAccount`) takes `MaildropContract` beside it.

The tests use nothing but `mailpost.storage.interfaces`; what they ask for is what protocols rely on.
"""

from __future__ import annotations

from mailpost.testing.contract.appending import AppendContract
from mailpost.testing.contract.copying import CopyContract
from mailpost.testing.contract.fetching import FetchContract
from mailpost.testing.contract.flagging import ExpungeContract, FlagsContract
from mailpost.testing.contract.folders import (
    FoldersContract,
    InterfacesContract,
    RenamesContract,
    StatusContract,
    SubscriptionsContract,
)
from mailpost.testing.contract.maildrop import MaildropContract
from mailpost.testing.contract.searching import SearchContract
from mailpost.testing.contract.sessions import PersistenceContract, SessionsContract
from mailpost.testing.contract.usage import UsageContract

__all__ = ["MaildropContract", "PersistentStoreContract", "StoreContract"]


class StoreContract(
    InterfacesContract,
    FoldersContract,
    RenamesContract,
    SubscriptionsContract,
    StatusContract,
    AppendContract,
    FetchContract,
    FlagsContract,
    ExpungeContract,
    CopyContract,
    SearchContract,
    SessionsContract,
    UsageContract,
):
    """All promises of `storage.interfaces`; mix it into a TestCase and say how to make a store."""


class PersistentStoreContract(StoreContract, PersistenceContract):
    """And what is to be expected of a store that keeps its mail: say how to reopen it too."""
