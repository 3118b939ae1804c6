"""Names and addresses of header fields, as text for a person."""

from __future__ import annotations

from collections.abc import Iterable

from mailpost.mail.address import GROUP_END, MISSING_HOST, MISSING_MAILBOX, Address
from mailpost.mail.encodings import decode_header

MOST = 200
"""Addresses of one field that are shown."""


def people(addresses: Iterable[Address]) -> list[dict[str, str]]:
    """Each with `name` ("" where there is none) and `address`; a group is a name without an address."""
    found = []
    for each in addresses:
        if each == GROUP_END:
            continue
        if each.host is None:
            found.append({"name": _text(each.mailbox), "address": ""})
        else:
            found.append({"name": _text(each.name), "address": _address(each)})
        if len(found) == MOST:
            break
    return found


def _address(each: Address) -> str:
    mailbox = "" if each.mailbox in (None, MISSING_MAILBOX) else _text(each.mailbox)
    host = "" if each.host in (None, MISSING_HOST) else _text(each.host)
    return f"{mailbox}@{host}" if host else mailbox


def _text(octets: bytes | None) -> str:
    return decode_header(octets or b"").strip()
