"""Answers without what may differ between servers: texts, UIDVALIDITY, mod-sequences, order, time zones, spelling."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any

from mailpost.mail.dates import parse_internaldate
from tests.acceptance.differential.answers import Answer, Pieces, Value, first_of

_MASKED = {b"UIDVALIDITY", b"HIGHESTMODSEQ"}
_NOT_COMPARED = {b"CAPABILITY", b"ALERT", b"PARSE", b"NOMODSEQ", b"INPROGRESS", b"ID"}
_CHILDREN = {b"\\haschildren", b"\\hasnochildren"}
_RECENTLY = 3600
_LEAVING = re.compile(rb"(?:CLOSE|UNSELECT|UNAUTHENTICATE)\Z|(?:SELECT|EXAMINE) ")
"""Commands after which nothing is selected: the last two when they fail."""


@dataclass
class Seen:
    """One answer, to be compared."""

    status: bytes = b""
    code: Any = None
    codes: list[Any] = field(default_factory=list)
    """Response codes of untagged lines."""
    data: dict[str, Any] = field(default_factory=dict)
    """LIST, LSUB, STATUS, SEARCH, ESEARCH, FLAGS, NAMESPACE, ENABLED, and EARLIER: the UIDs of VANISHED (EARLIER)."""
    fetched: dict[int, dict[bytes, Any]] = field(default_factory=dict)
    """By place: a message keeps the number that it had before the command. After UIDONLY: by UID, below zero."""
    expunged: set[int] = field(default_factory=set)
    exists: int = 0
    """Messages that the client knows of afterwards."""
    counts: dict[bytes, int] = field(default_factory=dict)
    """RECENT on entering a mailbox."""
    text: bytes = field(default=b"", compare=False)
    """The tagged response, to be shown."""
    keys: dict[bytes, frozenset[int]] = field(default_factory=dict, compare=False)
    """What each key of a SEARCH found alone, asked when two servers' answers differ."""
    together: frozenset[int] = field(default=frozenset(), compare=False)
    """What those keys mean together."""

    def told_before(self, before: Seen) -> None:
        """Add what was told before the command."""
        self.expunged |= before.expunged
        self.fetched = {
            message: {**before.fetched.get(message, {}), **self.fetched.get(message, {})}
            for message in before.fetched.keys() | self.fetched.keys()
        }

    def names(self) -> set[str]:
        """The names of the parts that are compared."""
        return vars(self).keys() - {"text", "keys", "together"}

    def get(self, name: str) -> Any:
        """A part by name."""
        return getattr(self, name)


@dataclass
class _Message:
    token: int
    uid: int = 0
    """0 until it has been told."""


class Identities:
    """Which MAILBOXID, EMAILID and THREADID stands for what: servers make up their own, but must keep them.

    An identity is known by where it was first seen, which is the same on two servers that agree on what is the same
    mailbox, message and thread. RFC: 8474 §4.1, §5.1, §5.2

    Args:
        compared: both servers have them.
    """

    def __init__(self, compared: bool) -> None:
        self.compared = compared
        self.step = 0
        self._first: dict[Value, object] = {}

    def of(self, value: Value, where: object) -> object:
        """Where it was seen first."""
        assert isinstance(value, list)
        assert len(value) == 1, value
        return self._first.setdefault(value[0], (self.step, where))


