"""GETQUOTA, GETQUOTAROOT, and what a full account says. RFC: 9208 §4"""

from __future__ import annotations

import pytest

from mailpost.storage.memory import MemoryStore
from mailpost.storage.records import QuotaLimit
from mailpost.wire.imap.structures import summarise
from tests.protocols.imap.commands.dialogue import Client, account, add


def limited(octets: int | None, messages: int | None = None):
    return MemoryStore(summarise, {}, quota=lambda _: QuotaLimit(octets, messages)).account("ann")


def test_without_a_limit_there_is_no_root():
    client = Client(account(1), "INBOX")
    assert client.lines(b"GETQUOTAROOT INBOX") == [b"* QUOTAROOT INBOX", b"a OK GETQUOTAROOT completed"]
    assert client.lines(b'GETQUOTA ""')[-1].startswith(b"a NO [NONEXISTENT]")


def test_usage_and_limit():
    made = limited(512 << 10, 100)
    add(made, [b"x" * 1025, b"y"])
    client = Client(made)
    told = b'* QUOTA "" (STORAGE 2 512 MESSAGE 2 100)'
    assert client.lines(b"GETQUOTAROOT inbox") == [b'* QUOTAROOT INBOX ""', told, b"a OK GETQUOTAROOT completed"]
    assert client.lines(b'GETQUOTA ""') == [told, b"a OK GETQUOTA completed"]
    assert client.lines(b"GETQUOTA other")[-1].startswith(b"a NO [NONEXISTENT]")


@pytest.mark.parametrize("limit", [None, 100])
def test_a_folder_need_not_be_there_yet(limit):
    """RFC: 9208 §4.1.2: so a client learns which root a folder will have."""
    client = Client(limited(None, limit) if limit else account())
    root = b' ""' if limit else b""
    answer = client.lines(b"GETQUOTAROOT Nowhere/yet")
    assert answer[0] == b"* QUOTAROOT Nowhere/yet" + root
    assert answer[-1] == b"a OK GETQUOTAROOT completed"
    assert not any(folder.name.startswith("Nowhere") for folder in client.account.folders())
    assert client.lines(b"GETQUOTAROOT a//b")[-1].startswith(b"a NO [CANNOT]")


def test_only_what_is_limited_is_told():
    assert b'* QUOTA "" (MESSAGE 0 7)' in Client(limited(None, 7)).lines(b'GETQUOTA ""')
    assert b'* QUOTA "" (STORAGE 0 1)' in Client(limited(2047)).lines(b'GETQUOTA ""')


def test_what_an_expunge_would_free():
    client = Client(account(2), "INBOX")
    size = len(b"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: Number 1\r\n\r\nBody of 1\r\n")
    client.says(b"STORE 1 +FLAGS (\\Deleted)")
    answer = client.lines(b"STATUS INBOX (MESSAGES DELETED DELETED-STORAGE)")
    assert b"* STATUS INBOX (MESSAGES 2 DELETED 1 DELETED-STORAGE %d)" % size in answer


def test_a_message_that_does_not_fit_is_refused_before_it_comes():
    made = limited(100)
    client = Client(made)
    made.spool = None
    assert client.lines(b"APPEND INBOX {101+}\r\n" + b"x" * 101)[-1].startswith(b"a NO [OVERQUOTA]")


def test_a_copy_that_does_not_fit():
    made = limited(None, 1)
    add(made, [b"x"])
    made.create("Other")
    client = Client(made, "INBOX")
    assert client.lines(b"COPY 1 Other")[-1].startswith(b"a NO [OVERQUOTA]")
    assert client.lines(b"MOVE 1 Other")[-1].startswith(b"a OK")
