"""A client of SCRAM, written from the RFC alone, so that the server is not tested against its own library.

RFC: 5802 §3, §5
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from secrets import token_urlsafe

from mailpost.accounts.verifiers import Verifier


class ScramClient:
    """One exchange; each message is made from what the server said before."""

    def __init__(
        self,
        mechanism: str,
        user: str,
        password: str,
        *,
        binding: bytes = b"",
        header: str = "",
        nonce: str = "",
        proof: bytes | None = None,
        extension: str = "",
    ) -> None:
        self.hash = "sha256" if "256" in mechanism else "sha1"
        self.password = password.encode()
        self.header = header or ("p=tls-exporter,," if binding else "n,,")
        self.binding = binding
        self.nonce = nonce or token_urlsafe(18)
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.bare = f"n={name},r={self.nonce}"
        self.proof = proof
        self.extension = extension
        self.salt = self.iterations = self.server_nonce = ""

    def first(self) -> bytes:
        return (self.header + self.bare).encode()

    def final(self, challenge: bytes) -> bytes:
        fields = dict(part.split("=", 1) for part in challenge.decode().split(","))
        self.server_nonce, self.salt, self.iterations = fields["r"], fields["s"], fields["i"]
        assert self.server_nonce.startswith(self.nonce)
        assert len(self.server_nonce) > len(self.nonce)
        bound = b64encode(self.header.encode() + self.binding).decode()
        without = f"c={bound},r={self.server_nonce}{self.extension}"
        self.message = f"{self.bare},{challenge.decode()},{without}".encode()
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, b64decode(self.salt), int(self.iterations))
        client_key = hmac.digest(salted, b"Client Key", self.hash)
        signature = hmac.digest(hashlib.new(self.hash, client_key).digest(), self.message, self.hash)
        self.server_key = hmac.digest(salted, b"Server Key", self.hash)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True)) if self.proof is None else self.proof
        return f"{without},p={b64encode(proof).decode()}".encode()

    def trusts(self, final: bytes) -> bool:
        """Whether the server has proven itself too."""
        return final == b"v=" + b64encode(hmac.digest(self.server_key, self.message, self.hash))


def verifier(password: str, mechanism: str = "SCRAM-SHA-256") -> Verifier:
    return Verifier.of(mechanism, password.encode())
