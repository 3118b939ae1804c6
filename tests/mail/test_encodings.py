"""Charsets and encodings. RFC: 2045 §6, 2047, 2231, 5051"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.encodings import (
    casemapped,
    decode_base64,
    decode_charset,
    decode_header,
    decode_parameters,
    decode_quoted_printable,
    decode_transfer,
    known_charset,
)


@pytest.mark.parametrize(
    ("octets", "charset", "text"),
    [
        (b"plain", "us-ascii", "plain"),
        ("ä".encode(), "us-ascii", "ä"),
        (b"\xe4", "us-ascii", "ä"),
        (b"\xe4", "utf-8", "ä"),
        (b"\x80", "ISO-8859-1", "€"),
        (b"\xa4", "iso-8859-15", "€"),
        (b"\xb0\xa1", "ks_c_5601-1987", "가"),
        (b"\x1b$B;3\x1b(B", "iso-2022-jp", "山"),
        (b"\xc4\xe3\x81\x30\x89\x38", "gb2312", "你ß"),
        (b"+AOQ-", "utf-7", "ä"),
        ("ä".encode(), "no-such", "ä"),
        ("Grüße, Jörg".encode() + b"\xc3", "utf-8", "Grüße, Jörg\ufffd"),
        ("na\u00efve".encode() + b"\xff", "utf-8", "na\u00efve\ufffd"),
        ("é".encode() + b"\xe9\xe9", "utf-8", "é\ufffd\ufffd"),
        (b"\xe9\xe9 " + "é".encode(), "utf-8", "éé Ã©"),
        (b"abc", "rot13", "abc"),
        (b"abc", "base64", "abc"),
        (b"\\u0041", "unicode_escape", "\\u0041"),
        (b"xn--", "idna", "xn--"),
        (b"a", "../os", "a"),
        (b"\xff\xff", "euc-jp", "\ufffd\ufffd"),
        (b"a", "x" * 1000, "a"),
        (b"\x81", "\0", "\ufffd"),
    ],
)
def test_charsets(octets: bytes, charset: str, text: str) -> None:
    assert decode_charset(octets, charset) == text


@given(st.binary(), st.text() | st.sampled_from(["utf-7", "utf-16", "hz", "iso-2022-kr", "big5", "punycode", "idna"]))
def test_charsets_never_fail(octets: bytes, charset: str) -> None:
    assert isinstance(decode_charset(octets, charset), str)


def test_known_charsets() -> None:
    assert all(map(known_charset, ("US-ASCII", "utf-8", "iso-8859-1", "windows-1252", "koi8-r")))
    assert not any(map(known_charset, ("no-such", "", "rot13", "base64", "unicode_escape", "a b")))


@pytest.mark.parametrize(
    ("encoded", "decoded"),
    [
        (b"QUJD", b"ABC"),
        (b"QUJ\r\nD", b"ABC"),
        (b"QUI", b"AB"),
        (b"QQ", b"A"),
        (b"Q", b""),
        (b"QQ==QUI=", b"AAB"),
        (b"!Q-U*J D!", b"ABC"),
        (b"====", b""),
        (b"", b""),
    ],
)
def test_broken_base64(encoded: bytes, decoded: bytes) -> None:
    assert decode_base64(encoded) == decoded


def test_broken_quoted_printable() -> None:
    assert decode_quoted_printable(b"a=3Db=\r\nc =ZZ =") == b"a=bc =ZZ "


def test_transfer_encodings() -> None:
    assert decode_transfer(b"a=3D", "quoted-printable") == b"a="
    assert decode_transfer(b"QQ==", "base64") == b"A"
    assert decode_transfer(b"a=3D", "8bit") == b"a=3D"
    assert decode_transfer(b"a", "x-unknown") is None


@given(st.binary(), st.sampled_from(["base64", "quoted-printable", "7bit"]))
def test_transfer_encodings_never_fail(octets: bytes, encoding: str) -> None:
    assert isinstance(decode_transfer(octets, encoding), bytes)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?ISO-8859-1?Q?a_b=E4?= rest", "a bä rest"),
        (b"=?utf-8?b?w6Q=?= =?utf-8?B?w7Y?=", "äö"),
        (b"=?utf-8?q?=C3?=\r\n =?utf-8?q?=A4?=", "ä"),
        (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        (b"=?utf-8?q?a?= =?iso-8859-1?q?=E4?=", "aä"),
        (b"=?utf-8*de?q?=C3=A4?=", "ä"),
        (b"=?utf-8?q?with space?=", "with space"),
        (b"=?utf-8?x?no?=", "=?utf-8?x?no?="),
        (b"=?utf-8?q?open", "=?utf-8?q?open"),
        (b"=?no-such?q?=C3=A4?=", "ä"),
        (b"(=?utf-8?q?a?=)", "(a)"),
        ("roh ä".encode(), "roh ä"),
        (b"r\xe9", "ré"),
        (b"r\xe9 =?utf-8?q?=C3=A9?=", "ré é"),
    ],
)
def test_encoded_words(value: bytes, text: str) -> None:
    assert decode_header(value) == text


@given(st.lists(st.sampled_from([b"=?", b"?=", b"?", b"utf-8", b"q", b"b", b"=C3", b"QQ", b" "])).map(b"".join))
def test_encoded_words_never_fail(value: bytes) -> None:
    assert isinstance(decode_header(value), str)


def test_parameters() -> None:
    given_ones = (
        (b"name", b"=?utf-8?q?=C3=A4?="),
        (b"filename", b"plain"),
        (b"filename*", b"iso-8859-1'de'%E4%20it's"),
        (b"title*", b"%C3%A4"),
        (b"*", b"''"),
    )
    assert decode_parameters(given_ones) == {"name": "ä", "filename": "ä it's", "title": "ä", "": ""}


def test_casemapping() -> None:
    assert casemapped("ÄÖ") == casemapped("äö") == casemapped("a\u0308o\u0308")
    assert casemapped("Straße") == casemapped("STRASSE")
    assert casemapped("ΣΊΣΥΦΟΣ") == casemapped("σίσυφος")
    assert casemapped("ﬁ Ｗ") == "fi w"


def test_endless_combining_marks_take_no_time() -> None:
    started = time.perf_counter()
    assert len(casemapped("a" + "\u0315\u0300" * 200_000)) == 400_001
    assert time.perf_counter() - started < 1


@given(st.text(max_size=20))
def test_casemapping_twice_is_casemapping_once(text: str) -> None:
    assert casemapped(casemapped(text)) == casemapped(text)
