"""A certificate authority for tests, and a certificate of it for this machine; made once for each process.

The keys are good for as long as the process lives, and nobody else trusts them.
"""

from __future__ import annotations

import atexit
import shutil
import ssl
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from mailpost.service.tls import Certificate

NAMES = ("localhost", "127.0.0.1", "::1", "mail.test")
"""What the certificate is for."""
NO_AUTHORITY = "TLS in tests needs trustme: install mailpost[testing]"


@dataclass(frozen=True, slots=True)
class TrustedAuthority:
    """The files of one authority."""

    ca_file: Path
    """Its own certificate, PEM: what clients are to trust."""
    certificate_file: Path
    """The server's, with its key, PEM."""
    issuer: Any
    """trustme's own."""

    def certificate(self) -> Certificate:
        """For a server."""
        return Certificate(self.certificate_file, self.certificate_file, time.monotonic)

    def wrong_certificate(self, what: str) -> Certificate:
        """One that clients must not take: "expired", "not yet valid", "wrong name", "untrusted"."""
        return _wrong(self, what)

    def client_context(self) -> ssl.SSLContext:
        """For a client that trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.ca_file))


class NoAuthorityError(Exception):
    """The library is missing that makes certificates."""


@cache
def authority() -> TrustedAuthority:
    """The authority of this process, made when it is first asked for.

    Raises:
        NoAuthorityError: trustme is not installed.
    """
    try:
        import trustme  # noqa: PLC0415 (of the extra "testing")
    except ImportError:
        raise NoAuthorityError(NO_AUTHORITY) from None
    made = trustme.CA()
    folder = Path(tempfile.mkdtemp(prefix="mailpost-ca-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    found = TrustedAuthority(folder / "ca.pem", folder / "server.pem", made)
    found.ca_file.write_bytes(made.cert_pem.bytes())
    found.certificate_file.write_bytes(made.issue_cert(*NAMES).private_key_and_cert_chain_pem.bytes())
    return found


@cache
def _wrong(trusted: TrustedAuthority, what: str) -> Certificate:
    day, now = timedelta(days=1), datetime.now(UTC)
    issuer = type(trusted.issuer)() if what == "untrusted" else trusted.issuer
    times = {"expired": (now - 2 * day, now - day), "not yet valid": (now + day, now + 2 * day)}
    not_before, not_after = times.get(what, (None, None))
    names = ("elsewhere.test",) if what == "wrong name" else NAMES
    made = issuer.issue_cert(*names, not_before=not_before, not_after=not_after)
    file = trusted.ca_file.with_name(f"{what}.pem")
    file.write_bytes(made.private_key_and_cert_chain_pem.bytes())
    return Certificate(file, file, time.monotonic)
