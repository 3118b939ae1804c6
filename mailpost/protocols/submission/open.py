"""SMTP that takes mail from anybody, for tests and demonstrations: submission that does not insist on a login.

Not to be reached from elsewhere; the service lets it listen on loopback only.

RFC: 5321 §3.3
"""

from __future__ import annotations

from dataclasses import replace

from mailpost.protocols.smtp.handlers import COMMON
from mailpost.protocols.submission.connection import SUBMISSION, SubmissionFactory, SubmissionServer
from mailpost.wire.smtp.commands import Mail

OPEN = replace(SUBMISSION, rules={**SUBMISSION.rules, Mail: COMMON[Mail]})


class OpenSmtpServer(SubmissionServer):
    """One connection, whose client may log in and need not."""

    dialect = OPEN

    @property
    def idle_timeout(self) -> int:
        """Seconds without an octet after which the connection is closed."""
        return self.settings.idle_timeout


class OpenSmtpFactory(SubmissionFactory):
    """Makes the connections of listeners on loopback; the receiver decides whose mail is taken."""

    protocol = OpenSmtpServer
