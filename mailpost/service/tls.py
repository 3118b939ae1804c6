"""Encryption for connections: a certificate and its key from files, read again when they change.

A broken new certificate keeps the old one, and says so in the log. Connections that stand are not touched.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

_NO_RENEGOTIATION = 0x40000000  # SSL_OP_NO_RENEGOTIATION, which pyOpenSSL does not name
_OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE | _NO_RENEGOTIATION


class CertificateError(Exception):
    """A certificate that cannot be used; the text names the files."""


@implementer(IOpenSSLServerConnectionCreator)
class Certificate:
    """What TLS connections are made with: TLS 1.2 or later. RFC: 8314 §4.1, 9325 §3.1.1"""

    _log = Logger()

    def __init__(self, certificate: Path, key: Path, seconds: Callable[[], float]) -> None:
        """Load the files.

        Args:
            certificate: the certificate with its chain, PEM.
            key: its private key, PEM; may be the same file.
            seconds: a clock that only goes forward.

        Raises:
            CertificateError: they cannot be used.
        """
        self._certificate = certificate
        self._key = key
        self._seconds = seconds
        self._looked = seconds()
        self._seen = self._identity()
        self._context = _load(certificate, key)

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A connection with the certificate as it is now; the files are looked at once a second at most."""
        now = self._seconds()
        if now - self._looked >= 1:
            self._looked = now
            self.reload()
        return SSL.Connection(self._context, None)

    def reload(self) -> None:
        """Read the files again if they have changed."""
        seen = self._identity()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._context = _load(self._certificate, self._key)
        except CertificateError as problem:
            self._log.error("the new certificate is not used, the old one is kept: {reason}", reason=str(problem))
        else:
            self._log.info("{path}: a new certificate is used from now on", path=str(self._certificate))

    def _identity(self) -> object:
        return tuple(_file_identity(path) for path in (self._certificate, self._key))


def _file_identity(path: Path) -> object:
    try:
        status = path.stat()
    except OSError as problem:
        return problem.errno
    return status.st_mtime_ns, status.st_size, status.st_ino


def _load(certificate: Path, key: Path) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(_OPTIONS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    secret = _read(key)
    _read(certificate)
    try:
        context.use_certificate_chain_file(str(certificate))
    except SSL.Error:
        raise CertificateError(f"{certificate}: has no certificate in PEM form") from None
    try:
        context.use_privatekey(load_pem_private_key(secret, password=None))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # TypeError: it needs a password
        raise CertificateError(f"{key}: has no private key in PEM form without a password") from None
    except SSL.Error:
        raise CertificateError(f"{key}: is not the key of {certificate}") from None
    return context


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise CertificateError(f"{path}: cannot be read: {problem.strerror}") from None
