"""What there is to read in a message, and what is attached to it: the parts, and their octets and names decoded.

RFC: 2045 §6, 2046 §5.1, 2183 §2.1, 2231 §4
"""

from __future__ import annotations

from collections.abc import Iterator

from mailpost.mail.encodings import decode_charset, decode_parameters, decode_transfer
from mailpost.mail.mime import Part


def leaves(part: Part) -> Iterator[Part]:
    """The parts that have none of their own, in their order; an attached message is one of them, undivided."""
    if part.children:
        for child in part.children:
            yield from leaves(child)
    else:
        yield part


def is_text(part: Part) -> bool:
    """Whether it is text to be read with the message: plain or HTML, neither attached nor named as a file."""
    attached = part.disposition is not None and part.disposition[0].lower() == b"attachment"
    return part.media_type == "text" and part.subtype in ("plain", "html") and not attached and not file_name(part)


def text_of(raw: bytes, part: Part) -> str:
    """The text of a part of the message `raw`, decoded, with LF line ends."""
    charset = (part.parameter(b"charset") or b"").decode("latin-1")
    return decode_charset(octets_of(raw, part), charset).replace("\r\n", "\n")


def octets_of(raw: bytes, part: Part) -> bytes:
    """The body of a part with its transfer encoding undone, or as it is where that is unknown."""
    octets = raw[part.body : part.end]
    decoded = decode_transfer(octets, part.encoding)
    return octets if decoded is None else decoded


def file_name(part: Part) -> str:
    """The name of the file that a part is; "" where it has none."""
    disposition = decode_parameters(part.disposition[1]) if part.disposition else {}
    return disposition.get("filename") or decode_parameters(part.parameters).get("name", "")


def content_id(part: Part) -> str:
    """How HTML names this part (`cid:`), without angle brackets; "" where nothing does. RFC: 2392 §2"""
    return (part.content_id or b"").decode("ascii", "replace").strip().strip("<>")
