"""APPEND and REPLACE, whose messages pass by as they arrive.

The command can be parsed when a message literal is offered (`decoder.LiteralOffered.so_far`): then its last message
is the one on offer, and may be `open`. Parsed again when it is whole, it tells all.

RFC: 3501 §6.3.11, 9051 §6.3.12, 3502 (MULTIAPPEND), 3516 §4.4 (literal8), 4469 §5 (CATENATE), 6855 §4 (UTF8), 8508
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailpost.mail.dates import parse_internaldate
from mailpost.mail.flags import NO_FLAGS, Flags
from mailpost.mail.uidset import SequenceSet
from mailpost.wire.imap.grammar import MOST_KEYS, ParseError
from mailpost.wire.imap.reader import Reader

MOST_MESSAGES = 256
"""So many messages one APPEND may have."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Octets that are part of a message: a literal of their own, which went by as `decoder.LiteralData`."""

    size: int
    """Octets."""
    utf8: bool = False
    """Sent as UTF8. RFC: 6855 §4"""


@dataclass(frozen=True, slots=True)
class UrlPart:
    """Octets of a message that is here already."""

    url: bytes


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """One message of an APPEND, without its octets: those went by as `decoder.LiteralData`."""

    size: int
    """Octets; of one that is put together, those of its TEXT parts."""
    flags: Flags = NO_FLAGS
    internaldate: int | None = None
    """Seconds since the epoch; None means now."""
    binary: bool = False
    """Sent as literal8 (`~{n}`): may hold NUL."""
    utf8: bool = False
    """Sent as UTF8, it or a part of it: its header may be UTF-8. RFC: 6855 §4"""
    parts: tuple[TextPart | UrlPart, ...] | None = None
    """What it is put together from, in order; None where it came whole. RFC: 4469 §3"""
    open: bool = False
    """Its closing parenthesis has not come: good enough to be offered, not to be filed."""


@dataclass(frozen=True, slots=True)
class Append:
    """APPEND."""

    mailbox: str
    messages: tuple[AppendMessage, ...]
    """One, or more with MULTIAPPEND."""


@dataclass(frozen=True, slots=True)
class Replace:
    """REPLACE and UID REPLACE: one message goes, another comes. RFC: 8508 §3"""

    numbers: SequenceSet
    """One number."""
    mailbox: str
    messages: tuple[AppendMessage, ...]
    """One."""
    uid: bool = False


_DATE_TIME_MATCH = re.compile(rb'"([^"\\]{1,40})"').match


def parse_append(reader: Reader) -> Append:
    """APPEND SP mailbox 1*(SP [flag-list SP] [date-time SP] append-data)"""
    reader.space()
    mailbox = reader.mailbox()
    messages: list[AppendMessage] = []
    while not messages or not reader.at_end():
        if len(messages) >= MOST_MESSAGES:
            raise ParseError(f"More than {MOST_MESSAGES} messages in one APPEND")
        reader.space()
        messages.append(_message(reader))
    return Append(mailbox, tuple(messages))


def parse_replace(reader: Reader, uid: bool = False) -> Replace:
    """REPLACE SP seq-number SP mailbox SP [flag-list SP] [date-time SP] append-data"""
    reader.space()
    numbers = reader.sequence_set("one message's number")
    if len(numbers.parts) != 1 or numbers.parts[0][0] != numbers.parts[0][1]:
        raise ParseError("Expected one message's number")
    reader.space()
    mailbox = reader.mailbox()
    reader.space()
    message = _message(reader)
    reader.end()
    return Replace(numbers, mailbox, (message,), uid)


def _message(reader: Reader) -> AppendMessage:
    flags, internaldate = NO_FLAGS, None
    if reader.peek() == b"(":
        flags = reader.flag_list()
        reader.space()
    if reader.peek() == b'"':
        internaldate = _date_time(reader)
        reader.space()
    if reader.accept_word(b"CATENATE"):
        parts, is_open = _parts(reader)
        texts = [part for part in parts if isinstance(part, TextPart)]
        size, utf8 = sum(part.size for part in texts), any(part.utf8 for part in texts)
        return AppendMessage(size, flags, internaldate, utf8=utf8, parts=parts, open=is_open)
    if reader.accept_word(b"UTF8"):
        size, is_open = _utf8(reader)
        return AppendMessage(size, flags, internaldate, binary=True, utf8=True, open=is_open)
    size, binary = _passing(reader)
    return AppendMessage(size, flags, internaldate, binary)


def _passing(reader: Reader) -> tuple[int, bool]:
    """A literal that goes by: its octets, and whether it is literal8."""
    octets, size, binary = reader.literal("a message as a literal")
    if octets is not None:
        raise ParseError("Expected a message as a literal")
    return size, binary


def _utf8(reader: Reader) -> tuple[int, bool]:
    """SP "(" literal8 ")": the octets, and whether the end is still to come. RFC: 6855 §4"""
    reader.space()
    reader.expect(b"(")
    size, binary = _passing(reader)
    if not binary:
        raise ParseError("Expected a literal8 behind UTF8")
    if reader.at_end():
        return size, True
    reader.expect(b")")
    return size, False


def _parts(reader: Reader) -> tuple[tuple[TextPart | UrlPart, ...], bool]:
    """SP "(" cat-part *(SP cat-part) ")": the parts, and whether the end is still to come. RFC: 4469 §5"""
    reader.space()
    reader.expect(b"(")
    parts = [_part(reader)]
    while not reader.at_end():
        if reader.accept(b")"):
            return tuple(parts), False
        if len(parts) >= MOST_KEYS:
            raise ParseError(f"More than {MOST_KEYS} parts of a message")
        reader.space()
        parts.append(_part(reader))
    return tuple(parts), True


def _part(reader: Reader) -> TextPart | UrlPart:
    """cat-part = "TEXT" SP literal / "URL" SP astring / utf8-literal"""
    if reader.accept_word(b"URL"):
        reader.space()
        return UrlPart(reader.astring("a URL"))
    if reader.accept_word(b"UTF8"):
        return TextPart(_utf8(reader)[0], utf8=True)
    if not reader.accept_word(b"TEXT"):
        raise reader.error("TEXT or URL")
    reader.space()
    return TextPart(_passing(reader)[0])


def _date_time(reader: Reader) -> int:
    """Take a date-time: seconds since the epoch."""
    found = reader.match(_DATE_TIME_MATCH, 'a date like "17-Jul-1996 02:44:25 -0700"')[1]
    try:
        return parse_internaldate(found)
    except ValueError as error:
        raise ParseError(f"Expected a date: {error}") from None
