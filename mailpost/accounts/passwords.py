"""Password hashes as Dovecot writes them, `{SCHEME}hash`: testing a password against one, and making new ones.

Everything here takes time by design (milliseconds to a tenth of a second) and runs in a worker thread. The libraries
are imported on first use: a server whose users are all of one scheme loads one of them.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Callable
from functools import partial
from hashlib import pbkdf2_hmac

from mailpost.accounts.verifiers import SCRAM_MECHANISMS, Verifier

DEFAULT_SCHEME = "ARGON2ID"
UNNAMED_SCHEME = "CRYPT"
"""The scheme of a hash that names none, as in Dovecot's passwd-file."""

_SCHEME = re.compile(r"\{([A-Za-z0-9-]+)(?:\.([A-Za-z0-9]+))?\}(.*)", re.DOTALL)
_LONGEST_PASSWORD = 1024
_LONGEST_BCRYPT = 72
_PBKDF2_ROUNDS = 50_000
_SHA_CRYPT_ROUNDS = 100_000


class HashError(ValueError):
    """A stored password that cannot be read: an unknown scheme, or not a hash of its scheme."""


def scheme_of(stored: str) -> str:
    """The scheme in capitals, without the encoding behind its dot.

    Raises:
        HashError: it is none of ours.
    """
    return _parts(stored)[0]


def verify(stored: str, password: bytes) -> bool:
    """Whether this is the password of a stored `{SCHEME}hash`. Slow.

    Raises:
        HashError: the stored value cannot be read.
    """
    scheme, value = _parts(stored)
    if b"\0" in password or len(password) > _LONGEST_PASSWORD:
        return False
    try:
        return _VERIFIERS[scheme](value, password)
    except HashError:
        raise
    except ValueError as problem:
        raise HashError(f"not a {scheme} hash") from problem


def hashed(password: bytes, scheme: str = DEFAULT_SCHEME) -> str:
    """A new `{SCHEME}hash` of this password. Slow.

    Raises:
        HashError: the scheme is none of ours, or cannot hold this password.
    """
    scheme = scheme.upper()
    if scheme not in _HASHERS:
        raise HashError(f"unknown password scheme {scheme}; known are {', '.join(_HASHERS)}")
    if not 0 < len(password) <= _LONGEST_PASSWORD or any(octet in password for octet in (b"\0", b"\r", b"\n")):
        raise HashError(f"a password has 1 to {_LONGEST_PASSWORD} octets, and no NUL or line end in it")
    return f"{{{scheme}}}{_HASHERS[scheme](password)}"


def plain_of(stored: str) -> bytes | None:
    """The password itself, where that is what is stored. Raises HashError."""
    scheme, value = _parts(stored)
    return value.encode() if _VERIFIERS[scheme] is _verify_plain else None


def verifiers_of(stored: str) -> tuple[Verifier, ...]:
    """The SCRAM verifier, where that is what is stored. Raises HashError."""
    scheme, value = _parts(stored)
    if scheme not in SCRAM_MECHANISMS:
        return ()
    try:
        return (Verifier.parse(scheme, value),)
    except ValueError as problem:
        raise HashError(f"not a {scheme} hash") from problem


def _parts(stored: str) -> tuple[str, str]:
    """Scheme and hash, the encoding that Dovecot allows behind a dot (`{PLAIN.b64}`) undone."""
    if not stored.startswith("{"):
        stored = f"{{{UNNAMED_SCHEME}}}{stored}"
    match = _SCHEME.match(stored)
    if match is None:
        raise HashError("a password must be {SCHEME}hash")
    scheme, encoding, value = match.group(1).upper(), (match.group(2) or "").upper(), match.group(3)
    if scheme not in _VERIFIERS:
        raise HashError(f"unknown password scheme {{{scheme}}}")
    try:
        if encoding in {"B64", "BASE64"}:
            value = base64.b64decode(value, validate=True).decode()
        elif encoding == "HEX":
            value = bytes.fromhex(value).decode()
        elif encoding:
            raise HashError(f"unknown encoding of a password: .{encoding}")
    except ValueError as problem:
        raise problem if isinstance(problem, HashError) else HashError(f"not {encoding} in {{{scheme}}}") from problem
    if scheme == UNNAMED_SCHEME and not value.startswith(("$2", "$5$", "$6$")):
        raise HashError("a crypt(3) hash of a kind that is not supported (known are bcrypt, SHA-256 and SHA-512)")
    return scheme, value


# -- testing


def _verify_plain(value: str, password: bytes) -> bool:
    return hmac.compare_digest(value.encode(), password)


