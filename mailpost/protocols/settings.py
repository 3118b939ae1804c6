"""What servers of all protocols may be told."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Limits and times of every connection of one listener. Sizes are octets, times seconds."""

    hostname: str = "localhost"
    """The name in the greeting."""
    pipelined_octets: int = 64 * KIB
    """What a client may send ahead while a command runs; beyond it the connection is not read from."""
    bad_commands: int = 20
    """After so many commands in a row that cannot be understood the connection is closed."""
    connections_per_address: int = 1000
    """Open at once from one address (of IPv6: one /64), logged in or not. Many people may be behind one."""
    write_timeout: float = 5 * 60.0
    """A connection whose client has read nothing for so long while there is output for it is closed."""


@dataclass(frozen=True, slots=True)
class MailboxSettings(ConnectionSettings):
    """The same where clients log in to read their mail: IMAP and POP3."""

    output_octets: int = 64 * KIB
    """Output is handed to the transport in pieces of about this size."""
    failed_logins: int = 6
    """After so many refused logins the connection is closed."""
    connections_per_user: int = 250
    """Logged in at once under one name from one address."""
    login_timeout: int = 60
    """A connection that has not logged in is closed after so long without a command."""
    allow_plaintext_auth: bool = False
    """Passwords may be sent without TLS from anywhere; from loopback they always may."""
