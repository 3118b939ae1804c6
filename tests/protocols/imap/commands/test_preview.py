"""FETCH PREVIEW. RFC: 8970"""

from __future__ import annotations

import pytest

from tests.protocols.imap.commands.dialogue import Client, account, add
from tests.protocols.imap.harness import Server

UMLAUT = b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xc3\x9cber\r\n"


def client(*messages: bytes) -> Client:
    made = account()
    add(made, messages)
    return Client(made, "INBOX")


def test_the_first_words() -> None:
    one = client(b"Subject: x\r\n\r\nFirst words\r\n", UMLAUT, b"Content-Type: image/png\r\n\r\nx")
    assert one.says("FETCH 1:3 PREVIEW") == (
        b'* 1 FETCH (PREVIEW "First words")\r\n* 2 FETCH (PREVIEW {5}\r\n\xc3\x9cber)\r\n* 3 FETCH (PREVIEW "")\r\n'
        b"a OK FETCH completed\r\n"
    )


def test_lazy() -> None:
    one = client(b"Subject: x\r\n\r\nFirst words\r\n", b"Subject: y\r\n\r\nMore\r\n")
    assert one.lines("FETCH 1 (PREVIEW (LAZY) UID)")[0] == b"* 1 FETCH (PREVIEW NIL UID 1)"
    assert one.lines("FETCH 1 (RFC822.SIZE PREVIEW)")[0] == b'* 1 FETCH (RFC822.SIZE 27 PREVIEW "First words")'
    assert one.lines("UID FETCH 1:2 preview (lazy)")[:2] == [
        b'* 1 FETCH (UID 1 PREVIEW "First words")',
        b"* 2 FETCH (UID 2 PREVIEW NIL)",
    ]


def test_it_does_not_mark_as_read() -> None:
    one = client(b"Subject: x\r\n\r\nFirst words\r\n")
    one.says("FETCH 1 PREVIEW")
    assert b"\\Seen" not in one.says("FETCH 1 FLAGS")


def test_modifiers_of_the_fetch_behind_it() -> None:
    one = client(b"Subject: x\r\n\r\nFirst words\r\n")
    one.says("ENABLE CONDSTORE")
    assert one.lines("FETCH 1 PREVIEW (CHANGEDSINCE 1)")[0].startswith(b'* 1 FETCH (PREVIEW "First words" MODSEQ (')
    assert b"MODSEQ (" in one.lines("FETCH 1 PREVIEW (LAZY) (CHANGEDSINCE 1)")[0]


@pytest.mark.parametrize("items", ["(PREVIEW (EAGER))", "(PREVIEW ())", "PREVIEW (LAZY EAGER)", "(PREVIEW(LAZY))"])
def test_what_is_refused(items: str) -> None:
    assert client(UMLAUT).says(f"FETCH 1 {items}").startswith(b"a BAD ")


def test_it_is_announced() -> None:
    assert b" PREVIEW" in Server().logged_in().says(b"a CAPABILITY")
