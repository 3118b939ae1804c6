"""What a test waits for, said in IMAP's search keys: as Python keywords, or as IMAP writes them.

    subject="Welcome", unseen=True, larger=1000        subject="Welcome" and so on, all of them
    'OR FROM bob SUBJECT "Welcome"'                    as a client would send it

RFC: 3501 §6.4.4, 9051 §6.4.4
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from mailpost.mail import searchkeys
from mailpost.mail.errors import MailError
from mailpost.mail.searchkeys import And, SearchKey, with_leaves
from mailpost.wire.imap.decoder import CommandLine
from mailpost.wire.imap.grammar import MONTHS, ParseError
from mailpost.wire.imap.reader import Reader
from mailpost.wire.imap.search import parse_search

_ATOMS = frozenset({"KEYWORD", "UNKEYWORD", "UID", "EMAILID", "THREADID"})
"""Keys whose argument is no string."""
_LARGEST_UID = (1 << 32) - 1
_MONTHS = {number: name.decode().title() for name, number in MONTHS.items()}


class CriteriaError(ValueError):
    """That is no search; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One key."""

    text: str
    """As IMAP writes it."""
    key: SearchKey


@dataclass(frozen=True, slots=True)
class Criteria:
    """Some keys, all of which are to match."""

    all: tuple[Criterion, ...]

    @property
    def key(self) -> SearchKey:
        """All of them as one."""
        return And(tuple(each.key for each in self.all))

    def __str__(self) -> str:
        return " ".join(each.text for each in self.all)


def criteria(search: str = "", keys: Mapping[str, Any] | None = None) -> Criteria:
    """The criteria of a search string and keywords.

    Args:
        search: search keys as IMAP writes them.
        keys: by the names of search keys, small or capital, with "_" behind where Python has a word of that name
            (`from_`). A flag is True or False; a date a `datetime.date`; `header` a pair of name and text, or a mapping
            of them; `not_` a search string. A list stands for the key with each of its items.

    Raises:
        CriteriaError: IMAP knows no such key, or not with such a value.
    """
    texts = [search] if search.strip() else []
    for name, value in (keys or {}).items():
        word = name.rstrip("_").upper()
        pairs = list(value.items()) if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
        texts += [_text(word, each) for each in pairs]
    return Criteria(tuple(Criterion(text, _parsed(text)) for text in texts))


def _text(word: str, value: Any) -> str:
    """One key as IMAP writes it."""
    match value:
        case bool():
            return word if value else f"NOT {word}"
        case int():
            return f"{word} {value}"
        case date():
            return f"{word} {value.day}-{_MONTHS[value.month]}-{value.year:04}"
        case str() if word in _ATOMS:
            return f"{word} {value}"
        case str() if word == "NOT":
            return f"NOT ({value})"
        case str():
            return f"{word} {_quoted(value)}"
        case (str(), str()):
            return f"{word} {_quoted(value[0])} {_quoted(value[1])}"
    raise CriteriaError(f"{word}: {value!r} is nothing that can be searched for")


def _quoted(text: str) -> str:
    if any(each in text for each in "\r\n\0"):
        raise CriteriaError(f"{text!r}: a search never reaches over a line end")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _parsed(text: str) -> SearchKey:
    reader = Reader(CommandLine(b" " + text.strip().encode()))
    try:
        key = parse_search(reader).key
        reader.end()
    except (ParseError, MailError) as problem:
        raise CriteriaError(f"{text}: {problem}") from None
    return with_leaves(key, _without_session)


def _without_session(key: SearchKey) -> SearchKey:
    """Keys that only a session understands, for a test that has none: all mail is recent."""
    match key:
        case searchkeys.Recent():
            return searchkeys.All()
        case searchkeys.UidSequence(uids):
            return searchkeys.Uids(uids.resolve(_LARGEST_UID))
        case searchkeys.Sequence() | searchkeys.SavedResult():
            raise CriteriaError("sequence numbers and $ belong to a session; use uid=")
    return key
