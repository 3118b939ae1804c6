"""Differences between servers that the RFCs allow, by name. Most are with Dovecot 2.3.

An excuse covers parts of an answer; a difference is known if each part that differs is covered.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.acceptance.differential.answers import Pieces
from tests.acceptance.differential.normal import Seen


@dataclass(frozen=True)
class Excuse:
    """A difference that is allowed."""

    name: str
    """What mailpost does, and the section that permits or asks it."""
    parts: frozenset[str]
    """The parts of an answer in which it shows; all, if it is empty."""
    applies: Callable[[bytes, Seen, Seen], bool]
    """Of the command's text in capitals, what mailpost answered and what the other did."""
    leads_apart: bool = False
    """The servers may be in different states afterwards."""


def _agree(item: bytes, ours: object, theirs: object) -> bool:
    if item == b"FLAGS" and isinstance(ours, frozenset) and isinstance(theirs, frozenset):
        # Which of several sessions sees a message as recent is undefined (RFC 3501 §2.3.2).
        return ours - _RECENT == theirs - _RECENT
    if (ours is None and item.startswith((b"BODY[", b"BINARY["))) or (
        ours == b"0" and item.startswith(b"BINARY.SIZE[")
    ):
        # Dovecot has a part 1.1 in a part 1 that is text.
        return not theirs or item.partition(b"[")[2].startswith((b"1.1", b"2.1"))
    if item == b"PREVIEW":
        # Its words are the server's choice (RFC 8970 §3.1): Dovecot shows the header of a message within.
        return isinstance(ours, bytes) and isinstance(theirs, bytes)
    return ours == theirs


def _told_more(text: bytes, ours: Seen, theirs: Seen) -> bool:
    """Whether ours told all that the other told of messages, and besides only what may always be told."""
    return all(
        _agree(item, ours.fetched.get(message, {}).get(item), value)
        for message, items in theirs.fetched.items()
        for item, value in items.items()
        if message not in ours.expunged
    ) and all(
        items.keys() - theirs.fetched.get(message, {}).keys() <= _ALWAYS for message, items in ours.fetched.items()
    )


def _refusal(text: bytes, ours: Seen, theirs: Seen) -> bool:
    """Whether both refuse, and the reasons do not contradict each other."""
    return ours.status == theirs.status == b"NO" and (theirs.code is None or {ours.code, theirs.code} <= _NO_SUCH)


def _modseq_told(text: bytes, ours: Seen, theirs: Seen) -> bool:
    if b"MODSEQ" not in text or not ("SEARCH" in ours.data and "SEARCH" in theirs.data):
        return False
    return bool(ours.data["SEARCH"] == (theirs.data["SEARCH"][0], True))


def _without_the_gone(text: bytes, ours: Seen, theirs: Seen) -> bool:
    return bool(ours.expunged) and "SEARCH" in text.decode("latin-1")


def _as_a_parent(text: bytes, ours: Seen, theirs: Seen) -> bool:
    """Whether only folders above others are shown in different ways."""
    lists = [
        {name: attributes - {b"\\noselect", b"\\nonexistent"} for name, (attributes, _) in seen.data["LIST"].items()}
        for seen in (ours, theirs)
        if "LIST" in seen.data
    ]
    return len(lists) == 2 and lists[0] == lists[1]


def _numbers_of_recent(text: bytes, ours: Seen, theirs: Seen) -> bool:
    def plain(seen: Seen) -> dict[str, dict[bytes, object]]:
        return {name: {**counts, b"RECENT": b""} for name, counts in seen.data.items()}

    return text.startswith(b"STATUS ") and plain(ours) == plain(theirs)


def _of_the_selected(text: bytes, ours: Seen, theirs: Seen) -> bool:
    return theirs.code == (b"CLIENTBUG",) and ours.data.keys() == theirs.data.keys()


