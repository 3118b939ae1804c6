"""Answers without what may differ between servers: texts, UIDVALIDITY, mod-sequences, order, time zones, spelling."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from mailpost.mail.dates import parse_internaldate
from tests.acceptance.differential.answers import Answer, Pieces, Value

_MASKED = {b"UIDVALIDITY", b"HIGHESTMODSEQ"}
_NOT_COMPARED = {b"CAPABILITY", b"ALERT", b"PARSE", b"NOMODSEQ", b"ENABLED", b"ID"}
_CHILDREN = {b"\\haschildren", b"\\hasnochildren"}
_RECENTLY = 3600


@dataclass
class Seen:
    """One answer, to be compared."""

    status: bytes = b""
    code: Any = None
    codes: list[Any] = field(default_factory=list)
    """Response codes of untagged lines."""
    data: dict[str, Any] = field(default_factory=dict)
    """LIST, LSUB, STATUS, SEARCH, ESEARCH, FLAGS, NAMESPACE."""
    fetched: dict[int, dict[bytes, Any]] = field(default_factory=dict)
    """By place: a message keeps the number that it had before the command."""
    expunged: set[int] = field(default_factory=set)
    exists: int = 0
    """Messages that the client knows of afterwards."""
    counts: dict[bytes, int] = field(default_factory=dict)
    """RECENT on entering a mailbox."""
    text: bytes = field(default=b"", compare=False)
    """The tagged response, to be shown."""

    def names(self) -> set[str]:
        """The names of the parts that are compared."""
        return vars(self).keys() - {"text"}

    def get(self, name: str) -> Any:
        """A part by name."""
        return getattr(self, name)


class View:
    """What a client knows of its selected mailbox: which message has which number now."""

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._next = 0

    def seen(self, command: Pieces, answer: Answer) -> Seen:
        """The answer as it is compared."""
        seen = Seen(answer.status, _code(answer.code), text=answer.text)
        first = command[0] if isinstance(command[0], bytes) else b""
        self._take_all(first, answer, seen)
        return seen

    def also(self, seen: Seen, answer: Answer) -> None:
        """Add what a second answer tells, of a NOOP that followed."""
        self._take_all(b"", answer, seen)

    def _take_all(self, first: bytes, answer: Answer, seen: Seen) -> None:
        entering = False
        if first.upper().startswith((b"SELECT ", b"EXAMINE ")) and answer.status == b"OK":
            self._tokens = []
            self._next = 0
            entering = True
        for values in answer.untagged:
            self._take(values, seen)
        if (b" RETURN (" in first or first.startswith(b"LIST (")) and b"CHILDREN" not in first:
            for name, (attributes, separator) in seen.data.get("LIST", {}).items():
                seen.data["LIST"][name] = (attributes - _CHILDREN, separator)
        seen.exists = len(self._tokens)
        if not entering:
            # New keywords are announced by some when they are used, by others when they are first seen.
            seen.data.pop("FLAGS", None)
            seen.codes = [code for code in seen.codes if code[0] != b"PERMANENTFLAGS"]
            # The number of recent messages is told when messages come; some tell it when they go, too.
            seen.counts.clear()

    def _take(self, values: list[Value], seen: Seen) -> None:
        word = values[0].upper() if isinstance(values[0], bytes) else b""
        if word.isdigit():
            kind = values[1]
            assert isinstance(kind, bytes)
            self._numbered(int(word), kind.upper(), values, seen)
        elif word in (b"OK", b"NO", b"BAD", b"BYE"):
            if word == b"BYE":
                seen.data["BYE"] = True
            code = _code(values[1]) if len(values) > 1 else None
            if code is not None and code[0] not in _NOT_COMPARED and code[0] != b"HIGHESTMODSEQ":
                seen.codes.append(code)
                seen.codes.sort(key=repr)
        elif word == b"FLAGS":
            seen.data["FLAGS"] = _system_flags(values[1])
        elif word in (b"LIST", b"LSUB"):
            listed = seen.data.setdefault(word.decode(), {})
            listed[_name(values[3])] = (_attributes(values[1]), values[2])
        elif word == b"STATUS":
            pairs = _pairs(values[2])
            seen.data[f"STATUS {_name(values[1])!r}"] = {
                key: b"some" if key in _MASKED else value for key, value in pairs.items()
            }
        elif word == b"SEARCH":
            found = {bytes(each) for each in values[1:] if isinstance(each, bytes)}
            seen.data["SEARCH"] = (found, any(isinstance(each, list) for each in values))
        elif word == b"ESEARCH":
            rest = [each for each in values[1:] if not (isinstance(each, list) and each[:1] == [b"TAG"])]
            seen.data["ESEARCH"] = _esearch(rest)
        elif word not in _NOT_COMPARED:
            seen.data[word.decode()] = values[1:]

    def _numbered(self, number: int, kind: bytes, values: list[Value], seen: Seen) -> None:
        if kind == b"EXPUNGE":
            seen.expunged.add(self._tokens.pop(number - 1))
        elif kind == b"EXISTS":
            while len(self._tokens) < number:
                self._next += 1
                self._tokens.append(self._next)
        elif kind == b"RECENT":
            seen.counts[kind] = number
        elif kind == b"FETCH":
            token = self._tokens[number - 1]
            seen.fetched.setdefault(token, {}).update(_fetched(_pairs(values[2])))


def _name(value: Value) -> bytes:
    assert isinstance(value, bytes)
    return b"INBOX" if value.upper() == b"INBOX" else value


def _pairs(values: Value) -> dict[bytes, Value]:
    assert isinstance(values, list)
    keys = [bytes(each).upper().replace(b'"', b"") if isinstance(each, bytes) else b"?" for each in values[::2]]
    return dict(zip(keys, values[1::2], strict=True))


def _code(values: Value) -> Any:
    if not isinstance(values, list) or not values:
        return None
    name = bytes(values[0] or b"").upper() if isinstance(values[0], bytes) else b"?"
    rest = values[1:]
    if name == b"MAILBOXID":  # each store makes up its own
        return None
    if name in _MASKED:
        return (name,)
    if name == b"APPENDUID":
        return name, rest[1]
    if name == b"COPYUID":
        return name, tuple(_numbers(rest[1], ordered=True)), tuple(_numbers(rest[2], ordered=True))
    if name == b"MODIFIED":
        return name, frozenset(_numbers(rest[0]))
    if name == b"PERMANENTFLAGS":
        return name, _system_flags(rest[0])
    if name == b"BADCHARSET":
        return (name,)
    return name, *(each if isinstance(each, bytes) else repr(each) for each in rest)


def _numbers(value: Value, ordered: bool = False) -> list[int]:
    assert isinstance(value, bytes)
    numbers: list[int] = []
    for piece in value.split(b","):
        low, _, high = piece.partition(b":")
        one, other = int(low), int(high or low)
        numbers += range(min(one, other), max(one, other) + 1)
    return numbers if ordered else sorted(numbers)


def _system_flags(values: Value) -> frozenset[bytes]:
    """Keywords are left out: some servers remember all that were ever used."""
    assert isinstance(values, list)
    return frozenset(each.lower() for each in values if isinstance(each, bytes) and each.startswith(b"\\"))


def _attributes(values: Value) -> frozenset[bytes]:
    assert isinstance(values, list)
    found = frozenset(each.lower() for each in values if isinstance(each, bytes))
    return found - {b"\\marked", b"\\unmarked"}


def _esearch(values: list[Value]) -> dict[bytes, Any]:
    found: dict[bytes, Any] = {}
    if values and values[0] == b"UID":
        found[b"UID"] = True
        values = values[1:]
    for key, value in zip(values[::2], values[1::2], strict=True):
        assert isinstance(key, bytes)
        found[key.upper()] = frozenset(_numbers(value)) if key.upper() == b"ALL" else value
    if b"MODSEQ" in found:
        found[b"MODSEQ"] = b"some"
    return found


def _fetched(items: dict[bytes, Value]) -> dict[bytes, Any]:
    shown: dict[bytes, Any] = {}
    for key, value in items.items():
        if key == b"FLAGS":
            assert isinstance(value, list)
            shown[key] = frozenset(bytes(each).lower() for each in value if isinstance(each, bytes))
        elif key == b"INTERNALDATE":
            assert isinstance(value, bytes)
            instant = parse_internaldate(value.decode())
            shown[key] = "recently" if abs(time.time() - instant) < _RECENTLY else instant
        elif key in (b"MODSEQ", b"SAVEDATE"):
            shown[key] = b"some"
        elif key in (b"BODY", b"BODYSTRUCTURE"):
            shown[key] = _lower(value)
        else:
            shown[key] = value
    return shown


def _lower(value: Value) -> Any:
    if isinstance(value, list):
        return [_lower(each) for each in value]
    return value.lower() if isinstance(value, bytes) else value
