"""What is kept of a password for SCRAM, by itself or beside a hash of another scheme.

A verifier lets nobody in who steals it, but lets its thief guess passwords offline: it is as secret as a hash.
scramp is imported on first use.

RFC: 5802 §2.2, §3, 7677 §4
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import blake2b, new, pbkdf2_hmac

SCRAM_MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-1")
"""The best first. As schemes of stored passwords they have the same names."""
ITERATIONS = 4096
"""The least that an exchange may have, and what phones can bear at each login. RFC: 7677 §4"""
SALT_LENGTH = 16
_SHORTEST_SALT = 12
_KEY_LENGTH = 16
_HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}


@dataclass(frozen=True, slots=True)
class Verifier:
    """What is kept of a password for one mechanism. RFC: 5802 §3"""

    mechanism: str
    """One of SCRAM_MECHANISMS."""
    iterations: int
    salt: bytes
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    def __str__(self) -> str:
        """As Dovecot writes it behind `{SCRAM-SHA-256}`."""
        return ",".join([str(self.iterations), *map(_base64, (self.salt, self.stored_key, self.server_key))])

    @classmethod
    def parse(cls, mechanism: str, text: str) -> Verifier:
        """Read what `__str__` writes. Raises ValueError."""
        iterations, *parts = text.split(",")
        salt, stored_key, server_key = (base64.b64decode(part, validate=True) for part in parts)
        length = new(_HASHES[mechanism]).digest_size
        if not (iterations.isdecimal() and 0 < int(iterations) <= 1_000_000 and salt):
            raise ValueError("the iterations or the salt of a SCRAM verifier cannot be")
        if len(stored_key) != length or len(server_key) != length:
            raise ValueError("a key of a SCRAM verifier has another length")
        return cls(mechanism, int(iterations), salt, stored_key, server_key)

    @classmethod
    def of(cls, mechanism: str, password: bytes, salt: bytes = b"", iterations: int = ITERATIONS) -> Verifier:
        """Make one from a password, with a salt at random if none is given. Takes milliseconds. RFC: 5802 §3"""
        name = _HASHES[mechanism]
        salt = salt or secrets.token_bytes(SALT_LENGTH)
        salted = pbkdf2_hmac(name, prepared(password), salt, iterations)
        stored_key = new(name, hmac.digest(salted, b"Client Key", name)).digest()
        return cls(mechanism, iterations, salt, stored_key, hmac.digest(salted, b"Server Key", name))

    def made_from(self, password: bytes) -> bool:
        """Whether this is the password. Takes milliseconds."""
        other = Verifier.of(self.mechanism, password, self.salt, self.iterations)
        return hmac.compare_digest(other.stored_key, self.stored_key)

    def with_salt_of(self, seed: bytes) -> Verifier:
        """The same with another salt, made of at most 64 octets of seed."""
        salt = blake2b(self.mechanism.encode(), key=seed, digest_size=min(len(self.salt), 64)).digest()
        return replace(self, salt=salt)

    def usable(self) -> bool:
        """Whether an exchange can be had over it: clients take no fewer iterations, and scramp no shorter salt."""
        return self.iterations >= ITERATIONS and len(self.salt) >= _SHORTEST_SALT


def prepared(password: bytes) -> bytes:
    """The password after SASLprep where that is defined for it, else as it is. RFC: 4013 §2, 5802 §2.2"""
    from scramp import ScramException
    from scramp.core import saslprep

    try:
        return bytes(saslprep(password.decode()).encode())
    except (UnicodeDecodeError, ScramException):
        return password


# -- beside a hash of another scheme


def beside(stored: str, password: bytes) -> str:
    """Verifiers of a password, to be kept beside its stored hash: text without spaces and colons. Takes milliseconds.

    It begins with a seal over the hash: whoever changes the hash alone makes the verifiers void.
    """
    made = [Verifier.of(mechanism, password) for mechanism in SCRAM_MECHANISMS]
    return ";".join([_seal(stored, secrets.token_bytes(_KEY_LENGTH)), *(f"{each.mechanism}={each}" for each in made)])


def read_beside(stored: str, text: str) -> tuple[tuple[Verifier, ...], bytes]:
    """The verifiers beside a stored hash, none if they are those of another hash; and the key of the seal.

    The key came from nowhere but chance and is told to nobody.

    Raises:
        ValueError: it is something else.
    """
    seal, *parts = text.split(";")
    key = base64.b64decode(seal, validate=True)[:_KEY_LENGTH]
    if len(key) != _KEY_LENGTH:
        raise ValueError("the seal over the hash is not one")
    read = []
    for part in parts:
        mechanism, _, value = part.partition("=")
        if mechanism not in _HASHES:
            raise ValueError("a verifier of no known mechanism")
        read.append(Verifier.parse(mechanism, value))
    return tuple(read) if hmac.compare_digest(seal, _seal(stored, key)) else (), key


def find(verifiers: Iterable[Verifier], mechanism: str) -> Verifier | None:
    """The one for this mechanism."""
    return next((each for each in verifiers if each.mechanism == mechanism), None)


def _seal(stored: str, key: bytes) -> str:
    return _base64(key + blake2b(stored.encode(errors="surrogateescape"), key=key, digest_size=17).digest())


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
