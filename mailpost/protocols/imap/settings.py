"""What an IMAP server may be told: limits, times and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from mailpost.wire.imap.decoder import Limits

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class ImapSettings:
    """Limits and times of every IMAP connection of one listener. Sizes are octets, times seconds."""

    hostname: str = "localhost"
    """The name in the greeting."""

    line_length: int = 64 * KIB
    """Longest command line, without its literals; RFC 2683 §3.2.1.5 asks for 8,000."""
    literal_before_login: int = 4 * KIB
    """Largest literal, and largest sum of one command's literals, before login."""
    literal_size: int = 256 * KIB
    """The same after login, for literals that are kept in memory (all but those of APPEND)."""
    message_size: int = 64 * MIB
    """Largest message that APPEND takes. RFC: 7889 (APPENDLIMIT)"""
    pipelined_octets: int = 64 * KIB
    """What a client may send ahead while a command runs; beyond it the connection is not read from."""
    output_octets: int = 64 * KIB
    """Output is handed to the transport in pieces of about this size."""

    bad_commands: int = 20
    """After so many commands in a row that cannot be understood the connection is closed."""
    failed_logins: int = 6
    """After so many refused logins the connection is closed."""
    connections_per_user: int = 250
    """Logged in at once under one name from one address."""
    connections_per_address: int = 1000
    """Open at once from one address (of IPv6: one /64), logged in or not. Many people may be behind one."""

    login_timeout: int = 60
    """A connection that has not logged in is closed after so long without a command."""
    idle_timeout: int = 30 * 60
    """A logged-in connection is closed after so long without a command. RFC: 3501 §5.4 (30 minutes at least)"""
    write_timeout: float = 5 * 60.0
    """A connection whose client has read nothing for so long while there is output for it is closed."""
    idle_interval: float = 120.0
    """IDLE sends an untagged OK this often, so that a dead connection is found and no NAT forgets a live one."""

    allow_plaintext_auth: bool = False
    """Passwords may be sent without TLS from anywhere; from loopback they always may."""

    unauthenticate: bool = True
    """A client may log out and in again, as another user, on one connection. RFC: 8437 §8"""

    @property
    def before_login(self) -> Limits:
        """What a client may send that nobody knows yet."""
        line = min(self.line_length, 8 * KIB)
        return Limits(line=line, literal=self.literal_before_login, command=line + self.literal_before_login)

    @property
    def after_login(self) -> Limits:
        """What a user may send."""
        return Limits(line=self.line_length, literal=self.literal_size, command=self.line_length + self.literal_size)
