"""Searching: whether a message matches a tree of keys, and which text of a message is searched.

BODY looks at the decoded text of all text/* and message/* parts, those of attached messages too; HTML is searched
with its tags. TEXT looks at every header as well: of the message, of its parts, of attached messages. Both sides are
casemapped (`mail.encodings.casemapped`), and a needle never reaches across a line end or from part to part.

RFC: 3501 §6.4.4, 9051 §6.4.4
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

from mailpost.mail import headers, searchkeys
from mailpost.mail.dates import internal_day
from mailpost.mail.encodings import casemapped, decode_charset, decode_header, decode_transfer
from mailpost.mail.flags import Flags
from mailpost.mail.mime import Part, parse
from mailpost.mail.searchkeys import Comparison, DateField, SearchKey


class MessageFacts(Protocol):
    """What a store tells of one message. Each is asked for only where a key needs it, cheap ones first."""

    @property
    def uid(self) -> int:
        """Its UID."""

    @property
    def flags(self) -> Flags:
        """Its flags, canonical."""

    @property
    def modseq(self) -> int:
        """Its mod-sequence."""

    @property
    def size(self) -> int:
        """RFC822.SIZE."""

    @property
    def internaldate(self) -> int:
        """Seconds since the epoch."""

    @property
    def savedate(self) -> int:
        """When it came into the folder, seconds since the epoch; INTERNALDATE where that is not kept. RFC: 8514 §4.3"""

    @property
    def email_id(self) -> bytes:
        """EMAILID."""

    @property
    def thread_id(self) -> bytes:
        """THREADID."""

    @property
    def sent_day(self) -> int | None:
        """The Date field's day as written (`Summary.sent_day`), or None."""

    def header_texts(self, name: str) -> list[str]:
        """The values of all fields of this lower-case name, as `header_texts` below has them."""

    def octets(self) -> bytes:
        """The whole message; line ends may be LF or CRLF."""


_TEXT_KEYS = (searchkeys.Body, searchkeys.Text)


def matches(key: SearchKey, facts: MessageFacts) -> bool:
    """Whether a message matches a resolved key.

    Raises:
        ValueError: the key holds a Sequence, UidSequence, SavedResult or Recent, which only a session understands.

    RFC: 3501 §6.4.4
    """
    match key:
        case searchkeys.And(keys):
            # What needs the text of the message comes last.
            return all(matches(each, facts) for each in keys if not isinstance(each, _TEXT_KEYS)) and all(
                matches(each, facts) for each in keys if isinstance(each, _TEXT_KEYS)
            )
        case searchkeys.Or(first, second):
            return matches(first, facts) or matches(second, facts)
        case searchkeys.Not(negated):
            return not matches(negated, facts)
        case searchkeys.Header(name, text):
            needle = _needle(text)
            return any(needle in value for value in facts.header_texts(name.lower()))
        case searchkeys.Body(text):
            return body_holds(facts.octets(), _needle(text))
        case searchkeys.Text(text):
            return text_holds(facts.octets(), _needle(text))
    return _matches_column(key, facts)


def _matches_column(key: SearchKey, facts: MessageFacts) -> bool:
    """The keys that look at one plain value."""
    match key:
        case searchkeys.All():
            return True
        case searchkeys.HasFlag(flag):
            return has_flag(facts.flags, flag)
        case searchkeys.Uids(uids):
            return facts.uid in uids
        case searchkeys.Larger(octets):
            return facts.size > octets
        case searchkeys.Smaller(octets):
            return facts.size < octets
        case searchkeys.ModSeq(least):
            return facts.modseq >= least
        case searchkeys.EmailId(wanted_id):
            return facts.email_id == wanted_id
        case searchkeys.ThreadId(wanted_id):
            return facts.thread_id == wanted_id
        case searchkeys.OnDate(field, comparison, wanted):
            day = _day(facts, field)
            return day is not None and compares(day, comparison, wanted.toordinal())
    raise ValueError(f"a session has to resolve {type(key).__name__}")


def _day(facts: MessageFacts, field: DateField) -> int | None:
    match field:
        case DateField.SENT:
            return facts.sent_day
        case DateField.SAVED:
            return internal_day(facts.savedate)
    return internal_day(facts.internaldate)


def has_flag(flags: Flags, flag: str) -> bool:
    """Whether a canonical flag is set; keywords compare without case."""
    if flag in flags:
        return True
    lower = flag.lower()
    return not flag.startswith("\\") and any(each.lower() == lower for each in flags)


def compares(day: int, comparison: Comparison, wanted: int) -> bool:
    """Whether a day stands so to the wanted one."""
    if comparison is Comparison.ON:
        return day == wanted
    return day < wanted if comparison is Comparison.BEFORE else day >= wanted


