"""From octets to text: charsets, content transfer encodings, encoded words, parameters. Nothing here fails.

A charset that is unknown, or that the octets belie, is read as UTF-8 if it is that, else as Windows-1252.

RFC: 2045 §6, 2047, 2231
"""

from __future__ import annotations

import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from urllib.parse import unquote_to_bytes

from mailpost.mail.contentfields import Parameters

_CHARSET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,39}")
_SUPERSETS = {
    "iso8859-1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
}
"""What senders mean who name the narrower charset; keys are Python's names of codecs."""
_UNREGISTERED = {
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-6-i": "iso-8859-6",
    "ks_c_5601-1987": "cp949",
    "x-sjis": "cp932",
    "x-gbk": "gb18030",
    "x-euc-jp": "euc_jp",
    "x-mac-roman": "mac-roman",
    "windows-874": "cp874",
    "unicode-1-1-utf-7": "utf-7",
    "utf-8-mac": "utf-8",
}
_NOT_CHARSETS = frozenset(("unicode-escape", "raw-unicode-escape", "idna", "punycode", "undefined", "mbcs", "oem"))
_EBCDIC = frozenset(("cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140"))
"""No mail ever came in them, and without them every charset either holds ASCII or shifts."""
_SHIFTING = ("utf-7", "utf-16", "utf-32", "iso2022", "hz")
"""Beginnings of the codecs whose ASCII octets may mean other characters."""


@lru_cache(512)
def _codec(charset: str) -> str | None:
    """Python's name for a charset; None for ASCII and what it does not know."""
    name = charset.strip().lower()
    if not _CHARSET_NAME.fullmatch(name):
        return None
    name = _UNREGISTERED.get(name, name)
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    if not getattr(found, "_is_text_encoding", True) or found.name in _NOT_CHARSETS | _EBCDIC | {"ascii"}:
        return None
    return _SUPERSETS.get(found.name, found.name)


def known_charset(charset: str) -> bool:
    """Whether text in this charset can be read (a search's CHARSET). RFC: 3501 §6.4.4 (BADCHARSET)"""
    return charset.strip().lower() in ("us-ascii", "ascii") or _codec(charset) is not None


def decode_charset(octets: bytes, charset: str = "us-ascii") -> str:
    """The text of octets in a charset; what cannot be read becomes U+FFFD."""
    codec = _codec(charset)
    if octets.isascii() and (codec is None or not codec.startswith(_SHIFTING)):
        return octets.decode("ascii")
    if codec is None or codec == "utf-8":
        return _guessed(octets)
    return octets.decode(codec, "replace")


_NOT_ASCII = bytes(range(0x80, 0x100))


def _guessed(octets: bytes) -> str:
    """UTF-8 if it is that, or was before it was damaged; else Windows-1252."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        text = octets.decode("utf-8", "replace")
        damaged = text.count("\ufffd")
        whole = len(text) - damaged - len(octets.translate(None, _NOT_ASCII))
        was_utf8 = whole >= damaged or not octets[: error.start].isascii()
        return text if was_utf8 else octets.decode("cp1252", "replace")


# ------------------------------------------------------------------------------------------ transfer encodings

_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_IDENTITY = frozenset(("7bit", "8bit", "binary", ""))


def decode_base64(octets: bytes) -> bytes:
    """The octets behind base64, foreign octets and missing padding disregarded. RFC: 2045 §6.8"""
    octets = octets.translate(None, _NOT_BASE64)
    whole = octets.rstrip(b"=")
    return b"".join(_base64_piece(piece) for piece in re.split(rb"=++", whole)) if whole else b""


def _base64_piece(piece: bytes) -> bytes:
    over = len(piece) % 4
    if over == 1:  # six bits are no octet
        piece = piece[:-1]
    elif over:
        piece += b"==" if over == 2 else b"="
    return binascii.a2b_base64(piece)


def decode_quoted_printable(octets: bytes) -> bytes:
    """The octets behind quoted-printable; an equals sign that is no escape stays. RFC: 2045 §6.7"""
    return binascii.a2b_qp(octets)


def decode_transfer(octets: bytes, encoding: str) -> bytes | None:
    """Undo a Content-Transfer-Encoding (lower-case), or None for one that is unknown. RFC: 2045 §6"""
    if encoding in _IDENTITY:
        return octets
    if encoding == "quoted-printable":
        return decode_quoted_printable(octets)
    if encoding == "base64":
        return decode_base64(octets)
    return None


# ------------------------------------------------------------------------------------------ header values

# =?charset*language?Q?text?= ; spaces in the text are against the rules and common.
_ENCODED_WORD = re.compile(rb"=\?([^?\s*]{1,60}+)(?:\*[^?\s]{0,60}+)?\?([BbQq])\?([^?\r\n]*+)\?=")
_WHITE = re.compile(rb"[ \t\r\n]*+")


def decode_header(value: bytes) -> str:
    """The text of an unfolded header value: encoded words decoded, raw 8-bit text read as it looks.

    White space between two encoded words goes; those next to each other in one charset are decoded together, since
    many senders split inside a character.

    RFC: 2047 §2, §6.2
    """
    if b"=?" not in value:
        return _guessed(value)
    text: list[str] = []
    for charset, pieces in groupby(_header_pieces(value), lambda piece: piece[0]):
        octets = b"".join(piece for _, piece in pieces)
        text.append(_guessed(octets) if charset is None else decode_charset(octets, charset))
    return "".join(text)


def _header_pieces(value: bytes) -> Iterator[tuple[str | None, bytes]]:
    """(charset, octets) of encoded words, (None, octets) of what is between."""
    at = 0
    for match in _ENCODED_WORD.finditer(value):
        between = value[at : match.start()]
        if between and not (at and _WHITE.fullmatch(between)):
            yield None, between
        charset, kind, content = match.groups()
        decoded = decode_base64(content) if kind in b"Bb" else binascii.a2b_qp(content, header=True)
        yield charset.decode("latin-1").lower(), decoded
        at = match.end()
    if at < len(value):
        yield None, value[at:]


def decode_parameters(parameters: Parameters) -> dict[str, str]:
    """Parameters of a Content-* field as text: charsets decoded, encoded words (against the rules) too.

    Args:
        parameters: as `Part.parameters` has them, pieces put together.

    Returns:
        Lower-case name -> value. Where a name comes with a charset and without, the one with it counts.

    RFC: 2231 §4
    """
    plain: dict[str, str] = {}
    extended: dict[str, str] = {}
    for key, value in parameters:
        name = key.decode("latin-1")
        if name.endswith("*"):
            charset, _, text = value.split(b"'", 2) if value.count(b"'") > 1 else (b"", b"", value)
            extended[name[:-1]] = decode_charset(unquote_to_bytes(text), charset.decode("latin-1") or "utf-8")
        else:
            plain[name] = decode_header(value)
    return plain | extended


_STRETCH = 512
"""Characters normalised at a time: ordering a run of combining marks takes time in the square of its length."""


def casemapped(text: str) -> str:
    """The text as both sides of a search see it: case, composition and width of characters no longer matter.

    RFC: 5051 (i;unicode-casemap, which maps to title case; which substrings are found is the same)
    """
    if text.isascii():
        return text.lower()
    stretches = (text[at : at + _STRETCH] for at in range(0, len(text), _STRETCH))
    return "".join(unicodedata.normalize("NFKD", stretch) for stretch in stretches).casefold()
