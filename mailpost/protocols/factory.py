"""What the factories of IMAP and POP3 have in common."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from twisted.cred.portal import Portal
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import ServerFactory

from mailpost.accounts.interfaces import ILoginMechanisms
from mailpost.protocols.connection import Connections
from mailpost.protocols.link import the_reactor
from mailpost.protocols.login import Login, Penalties
from mailpost.protocols.settings import MailboxSettings
from mailpost.storage.events import Tell

S = TypeVar("S", bound=MailboxSettings)


class MailboxFactory(ServerFactory, Generic[S]):
    """Makes the connections of one or more listeners, which share limits, penalties and the way to log in."""

    noisy = False
    default_settings: S

    def __init__(
        self,
        portal: Portal,
        settings: S | None = None,
        *,
        mechanisms: ILoginMechanisms | None = None,
        tls: Any = None,
        challengers: dict[bytes, Any] | None = None,
        clock: IReactorTime | None = None,
        penalties: Penalties | None = None,
        tell: Tell | None = None,
    ) -> None:
        """Serve the users of a portal.

        Args:
            portal: what its realm must give is said by the class.
            settings: limits and times.
            mechanisms: which SASL mechanisms all users can use; PLAIN and LOGIN, without it, if the portal takes
                passwords.
            tls: for STARTTLS or STLS: what `ITLSTransport.startTLS` takes; None when there is none to offer.
            challengers: further SASL mechanisms: name -> what makes an `IChallengeResponse`.
            clock: the reactor, or a Clock in tests.
            penalties: shared with the other protocols of a server, so that guesses count wherever they are made.
            tell: hears of logins and of failed ones (`storage.events`).
        """
        self.portal = portal
        self.settings = settings or self.default_settings
        self.tls = tls
        self.challengers = challengers or {}
        self.clock = clock or the_reactor()
        self.connections = Connections(self.settings.connections_per_address, self.settings.connections_per_user)
        self.login = Login(self.clock, self.connections, mechanisms, penalties, tell)

    async def close(self, text: bytes = b"Server shutting down") -> None:
        """Say goodbye to all clients; answers when they are gone, in a few seconds at most."""
        await self.connections.close(text, self.clock)