_needle = lru_cache(256)(casemapped)


# ------------------------------------------------------------------------------------------ text of a message


def header_texts(header: bytes, name: str) -> list[str]:
    """The values of a header's fields of this lower-case name: unfolded, decoded, casemapped, in order."""
    wanted = name.encode()
    return [
        casemapped(decode_header(headers.unfolded(raw))) for found, raw in headers.values(header) if found == wanted
    ]


def body_text(octets: bytes) -> str:
    """What BODY searches: the text of all text/* and message/* parts, decoded and casemapped, each on a new line."""
    return "\n".join(_body_pieces(octets, parse(octets)))


def header_text(octets: bytes) -> str:
    """What TEXT searches beside: all headers, of the message, its parts and attached messages, unfolded and so on."""
    return "\n".join(_header_pieces(octets, parse(octets)))


def body_holds(octets: bytes, needle: str) -> bool:
    """Whether BODY finds a casemapped needle: `needle in body_text(octets)`, most often told without parsing."""
    if needle.isascii() and octets.isascii() and "\n" not in needle:
        lower, sought = octets.lower(), needle.encode()
        if _is_plain(lower):
            if sought not in lower:
                return False
            body = headers.end_of(lower)
            if _is_one_text(lower, body):
                return lower.find(sought, body) >= 0
    return not needle or any(needle in piece for piece in _body_pieces(octets, parse(octets)))


def text_holds(octets: bytes, needle: str) -> bool:
    """Whether TEXT finds a casemapped needle, in a header or in the body."""
    if needle.isascii() and octets.isascii() and "\n" not in needle:
        lower, sought = octets.lower(), needle.encode()
        if b"=?" not in lower and _is_plain(lower):
            if sought not in lower:
                if not all(word in lower for word in sought.split()) or sought not in _unfolded(lower):
                    return False
            elif sought[:1] != b"\t" and b"\r" not in sought and _is_one_text(lower, headers.end_of(lower)):
                return True  # what begins with a tab, or has a CR, may be there in a fold alone
    tree = parse(octets)
    return any(needle in piece for piece in _header_pieces(octets, tree)) or any(
        needle in piece for piece in _body_pieces(octets, tree)
    )


def _is_plain(lower: bytes) -> bool:
    """Whether the octets of a lower-case ASCII message say what they mean: nothing encoded or shifted."""
    return not (
        b"quoted-printable" in lower
        or b"base64" in lower
        or b"utf-7" in lower
        or b"\x1b" in lower
        or b"\0" in lower
        or b"~{" in lower
    )


def _is_one_text(lower: bytes, body: int) -> bool:
    """Whether a lower-case message is surely one text part whose octets are its text; unusual spellings are unsure."""
    kind = lower.find(b"content-t", 0, body)
    while kind >= 0:
        if not lower.startswith(_TEXT_FIELDS, kind - 1):
            return False
        kind = lower.find(b"content-t", kind + 9, body)
    return True


_TEXT_FIELDS = (
    b"\ncontent-type: text/",
    b"\ncontent-transfer-encoding: 7bit\r",
    b"\ncontent-transfer-encoding: 7bit\n",
    b"\ncontent-transfer-encoding: 8bit\r",
    b"\ncontent-transfer-encoding: 8bit\n",
)


def _unfolded(octets: bytes) -> bytes:
    """Every fold made a space; in bodies too, where that can only join what is apart."""
    if b"\n " in octets:
        octets = octets.replace(b"\r\n ", b" ").replace(b"\n ", b" ")
    if b"\n\t" in octets:
        octets = octets.replace(b"\r\n\t", b" ").replace(b"\n\t", b" ")
    return octets


def _body_pieces(octets: bytes, part: Part) -> Iterator[str]:
    """The texts of a part and all below."""
    if part.message is not None:
        yield from _body_pieces(octets, part.message)
    elif part.children:
        for child in part.children:
            yield from _body_pieces(octets, child)
    elif part.media_type in ("text", "message"):
        decoded = decode_transfer(octets[part.body : part.end], part.encoding)
        if decoded:
            charset = part.parameter(b"charset") or b""
            yield casemapped(decode_charset(decoded, charset.decode("latin-1")))


def _header_pieces(octets: bytes, part: Part) -> Iterator[str]:
    """The headers of a part and all below."""
    yield _header_text(octets[part.start : part.body])
    for child in part.children:
        yield from _header_pieces(octets, child)
    if part.message is not None:
        yield from _header_pieces(octets, part.message)


def _header_text(header: bytes) -> str:
    """A header, decoded field by field unless it is plain."""
    header = _unfolded(header)
    if header.isascii() and b"=?" not in header:
        return header.decode("ascii").lower()
    return casemapped("\n".join(map(decode_header, header.split(b"\n"))))
