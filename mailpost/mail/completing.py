"""What a message lacks, or has too much of, when its author hands it over.

Nothing else is touched: what stays, stays octet for octet, and what is added stands at the top.

RFC: 6409 §8.2, §8.3 (Date, Message-ID), 5322 §3.6, §3.6.3 (required fields, Bcc), 5321 §4.4 (Return-Path)
"""

from __future__ import annotations

from mailpost.mail import headers
from mailpost.mail.address import MISSING_HOST, MISSING_MAILBOX, addresses

BLIND = frozenset({b"bcc", b"resent-bcc"})
"""Fields that only the author may see."""


def completed(header: bytes, *, date: str, message_id: str, keep_blind: bool = False) -> bytes:
    """A header with Date and Message-ID, and without Return-Path, Bcc and Resent-Bcc.

    Args:
        header: as it came, with the empty line behind it if there is one.
        date: what Date says where there is none.
        message_id: with its angle brackets, where there is none.
        keep_blind: leave Bcc and Resent-Bcc, for the author's own copy.
    """
    dropped = {b"return-path"} if keep_blind else {b"return-path", *BLIND}
    kept: list[bytes] = []
    names: set[bytes] = set()
    at = 0
    for name, first, last in headers.fields(header):
        names.add(name)
        if name in dropped:
            kept.append(header[at:first])
            at = last
    kept.append(header[at:])
    added = b""
    if b"date" not in names:
        added += f"Date: {date}\r\n".encode()
    if b"message-id" not in names:
        added += f"Message-ID: {message_id}\r\n".encode()
    return added + b"".join(kept)


def message_id_of(header: bytes) -> bytes:
    """The Message-ID, b"" where there is none. RFC: 5322 §3.6.4"""
    return headers.value(header, b"message-id") or b""


def authors(header: bytes) -> list[str]:
    """The addresses of all From fields, `local@domain` as it is written there. RFC: 5322 §3.6.2

    What stands there and is no address is in it too, so that it is nobody's.
    """
    found: list[str] = []
    for name, raw in headers.values(header):
        if name == b"from":
            for each in addresses(headers.unfolded(raw)):
                if each.host is None:
                    continue  # where a group begins or ends
                local = b"" if each.mailbox == MISSING_MAILBOX else each.mailbox or b""
                domain = b"" if each.host == MISSING_HOST else each.host
                found.append((local + b"@" + domain).decode(errors="surrogateescape"))
    return found
