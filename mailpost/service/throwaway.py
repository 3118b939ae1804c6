"""A server to test against: mail in memory, any address a mailbox, free ports on loopback, gone when it stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from mailpost.accounts.account import UserNameError, checked_user
from mailpost.accounts.interfaces import PASSWORD_MECHANISMS, ILoginMechanisms
from mailpost.delivery.interfaces import IDeliveryFilter, IRecipients
from mailpost.delivery.records import LocalUser
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.service.assembly import build
from mailpost.service.config import Config, Limits, Listen, Pattern, Server, Smarthost, Storage, Submission
from mailpost.service.parts import Parts
from mailpost.service.server import MailServer

HOST = "127.0.0.1"
_FREE = (f"tcp:0:interface={HOST}",)
_SCHEMES = {"submission": "smtp", "submissions": "smtps", "web": "http"}
"""Of the URLs of protocols that have no scheme of their own name."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one protocol of a server can be reached."""

    name: str
    """smtp, submission, imap, pop3, lmtp, web; with an "s" behind it where TLS comes first."""
    host: str
    port: int
    ca_file: Path | None = None
    """The certificate, PEM, by which the server's is verified where it speaks TLS."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as many clients take them."""
        return self.host, self.port

    @property
    def url(self) -> str:
        """`imap://127.0.0.1:12345`"""
        return f"{_SCHEMES.get(self.name, self.name)}://{self.host}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Environment variables that tell a program of it: SMTP_HOST, SMTP_PORT and SMTP_URL, for one of SMTP.

        Those of the page are MAILPOST_WEB_HOST and so on: WEB_URL may well be a program's own.
        """
        name = "MAILPOST_WEB" if self.name == "web" else self.name.upper()
        told = {f"{name}_HOST": self.host, f"{name}_PORT": str(self.port), f"{name}_URL": self.url}
        return told | ({"SSL_CERT_FILE": str(self.ca_file)} if self.ca_file and name.endswith("S") else {})


def user_of(address: str) -> str:
    """The user whom mail for an address is for, and whose name it is. Raises UserNameError."""
    return checked_user(address.strip().casefold())


@implementer(IRecipients)
class Everybody:
    """Every address is somebody of its own, or every address of some domains.

    Attributes:
        known: names of those who were met, in their order.
    """

    def __init__(self, domains: Sequence[str] = ()) -> None:
        self.known: dict[str, None] = {}
        self._domains = frozenset(domain.casefold() for domain in domains)

    def resolve(self, address: str) -> Sequence[LocalUser]:
        """The user of this address."""
        if self._domains and address.rpartition("@")[2].casefold() not in self._domains:
            raise MailError(ErrorKind.RELAY_DENIED, "This domain is not one of ours")
        try:
            name = user_of(address)
        except UserNameError as problem:
            raise MailError(ErrorKind.NO_SUCH_USER, f"Nobody can have this address: {problem}") from None
        self.known[name] = None
        return [LocalUser(name)]


@implementer(ICredentialsChecker, ILoginMechanisms)
class AnyPassword:
    """Lets everybody in, by any password, as whom they say they are.

    Args:
        everybody: hears of those who log in.
    """

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, everybody: Everybody) -> None:
        self._everybody = everybody

    def mechanisms(self) -> frozenset[str]:
        """Those that bring a password."""
        return PASSWORD_MECHANISMS

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """The name that was given."""
        try:
            name = user_of(checked_user(credentials.username))
        except UserNameError as problem:
            return fail(UnauthorizedLogin(str(problem)))
        self._everybody.known[name] = None
        return succeed(name.encode())


def throwaway_server(
    reactor: Any,
    parts: Parts,
    *,
    checkers: Sequence[ICredentialsChecker] = (),
    everybody: Everybody | None = None,
    filters: Sequence[IDeliveryFilter] = (),
    hostname: str = "mail.test",
    limits: Limits | None = None,
    submission: Submission | None = None,
    smarthost: Smarthost | None = None,
) -> MailServer:
    """A server on free ports of loopback, not started; with TLS where `parts` has a certificate.

    Users may send as whom they like, unless `submission` says otherwise. The page shows the mail of `everybody`.
    """
    everybody = everybody or Everybody()
    plain = dict.fromkeys(("imap", "pop3", "lmtp", "submission"), _FREE)
    inside_tls = dict.fromkeys(("imaps", "pop3s", "submissions"), _FREE) if parts.certificate else {}
    config = Config(
        storage=Storage(Pattern("/nonexistent/{user}")),  # the store is a part
        listen=Listen(**plain, **inside_tls),
        server=Server(hostname),
        limits=limits or Limits(),
        submission=submission or Submission(check_sender=False, check_from=False, null_sender=True),
        smarthost=smarthost or Smarthost(),
    )
    return build(
        config,
        reactor,
        checkers,
        recipients=everybody,
        filters=filters,
        parts=replace(parts, open_smtp=_FREE, open_web=_FREE, everybody=lambda: everybody.known),
    )


def endpoints(server: MailServer, ca_file: Path | None) -> Mapping[str, Endpoint]:
    """Where a server that runs can be reached, by name."""
    addresses: Mapping[str, Any] = server.addresses
    return {name: Endpoint(name, address.host, address.port, ca_file) for name, address in addresses.items()}
