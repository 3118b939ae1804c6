"""What an LMTP server may be told."""

from __future__ import annotations

from dataclasses import dataclass

from mailpost.protocols.smtp.settings import SmtpSettings


@dataclass(frozen=True, slots=True)
class LmtpSettings(SmtpSettings):
    """Limits and times of every connection; and who may speak for others."""

    trusted: tuple[str, ...] = ("127.0.0.0/8", "::1", "unix")
    """Addresses and networks whose XCLIENT is believed; "unix" for all sockets of this machine's file system."""
