"""SCRAM exchanges, the server's side: read from the client, and tested against a verifier.

The exchange is scramp's. Two things that it does not know are put around it: the channel binding `tls-exporter`, and
an authorization identity.

RFC: 5802 §3, §5, §6, 7677
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scramp import ScramException, ScramMechanism
from scramp.core import ClientFinal, ServerError
from zope.interface import implementer

from mailpost.accounts.interfaces import IScramCredentials, Refused
from mailpost.accounts.verifiers import ITERATIONS, SALT_LENGTH, Verifier
from mailpost.wire.sasl import Gs2Header

_LONGEST_MESSAGE = 2_048

Kept = tuple[bytes, bytes, bytes, int]
"""Salt, stored key, server key, iterations: a verifier as scramp has it."""


class ScramError(ValueError):
    """A message of SCRAM that cannot be read; the text may be told."""


class Exchange:
    """The server's side of one exchange: `begin`, `server_first`, `finish`."""

    def __init__(self, mechanism: str, binding: bytes = b"", nonce: str = "") -> None:
        """Expect a client.

        Args:
            mechanism: one of SCRAM_MECHANISMS.
            binding: what ties the exchange to its TLS connection, if the client asks for that.
            nonce: the server's part; at random if none is given.
        """
        self.mechanism = mechanism
        self._binding = binding
        self._nonce = nonce or secrets.token_urlsafe(24)

    def begin(self, header: Gs2Header, bare: str) -> str:
        """Take client-first-message; the user in it, after SASLprep. Raises ScramError. RFC: 5802 §5.1 (n)"""
        self._header, self._bare = header, bare
        _bounded(bare)
        names: list[str] = []

        def note(name: str) -> Kept:
            names.append(name)
            return bytes(SALT_LENGTH), b"", b"", ITERATIONS

        self._replayed(note)
        self._user = names[0]
        return names[0]

    def server_first(self, verifier: Verifier) -> bytes:
        """The challenge for a client who is to be tested against this verifier."""
        self._first = str(self._started(verifier).get_server_first())
        return self._first.encode()

    def finish(self, message: bytes) -> ScramCredentials:
        """Take client-final-message, whose proof is not tested yet. Raises ScramError."""
        try:
            text = message.decode()
            _bounded(text)
            ClientFinal(text)
        except (ScramException, UnicodeDecodeError) as problem:
            raise ScramError("The client-final-message cannot be read") from problem
        return ScramCredentials(self._user.encode(), self.mechanism, self, text)

    def proven(self, verifier: Verifier, final: str) -> bytes:
        """Test client-final-message; server-final-message, which proves the server in turn. Raises Refused."""
        if verifier.mechanism != self.mechanism:
            raise Refused("a verifier of another mechanism")
        server = self._started(verifier)
        if server.get_server_first() != self._first:
            raise Refused("the password was changed meanwhile")
        try:
            server.set_client_final(final)
            return str(server.get_server_final()).encode()
        except ScramException as problem:
            if problem.server_error is ServerError.CHANNEL_BINDINGS_DONT_MATCH:
                raise Refused("another channel binding: somebody may be between") from None
            raise Refused("wrong password") from None

    def _started(self, verifier: Verifier) -> Any:
        kept = (verifier.salt, verifier.stored_key, verifier.server_key, verifier.iterations)
        return self._replayed(lambda _: kept)

    def _replayed(self, verifier_of: Callable[[str], Kept]) -> Any:
        """A server of scramp that has read client-first-message."""
        server = ScramMechanism(self.mechanism).make_server(verifier_of, s_nonce=self._nonce)
        try:
            server.set_client_first(f"n,,{self._bare}")
        except ScramException as problem:
            raise ScramError("The client-first-message cannot be read") from problem
        # scramp has seen a header that says nothing; what it must compare with "c=" is the real one.
        server.gs2_header = _BindingInput(self._header.octets + (self._binding if self._header.binding else b""))
        return server


@dataclass(frozen=True, slots=True)
class _BindingInput:
    """What client-final-message must repeat: the header, and the channel binding. RFC: 5802 §5.1 (c)"""

    octets: bytes

    def make_cbind_input(self, _: object) -> bytes:
        """As scramp asks for it."""
        return self.octets


@implementer(IScramCredentials)
class ScramCredentials:
    """An exchange up to the client's proof, for a checker that has the user's verifier."""

    def __init__(self, username: bytes, mechanism: str, exchange: Exchange, final: str) -> None:
        self.username = username
        self.mechanism = mechanism
        self.server_final = b""
        self._exchange = exchange
        self._final = final

    def check_verifier(self, verifier: Verifier) -> None:
        """Raises Refused if this is not what the client has proven to have."""
        self.server_final = self._exchange.proven(verifier, self._final)


def _bounded(message: str) -> None:
    if len(message) > _LONGEST_MESSAGE:
        raise ScramError(f"A message of SCRAM has over {_LONGEST_MESSAGE} characters")
