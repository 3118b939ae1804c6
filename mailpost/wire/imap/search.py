"""SEARCH and UID SEARCH: a tree of `mail.searchkeys`, and what is to be told of the result.

Strings are UTF-8 with or without CHARSET, which US-ASCII is part of; another charset is BADCHARSET.

RFC: 3501 §6.4.4, 9051 §6.4.4, 4731 §3.1 (RETURN), 4466 §2.6.1, 7162 §3.1.5 (MODSEQ), 5182 (`$`),
8474 §6 (EMAILID, THREADID), 8514 §4.3 (SAVEDATE)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from mailpost.mail.encodings import decode_charset, known_charset
from mailpost.mail.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from mailpost.mail.searchkeys import (
    All,
    And,
    Body,
    Comparison,
    DateField,
    EmailId,
    HasFlag,
    Header,
    Larger,
    ModSeq,
    Not,
    OnDate,
    Or,
    Recent,
    SavedResult,
    SearchKey,
    Sequence,
    Smaller,
    Text,
    ThreadId,
    UidSequence,
)
from mailpost.wire.imap.grammar import MOST_DEPTH, MOST_KEYS, ParseError
from mailpost.wire.imap.partial import PartialRange, parse_partial
from mailpost.wire.imap.reader import Reader

CHARSETS = (b"US-ASCII", b"UTF-8")
"""What strings of a search are best in; others that are known are taken, too."""


class SearchReturn(Enum):
    """A result option. RFC: 4731 §3.1, 5182 §2.1 (SAVE), 9394 §3.1 (PARTIAL)"""

    MIN = b"MIN"
    MAX = b"MAX"
    ALL = b"ALL"
    COUNT = b"COUNT"
    SAVE = b"SAVE"
    PARTIAL = b"PARTIAL"


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH and UID SEARCH."""

    key: SearchKey
    """`And` of the keys, or the only key."""
    returns: frozenset[SearchReturn] | None = None
    """None: the plain SEARCH answer; else ESEARCH with these (`RETURN ()` is ALL)."""
    modseq: bool = False
    """A MODSEQ key is somewhere in it: the answer names the highest mod-sequence found."""
    uid: bool = False
    partial: PartialRange | None = None
    """With PARTIAL: which of those found are told."""
    charset: bool = False
    """The client has named one."""
    charset_known: bool = True
    """False: nobody knows how its keys are to be read, and `key` says nothing. RFC: 5182 §2.1 minds what it returns."""


_RETURNS = {value.value: value for value in SearchReturn}
_CONSTANT: dict[bytes, SearchKey] = {
    b"ALL": All(),
    b"NEW": And((Recent(), Not(HasFlag(SEEN)))),
    b"OLD": Not(Recent()),
    b"RECENT": Recent(),
    b"SAVEDATESUPPORTED": All(),  # RFC: 8514 §4.3
}
for _flag in (ANSWERED, DELETED, DRAFT, FLAGGED, SEEN):
    _CONSTANT[_flag[1:].upper().encode()] = HasFlag(_flag)
    _CONSTANT[b"UN" + _flag[1:].upper().encode()] = Not(HasFlag(_flag))


def parse_search(reader: Reader, uid: bool = False) -> Search:
    """SEARCH [SP "RETURN" SP "(" options ")"] [SP "CHARSET" SP charset] 1*(SP search-key)"""
    reader.space()
    returns: frozenset[SearchReturn] | None = None
    partial: PartialRange | None = None
    if reader.accept_word(b"RETURN"):
        reader.space()
        options = reader.items(lambda: _result_option(reader), "result options", least=0)
        pages = [option for option in options if isinstance(option, PartialRange)]
        returns = frozenset(SearchReturn.PARTIAL if isinstance(option, PartialRange) else option for option in options)
        if len(pages) > 1 or (pages and SearchReturn.ALL in returns):
            raise ParseError("Expected one PARTIAL, or ALL")
        partial = pages[0] if pages else None
        returns = returns or frozenset({SearchReturn.ALL})
        reader.space()
    charset, named = "utf-8", reader.accept_word(b"CHARSET")
    if named:
        reader.space()
        charset = reader.astring("a charset").decode("ascii", "replace")
        if not known_charset(charset):
            return Search(All(), returns, uid=uid, partial=partial, charset=True, charset_known=False)
        reader.space()
    keys = _Keys(reader, charset)
    found = [keys.key(0)]
    while not reader.at_end():
        reader.space()
        found.append(keys.key(0))
    return Search(found[0] if len(found) == 1 else And(tuple(found)), returns, keys.modseq, uid, partial, named)


def _result_option(reader: Reader) -> SearchReturn | PartialRange:
    option = reader.choice(_RETURNS, "a result option")
    return parse_partial(reader) if option is SearchReturn.PARTIAL else option


_STRICT = ("us-ascii", "utf-8")
"""Charsets whose strings must be what they say: US-ASCII is taken for UTF-8."""


def _any(keys: list[SearchKey]) -> SearchKey:
    """Any of these keys, as a tree that is not deep."""
    if len(keys) == 1:
        return keys[0]
    middle = len(keys) // 2
    return Or(_any(keys[:middle]), _any(keys[middle:]))


