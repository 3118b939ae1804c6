"""Many messages, always the same."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from itertools import islice, pairwise
from time import process_time

from mailpost.mail.mime import parse
from mailpost.testing import messages


def test_they_are_the_same_each_time() -> None:
    thousand = list(messages(1000, seed=3))
    assert list(messages(1000, seed=3)) == thousand
    assert list(islice(messages(5000, seed=3), 1000)) == thousand
    assert list(messages(1000, seed=4)) != thousand


def test_they_are_mail() -> None:
    found = list(messages(1000))
    read = [message_from_bytes(each.octets, policy=default) for each in found]
    assert not any(each.defects for each in read)
    assert len({each["Message-ID"] for each in read}) == 1000
    assert {each.get_content_type() for each in read} == {"text/plain", "multipart/alternative", "multipart/mixed"}
    assert any("Chloé Durand" in each["From"] for each in read)
    assert sum("References" in each for each in read) > 300
    assert all(a.internaldate < b.internaldate for a, b in pairwise(found))
    assert all(parse(each.octets).end == len(each.octets) for each in found)
    assert not any(b"\n" in each.octets.replace(b"\r\n", b"") for each in found)
    assert len({each.flags for each in found}) == 4


def test_a_hundred_thousand_take_seconds() -> None:
    begun = process_time()
    assert sum(1 for _ in messages(20_000)) == 20_000
    assert process_time() - begun < 4, "a fifth of 20 seconds, on a machine that is busy"
