"""Dates of mail: the Date field, read leniently, and INTERNALDATE.

Times are seconds since the epoch, UTC. Days are `datetime.date.toordinal()` numbers.

RFC: 5322 §3.3, §4.3 (obsolete forms), 3501 §9 (date-time)
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_SECONDS = 86_400

_TIME = (
    r"(?P<hour>\d{1,2})[:.](?P<minute>\d{1,2})(?:[:.](?P<second>\d{1,2})(?:[.,]\d+)?)?(?:\s*(?P<half>[AaPp])[Mm]\b)?"
)
_ZONE = r"(?:\s*(?:GMT|UTC?)?(?P<sign>[+-])(?P<offset>\d{4}|\d{2}:\d{2}|\d{1,2})(?!\d)|\s*(?P<name>[A-Za-z]{1,5})\b)?"
# Sun, 1 Sep 2002 12:34:56 +0100 | 1-Sep-02 12:34 GMT | 1 September 2002
_USUAL = re.compile(
    r"\D{0,40}?\b(?P<day>\d{1,2})(?:st|nd|rd|th)?[\s,./-]{0,9}(?P<month>[A-Za-z]{3})[A-Za-z]{0,6}[\s,./-]{0,9}(?P<year>\d{2,4})(?!\d)"
    r"(?:[\s,T]{1,9}" + _TIME + _ZONE + ")?",
    re.ASCII,
)
# Sun Sep  1 12:34:56 [BST] 2002 | Sep 1, 2002 12:34
_ASCTIME = re.compile(
    r"\D{0,40}?\b(?P<month>[A-Za-z]{3})[a-z]{0,6}[\s.]{1,9}(?P<day>\d{1,2})[\s,]{1,9}"
    + _TIME
    + _ZONE
    + r"[\s,]{1,9}(?P<year>\d{4})(?!\d)",
    re.ASCII,
)
_MONTH_FIRST = re.compile(
    r"\D{0,40}?\b(?P<month>[A-Za-z]{3})[a-z]{0,6}[\s.]{1,9}(?P<day>\d{1,2})[\s,]{1,9}(?P<year>\d{4})(?!\d)"
    r"(?:[\s,]{1,9}" + _TIME + _ZONE + ")?",
    re.ASCII,
)
_ISO = re.compile(
    r"\s{0,9}(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?:[\sT]{1,9}" + _TIME + _ZONE + ")?", re.ASCII
)
_FORMS = (_USUAL, _ASCTIME, _MONTH_FIRST, _ISO)

# RFC 5322 §4.3; a military letter other than Z says nothing, like any unknown name.
_ZONES = {"ut": 0, "utc": 0, "gmt": 0, "z": 0, "est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420}
_ZONES |= {"mdt": -360, "pst": -480, "pdt": -420, "bst": 60, "wet": 0, "west": 60, "cet": 60, "cest": 120, "met": 60}
_ZONES |= {"mest": 120, "mez": 60, "mesz": 120, "eet": 120, "eest": 180, "msk": 180, "jst": 540}

_LONGEST = 200
_INTERNAL = re.compile(
    r"(?P<day>[ \d]\d|\d)-(?P<month>[A-Za-z]{3})-(?P<year>\d{4}) (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d) "
    r"(?P<sign>[+-])(?P<offset>\d{4})",
    re.ASCII,
)


class Sent(NamedTuple):
    """When a message says that it was sent."""

    seconds: int
    """Since the epoch."""
    day: int
    """The day as written, zone disregarded, as `date.toordinal()`."""


def parse_date(value: bytes | str) -> Sent | None:
    """Read a Date field: the usual form, the obsolete ones, asctime, ISO 8601; without a zone it is UTC.

    Returns:
        None for what names no day that exists.

    RFC: 5322 §3.3, §4.3
    """
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    text = text[:_LONGEST]
    for form in _FORMS:
        match = form.match(text)
        if match:
            sent = _sent(match)
            if sent:
                return sent
    return None


def _sent(match: re.Match[str]) -> Sent | None:
    month = match["month"].lower()
    number = int(month) if month.isdigit() else _MONTH_NUMBERS.get(month)
    if number is None:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        year += 2000 if year < 50 else 1900
    elif len(match["year"]) == 3:
        year += 1900
    try:
        day = date(year, number, int(match["day"])).toordinal()
    except ValueError:
        return None
    seconds = _seconds_of_day(match)
    return Sent((day - _EPOCH_DAY) * _DAY_SECONDS + seconds - _offset_minutes(match) * 60, day)


def _seconds_of_day(match: re.Match[str]) -> int:
    """Time of day; one that cannot be (25:00) counts as midnight, the day being worth more than the hour."""
    hour, minute, second = int(match["hour"] or 0), int(match["minute"] or 0), int(match["second"] or 0)
    half = match.groupdict().get("half")
    if half and hour <= 12:
        hour = hour % 12 + (12 if half in "pP" else 0)
    if hour > 24 or minute > 59 or second > 60:
        return 0
    return hour * 3600 + minute * 60 + second


def _offset_minutes(match: re.Match[str]) -> int:
    """Minutes east of Greenwich; 0 for a zone that is unknown or cannot be."""
    if match["sign"]:
        digits = match["offset"].replace(":", "")
        hours, minutes = (int(digits[:2]), int(digits[2:])) if len(digits) == 4 else (int(digits), 0)
        if hours > 24 or minutes > 59:
            return 0
        return (hours * 60 + minutes) * (-1 if match["sign"] == "-" else 1)
    return _ZONES.get((match.groupdict().get("name") or "").lower(), 0)


def parse_internaldate(text: bytes | str) -> int:
    """Seconds since the epoch of an IMAP date-time without its quotes: `17-Jul-1996 02:44:25 -0700`.

    Raises:
        ValueError: it is none.

    RFC: 3501 §9 (date-time)
    """
    decoded = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    match = _INTERNAL.fullmatch(decoded)
    number = _MONTH_NUMBERS.get(match["month"].lower()) if match else None
    if not match or number is None:
        raise ValueError("a date-time looks like 17-Jul-1996 02:44:25 -0700")
    offset = timedelta(hours=int(match["offset"][:2]), minutes=int(match["offset"][2:]))
    zone = timezone(-offset if match["sign"] == "-" else offset)
    second = min(int(match["second"]), 59)  # a leap second
    parts = (int(match["year"]), number, int(match["day"]), int(match["hour"]), int(match["minute"]), second)
    return int(datetime(*parts, tzinfo=zone).timestamp())


def format_date(seconds: int, zone: int = 0) -> str:
    """The date-time of header fields, `Tue, 1 Jul 2003 10:52:37 +0200`. RFC: 5322 §3.3

    Args:
        seconds: since the epoch.
        zone: seconds east of Greenwich; those below a minute are left out.
    """
    minutes = int(zone / 60)
    days, rest = divmod(seconds + minutes * 60, _DAY_SECONDS)
    day = date.fromordinal(min(max(_EPOCH_DAY + days, 1), date.max.toordinal()))
    time = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    return f"{_DAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]} {day.year:04} {time} {offset}"


def format_internaldate(seconds: int) -> str:
    """The IMAP date-time of this time in UTC, without quotes; always 26 characters. RFC: 3501 §9 (date-time)"""
    days, rest = divmod(seconds, _DAY_SECONDS)
    return f"{_day_text(days)} {rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02} +0000"


@lru_cache(4096)  # a mailbox has many messages of few days
def _day_text(days: int) -> str:
    day = date.fromordinal(min(max(_EPOCH_DAY + days, 1), date.max.toordinal()))
    return f"{day.day:02}-{_MONTHS[day.month - 1]}-{day.year:04}"


def internal_day(seconds: int) -> int:
    """The day of a time, in UTC as INTERNALDATE is shown, as `date.toordinal()`."""
    return _EPOCH_DAY + seconds // _DAY_SECONDS
