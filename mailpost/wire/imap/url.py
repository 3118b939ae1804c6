"""IMAP URLs of messages and their parts, relative to the account of who sends them.

    /Drafts;UIDVALIDITY=385759045/;UID=20/;SECTION=1.2/;PARTIAL=0.1024
    ;UID=20                                     in the mailbox that is selected

RFC: 4469 §3 (only these), 5092
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from mailpost.mail.sections import Section
from mailpost.wire.imap.decoder import CommandLine
from mailpost.wire.imap.fetch import parse_section
from mailpost.wire.imap.grammar import LARGEST_NUMBER, LARGEST_NUMBER64, ParseError
from mailpost.wire.imap.reader import Reader

_URL = re.compile(
    rb"(?:/([^;?#]+)(?:;UIDVALIDITY=([1-9][0-9]{0,9}))?/?)?"
    rb"/?;UID=([1-9][0-9]{0,9})"
    rb"(?:/;SECTION=([^;/?#]+))?"
    rb"(?:/;PARTIAL=([0-9]{1,19})(?:\.([0-9]{1,19}))?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """A message, or a part of one."""

    mailbox: str | None
    """None for the selected mailbox."""
    uidvalidity: int | None
    uid: int
    section: Section
    partial: tuple[int, int | None] | None
    """(first octet counted from 0, count of octets or None for the rest), or None for all."""


def parse_url(url: bytes) -> MessageUrl:
    """What a URL means.

    Raises:
        ParseError: it is none that names a message here; it may still be a URL.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise ParseError("Expected the URL of a message, such as /INBOX/;UID=20")
    mailbox, uidvalidity, uid, section, first, count = found.groups()
    numbers = [int(number) for number in (uid, uidvalidity or b"1")]
    octets = [int(number) for number in (first or b"0", count or b"1")]
    if max(numbers) > LARGEST_NUMBER or max(octets) > LARGEST_NUMBER64:
        raise ParseError("A number in the URL is too large")
    return MessageUrl(
        mailbox=_name(mailbox) if mailbox is not None else None,
        uidvalidity=numbers[1] if uidvalidity is not None else None,
        uid=numbers[0],
        section=_section(section) if section is not None else Section(),
        partial=None if first is None else (octets[0], octets[1] if count is not None else None),
    )


def _name(octets: bytes) -> str:
    try:
        name = unquote_to_bytes(octets.rstrip(b"/")).decode("utf-8")
    except UnicodeDecodeError:
        raise ParseError("The mailbox in the URL is not UTF-8") from None
    return "INBOX" if name.upper() == "INBOX" else name


def _section(octets: bytes) -> Section:
    text = unquote_to_bytes(octets)
    if any(octet < 32 for octet in text):
        raise ParseError("Unknown section in the URL")
    return parse_section(Reader(CommandLine(b"[%b]" % text)))
