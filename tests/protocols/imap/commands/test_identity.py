"""OBJECTID and SAVEDATE. RFC: 8474, 8514"""

from __future__ import annotations

import re

from mailpost.storage.memory import MemoryStore
from mailpost.wire.imap.structures import summarise
from tests.protocols.imap.commands.dialogue import Client, account, add

FIRST = b"Message-ID: <1@x>\r\nSubject: a\r\n\r\none\r\n"
ANSWER = b"Message-ID: <2@x>\r\nReferences: <1@x>\r\nSubject: Re: a\r\n\r\ntwo\r\n"
OTHER = b"Message-ID: <3@x>\r\nSubject: b\r\n\r\nthree\r\n"


def identities(client: Client, what: str, numbers: str = "1:*") -> list[bytes]:
    return re.findall(rb"%b \(([A-Za-z0-9_-]+)\)" % what.encode(), client.says(f"FETCH {numbers} {what}"))


def conversation():
    made = account()
    made.create("Other")
    add(made, [FIRST, ANSWER, OTHER])
    return made


def test_a_folder_keeps_its_identifier_through_a_rename():
    made = account()
    client = Client(made)
    line = client.lines("CREATE Work")[-1]
    code = re.search(rb"\[MAILBOXID \(([^)]+)\)\]", line)[1]
    client.says("RENAME Work Play")
    assert b"* OK [MAILBOXID (%b)] " % code in client.says("SELECT Play")
    assert client.lines("STATUS Play (MAILBOXID)")[0] == b"* STATUS Play (MAILBOXID (%b))" % code
    assert b"STATUS Play (MAILBOXID (%b))" % code in client.says('LIST "" % RETURN (STATUS (MAILBOXID))')
    client.says("CREATE Work")
    assert code not in client.says("STATUS Work (MAILBOXID)")


def test_a_message_keeps_its_identifiers_through_copy_and_move():
    client = Client(conversation(), "INBOX")
    emails, threads = identities(client, "EMAILID"), identities(client, "THREADID")
    assert len(set(emails)) == 3
    assert threads[0] == threads[1] != threads[2]
    client.says("COPY 1 Other")
    client.says("MOVE 2 Other")
    client.says("SELECT Other")
    assert identities(client, "EMAILID") == emails[:2]
    assert identities(client, "THREADID") == threads[:2]


def test_they_are_searched_for():
    client = Client(conversation(), "INBOX")
    emails, threads = identities(client, "EMAILID"), identities(client, "THREADID")
    assert client.lines(f"SEARCH EMAILID {emails[1].decode()}")[0] == b"* SEARCH 2"
    assert client.lines(f"SEARCH THREADID {threads[0].decode()}")[0] == b"* SEARCH 1 2"
    assert client.lines(f"SEARCH THREADID {threads[0].decode()} NOT EMAILID {emails[0].decode()}")[0] == b"* SEARCH 2"
    assert client.lines("SEARCH EMAILID M0")[0] == b"* SEARCH"
    assert client.says('SEARCH EMAILID "a b"').startswith(b"a BAD ")


def test_when_a_message_came_into_its_folder():
    now = [1_000_000_000.0]
    made = MemoryStore(summarise, {}, clock=lambda: now[0]).account("ann")
    made.create("Other")
    client = Client(made)
    client.says(b'APPEND INBOX "17-Jul-1996 02:44:25 +0000" {1+}\r\nx')
    now[0] += 86_400
    client.says("SELECT INBOX")
    client.says("COPY 1 Other")
    assert client.lines("FETCH 1 (SAVEDATE)")[0] == b'* 1 FETCH (SAVEDATE "09-Sep-2001 01:46:40 +0000")'
    client.says("SELECT Other")
    assert client.lines("FETCH 1 (SAVEDATE INTERNALDATE)")[0] == (
        b'* 1 FETCH (SAVEDATE "10-Sep-2001 01:46:40 +0000" INTERNALDATE "17-Jul-1996 02:44:25 +0000")'
    )
    for key, found in [
        ("SAVEDON 10-Sep-2001", b" 1"),
        ("SAVEDON 9-Sep-2001", b""),
        ("SAVEDBEFORE 11-Sep-2001", b" 1"),
        ("SAVEDBEFORE 10-Sep-2001", b""),
        ("SAVEDSINCE 10-Sep-2001", b" 1"),
        ("SAVEDATESUPPORTED", b" 1"),
        ("NOT SAVEDATESUPPORTED", b""),
    ]:
        assert client.lines(f"SEARCH {key}")[0] == b"* SEARCH" + found, key