_NO_SUCH = {(b"NONEXISTENT",), (b"ALREADYEXISTS",), (b"CANNOT",)}
_CHANGES = re.compile(rb"STORE |EXPUNGE|MOVE ")
_ALWAYS = {b"UID", b"FLAGS", b"MODSEQ"}
_BARE = {
    *(b"NOOP X", b"EXPUNGE 1", b"CLOSE X", b"SELECT A B", b"SELECT", b"STORE 1 FLAGS", b"FETCH 1 BODY[0]", b"ID"),
    b"SEARCH CHARSET X-NONE ALL",
    *(b"ENABLE", b"SELECT A (NONSENSE)", b"SEARCH ON 31-FEB-2002", b"FETCH 1 BODY[]<1.0>"),
}
_TWO_SPACES = re.compile(rb"  | \)")
_BEYOND = re.compile(rb"\*,99|99:\*")
_RECENT_KEYS = re.compile(rb"\b(?:NEW|OLD|RECENT)\b")
_RECENT = {b"\\recent"}
_GONE = (b"EXPUNGEISSUED",)
_ANY = frozenset[str]()

THE_DELETED = "a session whose mailbox was deleted is ended (RFC 2180 §3.3)"

KNOWN = (
    Excuse(
        "of two reasons for a refusal either may be told (RFC 4469 §5)",
        frozenset({"code"}),
        lambda text, ours, theirs: (
            b" CATENATE (" in text and ours.status == theirs.status == b"NO" and ours.code[:1] == (b"BADURL",)
        ),
    ),
    Excuse(
        "a URL of a part that is not there is refused (RFC 4469 §5)",
        _ANY,
        lambda text, ours, theirs: b"SECTION=9" in text and ours.status == b"NO" and theirs.status == b"OK",
        leads_apart=True,
    ),
    Excuse(
        "what cannot be decoded is sent as far as it can be (RFC 2045 §6.7)",
        _ANY,
        lambda text, ours, theirs: b"BINARY" in text and ours.status == b"OK" and theirs.code == (b"PARSE",),
        leads_apart=True,
    ),
    Excuse("a refusal says why in a code (RFC 5530 §3)", frozenset({"code"}), _refusal),
    Excuse(
        "UIDs and flags are told where the other is silent; a part that is not there is NIL (RFC 3501 §7.4.2)",
        frozenset({"fetched"}),
        _told_more,
    ),
    Excuse(
        "a search for mod-sequences always tells the highest (RFC 7162 §3.1.5)",
        frozenset({"data"}),
        _modseq_told,
    ),
    Excuse(
        "which session finds a message recent is undefined (RFC 3501 §2.3.2)",
        frozenset({"data"}),
        lambda text, ours, theirs: (
            ours.status == theirs.status and b"SEARCH" in text and _RECENT_KEYS.search(text) is not None
        ),
    ),
    Excuse(
        "a message that came and went is never announced (RFC 3501 §7.4.1)",
        frozenset({"expunged"}),
        lambda text, ours, theirs: ours.expunged < theirs.expunged,
        leads_apart=True,
    ),
    Excuse("RECENT is undefined with several sessions (RFC 3501 §2.3.2)", frozenset({"data"}), _numbers_of_recent),
    Excuse(
        "a search sees what other sessions did until now (RFC 2180 §4.3)",
        frozenset({"data"}),
        lambda text, ours, theirs: b"SEARCH" in text and bool(ours.fetched),
    ),
    Excuse(
        "STATUS of the selected mailbox tells what is there, not what was announced (RFC 3501 §6.3.10)",
        frozenset({"data", "code"}),
        _of_the_selected,
    ),
    Excuse(
        "a session goes on when its mailbox is renamed (RFC 3501 §6.3.5)",
        _ANY,
        lambda text, ours, theirs: (
            ours.status in (b"OK", b"BAD", b"NO") and (theirs.status == b"closed" or b"deleted under us" in theirs.text)
        ),
        leads_apart=True,
    ),
    Excuse(
        "what is not in the grammar is BAD (RFC 3501 §9)",
        _ANY,
        lambda text, ours, theirs: (
            b"BAD" in (ours.status, theirs.status) and (text in _BARE or _TWO_SPACES.search(text) is not None)
        ),
        leads_apart=True,
    ),
    Excuse(
        "no changes in a mailbox that is open read-only (RFC 3501 §6.3.2)",
        _ANY,
        lambda text, ours, theirs: _CHANGES.search(text) is not None and ours.code == (b"NOPERM",),
        leads_apart=True,
    ),
    Excuse(
        "a sequence number beyond EXISTS is BAD, also beside * (RFC 3501 §9 seq-number)",
        _ANY,
        lambda text, ours, theirs: _BEYOND.search(text) is not None and (ours.status == b"BAD" or b"SEARCH" in text),
        leads_apart=True,
    ),
    Excuse(
        "a message that is gone is left out, no NIL (RFC 2180 §4.1.2)",
        _ANY,
        lambda text, ours, theirs: _GONE in (ours.code, theirs.code),
        leads_apart=True,
    ),
    Excuse(
        "a UID that is gone is not MODIFIED (RFC 3501 §6.4.8)",
        _ANY,
        lambda text, ours, theirs: bool(ours.expunged) and theirs.code is not None and theirs.code[0] == b"MODIFIED",
        leads_apart=True,
    ),
    Excuse(
        "the session that deletes its mailbox is told that it is closed (RFC 7162 §3.2.11)",
        frozenset({"codes"}),
        lambda text, ours, theirs: text.startswith(b"DELETE ") and ours.codes == [(b"CLOSED",)],
    ),
    Excuse(
        "a folder created with one below it can be selected (RFC 3501 §6.3.3)",
        _ANY,
        lambda text, ours, theirs: (
            (ours.status == b"OK" and theirs.status == b"NO" and b"doesn't exist" in theirs.text)
            or (theirs.status == b"OK" and ours.code == (b"ALREADYEXISTS",))
        ),
        leads_apart=True,
    ),
    Excuse(
        "a folder created with one below it can be selected (RFC 3501 §6.3.3)",
        frozenset({"data"}),
        _as_a_parent,
        leads_apart=True,
    ),
    Excuse("a message that is gone is not found (RFC 2180 §4.3)", frozenset({"data"}), _without_the_gone),
    Excuse(
        THE_DELETED,
        _ANY,
        lambda text, ours, theirs: "BYE" in ours.data or "BYE" in theirs.data,
        leads_apart=True,
    ),
    Excuse(
        "changes made together have one mod-sequence (RFC 7162 §3.1)",
        frozenset({"data"}),
        lambda text, ours, theirs: b"SEARCH" in text and b"@MODSEQ" in text,
    ),
    Excuse(
        "the other loses alternatives to a keyword that nobody has used",
        frozenset({"data"}),
        lambda text, ours, theirs: b"SEARCH" in text and b"NOT OR" in text and b"KEYWORD WORK" in text,
    ),
    Excuse("the other has a bug", _ANY, lambda text, ours, theirs: theirs.code == (b"SERVERBUG",), leads_apart=True),
    Excuse(
        "the root of a name may be empty (RFC 3501 §6.3.8)",
        frozenset({"data"}),
        lambda text, ours, theirs: text.startswith(b"LIST ") and text.endswith(b' ""'),
    ),
)


def excused(command: Pieces, ours: Seen, theirs: Seen) -> list[Excuse] | None:
    """The known differences that this one is made of; None if there is more to it."""
    text = b"".join(each if isinstance(each, bytes) else each.octets for each in command).upper()
    left = {name for name in ours.names() if ours.get(name) != theirs.get(name)}
    found = [each for each in KNOWN if (not each.parts or each.parts & left) and each.applies(text, ours, theirs)]
    if THE_DELETED in (each.name for each in found):  # it explains all, whatever fits too
        return [each for each in found if each.name == THE_DELETED]
    covered = frozenset[str]().union(*(each.parts or left for each in found))
    return found if left <= covered else None
