"""Header fields as they stand in a message: found, unfolded, selected; never rewritten.

A line that is no field (no colon, a "From " line) is passed over where values are asked for and kept where
lines are. Lines end in LF, with or without CR; a bare CR is an octet like any other.

RFC: 5322 §2.2, §4.5 (obsolete: space before the colon)
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# One line with its continuation lines: a name without colon, the colon if there is one, the value. Possessive,
# so that a header of a million lines costs no memory for ways back.
_FIELD = re.compile(rb"([^\n:]*+)(:?)([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?+")
_FOLD = re.compile(rb"\r?\n[ \t]?+")


def end_of(octets: bytes, start: int = 0) -> int:
    """Where the body of the message that starts at `start` begins: behind the first empty line, or at the end."""
    if octets.startswith((b"\r\n", b"\n"), start):
        return start + (2 if octets[start] == 13 else 1)
    crlf = octets.find(b"\n\r\n", start)
    lf = octets.find(b"\n\n", start, crlf + 1 if crlf >= 0 else len(octets))
    if lf >= 0:
        return lf + 2
    return crlf + 3 if crlf >= 0 else len(octets)


def fields(octets: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Every line of a header with its continuations, in order.

    Args:
        octets: the message.
        start: where its header starts.
        end: where its body starts; None for the end of the octets.

    Yields:
        The lower-case name (b"" for a line that is no field), where the line starts, where the next one does.
    """
    for match in _FIELD.finditer(octets, start, len(octets) if end is None else end):
        first, last = match.span()
        if first == last:
            return
        yield (match[1].rstrip(b" \t").lower() if match[2] else b""), first, last


def values(octets: bytes, start: int = 0, end: int | None = None) -> list[tuple[bytes, bytes]]:
    """The (lower-case name, raw value) pairs of a header, in order; values still folded, see `unfolded`."""
    found = _FIELD.findall(octets, start, len(octets) if end is None else end)
    return [(name.rstrip(b" \t").lower(), value) for name, colon, value in found if colon]


def unfolded(value: bytes) -> bytes:
    """A raw value on one line: each fold becomes a space (a tab of it too), and there is none at either end.

    NUL octets are dropped: no string of IMAP can hold one. RFC: 5322 §2.2.3, 3501 §9 (CHAR8)
    """
    if b"\n" in value:
        value = _FOLD.sub(b" ", value)
    if b"\0" in value:
        value = value.replace(b"\0", b"")
    return value.strip(b" \t\r")


def value(octets: bytes, name: bytes, start: int = 0, end: int | None = None) -> bytes | None:
    """The unfolded value of the first field of this lower-case name, or None."""
    for found, raw in values(octets, start, end):
        if found == name:
            return unfolded(raw)
    return None


def select(header: bytes, names: frozenset[bytes], negate: bool = False) -> bytes:
    """The fields of these names, or with `negate` all lines but those, as they stand; and the empty line, if any.

    Args:
        header: a header; what follows an empty line in it is not looked at.
        names: lower-case names.
        negate: the others instead; lines that are no field are among them.

    RFC: 3501 §6.4.5 (HEADER.FIELDS, HEADER.FIELDS.NOT)
    """
    kept: list[bytes] = []
    for match in _FIELD.finditer(header):
        line = match[0]
        if line in (b"", b"\n", b"\r\n"):
            kept.append(line)
            break
        if ((match[2] == b":") and match[1].rstrip(b" \t").lower() in names) is not negate:
            kept.append(line)
    return b"".join(kept)
