"""Submission: SMTP for users, who log in before they send anything.

RFC: 6409 §4.3 (authentication), §5, 8314 §3.3 (implicit TLS)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.interfaces import IReactorTime, ITLSTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from mailpost.accounts.interfaces import ILoginMechanisms
from mailpost.delivery.interfaces import IReceiver
from mailpost.protocols.connection import Connections, tls_exporter
from mailpost.protocols.login import LoggedIn, Login, Penalties
from mailpost.protocols.sasl import SaslServer
from mailpost.protocols.smtp.connection import SmtpFactory, SmtpServer
from mailpost.protocols.smtp.dialect import Dialect, Rule, State
from mailpost.protocols.smtp.handlers import BASE_EXTENSIONS, COMMON, base_keywords
from mailpost.protocols.smtp.session import Session
from mailpost.protocols.submission.authenticate import auth, mail, start_tls
from mailpost.protocols.submission.settings import SubmissionSettings
from mailpost.storage.events import Tell
from mailpost.wire.smtp.commands import Auth, Mail, StartTls


def _keywords(session: Session) -> list[str]:
    """RFC: 3461 §3 (DSN), 3207 §4.1, 4954 §3"""
    known = [*base_keywords(session), "DSN"]
    server = session.connection
    assert isinstance(server, SubmissionServer)
    if server.tls_possible:
        known.append("STARTTLS")
    mechanisms = server.sasl.mechanisms()
    if mechanisms and not server.record.user:
        known.append(f"AUTH {' '.join(mechanisms)}")
    return known


_READY = frozenset({State.READY})
SUBMISSION = Dialect(
    name="ESMTP",
    hellos=("EHLO", "HELO"),
    rules={
        **COMMON,
        Mail: Rule(mail, COMMON[Mail].states),
        Auth: Rule(auth, _READY),
        StartTls: Rule(start_tls, _READY),
    },
    extensions=BASE_EXTENSIONS | {"DSN", "AUTH"},
    keywords=_keywords,
)


class SubmissionServer(SmtpServer):
    """One connection of submission."""

    dialect = SUBMISSION
    factory: SubmissionFactory
    settings: SubmissionSettings

    def connectionMade(self) -> None:
        """A client is there."""
        self._login: LoggedIn | None = None
        super().connectionMade()
        self.sasl = SaslServer(
            self.factory.login,
            self.record,
            protocol="submission",
            portal=self.factory.portal,
            allow_plaintext_auth=self.settings.allow_plaintext_auth,
            challengers=self.factory.challengers,
            channel_binding=lambda: tls_exporter(self.transport),
        )

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone. Whoever waits for that finds the login given back."""
        if self._login is not None:
            self._login.log_out()
        super().connectionLost(reason)

    @property
    def idle_timeout(self) -> int:
        """Seconds without an octet after which the connection is closed."""
        return self.settings.idle_timeout if self._login is not None else self.settings.login_timeout

    @property
    def tls_possible(self) -> bool:
        """There is no TLS yet, and there could be."""
        has_tls = self.factory.tls is not None and ITLSTransport(self.transport, None) is not None
        return has_tls and not self.record.encrypted

    def upgrade(self) -> None:
        """Begin TLS."""
        self._link.start_tls(self.factory.tls)

    def logged_in(self, login: LoggedIn) -> None:
        """Somebody is in."""
        self._login = login
        self.record.user = login.user
        self.session.client = replace(self.session.client, user=login.user)
        self.setTimeout(self.idle_timeout)


class SubmissionFactory(SmtpFactory):
    """Makes the connections of submission listeners, with TLS from the first octet or without."""

    protocol = SubmissionServer
    settings: SubmissionSettings

    def __init__(
        self,
        portal: Portal,
        receiver: IReceiver,
        settings: SubmissionSettings | None = None,
        *,
        mechanisms: ILoginMechanisms | None = None,
        tls: Any = None,
        challengers: dict[bytes, Any] | None = None,
        clock: IReactorTime | None = None,
        penalties: Penalties | None = None,
        tell: Tell | None = None,
    ) -> None:
        """Take mail from the users of a portal.

        Args:
            portal: its realm gives `IMailAccount`.
            receiver: takes the messages of whoever has logged in, and decides who may send as whom.
            settings: limits and times.
            mechanisms: which of PLAIN and LOGIN all users can use; both, without it, if the portal takes passwords.
            tls: for STARTTLS: what `ITLSTransport.startTLS` takes; None when there is none to offer.
            challengers: further SASL mechanisms, as Twisted has them.
            clock: the reactor, or a Clock in tests.
            penalties: shared with the other protocols of a server, so that guesses count wherever they are made.
            tell: hears of logins and of failed ones (`storage.events`).
        """
        settings = settings or SubmissionSettings()
        connections = Connections(settings.connections_per_address, settings.connections_per_user)
        super().__init__(receiver, settings, connections=connections, clock=clock)
        self.portal = portal
        self.tls = tls
        self.challengers = challengers or {}
        self.login = Login(self.clock, self.connections, mechanisms, penalties, tell)
