"""The contract suite finds stores that break their promises."""

from __future__ import annotations

import unittest
from collections.abc import Sequence
from typing import Any

import pytest
from twisted.trial.unittest import TestCase

from mailpost.mail.flags import NO_FLAGS
from mailpost.storage.memory import MemoryStore
from mailpost.storage.memory.mailbox import MemoryMailbox, Message
from mailpost.testing.storesuite import PersistentStoreContract, StoreContract
from mailpost.wire.imap.structures import summarise


def failures(test: str, *bases: type) -> list[str]:
    """Run one test of the suite on the memory store: the names of what failed."""

    class Tests(*bases, TestCase):  # type: ignore[misc]
        def make_store(self) -> MemoryStore:
            return MemoryStore(summarise)

        def reopen(self, store: MemoryStore) -> MemoryStore:
            return MemoryStore(summarise)

    result = unittest.TestResult()
    Tests(test).run(result)
    assert result.testsRun == 1
    return [case.id().rpartition(".")[2] for case, _ in (*result.failures, *result.errors)]


def forget_flags(box: MemoryMailbox, messages: Sequence[Message], origin: object) -> Any:
    return add(box, [Message(message.octets, NO_FLAGS, message.internaldate) for message in messages], origin)


def forget_origin(box: MemoryMailbox, messages: Sequence[Message], origin: object) -> Any:
    return add(box, messages, None)


def use_lf(box: MemoryMailbox, messages: Sequence[Message], origin: object) -> Any:
    changed = [Message(m.octets.replace(b"\r\n", b"\n"), m.flags, m.internaldate) for m in messages]
    return add(box, changed, origin)


add = MemoryMailbox.add


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (forget_flags, "test_flags_and_date"),
        (forget_flags, "test_copy"),
        (forget_flags, "test_move"),
        (forget_origin, "test_sessions_are_told"),
        (use_lf, "test_octets_are_exact"),
        (use_lf, "test_counts"),
    ],
)
def test_a_broken_store_is_found_out(monkeypatch: pytest.MonkeyPatch, broken: Any, test: str) -> None:
    assert failures(test, StoreContract) == []
    monkeypatch.setattr(MemoryMailbox, "add", broken)
    assert failures(test, StoreContract) == [test]


def test_a_store_that_keeps_nothing_is_not_persistent() -> None:
    assert failures("test_everything_is_kept", PersistentStoreContract) == ["test_everything_is_kept"]
    assert failures("test_numbers_go_on", PersistentStoreContract) == ["test_numbers_go_on"]


def test_a_suite_without_a_store_says_what_is_missing() -> None:
    class Tests(StoreContract, TestCase):  # type: ignore[misc]
        pass

    with pytest.raises(TypeError, match="make_store"):
        Tests("test_copy")