class View:
    """What a client knows of its selected mailbox: which message has which number now.

    Args:
        identities: those of its server.
    """

    def __init__(self, identities: Identities) -> None:
        self._identities = identities
        self._messages: list[_Message] = []
        self._next = 0
        self.enabled: frozenset[bytes] = frozenset()
        """What ENABLED has told."""

    def seen(self, command: Pieces, answer: Answer) -> Seen:
        """The answer as it is compared."""
        seen = Seen(answer.status, self._code(answer.code), text=answer.text)
        first = first_of(command)
        if first.upper() == b"UNAUTHENTICATE" and answer.status == b"OK":
            self.enabled = frozenset()
        if _LEAVING.match(first.upper()) and answer.status == (b"NO" if b" " in first else b"OK"):
            self._messages = []
        self._take_all(first, answer, seen)
        return seen

    def also(self, seen: Seen, answer: Answer) -> None:
        """Add what a second answer tells, of a NOOP that followed."""
        self._take_all(b"", answer, seen)

    def found(self, seen: Seen, answer: Answer) -> frozenset[int]:
        """What a plain SEARCH that followed has found; what else it tells is added."""
        data, seen.data = seen.data, {}
        self.also(seen, answer)
        answered, seen.data = seen.data, data
        if "SEARCH" in answered:
            return frozenset(map(int, answered["SEARCH"][0]))
        return frozenset(answered.get("ESEARCH", {}).get(b"ALL", ()))

    def unnamed(self) -> bytes:
        """The sequence numbers of messages whose UIDs are not known yet; "" if there are none, or no numbers."""
        if b"UIDONLY" in self.enabled:
            return b""
        return b",".join(b"%d" % number for number, each in enumerate(self._messages, 1) if not each.uid)

    def _take_all(self, first: bytes, answer: Answer, seen: Seen) -> None:
        entering = False
        if first.upper().startswith((b"SELECT ", b"EXAMINE ")) and answer.status == b"OK":
            self._messages = []
            self._next = 0
            entering = True
        for values in answer.untagged:
            self._take(values, seen)
        if (b" RETURN (" in first or first.startswith(b"LIST (")) and b"CHILDREN" not in first:
            for name, (attributes, *more) in seen.data.get("LIST", {}).items():
                seen.data["LIST"][name] = (attributes - _CHILDREN, *more)
        seen.exists = len(self._messages)
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
            self._told(word, values, seen)
        elif word == b"VANISHED":
            self._vanished(values, seen)
        elif word == b"ENABLED":
            enabled = frozenset(each.upper() for each in values[1:] if isinstance(each, bytes))
            self.enabled |= enabled
            seen.data["ENABLED"] = enabled
        elif word == b"STATUS":
            seen.data[f"STATUS {_name(values[1])!r}"] = self._counts(_name(values[1]), _pairs(values[2]))
        elif word not in _NOT_COMPARED:
            _data(word, values, seen)

    def _told(self, word: bytes, values: list[Value], seen: Seen) -> None:
        if word == b"BYE":
            seen.data["BYE"] = True
        code = self._code(values[1]) if len(values) > 1 else None
        if code is not None and code[0] == b"HIGHESTMODSEQ" and seen.status != b"BAD":
            return  # told by some more often than by others, but by what is BAD nothing is enabled
        if code is not None and code[0] not in _NOT_COMPARED:
            seen.codes.append(code)
            seen.codes.sort(key=repr)

    def _vanished(self, values: list[Value], seen: Seen) -> None:
        uids = _numbers(values[-1])
        if values[1] == [b"EARLIER"]:
            seen.data["EARLIER"] = seen.data.get("EARLIER", frozenset()) | frozenset(uids)
            return
        for uid in uids:
            if b"UIDONLY" in self.enabled:
                self._messages.pop()
                seen.expunged.add(-uid)
            else:
                at = self._place(uid)
                seen.expunged.add(self._messages.pop(at).token)

    def _place(self, uid: int) -> int:
        """Where the message with this UID is; that of a message whose UID is not known lies between its neighbours'."""
        unknown: list[int] = []
        for at, each in enumerate(self._messages):
            if each.uid == uid:
                return at
            if each.uid > uid:
                break
            if each.uid:
                unknown.clear()
            else:
                unknown.append(at)
        assert unknown, f"UID {uid} has vanished, but it was not there"
        return unknown[0]

    def _numbered(self, number: int, kind: bytes, values: list[Value], seen: Seen) -> None:
        if kind == b"EXPUNGE":
            seen.expunged.add(self._messages.pop(number - 1).token)
        elif kind == b"EXISTS":
            while len(self._messages) < number:
                self._next += 1
                self._messages.append(_Message(self._next))
        elif kind == b"RECENT":
            seen.counts[kind] = number
        elif kind == b"FETCH":
            message = self._messages[number - 1]
            items = _pairs(values[2])
            uid = items.get(b"UID")
            if isinstance(uid, bytes):
                assert message.uid in (0, int(uid)), f"message {number} had another UID: {message.uid}, now {uid!r}"
                message.uid = int(uid)
            seen.fetched.setdefault(message.token, {}).update(self._fetched(message.token, items))
        elif kind == b"UIDFETCH":
            seen.fetched.setdefault(-number, {}).update(self._fetched(-number, _pairs(values[2])))

    def _counts(self, name: bytes, pairs: dict[bytes, Value]) -> dict[bytes, object]:
        counts: dict[bytes, object] = {key: b"some" if key in _MASKED else value for key, value in pairs.items()}
        if b"MAILBOXID" in counts:
            counts[b"MAILBOXID"] = self._identities.of(pairs[b"MAILBOXID"], name)
        return counts

    def _fetched(self, token: int, items: dict[bytes, Value]) -> dict[bytes, Any]:
        shown = _fetched(items)
        for key in shown.keys() & {b"EMAILID", b"THREADID"}:
            shown[key] = self._identities.of(items[key], (key, token))
        return shown

    def _code(self, values: Value) -> Any:
        """A response code; MAILBOXID only where both servers have it."""
        if isinstance(values, list) and values[:1] == [b"MAILBOXID"]:
            return (b"MAILBOXID", self._identities.of(values[1], "code")) if self._identities.compared else None
        return _code(values)


def _data(word: bytes, values: list[Value], seen: Seen) -> None:
    if word == b"FLAGS":
        seen.data["FLAGS"] = _system_flags(values[1])
    elif word in (b"LIST", b"LSUB"):
        listed = seen.data.setdefault(word.decode(), {})
        listed[_name(values[3])] = (_attributes(values[1]), values[2], repr(values[4:]))
    elif word == b"SEARCH":
        found = {bytes(each) for each in values[1:] if isinstance(each, bytes)}
        seen.data["SEARCH"] = (found, any(isinstance(each, list) for each in values))
    elif word == b"ESEARCH":
        rest = [each for each in values[1:] if not (isinstance(each, list) and each[:1] == [b"TAG"])]
        seen.data["ESEARCH"] = _esearch(rest)
    else:
        seen.data[word.decode()] = values[1:]


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
    if name == b"CAPABILITY":  # those that both have are compared by their use
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
