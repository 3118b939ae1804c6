"""Commands about the connection and who is on it, and those without arguments.

RFC: 3501 §6.1, §6.2, §6.4, 9051 §6.1, §6.2, 2971 (ID), 5161 (ENABLE), 2177 (IDLE), 3691 (UNSELECT), 4959 (SASL-IR)
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capability:
    """CAPABILITY."""


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP."""


@dataclass(frozen=True, slots=True)
class Logout:
    """LOGOUT."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS."""


@dataclass(frozen=True, slots=True)
class Login:
    """LOGIN."""

    user: bytes
    password: bytes

    def __repr__(self) -> str:
        return f"Login(user={self.user!r}, password=...)"


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE. What follows on lines of its own is read with `Decoder.raw_lines`."""

    mechanism: str
    """In capitals."""
    initial: bytes | None = None
    """The initial response, decoded: b"" for `=`, None where the client sent none. RFC: 4959 §3"""

    def __repr__(self) -> str:
        return f"Authenticate(mechanism={self.mechanism!r}, initial={'...' if self.initial else self.initial})"


@dataclass(frozen=True, slots=True)
class Enable:
    """ENABLE."""

    capabilities: tuple[str, ...]
    """In capitals."""


@dataclass(frozen=True, slots=True)
class Id:
    """ID."""

    fields: tuple[tuple[bytes, bytes | None], ...] | None
    """At most 30 pairs, as they came; None for NIL."""


@dataclass(frozen=True, slots=True)
class Idle:
    """IDLE. The line that ends it is read with `Decoder.raw_lines`."""


@dataclass(frozen=True, slots=True)
class Check:
    """CHECK."""


@dataclass(frozen=True, slots=True)
class Close:
    """CLOSE."""


@dataclass(frozen=True, slots=True)
class Unselect:
    """UNSELECT."""
