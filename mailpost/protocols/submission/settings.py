"""What a submission server may be told."""

from __future__ import annotations

from dataclasses import dataclass

from mailpost.protocols.smtp.settings import SmtpSettings


@dataclass(frozen=True, slots=True)
class SubmissionSettings(SmtpSettings):
    """Limits and times of every connection; and how one may log in."""

    allow_plaintext_auth: bool = False
    """Passwords may be sent without TLS from anywhere; from loopback they always may."""
    failed_logins: int = 6
    """After so many refused logins the connection is closed."""
    connections_per_user: int = 250
    """Logged in at once under one name from one address."""
    login_timeout: int = 60
    """A connection that has not logged in is closed after so long without an octet."""
