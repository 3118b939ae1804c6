"""Certificates that are wrong on purpose, for some connections."""

from __future__ import annotations

import time
from typing import Any

from OpenSSL import SSL
from twisted.protocols.tls import TLSMemoryBIOProtocol

from mailpost.faults.injector import Faults
from mailpost.service.testcertificates import TrustedAuthority
from mailpost.service.tls import Certificate


class FaultyCertificate(Certificate):
    """The certificate of an authority for tests, or another one where a rule says so."""

    def __init__(self, trusted: TrustedAuthority, faults: Faults) -> None:
        """What TLS connections are made with whose sessions `faults` stands before."""
        super().__init__(trusted.certificate_file, trusted.certificate_file, time.monotonic)
        self._trusted = trusted
        self._faults = faults

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A connection, of which the session has been made already."""
        session: Any = protocol.wrappedProtocol
        wrong = self._faults.certificate_for(session)
        if wrong is None:
            return super().serverConnectionForTLS(protocol)
        return self._trusted.wrong_certificate(wrong).serverConnectionForTLS(protocol)
