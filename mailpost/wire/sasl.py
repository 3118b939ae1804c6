"""SASL mechanisms: what their messages hold. Base64 and line ends are the protocol's own.

RFC: 4616 (PLAIN), draft-murchison-sasl-login (LOGIN), 2195 (CRAM-MD5), 5802 §7 (how SCRAM begins)
"""

from __future__ import annotations

import re
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


def parse_cram_md5(message: bytes) -> tuple[bytes, bytes]:
    """Read CRAM-MD5's only message: the user, a space, and the digest in hexadecimal, in lower case. RFC: 2195 §2

    Raises:
        ValueError: it is something else.
    """
    user, _, digest = message.rpartition(b" ")
    if not user or len(user) > _LONGEST or re.fullmatch(rb"[0-9a-f]{32}", digest) is None:
        raise ValueError("CRAM-MD5 answers with a user, a space and 32 hexadecimal digits")
    return user, digest


_GS2 = re.compile(r"((?:n|y|p=([A-Za-z0-9.-]+)),(?:a=((?:[^\0,=]|=2C|=3D)*))?,)(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Gs2Header:
    """How SCRAM's first message begins. RFC: 5802 §6, §7"""

    octets: bytes
    """As it came, commas included: a later message repeats it."""
    flag: str
    """"n": the client cannot bind to the channel; "y": it could, but saw no mechanism for it; "p": it does."""
    binding: str
    """With "p": the type of the binding, such as "tls-exporter"; else ""."""
    authorization: str
    """As whom to act; "" for oneself."""


def parse_gs2(message: bytes) -> tuple[Gs2Header, str]:
    """The header of SCRAM's first message, and the rest.

    Raises:
        ValueError: it has none, or is not UTF-8.
    """
    match = _GS2.fullmatch(message.decode())
    if match is None:
        raise ValueError("SCRAM begins with a GS2 header")
    header, binding, authorization, rest = match.groups()
    name = (authorization or "").replace("=2C", ",").replace("=3D", "=")
    return Gs2Header(header.encode(), header[0], binding or "", name), rest