class _Keys:
    """Takes search keys one after the other, and counts them."""

    def __init__(self, reader: Reader, charset: str) -> None:
        self._reader = reader
        self._charset = charset
        self._count = 0
        self.modseq = False

    def key(self, depth: int) -> SearchKey:
        """Take one key that lies in `depth` others."""
        self._count += 1
        if self._count > MOST_KEYS:
            raise ParseError(f"More than {MOST_KEYS} search keys")
        if depth > MOST_DEPTH:
            raise ParseError(f"Search keys nested over {MOST_DEPTH} deep")
        reader = self._reader
        start = reader.peek()
        if start == b"(":
            keys = reader.items(lambda: self.key(depth + 1))
            return keys[0] if len(keys) == 1 else And(tuple(keys))
        if start == b"*" or start.isdigit():
            return Sequence(reader.sequence_set())
        if start == b"$":
            reader.expect(b"$")
            return SavedResult()
        name = reader.word("a search key")
        constant = _CONSTANT.get(name)
        if constant is not None:
            return constant
        if name not in _WITH_ARGUMENTS:
            raise ParseError(f"Unknown search key {name[:40].decode('ascii')}")
        reader.space()
        return _WITH_ARGUMENTS[name](self, depth)

    def negation(self, depth: int) -> SearchKey:
        """NOT SP search-key"""
        return Not(self.key(depth + 1))

    def alternative(self, depth: int) -> SearchKey:
        """OR SP search-key SP search-key

        Clients look for one of a hundred addresses by as many ORs in each other; these count as one level.
        """
        found: list[SearchKey] = []
        wanted = 2
        while True:
            if self._reader.accept_word(b"OR"):
                wanted += 1
                if wanted > MOST_KEYS:
                    raise ParseError(f"More than {MOST_KEYS} search keys")
            else:
                found.append(self.key(depth + 1))
                if len(found) == wanted:
                    return _any(found)
            self._reader.space()

    def keyword(self, depth: int) -> SearchKey:
        """KEYWORD SP flag-keyword"""
        return HasFlag(self._reader.atom("a keyword").decode("ascii"))

    def not_keyword(self, depth: int) -> SearchKey:
        """UNKEYWORD SP flag-keyword"""
        return Not(self.keyword(depth))

    def header(self, depth: int) -> SearchKey:
        """HEADER SP header-fld-name SP astring"""
        name = self.text().lower()
        if not name.isascii() or not name.isprintable():
            raise ParseError("Expected the name of a header field")
        self._reader.space()
        return Header(name, self.text())

    def text(self) -> str:
        """Take an astring, decoded."""
        octets = self._reader.astring("a string to search for")
        if self._charset.lower() not in _STRICT:
            return decode_charset(octets, self._charset)
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            raise ParseError("A string of the search is not UTF-8") from None

    def larger(self, depth: int) -> SearchKey:
        """LARGER SP number64"""
        return Larger(self._reader.number64("a number of octets"))

    def smaller(self, depth: int) -> SearchKey:
        """SMALLER SP number64"""
        return Smaller(self._reader.number64("a number of octets"))

    def uids(self, depth: int) -> SearchKey:
        """UID SP sequence-set"""
        return UidSequence(self._reader.sequence_set("a set of UIDs"))

    def mod_sequence(self, depth: int) -> SearchKey:
        """MODSEQ [SP DQUOTE "/flags/" flag DQUOTE SP ("priv" / "shared" / "all")] SP mod-sequence

        Mod-sequences are kept for a message, not for each flag, so that the entry makes no difference.
        RFC: 7162 §3.1.5
        """
        self.modseq = True
        if self._reader.peek() == b'"':
            if not self._reader.string().lower().startswith(b"/flags/"):
                raise ParseError("Expected an entry name like /flags/\\Seen")
            self._reader.space()
            self._reader.choice({b"PRIV": True, b"SHARED": True, b"ALL": True}, "priv, shared or all")
            self._reader.space()
        return ModSeq(self._reader.number64("a mod-sequence"))

    def object_id(self) -> bytes:
        """Take an objectid. RFC: 8474 §7"""
        return self._reader.match(_OBJECT_ID, "an object identifier")[0]


_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}").match
_Taker = Callable[[_Keys, int], SearchKey]


def _field(name: str) -> _Taker:
    return lambda keys, depth: Header(name, keys.text())


def _on_date(field: DateField, comparison: Comparison) -> _Taker:
    return lambda keys, depth: OnDate(field, comparison, keys._reader.day())


_WITH_ARGUMENTS: dict[bytes, _Taker] = {
    b"BCC": _field("bcc"),
    b"BEFORE": _on_date(DateField.INTERNAL, Comparison.BEFORE),
    b"BODY": lambda keys, depth: Body(keys.text()),
    b"CC": _field("cc"),
    b"EMAILID": lambda keys, depth: EmailId(keys.object_id()),
    b"FROM": _field("from"),
    b"HEADER": _Keys.header,
    b"KEYWORD": _Keys.keyword,
    b"LARGER": _Keys.larger,
    b"MODSEQ": _Keys.mod_sequence,
    b"NOT": _Keys.negation,
    b"ON": _on_date(DateField.INTERNAL, Comparison.ON),
    b"OR": _Keys.alternative,
    b"SAVEDBEFORE": _on_date(DateField.SAVED, Comparison.BEFORE),
    b"SAVEDON": _on_date(DateField.SAVED, Comparison.ON),
    b"SAVEDSINCE": _on_date(DateField.SAVED, Comparison.SINCE),
    b"SENTBEFORE": _on_date(DateField.SENT, Comparison.BEFORE),
    b"SENTON": _on_date(DateField.SENT, Comparison.ON),
    b"SENTSINCE": _on_date(DateField.SENT, Comparison.SINCE),
    b"SINCE": _on_date(DateField.INTERNAL, Comparison.SINCE),
    b"SMALLER": _Keys.smaller,
    b"SUBJECT": _field("subject"),
    b"THREADID": lambda keys, depth: ThreadId(keys.object_id()),
    b"TEXT": lambda keys, depth: Text(keys.text()),
    b"TO": _field("to"),
    b"UID": _Keys.uids,
    b"UNKEYWORD": _Keys.not_keyword,
}
