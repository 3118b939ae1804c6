"""Reads the elements of a command's arguments: atoms, strings, numbers, sets, lists, dates, names of mailboxes.

A `Reader` stands somewhere in a CommandLine. Each method takes one element and steps over it, or raises ParseError with
what was expected and where. All of it is linear in the line.

RFC: 3501 §9, 9051 §9
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import TypeVar

from mailpost.mail import foldernames
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import SYSTEM_FLAGS, Flags, canonical, intern_flags
from mailpost.mail.uidset import STAR, SequenceSet
from mailpost.wire.imap.decoder import CommandLine
from mailpost.wire.imap.grammar import (
    ASTRING_MATCH,
    ATOM_MATCH,
    FLAG_MATCH,
    LARGEST_NUMBER,
    LARGEST_NUMBER64,
    LIST_MATCH,
    LITERAL_MATCH,
    LONGEST_KEYWORD,
    MONTHS,
    MOST_KEYS,
    MOST_RANGES,
    NUMBER_MATCH,
    QUOTED_MATCH,
    ParseError,
)

T = TypeVar("T")

_SET_MATCH = re.compile(rb"[0-9*:,]+").match
_DATE_MATCH = re.compile(rb'(")?(\d{1,2})-([A-Za-z]{3})-(\d{4})(?(1)")').match
_UNESCAPE = re.compile(rb"\\(.)")
_SHOWN = 20


class Reader:
    """A place in a command."""

    __slots__ = ("_at", "_end", "_literals", "_next_literal", "text", "utf8")

    def __init__(self, line: CommandLine, at: int = 0, utf8: bool = False) -> None:
        self.text = line.text
        self.utf8 = utf8
        """After ENABLE UTF8=ACCEPT or IMAP4rev2: names of mailboxes are UTF-8, not modified UTF-7, and so is all text
        in quotes."""
        self._at = at
        self._end = len(line.text.rstrip(b" "))
        self._literals = line.literals
        self._next_literal = 0

    def error(self, expected: str) -> ParseError:
        """The error that something else was expected here."""
        found = self.text[self._at : self._at + _SHOWN]
        if not found:
            return ParseError(f"Expected {expected} where the command ends")
        shown = "".join(chr(octet) if 32 <= octet < 127 else "?" for octet in found)
        return ParseError(f"Expected {expected} at octet {self._at + 1}, found {shown}")

    # Punctuation

    def at_end(self) -> bool:
        """Nothing but spaces is left."""
        return self._at >= self._end

    def end(self) -> None:
        """The command must end here; spaces at its end do no harm."""
        if self._at < self._end:
            raise self.error("the end of the command")

    def peek(self) -> bytes:
        """The next octet, b"" at the end."""
        return self.text[self._at : self._at + 1]

    def space(self) -> None:
        """Step over one space."""
        if self.text[self._at : self._at + 1] != b" ":
            raise self.error("a space")
        self._at += 1

    def accept(self, octets: bytes) -> bool:
        """Step over these octets if they stand here."""
        if self.text.startswith(octets, self._at):
            self._at += len(octets)
            return True
        return False

    def expect(self, octets: bytes) -> None:
        """Step over these octets."""
        if not self.accept(octets):
            raise self.error(octets.decode("ascii"))

    def match(self, matcher: Callable[[bytes, int], re.Match[bytes] | None], expected: str) -> re.Match[bytes]:
        """Step over what a compiled pattern's `match` finds here."""
        found = matcher(self.text, self._at)
        if found is None:
            raise self.error(expected)
        self._at = found.end()
        return found

    def accept_word(self, word: bytes) -> bool:
        """Step over this atom (given in capitals), written in any case, if it stands here."""
        found = ATOM_MATCH(self.text, self._at)
        if found is not None and found[0].upper() == word:
            self._at = found.end()
            return True
        return False

    def items(self, item: Callable[[], T], expected: str = "an opening parenthesis", least: int = 1) -> list[T]:
        """Take a parenthesised list: `item` is called for each element."""
        if not self.accept(b"("):
            raise self.error(expected)
        found: list[T] = []
        if least == 0 and self.accept(b")"):
            return found
        while True:
            found.append(item())
            if self.accept(b")"):
                return found
            if len(found) >= MOST_KEYS:
                raise ParseError(f"More than {MOST_KEYS} elements in a list")
            if not self.accept(b" "):
                raise self.error("a space or a closing parenthesis")

    # Words

    def atom(self, expected: str = "an atom") -> bytes:
        """Take an atom, 1*ATOM-CHAR."""
        return self.match(ATOM_MATCH, expected)[0]

    def word(self, expected: str) -> bytes:
        """Take an atom, in capitals."""
        return self.match(ATOM_MATCH, expected)[0].upper()

    def choice(self, table: dict[bytes, T], expected: str) -> T:
        """Take an atom of any case that is a key (in capitals) of the table: its value."""
        at = self._at
        value = table.get(self.word(expected))
        if value is None:
            self._at = at
            raise self.error(expected)
        return value

    def astring(self, expected: str = "a string") -> bytes:
        """Take an astring, 1*ASTRING-CHAR / string."""
        found = ASTRING_MATCH(self.text, self._at)
        if found is not None:
            self._at = found.end()
            return found[0]
        return self.string(expected)

    def string(self, expected: str = "a string") -> bytes:
        """Take a string, quoted / literal."""
        start = self.text[self._at : self._at + 1]
        if start == b'"':
            quoted = self.match(QUOTED_MATCH, "a quoted string that ends")[1]
            if self.utf8 and not quoted.isascii():
                _require_utf8(quoted)
            return _UNESCAPE.sub(rb"\1", quoted) if b"\\" in quoted else quoted
        if start == b"{":
            octets, _, _ = self.literal(expected)
            if octets is None:
                raise self.error(expected)
            if b"\0" in octets:
                raise ParseError("NUL in a literal")
            return octets
        raise self.error(expected)

    def nstring(self, expected: str = "a string or NIL") -> bytes | None:
        """Take an nstring, string / nil."""
        return None if self.accept_word(b"NIL") else self.string(expected)

    def literal(self, expected: str = "a literal") -> tuple[bytes | None, int, bool]:
        """Take a literal or literal8: its octets (None for a message), their number, and whether it is literal8."""
        found = LITERAL_MATCH(self.text, self._at)
        index = self._next_literal
        if found is None or index >= len(self._literals) or self._literals[index].end != found.end():
            raise self.error(expected)
        self._at = found.end()
        self._next_literal += 1
        return self._literals[index].octets, self._literals[index].size, bool(found[1])

    # Numbers

    def number(self, expected: str = "a number", least: int = 0, most: int = LARGEST_NUMBER) -> int:
        """Take a number, or nz-number where `least` is 1."""
        at = self._at
        value = int(self.match(NUMBER_MATCH, expected)[0])
        if not least <= value <= most:
            self._at = at
            raise self.error(f"{expected} from {least} to {most}")
        return value

    def number64(self, expected: str = "a number", least: int = 0) -> int:
        """Take a number64, mod-sequence-value. RFC: 9051 §9, 7162 §7"""
        return self.number(expected, least, LARGEST_NUMBER64)

    def sequence_set(self, expected: str = "a sequence set", star: bool = True) -> SequenceSet:
        """Take a sequence-set; without `star`, one that means the same at any time: no `*`, and not `$`."""
        at = self._at
        if star and self.accept(b"$"):
            return SequenceSet((), saved=True)
        text = self.match(_SET_MATCH, expected)[0]
        parts = _parts(text)
        if parts is None or (not star and b"*" in text):
            self._at = at
            raise self.error(expected)
        return SequenceSet(parts)

    # Names, flags, dates

    def mailbox(self) -> str:
        """Take a mailbox name, "INBOX" / astring, decoded."""
        return self._name(self.astring("a mailbox name"))

    def list_mailbox(self) -> str:
        """Take a pattern, 1*list-char / string, decoded."""
        found = LIST_MATCH(self.text, self._at)
        if found is not None:
            self._at = found.end()
            return self._name(found[0])
        return self._name(self.string("a mailbox pattern"))

    def _name(self, octets: bytes) -> str:
        if octets.upper() == b"INBOX":
            return "INBOX"
        try:
            return octets.decode("utf-8") if self.utf8 else foldernames.decode(octets)
        except ValueError:
            encoding = "UTF-8" if self.utf8 else "modified UTF-7"
            raise MailError(ErrorKind.BAD_FOLDER_NAME, f"The mailbox name is not valid {encoding}") from None

    def flag(self) -> str:
        """Take a flag, canonical; \\Recent and unknown system flags are errors."""
        at = self._at
        name = self.match(FLAG_MATCH, "a flag")[0].decode("ascii")
        flag = canonical(name)
        if flag[0] == "\\" and flag not in SYSTEM_FLAGS:
            self._at = at
            raise self.error("a flag that may be set")
        if len(flag) > LONGEST_KEYWORD:
            raise ParseError(f"Keyword over {LONGEST_KEYWORD} octets")
        return flag

    def flag_list(self) -> Flags:
        """Take a flag-list, "(" [flag *(SP flag)] ")"."""
        return intern_flags(self.items(self.flag, "a flag list", least=0))

    def day(self) -> date:
        """Take a date, quoted or not."""
        at = self._at
        found = self.match(_DATE_MATCH, "a date like 1-Feb-1994")
        try:
            return date(int(found[4]), MONTHS[found[3].upper()], int(found[2]))
        except (KeyError, ValueError):
            self._at = at
            raise self.error("a date like 1-Feb-1994") from None


def _parts(text: bytes) -> tuple[tuple[int, int], ...] | None:
    """The ranges of a sequence set, or None if it is none."""
    pieces = text.split(b",", MOST_RANGES)
    if len(pieces) > MOST_RANGES:
        return None
    parts: list[tuple[int, int]] = []
    for piece in pieces:
        if piece.isdigit():
            low = high = _number(piece)
        else:
            first, colon, second = piece.partition(b":")
            low, high = _number(first), _number(second if colon else first)
        if low < 0 or high < 0:
            return None
        parts.append((low, high))
    return tuple(parts)


def _number(digits: bytes) -> int:
    """nz-number or `*` (STAR) of a sequence set; -1 if it is neither."""
    if digits == b"*":
        return STAR
    if not digits.isdigit() or len(digits) > 10:
        return -1
    value = int(digits)
    return value if 1 <= value <= LARGEST_NUMBER else -1


def _require_utf8(quoted: bytes) -> None:
    """RFC: 6855 §3, 9051 §9 (QUOTED-CHAR)"""
    try:
        quoted.decode("utf-8")
    except UnicodeDecodeError:
        raise ParseError("A quoted string is not valid UTF-8") from None
