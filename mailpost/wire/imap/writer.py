"""Writes the elements of replies: strings in their shortest right form, names of mailboxes, flags, sets.

A string goes as an atom where it may, else quoted, else (8-bit, CR, LF, or long) as a literal. A literal holds the
octets as they are, NUL included, which the grammar does not foresee: nothing that is put in its place would be the
message, whose length and octets clients compare and sign.

RFC: 3501 §4.3, §9, 9051 §9
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailpost.mail import foldernames
from mailpost.wire.imap.grammar import ASTRING_FULL

_QUOTABLE = re.compile(rb"[\x20-\x7e\t]{0,1000}").fullmatch
_SPECIAL = re.compile(rb'(["\\])')
_FLAG_ORDER = {"\\Answered": 0, "\\Flagged": 1, "\\Deleted": 2, "\\Seen": 3, "\\Draft": 4, "\\Recent": 5, "\\*": 10}


def literal(octets: bytes) -> bytes:
    """`{n}` CRLF and the octets."""
    return b"{%d}\r\n%b" % (len(octets), octets)


def binary(octets: bytes) -> bytes:
    """A literal, or a literal8 (`~{n}`) where there is a NUL in it. RFC: 3516 §4.3, 9051 §4.3.1"""
    return b"~" + literal(octets) if b"\0" in octets else literal(octets)


def string(octets: bytes) -> bytes:
    """Quoted where possible, else a literal."""
    if not _QUOTABLE(octets):
        return literal(octets)
    if b'"' in octets or b"\\" in octets:
        octets = _SPECIAL.sub(rb"\\\1", octets)
    return b'"%b"' % octets


def nstring(octets: bytes | None) -> bytes:
    """A string, or NIL for None."""
    return b"NIL" if octets is None else string(octets)


def astring(octets: bytes) -> bytes:
    """An atom where possible, else a string. Never the atom NIL, which some clients take for nothing."""
    if ASTRING_FULL(octets) and octets.upper() != b"NIL":
        return octets
    return string(octets)


def mailbox(name: str, utf8: bool = False) -> bytes:
    """The name of a mailbox; `utf8` where the client has enabled UTF-8 names (RFC 6855, 9051 §5.1)."""
    if not utf8:
        return astring(foldernames.encode(name))
    octets = name.encode()
    if octets.isascii() or not name.isprintable():
        return astring(octets)
    return b'"%b"' % _SPECIAL.sub(rb"\\\1", octets)


def flag_list(flags: Iterable[str]) -> bytes:
    """The flags in parentheses: system flags in a fixed order, then keywords sorted, then `\\*`."""
    ordered = sorted(flags, key=lambda flag: (_FLAG_ORDER.get(flag, 9), flag))
    return b"(%b)" % " ".join(ordered).encode("ascii", "replace")


def number_set(numbers: Iterable[int]) -> bytes:
    """Ascending numbers as a sequence set: `1:3,7`. At least one number."""
    pieces: list[str] = []
    first = last = -1
    for number in numbers:
        if number == last + 1 and last >= 0:
            last = number
            continue
        if last >= 0:
            pieces.append(f"{first}:{last}" if last > first else f"{first}")
        first = last = number
    if last >= 0:
        pieces.append(f"{first}:{last}" if last > first else f"{first}")
    return ",".join(pieces).encode("ascii")
