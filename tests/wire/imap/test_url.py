"""RFC: 4469 §3, 5092"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.sections import Section, SectionKind
from mailpost.wire.imap.grammar import ParseError
from mailpost.wire.imap.url import MessageUrl, parse_url


@pytest.mark.parametrize(
    ("url", "meaning"),
    [
        (b"/INBOX/;UID=20", MessageUrl("INBOX", None, 20, Section(), None)),
        (b"/inbox;UIDVALIDITY=5/;uid=20", MessageUrl("INBOX", 5, 20, Section(), None)),
        (b"/A/B/;UID=1/;SECTION=1.2", MessageUrl("A/B", None, 1, Section((1, 2)), None)),
        (
            b"/A%20B%C3%BC/;UID=1/;section=HEADER",
            MessageUrl("A B\u00fc", None, 1, Section((), SectionKind.HEADER), None),
        ),
        (b";UID=7/;SECTION=2.MIME", MessageUrl(None, None, 7, Section((2,), SectionKind.MIME), None)),
        (b"/;UID=7", MessageUrl(None, None, 7, Section(), None)),
        (b"/x/;UID=7/;SECTION=TEXT/;PARTIAL=5.10", MessageUrl("x", None, 7, Section((), SectionKind.TEXT), (5, 10))),
        (b"/x/;UID=7/;PARTIAL=5", MessageUrl("x", None, 7, Section(), (5, None))),
        (
            b"/x/;UID=7/;SECTION=HEADER.FIELDS%20(To%20%22Cc%22)",
            MessageUrl("x", None, 7, Section((), SectionKind.HEADER_FIELDS, frozenset({b"to", b"cc"})), None),
        ),
    ],
)
def test_urls(url: bytes, meaning: MessageUrl) -> None:
    assert parse_url(url) == meaning


@pytest.mark.parametrize(
    "url",
    [
        b"",
        b"/INBOX",
        b"/INBOX/;UID=0",
        b"/INBOX/;UID=4294967296",
        b"/INBOX/;UID=1/;SECTION=NONE",
        b"/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(To",
        b"/INBOX/;UID=1/;SECTION=1%0d%0a",
        b"/%ff/;UID=1",
        b"imap://elsewhere.example/INBOX/;UID=1",
        b"/INBOX/;UID=1?x",
        b"/INBOX/;UID=1/;PARTIAL=99999999999999999999",
    ],
)
def test_what_is_none(url: bytes) -> None:
    with pytest.raises(ParseError):
        parse_url(url)


@given(
    st.one_of(st.binary(max_size=80), st.from_regex(rb"/[a-z%0-9]{0,9}/;UID=[0-9]{1,3}(/;SECTION=[A-Z0-9.%()]{0,20})?"))
)
def test_anything_is_a_url_or_an_error(url: bytes) -> None:
    try:
        parse_url(url)
    except ParseError as error:
        assert error.text.isascii()
