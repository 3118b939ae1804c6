"""Addresses of header fields: names, groups, source routes, comments; read leniently, octets kept as they are.

RFC: 5322 §3.4, §4.4 (obsolete forms), 3501 §7.4.2 (address structure)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mailpost.mail.contentfields import unescaped

MISSING_HOST = b"MISSING_DOMAIN"
"""Stands for a host that is not there: without one, IMAP would take the address for a group."""
MISSING_MAILBOX = b"MISSING_MAILBOX"


@dataclass(frozen=True, slots=True)
class Address:
    """One address, or where a group starts (host None) or ends (mailbox None too). RFC: 3501 §7.4.2"""

    name: bytes | None
    """The display name without its quotes; encoded words as they are."""
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


GROUP_END = Address(None, None, None, None)

_ATOM = rb"[^\x00-\x20()<>@,;:\\\".\[\]]"
_DOT_ATOM = _ATOM + rb"++(?:\." + _ATOM + rb"++)*+"
# The two forms that nearly all mail has: a name of atoms or one quoted string with <a@b>, and a@b alone.
_SIMPLE = re.compile(
    rb'\s*+(?:(?:"([^"\\\r\n]*+)"|('
    + _ATOM
    + rb"++(?:(?: |\. ?)"
    + _ATOM
    + rb"++)*+\.?+))?\s*+<("
    + _DOT_ATOM
    + rb")@("
    + _DOT_ATOM
    + rb")>|("
    + _DOT_ATOM
    + rb")@("
    + _DOT_ATOM
    + rb"))\s*+(?:,|$)"
)
_TOKEN = re.compile(
    rb'\s++|=\?[^?\s]++\?[BbQq]\?[^?\s]*+\?=|"(?:[^"\\]|\\.)*+"?+|\[(?:[^\]\\]|\\.)*+\]?+|\\.|[()<>@,;:.\\]|[^\s"\[()<>@,;:.\\]++',
    re.DOTALL,
)
_CACHED_LENGTH = 200


def addresses(value: bytes) -> tuple[Address, ...]:
    """The addresses of an unfolded field value, in order, with groups marked.

    Whatever the value is, there is an answer; what is no address at all becomes one without a host.

    RFC: 5322 §3.4
    """
    return (_remembered if len(value) <= _CACHED_LENGTH else _addresses)(value)


def _addresses(value: bytes) -> tuple[Address, ...]:
    found: list[Address] = []
    at, end = 0, len(value)
    while at < end:
        match = _SIMPLE.match(value, at)
        if not match:
            found += _Reader(value, at).read()
            break
        quoted, atoms, mailbox, host, bare_mailbox, bare_host = match.groups()
        name = quoted if quoted is not None else atoms
        found.append(Address((name and name.strip()) or None, None, mailbox or bare_mailbox, host or bare_host))
        at = match.end()
    return tuple(found)


_remembered = lru_cache(2048)(_addresses)


class _Reader:
    """Reads any list of addresses, token by token.

    `words` are the pieces of the address in hand outside angle brackets, b" " where white space kept them apart.
    """

    def __init__(self, value: bytes, at: int) -> None:
        self.tokens = _TOKEN.findall(value, at)
        self.found: list[Address] = []
        self.in_group = False
        self.begin()

    def begin(self) -> None:
        """Forget the address in hand."""
        self.words: list[bytes] = []
        self.has_at = False
        self.spaced = False
        self.comment: list[bytes] = []
        self.angle: list[bytes] | None = None
        self.in_angle = False

    def read(self) -> list[Address]:
        """All addresses from here on."""
        depth = 0
        for token in self.tokens:
            if depth or token == b"(":
                depth = self.take_comment(token, depth)
            else:
                self.take(token)
        self.finish()
        if self.in_group:
            self.found.append(GROUP_END)
        return self.found

    def take_comment(self, token: bytes, depth: int) -> int:
        """One token of a comment; the text of the first one may be the name. RFC: 5322 §3.4 (note on comments)"""
        if token == b"(":
            depth += 1
            if depth > 1:
                self.comment.append(token)
        elif token == b")":
            depth -= 1
            self.comment.append(token if depth else b" ")
        else:
            self.comment.append(unescaped(token))
        return depth

    def take(self, token: bytes) -> None:
        """One token outside comments."""
        if token.isspace():
            self.spaced = True
        elif self.in_angle:
            self.take_in_angle(token)
        elif token == b"<":
            self.angle = [] if self.angle is None else self.angle
            self.in_angle = True
        elif token == b"," or (token == b";" and not self.in_group):
            self.finish()
        elif token == b";":
            self.finish()
            self.in_group = False
            self.found.append(GROUP_END)
        elif token == b":" and not (self.in_group or self.has_at or self.angle):
            self.found.append(Address(None, None, _phrase(self.words) or b"", None))
            self.in_group = True
            self.begin()
        elif token != b">":
            self.add(token)

    def take_in_angle(self, token: bytes) -> None:
        """One token between angle brackets."""
        if token == b">":
            self.in_angle = False
        elif self.angle is not None:
            self.angle.append(token)

    def add(self, token: bytes) -> None:
        """One more word; a space keeps apart what white space kept apart."""
        if self.spaced and self.words:
            self.words.append(b" ")
        self.spaced = False
        self.has_at = self.has_at or token == b"@"
        self.words.append(token)

    def finish(self) -> None:
        """The address in hand is complete."""
        comment = b"".join(self.comment).strip() or None
        if self.angle is not None:
            self.found.append(_from_angle(self.angle, _phrase(self.words) or comment))
        elif self.words:
            self.found.append(_from_words(self.words, comment))
        self.begin()


def _phrase(words: list[bytes]) -> bytes | None:
    """Words as one display name, quotes taken off."""
    return b"".join(_unquoted(word) for word in words).strip() or None


def _unquoted(word: bytes) -> bytes:
    if not word.startswith(b'"'):
        return word
    closed = len(word) > 1 and word.endswith(b'"')
    return unescaped(word[1:-1] if closed else word[1:])


def _from_angle(tokens: list[bytes], name: bytes | None) -> Address:
    """The address of the tokens between angle brackets, which have no white space. RFC: 5322 §4.4 (obs-route)"""
    route = None
    if tokens and tokens[0] == b"@" and b":" in tokens:
        colon = tokens.index(b":")
        route, tokens = b"".join(tokens[:colon]), tokens[colon + 1 :]
    return _addr_spec(tokens, name, route)


def _from_words(words: list[bytes], comment: bytes | None) -> Address:
    """An address without angle brackets; only its first word before the @ and those behind it can be meant."""
    if b"@" not in words:
        return Address(comment, None, _phrase(words) or MISSING_MAILBOX, MISSING_HOST)
    return _addr_spec([word for word in words if word != b" "], comment, None)


def _addr_spec(tokens: list[bytes], name: bytes | None, route: bytes | None) -> Address:
    """local@host from tokens; the last @ divides. RFC: 5322 §3.4.1"""
    local, host = tokens, []
    if b"@" in tokens:
        at = len(tokens) - 1 - tokens[::-1].index(b"@")
        local, host = tokens[:at], tokens[at + 1 :]
    mailbox = b"".join(_unquoted(token) for token in local)
    return Address(name, route, mailbox or MISSING_MAILBOX, b"".join(host) or MISSING_HOST)
