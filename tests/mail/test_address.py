"""Addresses. RFC: 5322 §3.4, §4.4, appendix A"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.address import GROUP_END, MISSING_HOST, MISSING_MAILBOX, Address, addresses


def one(name: bytes | None, mailbox: bytes, host: bytes, route: bytes | None = None) -> Address:
    return Address(name, route, mailbox, host)


def group(name: bytes) -> Address:
    return Address(None, None, name, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"ann@example.org", [one(None, b"ann", b"example.org")]),
        (b"Ann B. Example <ann@example.org>", [one(b"Ann B. Example", b"ann", b"example.org")]),
        (b'"Smith, \\"J\\"" <j@x.y>,c@d', [one(b'Smith, "J"', b"j", b"x.y"), one(None, b"c", b"d")]),
        (b'" padded" <j@x>', [one(b"padded", b"j", b"x")]),
        (b"c@d (Carl (\\) C))", [one(b"Carl () C)", b"c", b"d")]),
        (b"a@b , , c@d,", [one(None, b"a", b"b"), one(None, b"c", b"d")]),
        (b'"a b"@c', [one(None, b"a b", b"c")]),
        (b"a@[1.2.3.4]", [one(None, b"a", b"[1.2.3.4]")]),
        (b"joe . smith @ example . com", [one(None, b"joe.smith", b"example.com")]),
        (b"<@a,@b:joe@where>", [one(None, b"joe", b"where", b"@a,@b")]),
        (b"a@b@c", [one(None, b"a@b", b"c")]),
        (b"J\xe9r <j@x>", [one(b"J\xe9r", b"j", b"x")]),
        (b"=?utf-8?q?a,b?= <x@y>", [one(b"=?utf-8?q?a,b?=", b"x", b"y")]),
        (b"Friends: a@b, C <c@d>;, e@f", [group(b"Friends"), one(None, b"a", b"b"), one(b"C", b"c", b"d"), GROUP_END]),
        (b"undisclosed-recipients:;", [group(b"undisclosed-recipients"), GROUP_END]),
        (b":", [group(b""), GROUP_END]),
        (b"list: a@b", [group(b"list"), one(None, b"a", b"b"), GROUP_END]),
        (b"a@b; c@d", [one(None, b"a", b"b"), one(None, b"c", b"d")]),
        (b"root", [one(None, b"root", MISSING_HOST)]),
        (b"MAILER-DAEMON <>", [one(b"MAILER-DAEMON", MISSING_MAILBOX, MISSING_HOST)]),
        (b"Ann <ann>", [one(b"Ann", b"ann", MISSING_HOST)]),
        (b"Ann <ann@b", [one(b"Ann", b"ann", b"b")]),
        (b'"unclosed <a@b>', [one(None, b"unclosed <a@b>", MISSING_HOST)]),
        (b"@b", [one(None, MISSING_MAILBOX, b"b")]),
        (b"", []),
        (b"(only a comment", []),
        (
            b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
            [one(b"Pete", b"pete", b"silly.test")],
        ),
        (
            b"A Group(Some people):Chris Jones <c@(Chris's host.)public.example>,joe@example.org (Joe);(end)",
            [group(b"A Group"), one(b"Chris Jones", b"c", b"public.example"), one(b"Joe", b"joe", b"example.org")],
        ),
    ],
)
def test_addresses(value: bytes, expected: list[Address]) -> None:
    assert list(addresses(value))[: len(expected)] == expected


PIECES = [
    b"a",
    b"@",
    b",",
    b":",
    b";",
    b"<",
    b">",
    b'"',
    b"(",
    b")",
    b"\\",
    b" ",
    b"[",
    b"]",
    b".",
    b"=?u?q?x?=",
    b"\xff",
]


@given(st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_any_octets_give_addresses(value: bytes) -> None:
    depth = 0
    for each in addresses(value):
        if each.host is None:
            depth += 1 if each.mailbox is not None else -1
        else:
            assert each.mailbox and each.host
        assert depth in (0, 1)
    assert depth == 0


@pytest.mark.parametrize("piece", [*PIECES, b"a@b,", b"a:", b"a:;", b"a@b:", b"a ", b'"a" ', b"<a@", b"a. "])
def test_endless_fields_take_no_time(piece: bytes) -> None:
    started = time.perf_counter()
    found = addresses(piece * (100_000 // len(piece)))
    assert time.perf_counter() - started < 1
    assert isinstance(found, tuple)
