"""The fields that are put before a message when it is delivered, and what they tell of a loop.

RFC: 5321 §4.4 (Return-Path, Received), §6.3 (loops)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailpost.mail import headers
from mailpost.mail.dates import format_date
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.transport import Client, ReversePath

MOST_HOPS = 100
"""Received fields; a message with more goes in circles."""

# The fields that matter here and no other, so that a header of very many lines costs nothing. RFC: 5322 §4.5
_OURS = re.compile(
    rb"^(received|delivered-to|return-path)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?+", re.MULTILINE | re.IGNORECASE
)
_HOST = re.compile(r"[\w.:\[\]-]+")
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0]")


@dataclass(frozen=True, slots=True)
class Head:
    """The header of a message as it came."""

    kept: bytes
    """Without Return-Path fields, with the empty line behind it: exactly one such field is in what is delivered."""
    end: int
    """Where the body begins in the octets that came."""
    hops: int
    """Received fields."""
    delivered_to: frozenset[str]
    """What Delivered-To fields say, ready for `same_address`."""


def read_head(octets: bytes) -> Head:
    """The header at the start of these octets; all of them if it does not end there."""
    end = headers.end_of(octets)
    kept: list[bytes] = []
    hops, at = 0, 0
    delivered_to: list[str] = []
    for match in _OURS.finditer(octets, 0, end):
        name = match[1].lower()
        if name == b"received":
            hops += 1
        elif name == b"delivered-to":
            delivered_to.append(same_address(headers.unfolded(match[2]).decode(errors="replace")))
        else:
            kept.append(octets[at : match.start()])
            at = match.end()
    kept.append(octets[at:end])
    return Head(b"".join(kept), end, hops, frozenset(delivered_to))


def require_no_loop(head: Head, address: str | None = None) -> None:
    """Refuse a message that has been delivered to this address before, or has come through too many servers.

    Raises:
        MailError: LOOP.
    """
    if head.hops > MOST_HOPS:
        raise MailError(ErrorKind.LOOP, f"This message has come through more than {MOST_HOPS} servers")
    if address is not None and same_address(address) in head.delivered_to:
        raise MailError(ErrorKind.LOOP, "This message has been delivered to this address before")


def same_address(address: str) -> str:
    """What is equal for addresses that differ in case only."""
    return address.casefold()


def received(
    client: Client, recipients: Sequence[str], *, hostname: str, delivery: str, seconds: int, zone: int
) -> bytes:
    """The Received field.

    Args:
        client: who handed the message over.
        recipients: all of them; only a single one is named, since nobody is to learn of the others. RFC: 5321 §7.2
        hostname: of this server.
        delivery: what the log calls this delivery.
        seconds: now, since the epoch.
        zone: seconds east of Greenwich.
    """
    name = client.name if _HOST.fullmatch(client.name) else ""
    place = _literal(client.address)
    origin = f"from {name or place} ({place})" if name or client.address else ""
    lines = [origin] if origin else []
    lines.append(f"by {hostname} with {client.protocol} id {delivery}")
    if len(recipients) == 1:
        lines.append(f"for <{clean(recipients[0])}>")
    text = "\r\n\t".join(lines)
    return f"Received: {text}; {format_date(seconds, zone)}\r\n".encode(errors="replace")


def _literal(address: str) -> str:
    """The address literal of a peer. RFC: 5321 §4.1.3"""
    if address in {"", "unix"}:
        return "local"
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def return_path(sender: ReversePath) -> bytes:
    """The Return-Path field."""
    return f"Return-Path: <{clean(sender.address)}>\r\n".encode(errors="replace")


def delivered_to(address: str) -> bytes:
    """The Delivered-To field: whom this copy was delivered to."""
    return f"Delivered-To: {clean(address)}\r\n".encode(errors="replace")


def clean(address: str) -> str:
    """An address that can stand in a header field whatever a client made up."""
    return _UNSAFE.sub("?", address)
