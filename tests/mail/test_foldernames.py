"""RFC: 3501 §5.1.3"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.foldernames import decode, encode


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("", b""),
        ("INBOX/a b", b"INBOX/a b"),
        ("A&B", b"A&-B"),
        ("&", b"&-"),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("é&ü", b"&AOk-&-&APw-"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("a\tb", b"a&AAk-b"),
        ("\x00\x7f", b"&AAAAfw-"),
        ("\U0001f4e7", b"&2D3c5w-"),
    ],
)
def test_examples(name: str, octets: bytes) -> None:
    assert encode(name) == octets
    assert decode(octets) == name


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_round_trip(name: str) -> None:
    octets = encode(name)
    assert decode(octets) == name
    assert all(32 <= octet < 127 for octet in octets)


@pytest.mark.parametrize(
    "octets",
    [
        b"&",
        b"&Jjo",
        b"&Jjo!",
        b"&AGE-",
        b"a&AGE-&AOk-",
        b"&AC8-",
        b"&AC4-",
        b"&ACY-",
        b"&AOk-&AOk-",
        b"&AOl-",
        b"&AOkA-",
        b"&A-",
        b"&AO-",
        b"&AOk=-",
        b"&AOk/-",
        b"&2D0-",
        b"&3OfYPQ-",
        b"\xc3\xa9",
        b"a\tb",
        b"a\0b",
        b"\x7f",
        b"&\xc3\xa9-",
    ],
)
def test_other_spellings_are_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(octets)


@given(
    st.lists(st.sampled_from([b"&", b"-", b"A", b"AO", b"k", b"2D3", b"c5w", b",", b"/", b"x", b"\xe9"])).map(b"".join)
)
def test_what_is_accepted_is_the_only_spelling(octets: bytes) -> None:
    try:
        name = decode(octets)
    except ValueError:
        return
    assert encode(name) == octets


def test_lone_surrogates_have_no_spelling() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        encode("\ud83d")
