"""The envelope of a message: who, whom, when, about what, as IMAP shows it.

RFC: 3501 §2.3.5, §7.4.2 (ENVELOPE)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from mailpost.mail import headers
from mailpost.mail.address import Address, addresses
from mailpost.mail.mime import Part


@dataclass(frozen=True, slots=True)
class Envelope:
    """Strings are unfolded and otherwise raw (encoded words, 8-bit text); None where the field is missing."""

    date: bytes | None
    subject: bytes | None
    from_: tuple[Address, ...]
    sender: tuple[Address, ...]
    """The From addresses where Sender is missing or empty; likewise `reply_to`."""
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    in_reply_to: bytes | None
    message_id: bytes | None


_FIELDS = frozenset(b"date subject from sender reply-to to cc bcc in-reply-to message-id".split())


def envelope(octets: bytes, part: Part | None = None) -> Envelope:
    """The envelope of a message, or of the message inside one.

    Args:
        octets: the whole message.
        part: the message inside (`Part.message`); None for the whole.

    Returns:
        Of a repeated string field the first; addresses of repeated fields all, in order.

    RFC: 3501 §7.4.2 (ENVELOPE)
    """
    start, body = (part.start, part.body) if part else (0, headers.end_of(octets))
    found: dict[bytes, list[bytes]] = {}
    for name, raw in headers.values(octets, start, body):
        if name in _FIELDS:
            found.setdefault(name, []).append(headers.unfolded(raw))

    def text(name: bytes) -> bytes | None:
        values = found.get(name)
        return values[0] if values else None

    def people(name: bytes) -> tuple[Address, ...]:
        values = found.get(name)
        if not values:
            return ()
        return addresses(values[0]) if len(values) == 1 else tuple(chain.from_iterable(map(addresses, values)))

    from_ = people(b"from")
    return Envelope(
        date=text(b"date"),
        subject=text(b"subject"),
        from_=from_,
        sender=people(b"sender") or from_,
        reply_to=people(b"reply-to") or from_,
        to=people(b"to"),
        cc=people(b"cc"),
        bcc=people(b"bcc"),
        in_reply_to=text(b"in-reply-to"),
        message_id=text(b"message-id"),
    )
