"""MIME structure: one pass over the octets of a message gives a tree of parts, each a set of offsets.

Nothing is copied or written anew, and nothing fails: whatever the octets are, there is a tree whose parts lie
inside them. Time is linear in the size of the message: every octet is looked at a bounded number of times, however
the boundaries are nested. What is nested deeper than `DEEPEST`, or comes after `MOST_PARTS` parts, stays undivided.

RFC: 2045, 2046 §5.1 (multipart), §5.2.1 (message/rfc822)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from mailpost.mail import contentfields, headers
from mailpost.mail.contentfields import MediaType, Parameters

DEEPEST = 100
"""Levels of multipart and message/rfc822 inside each other that are looked into."""
MOST_PARTS = 10_000
"""Parts of one message that are told apart."""

_LONGEST_BOUNDARY = 200
"""As much of a boundary is compared; it may have 70 octets. RFC: 2046 §5.1.1"""

_PLAIN: MediaType = ("text", "plain", ((b"charset", b"us-ascii"),))
_MESSAGE: MediaType = ("message", "rfc822", ())
_COUNTED = ("text", "message")


@dataclass(slots=True)
class Part:
    """A part, or the message itself: header in `octets[start:body]`, body in `octets[body:end]`.

    The header includes the empty line behind it. The line end before a boundary belongs to no part.
    """

    start: int
    body: int
    end: int
    media_type: str = "text"
    """Lower-case, like `subtype` and `encoding`. A missing or unreadable type is text/plain; us-ascii."""
    subtype: str = "plain"
    parameters: Parameters = ()
    encoding: str = "7bit"
    content_id: bytes | None = None
    description: bytes | None = None
    md5: bytes | None = None
    disposition: tuple[bytes, Parameters] | None = None
    language: tuple[bytes, ...] = ()
    location: bytes | None = None
    lines: int = 0
    """Line feeds in the body of a text/* or message/* part; 0 for others."""
    children: list[Part] = field(default_factory=list)
    """The parts of a multipart, never empty there: one without parts has its whole body as one text/plain part."""
    message: Part | None = None
    """The message in a message/rfc822 or message/global part (`start` is this part's `body`)."""

    def parameter(self, name: bytes) -> bytes | None:
        """The value of a Content-Type parameter, raw, by lower-case name."""
        return next((value for key, value in self.parameters if key == name), None)


class _Delimiter(NamedTuple):
    """A boundary line: where it starts, how deep its multipart is, whether it is the last, where the next line is."""

    line: int
    level: int
    last: bool
    after: int


def parse(octets: bytes) -> Part:
    """The tree of a message.

    Args:
        octets: the whole message, with CRLF line ends; bare LF is understood as well.

    Returns:
        The part that is the message: start 0, end len(octets).

    RFC: 2045 §5.2, 2046 §5.1.1
    """
    parser = _Parser(octets)
    return parser.entity(0, 0, _PLAIN)


class _Parser:
    """One run over one message. `delimiter` is the boundary line that ended the last entity, None at the end."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.delimiter: _Delimiter | None = None
        self.parts = 0
        self.open: list[bytes] = []
        self.levels: dict[bytes, int] = {}
        self.lengths: list[int] = []
        self.blank = -1

    def entity(self, start: int, depth: int, default: MediaType) -> Part:
        """The part whose header starts at `start`; sets `delimiter` to what ended it."""
        self.parts += 1
        body = self.header_end(start)
        self.delimiter = self.next_delimiter(start, body)
        if self.delimiter:  # a boundary inside the header: there is no body
            body = self.delimiter.line
        part = _described(self.octets, start, body, default)
        is_message = part.media_type == "message" and part.subtype in ("rfc822", "global")
        if self.delimiter or (depth >= DEEPEST and part.media_type != "multipart"):
            self.leaf(part)
            if is_message:
                part.message = self.filler(part)
        elif part.media_type == "multipart":
            self.multipart(part, depth)
        elif is_message:
            part.message = self.entity(body, depth + 1, _PLAIN)
            part.end = part.message.end
        else:
            self.leaf(part)
        if part.media_type == "multipart" and not part.children:
            part.children.append(self.filler(part))
        self.count_lines(part)
        return part

    def leaf(self, part: Part) -> None:
        """Find the end of a part that is not divided, unless it has been found in its header."""
        if not self.delimiter:
            self.delimiter = self.next_delimiter(part.body, len(self.octets))
            part.end = self.before(self.delimiter, part.body)

    def filler(self, part: Part) -> Part:
        """What a multipart without parts, or an undivided message, has inside since it must: its body as plain text.

        RFC: 3501 §9 (body-type-mpart, body-type-msg)
        """
        inside = Part(part.body, part.body, part.end, parameters=_PLAIN[2])
        self.count_lines(inside)
        return inside

    def count_lines(self, part: Part) -> None:
        """Count the lines of a text or message; those of messages in messages in messages only once."""
        if part.media_type in _COUNTED:
            inner = part.message if part.message and part.message.media_type in _COUNTED else None
            part.lines = self.octets.count(b"\n", part.body, inner.body if inner else part.end)
            part.lines += inner.lines if inner else 0

    def multipart(self, part: Part, depth: int) -> None:
        """Divide a multipart whose header has been read, up to what ends it."""
        boundary = _boundary(part) if depth < DEEPEST else b""
        body, level = part.body, len(self.open)
        if boundary:
            self.push(boundary)
        found = self.next_delimiter(body, len(self.octets))
        if boundary:
            default = _MESSAGE if part.subtype == "digest" else _PLAIN
            while found and found.level == level and not found.last:
                part.children.append(self.entity(found.after, depth + 1, default))
                found = self.delimiter
            self.pop()
            if found and found.level == level:
                found = self.next_delimiter(found.after, len(self.octets))
        self.delimiter = found
        part.end = self.before(found, part.children[-1].end if part.children else body)

    def push(self, boundary: bytes) -> None:
        """Look for this boundary too; one that is open already is the inner one's until it closes."""
        self.open.append(boundary)
        self.index()

    def pop(self) -> None:
        """Look for the innermost boundary no longer."""
        self.open.pop()
        self.index()

    def index(self) -> None:
        self.levels = {boundary: level for level, boundary in enumerate(self.open)}
        self.lengths = sorted({len(boundary) for boundary in self.open}, reverse=True)

    def header_end(self, start: int) -> int:
        """Where the body begins. The next empty line is remembered, lest many parts without one search to the end."""
        if self.octets.startswith((b"\r\n", b"\n"), start):
            return start + (2 if self.octets[start] == 13 else 1)
        if self.blank <= start:
            self.blank = headers.end_of(self.octets, start)
        return self.blank

    def next_delimiter(self, at: int, limit: int) -> _Delimiter | None:
        """The first line of an open boundary that starts at or behind the line start `at`, before `limit`.

        A line is compared with its beginning only, and the longest boundary counts. RFC: 2046 §5.1.1
        """
        octets = self.octets
        if not self.open or self.parts >= MOST_PARTS:
            return None
        found = octets.find(b"\n--", at - 1, limit)
        while found >= 0:
            line = found + 1
            text = line + 2
            line_end = octets.find(b"\n", text)
            if line_end < 0:
                line_end = len(octets)
            for length in self.lengths:
                if text + length <= line_end:
                    level = self.levels.get(octets[text : text + length])
                    if level is not None:
                        last = octets.startswith(b"--", text + length)
                        return _Delimiter(line, level, last, min(line_end + 1, len(octets)))
            found = octets.find(b"\n--", line_end, limit)
        return None

    def before(self, delimiter: _Delimiter | None, least: int) -> int:
        """Where a body ends that this boundary line follows: before the line end, which is the boundary's.

        Not before `least`: the line end may be that of a header or of an inner boundary.
        """
        if delimiter is None:
            return len(self.octets)
        end = delimiter.line - 1
        if self.octets.startswith(b"\r\n", end - 1):
            end -= 1
        return max(end, least)


def _boundary(part: Part) -> bytes:
    return (part.parameter(b"boundary") or b"")[:_LONGEST_BOUNDARY].rstrip()


def _described(octets: bytes, start: int, body: int, default: MediaType) -> Part:
    """A part with what its Content-* fields say; of a repeated field the first counts."""
    part = Part(start, body, body)
    seen: dict[bytes, bytes] = {}
    for name, value in headers.values(octets, start, body):
        if name.startswith(b"content-"):
            seen.setdefault(name, value)
    raw_type = seen.pop(b"content-type", None)
    if raw_type is None:
        part.media_type, part.subtype, part.parameters = default
    else:
        media_type = contentfields.media_type(headers.unfolded(raw_type))
        part.media_type, part.subtype, part.parameters = media_type
        if media_type[0] == "text" and not any(key == b"charset" for key, _ in media_type[2]):
            part.parameters = (*media_type[2], *_PLAIN[2])
    for name, raw in seen.items():
        _describe(part, name, headers.unfolded(raw))
    return part


def _describe(part: Part, name: bytes, value: bytes) -> None:
    """Take one Content-* field other than Content-Type. RFC: 2045 §6, §7, §8, 2183 §2"""
    match name:
        case b"content-transfer-encoding":
            part.encoding = contentfields.transfer_encoding(value)
        case b"content-disposition":
            part.disposition = contentfields.disposition(value)
        case b"content-id":
            part.content_id = value
        case b"content-description":
            part.description = value
        case b"content-md5":
            part.md5 = value
        case b"content-language":
            part.language = contentfields.languages(value)
        case b"content-location":
            part.location = value
