"""What submission adds and takes away. RFC: 6409 §8, 5322 §3.6"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.completing import authors, completed, message_id_of

DATE, ID = "Sun, 1 Sep 2002 12:00:00 +0000", "<made@here>"
ADDED = f"Date: {DATE}\r\nMessage-ID: {ID}\r\n".encode()


def done(header: bytes, keep_blind: bool = False) -> bytes:
    return completed(header, date=DATE, message_id=ID, keep_blind=keep_blind)


def test_a_whole_header_stays_as_it_is() -> None:
    header = b"DATE: x\r\nmessage-id : <a@b>\r\nSubject: \xe4\r\n folded\r\nno field\r\n\r\n"
    assert done(header) == header


def test_what_is_missing_is_added_at_the_top() -> None:
    assert done(b"Subject: x\r\n\r\n") == ADDED + b"Subject: x\r\n\r\n"
    assert done(b"Date: x\r\n\r\n") == f"Message-ID: {ID}\r\n".encode() + b"Date: x\r\n\r\n"
    assert done(b"\r\n") == ADDED + b"\r\n"
    assert done(b"") == ADDED


def test_nobody_sees_blind_copies_but_the_author() -> None:
    header = b"Return-Path: <x>\r\nBcc: a@b,\r\n\tc@d\r\nTo: e@f\r\nRESENT-BCC : g@h\r\nBcc:\r\n\r\n"
    assert done(header) == ADDED + b"To: e@f\r\n\r\n"
    assert done(header, keep_blind=True) == ADDED + header.removeprefix(b"Return-Path: <x>\r\n")


@given(st.lists(st.sampled_from([b"Bcc: x\r\n", b" fold\r\n", b"To: y\r\n", b"junk\r\n", b"\xff: z\r\n"])))
def test_all_else_stays_in_its_order(lines: list[bytes]) -> None:
    header = b"Subject: 1\r\n" + b"".join(lines) + b"\r\n"
    after = done(header).removeprefix(ADDED)
    assert b"bcc" not in after.lower()
    assert after.count(b"To: y\r\n") == lines.count(b"To: y\r\n")
    assert after.endswith(b"\r\n\r\n") or after == b"Subject: 1\r\n\r\n"


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (b"From: Ann <ann@example.org>\r\n\r\n", ["ann@example.org"]),
        (b"From : a@b, C <c@d>\r\nFROM: e@f\r\n\r\n", ["a@b", "c@d", "e@f"]),
        (b"From: nobody\r\n\r\n", ["nobody@"]),
        (b"From: group: a@b;\r\n\r\n", ["a@b"]),
        (b"From: undisclosed:;\r\n\r\n", []),
        (b"To: a@b\r\n\r\n", []),
        ("From: jörg@grün.example\r\n\r\n".encode(), ["jörg@grün.example"]),
    ],
)
def test_authors(header: bytes, wanted: list[str]) -> None:
    assert authors(header) == wanted


def test_message_id() -> None:
    assert message_id_of(b"Message-ID:\r\n <a@b> \r\n\r\n") == b"<a@b>"
    assert message_id_of(b"Subject: x\r\n\r\n") == b""
