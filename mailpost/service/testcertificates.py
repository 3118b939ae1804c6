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
from functools import cache
from pathlib import Path

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

    def certificate(self) -> Certificate:
        """For a server."""
        return Certificate(self.certificate_file, self.certificate_file, time.monotonic)

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
    found = TrustedAuthority(folder / "ca.pem", folder / "server.pem")
    found.ca_file.write_bytes(made.cert_pem.bytes())
    found.certificate_file.write_bytes(made.issue_cert(*NAMES).private_key_and_cert_chain_pem.bytes())
    return found
