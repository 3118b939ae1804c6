"""How one may log in on a connection: which mechanisms are announced, and whether a password may be sent.

RFC: 3501 §6.2, §11.1, 4422 §6.1, 8314 §3 (passwords need TLS)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.cred.credentials import ICredentials
from twisted.mail.interfaces import IAccountIMAP, IChallengeResponse

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.connection import ConnectionRecord, is_encrypted, is_local
from mailpost.protocols.imap.commands.context import TlsState
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.protocols.login import PASSWORD_MECHANISMS, Login
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
        self._settings = settings
        self._login = login

    @property
    def tls(self) -> TlsState:
        """Whether there is TLS, or could be."""
        server = self._server
        if server.startedTLS or is_encrypted(server.transport):
            return TlsState.ACTIVE
        return TlsState.POSSIBLE if server.ctx is not None and server.canStartTLS else TlsState.ABSENT

    @property
    def password_permitted(self) -> bool:
        """Whether a password may be sent over this connection as it is."""
        return (
            self._settings.allow_plaintext_auth or self.tls is TlsState.ACTIVE or is_local(self._server.record.address)
        )

    def mechanisms(self) -> list[str]:
        """The SASL mechanisms that are announced now: each is good for every user."""
        names = {name.decode("ascii") for name in self._server.challengers}
        if self._server.portal is not None:
            names |= self._login.mechanisms(self._server.portal) & PASSWORD_MECHANISMS
        if not self.password_permitted:
            names -= PASSWORD_MECHANISMS
        return sorted(names, key=lambda name: (name == "LOGIN", name))

    def challenge(self, mechanism: str) -> IChallengeResponse | None:
        """Twisted's challenge of this mechanism, for one that the server was given."""
        make: Callable[[], IChallengeResponse] | None = self._server.challengers.get(mechanism.encode())
        return None if make is None else make()

    def with_password(self, user: bytes, password: bytes) -> Any:
        """Ask for this user's account."""
        return self._server.authenticateLogin(user, password)

    def with_credentials(self, credentials: ICredentials) -> Any:
        """The same with other credentials."""
        if self._server.portal is None:
            raise MailError(ErrorKind.UNAVAILABLE, "Temporary authentication failure")
        return self._server.portal.login(credentials, None, IMailAccount, IAccountIMAP)
