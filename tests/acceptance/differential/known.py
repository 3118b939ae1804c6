"""Differences between servers that the RFCs allow, by name. Most are with Dovecot 2.3.

An excuse covers parts of an answer; a difference is known if each part that differs is covered.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.acceptance.differential.answers import Pieces
from tests.acceptance.differential.keys import UNDATED, tells
from tests.acceptance.differential.messages import told_more
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


def _refusal(text: bytes, ours: Seen, theirs: Seen) -> bool:
    """Whether both refuse, and the reasons do not contradict each other."""
    return ours.status == theirs.status == b"NO" and (theirs.code is None or {ours.code, theirs.code} <= _NO_SUCH)


def _modseq_told(text: bytes, ours: Seen, theirs: Seen) -> bool:
    if b"MODSEQ" not in text or not ("SEARCH" in ours.data and "SEARCH" in theirs.data):
        return False
    return bool(ours.data["SEARCH"] == (theirs.data["SEARCH"][0], True))


def _unlike(keys: bytes) -> Callable[[bytes, Seen, Seen], bool]:
    """Whether mailpost found what the keys of a SEARCH mean together, and alone only such keys find something else."""
    allowed = re.compile(keys)

    def applies(text: bytes, ours: Seen, theirs: Seen) -> bool:
        differ = {key for key in ours.keys if ours.keys[key] != theirs.keys[key]}
        return bool(differ) and all(map(allowed.match, differ)) and tells(ours.data, ours.together)

    return applies


def _undated(text: bytes, ours: Seen, theirs: Seen) -> bool:
    """Whether only messages without a Date are found by one and not by the other."""
    return _unlike(b"SENT")(text, ours, theirs) and all(
        ours.keys[key] ^ theirs.keys[key] <= ours.keys[UNDATED] for key in ours.keys
    )


def _put_together(text: bytes, ours: Seen, theirs: Seen) -> bool:
    """Whether each key alone finds the same on both, and it is the other that does not put them together.

    Dovecot 2.3 merges keys of one kind that stand side by side, as if none was negated and all must hold: of `NOT SINCE
    a NOT SINCE b` it keeps one, `OR UNSEEN UNDELETED` is neither seen nor deleted to it.
    """
    return bool(ours.keys) and ours.keys == theirs.keys and tells(ours.data, ours.together)


def _without_the_gone(text: bytes, ours: Seen, theirs: Seen) -> bool:
    return bool(ours.expunged) and "SEARCH" in text.decode("latin-1")


def _as_a_parent(text: bytes, ours: Seen, theirs: Seen) -> bool:
    """Whether only folders above others are shown in different ways, or are still there when those others are gone."""
    if not ("LIST" in ours.data and "LIST" in theirs.data):
        return False
    one, other = (
        {name: attributes - _OF_PARENTS for name, (attributes, *_) in seen.data["LIST"].items()}
        for seen in (ours, theirs)
    )
    more = ours.data.keys() - theirs.data.keys()
    return (
        all(one.get(name) == attributes for name, attributes in other.items())
        and one.keys() - other.keys() <= _PARENTS
        and more <= {f"STATUS {name!r}" for name in _PARENTS}
    )


def _but_for(item: bytes, ours: Seen, theirs: Seen) -> bool:
    """Whether all data are the same but for one count of STATUS, which both tell."""

    def plain(seen: Seen) -> dict[str, object]:
        return {
            name: {**counts, item: b"" if item in counts else None} if isinstance(counts, dict) else counts
            for name, counts in seen.data.items()
        }

    return plain(ours) == plain(theirs)


def _of_the_selected(text: bytes, ours: Seen, theirs: Seen) -> bool:
    return theirs.code == (b"CLIENTBUG",) and ours.data.keys() == theirs.data.keys()


_OF_PARENTS = {b"\\noselect", b"\\nonexistent"}
_PARENTS = {b"a", b"a/b", b"b", b"&Ti1lhw-"}
_NO_SUCH = {(b"NONEXISTENT",), (b"ALREADYEXISTS",), (b"CANNOT",)}
_CHANGES = re.compile(rb"STORE |EXPUNGE|MOVE ")
_BARE = {
    *(b"NOOP X", b"EXPUNGE 1", b"CLOSE X", b"SELECT A B", b"SELECT", b"STORE 1 FLAGS", b"FETCH 1 BODY[0]", b"ID"),
    *(
        b"SEARCH CHARSET X-NONE ALL",
        b"ID X",
        b'ID ("NAME")',
        b"UNSELECT X",
        b"NAMESPACE X",
        b"ENABLE ",
        b"ENABLE (CONDSTORE)",
    ),
    *(b"ENABLE", b"APPEND A", b"SELECT A (NONSENSE)", b"SEARCH ON 31-FEB-2002", b"FETCH 1 BODY[]<1.0>"),
}
_NO_PATTERN = re.compile(rb'^LIST (?:\([^)]*\) )?"" \(\)')
_MATCHING = re.compile(rb"\(QRESYNC \(.*\([\d,:]+ [\d,:]+\)\)\)")
_ZERO = re.compile(rb"\(QRESYNC \((?:0 |\d+ 0\b)")
_TWO_SPACES = re.compile(rb"  | \)|\( ")
_BEYOND = re.compile(rb"\*,99|99:\*|\*:2")
_HIGHEST = (b"HIGHESTMODSEQ",)
_GONE = (b"EXPUNGEISSUED",)
_ANY = frozenset[str]()
_NONE = frozenset[Any]()

THE_DELETED = "a session whose mailbox was deleted is ended (RFC 2180 §3.3)"
ROOM_FREED = "what an expunge frees is what the store needs, or the messages' sizes (RFC 9208 §4.1.4)"

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
        "whether a URL can be resolved is the server's to say (RFC 4469 §5): the other knows no message that is new",
        _ANY,
        lambda text, ours, theirs: (
            b" CATENATE (" in text
            and ours.status == b"OK"
            and theirs.code is not None
            and theirs.code[0] == b"BADURL"
            and b"Message not found" in theirs.text
        ),
        leads_apart=True,
    ),
    Excuse(
        "what cannot be decoded is sent as far as it can be (RFC 2045 §6.7)",
        _ANY,
        lambda text, ours, theirs: b"BINARY" in text and ours.status == b"OK" and theirs.code == (b"PARSE",),
        leads_apart=True,
    ),
    Excuse(
        "a folder without a quota root has an empty list of them (RFC 9208 §4.2.2)",
        frozenset({"data"}),
        lambda text, ours, theirs: "QUOTAROOT" in ours.data and len(ours.data["QUOTAROOT"]) == 1 and not theirs.data,
    ),
    Excuse("a refusal says why in a code (RFC 5530 §3)", frozenset({"code"}), _refusal),
    Excuse(
        "UIDs and flags are told where the other is silent; a part that is not there is NIL (RFC 3501 §7.4.2)",
        frozenset({"fetched"}),
        told_more,
    ),
    Excuse(
        "a search for mod-sequences always tells the highest (RFC 7162 §3.1.5)",
        frozenset({"data"}),
        _modseq_told,
    ),
    Excuse(
        "which session finds a message recent is undefined (RFC 3501 §2.3.2)",
        frozenset({"data"}),
        _unlike(rb"(?:NEW|OLD|RECENT)\Z"),
    ),
    Excuse(
        "a message that came and went is never announced (RFC 3501 §7.4.1)",
        frozenset({"expunged"}),
        lambda text, ours, theirs: ours.expunged < theirs.expunged,
        leads_apart=True,
    ),
    Excuse(
        "EXPUNGE removes all that is marked, announced or not (RFC 3501 §6.4.3)",
        frozenset({"exists", "fetched", "expunged"}),
        lambda text, ours, theirs: text == b"EXPUNGE" and ours.exists < theirs.exists,
        leads_apart=True,
    ),
    Excuse(
        "RECENT is undefined with several sessions (RFC 3501 §2.3.2)",
        frozenset({"data"}),
        lambda text, ours, theirs: text.startswith(b"STATUS ") and _but_for(b"RECENT", ours, theirs),
    ),
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
        "a list of patterns has at least one (RFC 5258 §6 patterns)",
        _ANY,
        lambda text, ours, theirs: ours.status == b"BAD" and _NO_PATTERN.search(text) is not None,
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
        ROOM_FREED,
        frozenset({"data"}),
        lambda text, ours, theirs: b"DELETED-STORAGE" in text and _but_for(b"DELETED-STORAGE", ours, theirs),
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
        lambda text, ours, theirs: (
            _BEYOND.search(text) is not None and (ours.status == b"BAD" or _unlike(_BEYOND.pattern)(text, ours, theirs))
        ),
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
    Excuse(
        "what was enabled before may be told again (RFC 5161 §3.1); the other does not tell of nothing",
        frozenset({"data"}),
        lambda text, ours, theirs: (
            text.startswith(b"ENABLE ") and ours.data.get("ENABLED", _NONE) <= theirs.data.get("ENABLED", _NONE)
        ),
    ),
    Excuse(
        "a SELECT that is BAD is no attempt to select (RFC 3501 §6.3.1)",
        _ANY,
        lambda text, ours, theirs: (
            text.startswith((b"SELECT ", b"EXAMINE ")) and ours.status == theirs.status == b"BAD" and not ours.codes
        ),
        leads_apart=True,
    ),
    Excuse(
        "what a client knows by a pair of number and UID is not told again (RFC 7162 §3.2.5.2)",
        frozenset({"data"}),
        lambda text, ours, theirs: (
            _MATCHING.search(text) is not None and ours.data.get("EARLIER", _NONE) < theirs.data.get("EARLIER", _NONE)
        ),
    ),
    Excuse(
        "what a client still counts is told once, not as EARLIER too (RFC 7162 §3.2.10.1)",
        frozenset({"data"}),
        lambda text, ours, theirs: (
            b"VANISHED" in text
            and bool(ours.expunged)
            and ours.expunged == theirs.expunged
            and ours.data.get("EARLIER", _NONE) < theirs.data.get("EARLIER", _NONE)
        ),
    ),
    Excuse(
        "when a message without a Date was sent is nowhere said (RFC 3501 §6.4.4 SENTBEFORE)",
        frozenset({"data"}),
        _undated,
    ),
    Excuse(
        "a command that is BAD enables nothing (RFC 7162 §3.1)",
        frozenset({"codes", "fetched"}),
        lambda text, ours, theirs: ours.status == b"BAD" and theirs.codes == [*ours.codes, _HIGHEST],
        leads_apart=True,
    ),
    Excuse(
        "neither UIDVALIDITY nor a mod-sequence is 0 (RFC 7162 §7 mod-sequence-value)",
        _ANY,
        lambda text, ours, theirs: ours.status == b"BAD" and _ZERO.search(text) is not None,
        leads_apart=True,
    ),
    Excuse(
        "the highest mod-sequence may be told with any command (RFC 7162 §6, 6851 §4.4)",
        frozenset({"code"}),
        lambda text, ours, theirs: (
            (ours.code, theirs.code) == (None, _HIGHEST)
            or ((ours.code, theirs.code) == (_HIGHEST, None) and b"MOVE " in text)
        ),
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
        _unlike(rb"MODSEQ @"),
    ),
    Excuse(
        "alternatives and negations mean what they say (RFC 3501 §6.4.4): the other puts its findings together wrongly",
        frozenset({"data"}),
        _put_together,
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
