"""Names of folders in modified UTF-7: one spelling for each name, and no other accepted.

A name that could be written in two ways would be two folders to one program and one to another, so decoding is
strict: it takes exactly what `encode` makes. An encoded letter that may stand for itself, a separator in disguise, a
shift that is never ended, superfluous bits, lone surrogates: all are refused.

RFC: 3501 §5.1.3
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64

_ENCODED = re.compile("[^\x20-\x7e]+")
_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_PLAIN = re.compile(rb"[\x20-\x25\x27-\x7e]*")


def encode(name: str) -> bytes:
    """The name in modified UTF-7: ASCII octets from 0x20 to 0x7E.

    Raises:
        ValueError: it holds a lone surrogate.
    """
    if name.isascii() and name.isprintable():
        return name.encode("ascii").replace(b"&", b"&-") if "&" in name else name.encode("ascii")
    pieces: list[bytes] = []
    at = 0
    for found in _ENCODED.finditer(name):
        pieces.append(name[at : found.start()].encode("ascii").replace(b"&", b"&-"))
        pieces.append(_shifted(found[0]))
        at = found.end()
    pieces.append(name[at:].encode("ascii").replace(b"&", b"&-"))
    return b"".join(pieces)


def _shifted(text: str) -> bytes:
    base64 = b2a_base64(text.encode("utf-16-be"), newline=False)
    return b"&" + base64.rstrip(b"=").replace(b"/", b",") + b"-"


def decode(octets: bytes) -> str:
    """The name that these octets are the modified UTF-7 of.

    Raises:
        ValueError: they are not what `encode` makes of any name.
    """
    if b"&" not in octets and _PLAIN.fullmatch(octets):
        return octets.decode("ascii")
    pieces: list[str] = []
    at = 0
    while at < len(octets):
        plain = _PLAIN.match(octets, at)
        if plain and plain.end() > at:
            pieces.append(plain[0].decode("ascii"))
            at = plain.end()
            continue
        shifted = _SHIFTED.match(octets, at)
        if shifted is None:
            raise ValueError(f"not modified UTF-7 at octet {at + 1}")
        pieces.append(_unshifted(shifted[1]) if shifted[1] else "&")
        at = shifted.end()
    name = "".join(pieces)
    if encode(name) != octets:
        raise ValueError("not the only spelling of this name in modified UTF-7")
    return name


def _unshifted(base64: bytes) -> str:
    padded = base64.replace(b",", b"/") + b"=" * (-len(base64) % 4)
    # binascii.Error and UnicodeDecodeError are ValueErrors.
    return a2b_base64(padded, strict_mode=True).decode("utf-16-be")
