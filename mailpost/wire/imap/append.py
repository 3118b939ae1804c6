"""APPEND, whose messages pass by as they arrive.

The command can be parsed when a message literal is offered (`decoder.LiteralOffered.so_far`): then its last message
is the one on offer. Parsed again when it is whole, it tells all.

RFC: 3501 §6.3.11, 9051 §6.3.12, 3502 (MULTIAPPEND), 3516 §4.4 (literal8)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailpost.mail.dates import parse_internaldate
from mailpost.mail.flags import NO_FLAGS, Flags
from mailpost.wire.imap.grammar import MOST_KEYS, ParseError
from mailpost.wire.imap.reader import Reader


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """One message of an APPEND, without its octets: those went by as `decoder.LiteralData`."""

    size: int
    """Octets."""
    flags: Flags = NO_FLAGS
    internaldate: int | None = None
    """Seconds since the epoch; None means now."""
    binary: bool = False
    """Sent as literal8 (`~{n}`): may hold NUL."""


@dataclass(frozen=True, slots=True)
class Append:
    """APPEND."""

    mailbox: str
    messages: tuple[AppendMessage, ...]
    """One, or more with MULTIAPPEND."""


_DATE_TIME_MATCH = re.compile(rb'"([^"\\]{1,40})"').match


def parse_append(reader: Reader) -> Append:
    """APPEND SP mailbox 1*(SP [flag-list SP] [date-time SP] (literal / literal8))"""
    reader.space()
    mailbox = reader.mailbox()
    messages: list[AppendMessage] = []
    while not messages or not reader.at_end():
        if len(messages) >= MOST_KEYS:
            raise ParseError(f"More than {MOST_KEYS} messages in one APPEND")
        reader.space()
        messages.append(_message(reader))
    return Append(mailbox, tuple(messages))


def _message(reader: Reader) -> AppendMessage:
    flags, internaldate = NO_FLAGS, None
    if reader.peek() == b"(":
        flags = reader.flag_list()
        reader.space()
    if reader.peek() == b'"':
        internaldate = _date_time(reader)
        reader.space()
    octets, size, binary = reader.literal("a message as a literal")
    if octets is not None:
        raise ParseError("Expected a message as a literal")
    return AppendMessage(size, flags, internaldate, binary)


def _date_time(reader: Reader) -> int:
    """Take a date-time: seconds since the epoch."""
    found = reader.match(_DATE_TIME_MATCH, 'a date like "17-Jul-1996 02:44:25 -0700"')[1]
    try:
        return parse_internaldate(found)
    except ValueError as error:
        raise ParseError(f"Expected a date: {error}") from None
