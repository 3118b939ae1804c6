"""aiosmtpd as a smarthost that wants TLS and a login, as those of providers do."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.acceptance.server import free_port
from tests.service.certificates import write_certificate


class Handler:
    """Keeps what comes; the replies of `refuse` go first."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.refuse: list[str] = []
        self.encrypted: list[bool] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.refuse:
            return self.refuse.pop(0)
        self.encrypted.append(
            server.transport is not None and server.transport.get_extra_info("ssl_object") is not None
        )
        self.taken.append(envelope)
        return "250 2.0.0 taken"


class Provider:
    """A smarthost at localhost with a certificate of its own.

    Args:
        folder: for the certificate.
        implicit: TLS from the first octet, not by STARTTLS.
        tls: False for none at all.
    """

    def __init__(self, folder: Path, implicit: bool = False, tls: bool = True) -> None:
        self.handler = Handler()
        self.certificate = folder / "provider.pem"
        key = folder / "provider.key"
        write_certificate(self.certificate, key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.port = free_port()
        more: dict[str, Any] = {"ssl_context": context} if implicit else {}
        if tls and not implicit:
            more = {"tls_context": context, "require_starttls": True}
        self._controller = Controller(
            self.handler,
            hostname="127.0.0.1",
            port=self.port,
            authenticator=self._authenticate,
            auth_required=True,
            auth_require_tls=tls and not implicit,
            enable_SMTPUTF8=True,
            decode_data=False,
            data_size_limit=100 << 20,
            **more,
        )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"example", b"se cret")
        return AuthResult(success=right, handled=False)

    def start(self) -> None:
        """Begin to listen."""
        self._controller.start()

    def stop(self) -> None:
        """Refuse connections."""
        self._controller.stop()
