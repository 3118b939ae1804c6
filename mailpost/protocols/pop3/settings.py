"""What a POP3 server may be told: limits, times and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024


@dataclass(frozen=True, slots=True)
class Pop3Settings:
    """Limits and times of every POP3 connection of one listener. Sizes are octets, times seconds."""

    hostname: str = "localhost"
    """The name in the greeting."""

    line_length: int = 1 * KIB
    """Longest command line; RFC 2449 §4 allows clients 255."""
    response_length: int = 16 * KIB
    """Longest answer to a SASL challenge. RFC: 5034 §4 (12,288)"""
    pipelined_octets: int = 64 * KIB
    """What a client may send ahead while a command runs; beyond it the connection is not read from."""
    output_octets: int = 64 * KIB
    """Output is handed to the transport in pieces of about this size."""

    bad_commands: int = 20
    """After so many commands in a row that cannot be understood the connection is closed."""
    failed_logins: int = 6
    """After so many refused logins the connection is closed."""
    connections_per_user: int = 250
    """Logged in at once under one name from one address; only one of them has the mailbox."""
    connections_per_address: int = 1000
    """Open at once from one address (of IPv6: one /64), logged in or not. Many people may be behind one."""

    login_timeout: int = 60
    """A connection that has not logged in is closed after so long without a command."""
    idle_timeout: int = 10 * 60
    """A logged-in connection is closed after so long without a command. RFC: 1939 §3 (10 minutes at least)"""
    write_timeout: float = 5 * 60.0
    """A connection whose client has read nothing for so long while there is output for it is closed."""

    allow_plaintext_auth: bool = False
    """Passwords may be sent without TLS from anywhere; from loopback they always may."""