def _verify_argon2(value: str, password: bytes) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

    try:
        return PasswordHasher().verify(value, password)
    except VerifyMismatchError:
        return False
    except (InvalidHashError, VerificationError) as problem:
        raise HashError("not an argon2 hash") from problem


def _verify_bcrypt(value: str, password: bytes) -> bool:
    import bcrypt

    return bcrypt.checkpw(password[:_LONGEST_BCRYPT], value.encode())


def _verify_sha_crypt(value: str, password: bytes) -> bool:
    from passlib.hash import sha256_crypt, sha512_crypt

    scheme = sha512_crypt if value.startswith("$6$") else sha256_crypt
    return bool(scheme.verify(password, value))


def _verify_crypt(value: str, password: bytes) -> bool:
    """A hash as crypt(3) writes them, told by its prefix."""
    return (_verify_bcrypt if value.startswith("$2") else _verify_sha_crypt)(value, password)


def _verify_pbkdf2(value: str, password: bytes) -> bool:
    """`$1$salt$rounds$hex`: PBKDF2 with HMAC-SHA-1, the salt taken as it is written. RFC: 8018 §5.2"""
    empty, kind, salt, rounds, digest = value.split("$")
    if empty or kind != "1":
        raise HashError("not a PBKDF2 hash")
    wanted = bytes.fromhex(digest)
    return hmac.compare_digest(pbkdf2_hmac("sha1", password, salt.encode(), int(rounds), len(wanted)), wanted)


def _verify_scram(mechanism: str, value: str, password: bytes) -> bool:
    """`rounds,salt,stored key,server key`, as Dovecot has it. RFC: 5802 §3, 7677"""
    return Verifier.parse(mechanism, value).made_from(password)


_VERIFIERS: dict[str, Callable[[str, bytes], bool]] = {
    "ARGON2ID": _verify_argon2,
    "ARGON2I": _verify_argon2,
    "BLF-CRYPT": _verify_bcrypt,
    "SHA512-CRYPT": _verify_sha_crypt,
    "SHA256-CRYPT": _verify_sha_crypt,
    "CRYPT": _verify_crypt,
    "PBKDF2": _verify_pbkdf2,
    **{mechanism: partial(_verify_scram, mechanism) for mechanism in SCRAM_MECHANISMS},
    "PLAIN": _verify_plain,
    "CLEAR": _verify_plain,
    "CLEARTEXT": _verify_plain,
}


# -- making


def _hash_argon2(password: bytes) -> str:
    """64 MiB, three passes, one lane: what Dovecot makes, and what its library can test. RFC: 9106 §4"""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=1).hash(password)


def _hash_bcrypt(password: bytes) -> str:
    import bcrypt

    if len(password) > _LONGEST_BCRYPT:
        raise HashError(f"BLF-CRYPT takes passwords up to {_LONGEST_BCRYPT} octets")
    return bcrypt.hashpw(password, bcrypt.gensalt(12, prefix=b"2b")).decode()


def _hash_sha_crypt(name: str, password: bytes) -> str:
    from passlib.hash import sha256_crypt, sha512_crypt

    scheme = sha512_crypt if name == "SHA512-CRYPT" else sha256_crypt
    return str(scheme.using(rounds=_SHA_CRYPT_ROUNDS).hash(password))


def _hash_pbkdf2(password: bytes) -> str:
    salt = secrets.token_urlsafe(12)
    return f"$1${salt}${_PBKDF2_ROUNDS}${pbkdf2_hmac('sha1', password, salt.encode(), _PBKDF2_ROUNDS).hex()}"


def _hash_scram(mechanism: str, password: bytes) -> str:
    return str(Verifier.of(mechanism, password))


def _hash_plain(password: bytes) -> str:
    """The password itself; one that could break its line of the file is refused."""
    try:
        text = password.decode()
    except UnicodeDecodeError:
        raise HashError("PLAIN takes passwords in UTF-8 only") from None
    if ":" in text:
        raise HashError('PLAIN takes no password with ":" in it')
    return text


_HASHERS: dict[str, Callable[[bytes], str]] = {
    "ARGON2ID": _hash_argon2,
    "BLF-CRYPT": _hash_bcrypt,
    "SHA512-CRYPT": partial(_hash_sha_crypt, "SHA512-CRYPT"),
    "SHA256-CRYPT": partial(_hash_sha_crypt, "SHA256-CRYPT"),
    "PBKDF2": _hash_pbkdf2,
    **{mechanism: partial(_hash_scram, mechanism) for mechanism in SCRAM_MECHANISMS},
    "PLAIN": _hash_plain,
}
