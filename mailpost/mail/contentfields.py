"""The Content-* fields of a part: media type, parameters, disposition, language; whatever is in them.

What cannot be read is left out or replaced by the default; nothing here fails. Values keep their octets: text in a
charset (`filename*=utf-8''%C3%BC`) is for `mail.encodings.decode_parameters`.

RFC: 2045 §5.1, §5.2 (default), 2183 §2
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote_from_bytes

Parameters = tuple[tuple[bytes, bytes], ...]
"""(lower-case name, value) in the order of the field; the first of two with the same name is the one that counts."""

MediaType = tuple[str, str, Parameters]

_TOKEN = rb"[^\x00-\x20\x7f-\xff()<>@,;:\\\"/\[\]?=]++"
_TYPE = re.compile(rb"[\s;]*+(" + _TOKEN + rb")\s*+/\s*+(" + _TOKEN + rb")")
_WORD = re.compile(rb"[\s;]*+(" + _TOKEN + rb")")
_LANGUAGE = re.compile(rb"[A-Za-z0-9*-]++")
# name = value, the value quoted (perhaps never closed) or all up to the next semicolon.
_PARAMETER = re.compile(rb';\s*+([^\s=;"]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"?+|([^;]*+))', re.DOTALL)
_PIECE = re.compile(rb"([^*]+)\*(\d{1,4})(\*)?")
_COMMENT_PIECE = re.compile(rb'"(?:[^"\\]|\\.)*+"?+|\\.|[()]|[^"\\()]++|\\', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)

_CACHED_LENGTH = 200
_PLAIN: MediaType = ("text", "plain", ())


def without_comments(value: bytes) -> bytes:
    """The value with comments, nested ones too, replaced by a space. RFC: 5322 §3.2.2"""
    if b"(" not in value:
        return value
    kept: list[bytes] = []
    depth = 0
    for piece in _COMMENT_PIECE.findall(value):
        if piece == b"(":
            depth += 1
            kept.append(b" ")
        elif piece == b")":
            depth = max(depth - 1, 0)
        elif not depth:
            kept.append(piece)
    return b"".join(kept)


def unescaped(quoted: bytes) -> bytes:
    """The inside of a quoted string with its backslashes resolved. RFC: 5322 §3.2.4"""
    return _ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted


def parameters(value: bytes, at: int = 0) -> Parameters:
    """The `;name=value` parameters of a field's value without comments, from `at` on."""
    if b";" not in value:
        return ()
    found: dict[bytes, bytes] = {}
    for match in _PARAMETER.finditer(value, at):
        plain = match[3]
        content = unescaped(match[2]) if plain is None else plain.rstrip()
        found.setdefault(match[1].lower(), content)
    return _continued(found) if any(b"*" in name for name in found) else tuple(found.items())


def _continued(found: dict[bytes, bytes]) -> Parameters:
    """Parameters with values in pieces (`name*0`, `name*1*`) put together: `name`, or `name*` if a piece is encoded.

    RFC: 2231 §3, §6 (IMAP servers should do this)
    """
    whole: dict[bytes, bytes] = {}
    pieces: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for name, value in found.items():
        match = _PIECE.fullmatch(name)
        if match:
            pieces.setdefault(match[1], {})[int(match[2])] = (value, bool(match[3]))
        else:
            whole[name] = value
    for name, numbered in pieces.items():
        encoded = any(percent for _, percent in numbered.values())
        joined = b"".join(
            quote_from_bytes(value).encode() if encoded and not percent else value
            for _, (value, percent) in sorted(numbered.items())
        )
        whole.setdefault(name + b"*" if encoded else name, joined)
    return tuple(whole.items())


def _media_type(value: bytes) -> MediaType:
    value = without_comments(value)
    match = _TYPE.match(value)
    if not match:
        return _PLAIN
    return match[1].lower().decode(), match[2].lower().decode(), parameters(value, match.end())


_remembered_media_type = lru_cache(1024)(_media_type)


def media_type(value: bytes) -> MediaType:
    """A Content-Type field's (type, subtype, parameters), lower-case names; text/plain for what cannot be read."""
    return (_remembered_media_type if len(value) <= _CACHED_LENGTH else _media_type)(value)


def disposition(value: bytes) -> tuple[bytes, Parameters] | None:
    """A Content-Disposition field's lower-case kind and parameters, or None. RFC: 2183 §2"""
    value = without_comments(value)
    match = _WORD.match(value)
    return (match[1].lower(), parameters(value, match.end())) if match else None


def transfer_encoding(value: bytes) -> str:
    """A Content-Transfer-Encoding field's lower-case token; 7bit for what cannot be read. RFC: 2045 §6"""
    match = _WORD.match(without_comments(value))
    return match[1].lower().decode() if match else "7bit"


def languages(value: bytes) -> tuple[bytes, ...]:
    """The tags of a Content-Language field, in order. RFC: 3501 §7.4.2 (body language)"""
    return tuple(_LANGUAGE.findall(without_comments(value)))
