"""How one may log in on an IMAP connection: SASL over the attributes of Twisted's server, and the state of TLS.

RFC: 3501 §6.2, §11.1
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.mail.interfaces import IAccountIMAP

from mailpost.protocols.connection import ConnectionRecord, is_encrypted, tls_exporter
from mailpost.protocols.imap.commands.context import TlsState
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.protocols.login import LoggedIn, Login
from mailpost.protocols.sasl import Ask, SaslServer
from mailpost.storage.interfaces import IMailAccount


class Server(Protocol):
    """What it depends on: attributes of an `imap4.IMAP4Server`, any of which may change."""

    portal: Any
    ctx: Any
    canStartTLS: bool
    startedTLS: bool
    challengers: Any
    transport: Any
    record: ConnectionRecord

    def authenticateLogin(self, user: bytes, passwd: bytes) -> Any:
        """Twisted's hook for what is to happen with a name and a password."""


class ServerAuthentication:
    """The `Authentication` of one connection."""

    def __init__(self, server: Server, settings: ImapSettings, login: Login) -> None:
        self._server = server
        self._kept = SaslServer(
            login,
            server.record,
            protocol="IMAP",
            portal=server.portal,
            interfaces=(IMailAccount, IAccountIMAP),
            encrypted=lambda: self.tls is TlsState.ACTIVE,
            channel_binding=lambda: tls_exporter(server.transport),
            allow_plaintext_auth=settings.allow_plaintext_auth,
            by_password=server.authenticateLogin,
        )

    @property
    def tls(self) -> TlsState:
        """Whether there is TLS, or could be."""
        server = self._server
        if server.startedTLS or is_encrypted(server.transport):
            return TlsState.ACTIVE
        return TlsState.POSSIBLE if server.ctx is not None and server.canStartTLS else TlsState.ABSENT

    @property
    def _sasl(self) -> SaslServer:
        """With what the server's attributes hold now."""
        self._kept.portal = self._server.portal
        self._kept.challengers = self._server.challengers
        return self._kept

    @property
    def password_permitted(self) -> bool:
        """Whether a password may be sent over this connection as it is."""
        return self._sasl.password_permitted

    @property
    def failures(self) -> int:
        """Logins of this connection that came to nothing."""
        return self._kept.failures

    def mechanisms(self) -> list[str]:
        """The SASL mechanisms that are announced now."""
        return self._sasl.mechanisms()

    async def with_password(self, user: bytes, password: bytes) -> LoggedIn:
        """As `SaslServer.with_password`."""
        return await self._sasl.with_password(user, password)

    async def authenticate(self, mechanism: str, initial: bytes | None, ask: Ask) -> LoggedIn:
        """As `SaslServer.authenticate`."""
        return await self._sasl.authenticate(mechanism, initial, ask)
