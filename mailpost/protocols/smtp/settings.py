"""What a server of SMTP or LMTP may be told: limits and times."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """Limits and times of every connection of one listener. Sizes are octets, times seconds."""

    hostname: str = "localhost"
    """The name in the greeting."""

    line_length: int = 12 * KIB
    """Longest command line; AUTH asks for 12,288. RFC: 4954 §4"""
    message_size: int = 50 * MIB
    """Largest message. RFC: 1870 §4"""
    recipients: int = 1000
    """Most recipients of one message; more are to come in a further one. RFC: 5321 §4.5.3.1.10"""
    pipelined_octets: int = 64 * KIB
    """What a client may send ahead while a command runs; beyond it the connection is not read from."""

    bad_commands: int = 20
    """After so many commands in a row that cannot be understood the connection is closed."""
    connections_per_address: int = 1000
    """Open at once from one address (of IPv6: one /64)."""

    idle_timeout: int = 5 * 60
    """A connection is closed after so long without an octet. RFC: 5321 §4.5.3.2.7"""
    write_timeout: float = 5 * 60.0
    """A connection whose client has read nothing for so long while there is output for it is closed."""

    over_quota_permanent: bool = False
    """Mail for a full mailbox is refused for good (552 5.2.2), not until there is room again (452 4.2.2)."""
