"""What is worth remembering of a message so that its file need not be read again: tier 3 keeps these.

`envelope`, `bodystructure` and `preview` are octets ready for the wire. Whoever keeps a summary never looks into them:
they are made by `mailpost.wire.imap.structures.summarise`, handed to the store by the assembly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

KEPT_FIELDS = frozenset(
    b"from sender reply-to to cc bcc subject date message-id in-reply-to references"
    b" content-type content-transfer-encoding list-id x-priority importance priority".split()
)
"""Lower-case names of the header fields that `Summary.header` keeps: what clients ask for in their lists."""

SUMMARY_FORMAT = 4
"""Raised whenever the meaning of a field below changes; caches of another format are thrown away."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One message, summarised.

    RFC: 3501 §2.3.4 (size), §2.3.5 (envelope), §2.3.6 (body structure)
    """

    size: int
    """Octets of the whole message with CRLF line ends (RFC822.SIZE)."""
    envelope: bytes
    """The parenthesised ENVELOPE value."""
    bodystructure: bytes
    """The parenthesised BODYSTRUCTURE value with all extension data."""
    header: bytes
    """The fields of KEPT_FIELDS as they stand in the message (folded, CRLF-ended), in order, and the empty line."""
    sent: int | None
    """The Date field as seconds since the epoch (UTC); None when missing or unreadable."""
    sent_day: int | None
    """The Date field's day as written, zone disregarded, as `date.toordinal()` (SENTSINCE and so on)."""
    subject: str
    """Decoded and casemapped for searching (`mail.encodings.casemapped`); likewise the next four."""
    from_: str
    to: str
    cc: str
    bcc: str
    email_id: bytes
    """RFC 8474 EMAILID (`mail.identity`)."""
    thread_id: bytes
    """RFC 8474 THREADID."""
    preview: bytes
    """The first words (`mail.preview`) as a string ready for the wire."""


Summariser = Callable[[bytes], Summary]
