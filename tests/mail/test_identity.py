"""RFC: 8474 §5.1, §5.2"""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.identity import email_id, thread_id

ROOT = b"Message-ID: <1@example.org>\r\nSubject: a\r\n\r\n"
IDS = st.from_regex(rb"[a-z0-9]{1,8}@[a-z]{1,8}", fullmatch=True)


def thread(header: bytes) -> bytes:
    return thread_id(header, email_id(header))


@given(st.binary(max_size=200))
def test_any_octets_have_both_and_they_never_meet(octets: bytes) -> None:
    email, conversation = email_id(octets), thread_id(octets, email_id(octets))
    assert re.fullmatch(rb"M[0-9a-f]{32}", email)
    assert re.fullmatch(rb"T[0-9a-f]{32}", conversation)
    assert email == email_id(bytes(bytearray(octets)))


@given(IDS, st.lists(IDS, max_size=4), IDS)
def test_answers_are_in_the_thread_of_the_root(root: bytes, between: list[bytes], own: bytes) -> None:
    first = thread(b"Message-Id: <%b>\r\n\r\n" % root)
    references = b"\r\n ".join(b"<%b>" % each for each in [root, *between])
    assert thread(b"References: %b\r\nIn-Reply-To: <x@y>\r\nMessage-ID: <%b>\r\n\r\n" % (references, own)) == first
    assert thread(b"IN-REPLY-TO: <%b>\r\nmessage-id: <%b>\r\n\r\n" % (root, own)) == first


def test_what_names_nothing_stands_alone() -> None:
    assert thread(b"Subject: a\r\n\r\n") != thread(b"Subject: b\r\n\r\n")
    assert thread(b"References: nonsense\r\n" + ROOT) == thread(ROOT)
    assert thread(b"References: <>\r\nIn-Reply-To: your mail of Monday\r\n" + ROOT) == thread(ROOT)
