"""Dates. RFC: 5322 §3.3, §4.3, 3501 §9"""

from __future__ import annotations

import email
import email.utils
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.dates import format_internaldate, internal_day, parse_date, parse_internaldate
from tests.corpus import messages


@pytest.mark.parametrize(
    ("value", "utc", "day"),
    [
        ("Sun, 1 Sep 2002 12:34:56 +0100", "01-Sep-2002 11:34:56 +0000", "2002-09-01"),
        ("Sun, 1 Sep 2002 23:30:00 -0700 (PDT)", "02-Sep-2002 06:30:00 +0000", "2002-09-01"),
        ("1 Sep 2002 12:34 GMT", "01-Sep-2002 12:34:00 +0000", "2002-09-01"),
        ("1-Sep-02 12:34 EST", "01-Sep-2002 17:34:00 +0000", "2002-09-01"),
        ("1 Sep 96 1:2:3 Z", "01-Sep-1996 01:02:03 +0000", "1996-09-01"),
        ("1 Sep 102 1:2:3", "01-Sep-2002 01:02:03 +0000", "2002-09-01"),
        ("Sunday, 01 September 2002", "01-Sep-2002 00:00:00 +0000", "2002-09-01"),
        ("Sun Sep  1 12:34:56 2002", "01-Sep-2002 12:34:56 +0000", "2002-09-01"),
        ("Sun Sep  1 12:34:56 BST 2002", "01-Sep-2002 11:34:56 +0000", "2002-09-01"),
        ("September 1, 2002 3:04 pm", "01-Sep-2002 15:04:00 +0000", "2002-09-01"),
        ("2002-09-01T12:34:56.5+01:00", "01-Sep-2002 11:34:56 +0000", "2002-09-01"),
        ("Sun, 1 Sep 2002 12:34:56 GMT+0200 (CEST)", "01-Sep-2002 10:34:56 +0000", "2002-09-01"),
        ("Sun, 1 Sep 2002 25:00:00 +0100", "31-Aug-2002 23:00:00 +0000", "2002-09-01"),
        ("Sun, 1 Sep 2002 12:00:00 +9999", "01-Sep-2002 12:00:00 +0000", "2002-09-01"),
        ("Sun, 1 Sep 2002 12:00:00 nowhere", "01-Sep-2002 12:00:00 +0000", "2002-09-01"),
        ("Wed, 29 Feb 2012 00:00:60 +0000", "29-Feb-2012 00:01:00 +0000", "2012-02-29"),
    ],
)
def test_dates_are_read_leniently(value: str, utc: str, day: str) -> None:
    sent = parse_date(value)
    assert sent is not None
    assert format_internaldate(sent.seconds) == utc
    assert date.fromordinal(sent.day).isoformat() == day


@pytest.mark.parametrize("value", ["", "never", "31 Feb 2002 00:00:00 +0000", "1 Foo 2002", "2002-13-01", b"\xff\0"])
def test_what_is_no_day(value: str | bytes) -> None:
    assert parse_date(value) is None


@given(st.text() | st.from_regex(r"\w{0,4}[, ]*\d{1,2}[ -]Sep[ -]\d{1,5} [\d:.]*\s?[+-]?\w{0,5}"))
def test_no_date_fails(value: str) -> None:
    sent = parse_date(value)
    assert sent is None or abs(internal_day(sent.seconds) - sent.day) <= 2


def test_the_email_package_agrees() -> None:
    for octets in messages():
        value = email.message_from_bytes(octets)["date"]
        theirs = email.utils.parsedate_tz(str(value or ""))
        if theirs and theirs[2] <= 28:
            sent = parse_date(str(value))
            assert sent is not None
            assert sent.seconds == email.utils.mktime_tz(theirs)


def test_internaldates() -> None:
    assert parse_internaldate(b"17-Jul-1996 02:44:25 -0700") == 837596665
    assert parse_internaldate(" 7-JUL-1996 02:44:25 +0000") == 836707465
    assert parse_internaldate(b"31-Dec-2016 23:59:60 +0000") == 1483228799
    assert format_internaldate(837596665) == "17-Jul-1996 09:44:25 +0000"
    assert internal_day(837596665) == date(1996, 7, 17).toordinal()


@pytest.mark.parametrize(
    "text", ["", "17-Jul-1996", "32-Jul-1996 02:44:25 -0700", "17-Foo-1996 02:44:25 -0700", "1-Jan-2000 00:00:00 +9900"]
)
def test_what_is_no_internaldate(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_internaldate(text)


@given(st.integers(-(10**9), 10**11))
def test_internaldates_come_back(seconds: int) -> None:
    assert parse_internaldate(format_internaldate(seconds)) == seconds
