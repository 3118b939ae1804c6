"""SASL mechanisms that carry a password: what their messages hold. Base64 and line ends are the protocol's own.

RFC: 4616 (PLAIN), draft-murchison-sasl-login (LOGIN)
"""

from __future__ import annotations

from dataclasses import dataclass

PASSWORD_MECHANISMS = ("PLAIN", "LOGIN")
"""Mechanisms that send the password as it is, and so only over TLS."""

LOGIN_USER = b"Username:"
"""First challenge of LOGIN."""
LOGIN_PASSWORD = b"Password:"
"""Second challenge of LOGIN."""

_LONGEST = 1_024
"""Octets that the user, authorization identity and password may each have at most. RFC: 4616 §2 asks for 255 UTF-8."""


@dataclass(frozen=True, slots=True)
class Plain:
    """What PLAIN says, and what LOGIN asks for."""

    authorization: bytes
    """As whom to act; b"" for oneself. Who lends nobody another's mail takes only what equals `user`."""
    user: bytes
    """Whose password this is; never empty."""
    password: bytes

    def __repr__(self) -> str:
        return f"Plain(authorization={self.authorization!r}, user={self.user!r}, password=...)"


def parse_plain(message: bytes) -> Plain:
    """Read PLAIN's only message: [authzid] NUL authcid NUL passwd.

    Raises:
        ValueError: there are not three fields, or one is empty that must not be, over-long, or not UTF-8.
    """
    fields = message.split(b"\0")
    if len(fields) != 3 or not fields[1] or not fields[2]:
        raise ValueError("PLAIN has an identity or none, a user and a password, with NUL between them")
    if any(len(field) > _LONGEST for field in fields):
        raise ValueError(f"A field of PLAIN has over {_LONGEST} octets")
    for field in fields:
        field.decode("utf-8")
    return Plain(*fields)
