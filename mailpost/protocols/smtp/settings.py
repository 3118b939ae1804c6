"""What a server of SMTP or LMTP may be told: limits and times."""

from __future__ import annotations

from dataclasses import dataclass

from mailpost.protocols.settings import KIB, MIB, ConnectionSettings


@dataclass(frozen=True, slots=True)
class SmtpSettings(ConnectionSettings):
    """Limits and times of every connection of one listener. Sizes are octets, times seconds."""

    line_length: int = 12 * KIB
    """Longest command line; AUTH asks for 12,288. RFC: 4954 §4"""
    message_size: int = 50 * MIB
    """Largest message. RFC: 1870 §4"""
    recipients: int = 1000
    """Most recipients of one message; more are to come in a further one. RFC: 5321 §4.5.3.1.10"""

    idle_timeout: int = 5 * 60
    """A connection is closed after so long without an octet. RFC: 5321 §4.5.3.2.7"""

    over_quota_permanent: bool = False
    """Mail for a full mailbox is refused for good (552 5.2.2), not until there is room again (452 4.2.2)."""
