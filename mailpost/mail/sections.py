"""Sections of a message: the octets that `BODY[2.1.HEADER.FIELDS (TO)]` means.

RFC: 3501 §6.4.5, 9051 §6.4.5, §6.4.5.1
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailpost.mail import headers
from mailpost.mail.encodings import decode_transfer
from mailpost.mail.mime import Part, parse


class SectionKind(Enum):
    """The words that may end a section."""

    HEADER = "HEADER"
    HEADER_FIELDS = "HEADER.FIELDS"
    HEADER_FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


@dataclass(frozen=True, slots=True)
class Section:
    """What stands between the brackets; the empty one is the whole message."""

    path: tuple[int, ...] = ()
    """Part numbers, from 1."""
    kind: SectionKind | None = None
    names: frozenset[bytes] = frozenset()
    """Lower-case field names, for the two kinds that take them."""


def locate(root: Part, path: tuple[int, ...]) -> Part | None:
    """The part with this number, or None.

    A message that is no multipart has its body as part 1: the message itself is the answer then. Numbers go through
    a message/rfc822 part into the message inside.
    """
    message: Part | None = root
    part = root
    for number in path:
        if message is not None:
            if not message.children and number == 1:
                part, message = message, message.message
                continue
            part = message
        if not 1 <= number <= len(part.children):
            return None
        part = part.children[number - 1]
        message = part.message
    return part


def section(
    octets: bytes,
    root: Part,
    path: tuple[int, ...],
    kind: SectionKind | None = None,
    names: frozenset[bytes] = frozenset(),
) -> bytes | None:
    """The octets of a section, or None where the message has no such part.

    Args:
        octets: the whole message.
        root: its tree (`mail.mime.parse`).
        path: part numbers, from 1; () for the message itself.
        kind: HEADER, the HEADER.FIELDS and TEXT ask that the path leads to a message/rfc822 part, MIME asks for a path.
        names: lower-case field names for HEADER.FIELDS and HEADER.FIELDS.NOT.

    RFC: 3501 §6.4.5
    """
    part = locate(root, path)
    if part is None:
        return None
    if kind is None:
        return octets[part.body : part.end] if path else octets
    if kind is SectionKind.MIME:
        return octets[part.start : part.body] if path else None
    message = part.message if path else root
    if message is None:
        return None
    return _of_message(octets, (message.start, message.body, message.end), kind, names)


class UnknownEncodingError(ValueError):
    """A part whose Content-Transfer-Encoding nobody knows how to undo."""


def decoded(octets: bytes, root: Part, path: tuple[int, ...]) -> bytes | None:
    """A part's body with its transfer encoding undone; the message as it is for (); None where there is no such part.

    What has parts of its own has no encoding. RFC: 3516 §4.2, 9051 §6.4.5, 2045 §6.4

    Raises:
        UnknownEncodingError: its encoding is not known.
    """
    if not path:
        return octets
    part = locate(root, path)
    if part is None:
        return None
    body = octets[part.body : part.end]
    if part.children or part.message is not None:
        return body
    plain = decode_transfer(body, part.encoding)
    if plain is None:
        raise UnknownEncodingError(part.encoding)
    return plain


def extract(octets: bytes, wanted: Section) -> bytes | None:
    """The octets of a section of a message; its structure is looked at only where part numbers are given."""
    if wanted.path:
        return section(octets, parse(octets), wanted.path, wanted.kind, wanted.names)
    if wanted.kind is None:
        return octets
    if wanted.kind is SectionKind.MIME:
        return None
    return _of_message(octets, (0, headers.end_of(octets), len(octets)), wanted.kind, wanted.names)


def _of_message(octets: bytes, span: tuple[int, int, int], kind: SectionKind, names: frozenset[bytes]) -> bytes:
    start, body, end = span
    if kind is SectionKind.TEXT:
        return octets[body:end]
    header = octets[start:body]
    if kind is SectionKind.HEADER:
        return header
    return headers.select(header, names, kind is SectionKind.HEADER_FIELDS_NOT)
