"""What an IMAP server may be told: limits, times and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from mailpost.protocols.settings import KIB, MIB, MailboxSettings
from mailpost.wire.imap.decoder import Limits


@dataclass(frozen=True, slots=True)
class ImapSettings(MailboxSettings):
    """Limits and times of every IMAP connection of one listener. Sizes are octets, times seconds."""

    line_length: int = 64 * KIB
    """Longest command line, without its literals; RFC 2683 §3.2.1.5 asks for 8,000."""
    literal_before_login: int = 4 * KIB
    """Largest literal, and largest sum of one command's literals, before login."""
    literal_size: int = 256 * KIB
    """The same after login, for literals that are kept in memory (all but those of APPEND)."""
    message_size: int = 64 * MIB
    """Largest message that APPEND takes. RFC: 7889 (APPENDLIMIT)"""

    idle_timeout: int = 30 * 60
    """A logged-in connection is closed after so long without a command. RFC: 3501 §5.4 (30 minutes at least)"""
    idle_interval: float = 120.0
    """IDLE sends an untagged OK this often, so that a dead connection is found and no NAT forgets a live one."""

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
