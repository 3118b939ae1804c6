"""APPEND, whose messages pass by as they arrive.

The command can be parsed when a message literal is offered (`decoder.LiteralOffered.so_far`): then its last message
is the one on offer. Parsed again when it is whole, it tells all.

RFC: 3501 §6.3.11, 9051 §6.3.12, 3502 (MULTIAPPEND: the form is understood), 3516 §4.4 (literal8)
"""

from __future__ import annotations

from dataclasses import dataclass

from mailpost.mail.flags import NO_FLAGS, Flags


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
