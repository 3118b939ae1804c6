"""What a POP3 server may be told: limits, times and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from mailpost.protocols.settings import KIB, MailboxSettings


@dataclass(frozen=True, slots=True)
class Pop3Settings(MailboxSettings):
    """Limits and times of every POP3 connection of one listener. Sizes are octets, times seconds."""

    line_length: int = 1 * KIB
    """Longest command line; RFC 2449 §4 allows clients 255."""
    response_length: int = 16 * KIB
    """Longest answer to a SASL challenge. RFC: 5034 §4 (12,288)"""

    idle_timeout: int = 10 * 60
    """A logged-in connection is closed after so long without a command. RFC: 1939 §3 (10 minutes at least)"""
