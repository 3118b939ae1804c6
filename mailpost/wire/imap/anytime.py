"""Commands about the connection and who is on it, and those without arguments.

RFC: 3501 §6.1, §6.2, §6.4, 9051 §6.1, §6.2, 2971 (ID), 5161 (ENABLE), 2177 §3 (IDLE), 3691 §2, 4959 (SASL-IR),
4978 §5 (COMPRESS)
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from dataclasses import dataclass

from mailpost.wire.imap.grammar import BASE64_FULL, ParseError
from mailpost.wire.imap.reader import Reader


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
    """STARTTLS. RFC: 2595 §3.1"""


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
class Unauthenticate:
    """UNAUTHENTICATE. RFC: 8437 §6"""


@dataclass(frozen=True, slots=True)
class Enable:
    """ENABLE."""

    capabilities: tuple[str, ...]
    """In capitals."""


@dataclass(frozen=True, slots=True)
class Compress:
    """COMPRESS with DEFLATE. RFC: 4978 §3"""


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


MOST_ID_FIELDS = 30
"""A client sends at most so many. RFC: 2971 §3.3"""
_REST_MATCH = re.compile(rb"[^ ]+").match


def parse_login(reader: Reader) -> Login:
    """LOGIN SP userid SP password"""
    reader.space()
    user = reader.astring("a user name")
    reader.space()
    password = reader.astring("a password")
    reader.end()
    return Login(user, password)


def parse_authenticate(reader: Reader) -> Authenticate:
    """AUTHENTICATE SP auth-type [SP (base64 / "=")]"""
    reader.space()
    mechanism = reader.word("a SASL mechanism").decode("ascii")
    if reader.at_end():
        return Authenticate(mechanism)
    reader.space()
    initial = reader.match(_REST_MATCH, "an initial response")[0]
    reader.end()
    return Authenticate(mechanism, b"" if initial == b"=" else base64(initial))


def base64(octets: bytes) -> bytes:
    """Decode a SASL response: canonical base64 and nothing else. Raises ParseError."""
    if not BASE64_FULL(octets):
        raise ParseError("Expected base64")
    return a2b_base64(octets)


def parse_enable(reader: Reader) -> Enable:
    """ENABLE 1*(SP capability)"""
    found: list[str] = []
    while not found or not reader.at_end():
        reader.space()
        found.append(reader.word("a capability").decode("ascii"))
    return Enable(tuple(found))


def parse_compress(reader: Reader) -> Compress:
    """COMPRESS SP algorithm"""
    reader.space()
    if reader.word("DEFLATE") != b"DEFLATE":
        raise ParseError("There is no compression but DEFLATE")
    reader.end()
    return Compress()


def parse_id(reader: Reader) -> Id:
    """ID SP ("(" [string SP nstring *(SP string SP nstring)] ")" / nil)"""
    reader.space()
    if reader.accept_word(b"NIL"):
        reader.end()
        return Id(None)

    def pair() -> tuple[bytes, bytes | None]:
        name = reader.string("a field name in quotes")
        reader.space()
        return name, reader.nstring()

    fields = reader.items(pair, "a list of fields or NIL", least=0)
    reader.end()
    if len(fields) > MOST_ID_FIELDS:
        raise ParseError(f"More than {MOST_ID_FIELDS} ID fields")
    return Id(tuple(fields))
