"""The first words of a message, for lists: what its first readable text says, without quotes, signature and markup.

The work is bounded whatever the message is: a few parts are looked at, and the first octets of each.

RFC: 8970 §3.2, §3.3
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import islice

from mailpost.mail.encodings import decode_charset, decode_transfer
from mailpost.mail.mime import Part

LONGEST = 200
"""Characters of a preview."""
_MOST_PARTS = 4
_FIRST_OCTETS = (2 << 10, 64 << 10)
"""Encoded octets of a part that are looked at: as many as most often do, and the bound."""

_CONTROLS = {code: " " for code in (*range(32), *range(127, 160)) if code not in (9, 10, 13)}
_INVISIBLE = dict.fromkeys((173, 847, 8203, 8288, 65279))
"""What newsletters fill the room behind their first words with."""
_JOINERS = "\u200c\u200d"
_CLEANED = {**_CONTROLS, **_INVISIBLE}
_SIGNATURE = re.compile(r"^-- ?\r?$", re.MULTILINE)
_QUOTED = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_ATTRIBUTION = re.compile(r"^[^\n]{0,200}:[ \t]*\r?\n(?:[ \t]*\r?\n)?(?=[ \t]*>)", re.MULTILINE)
"""The line before a quote, which says whose it is."""


def preview(octets: bytes, tree: Part) -> str:
    """At most 200 characters on one line; "" where a message has no text that could be shown. Never fails.

    Args:
        octets: the whole message.
        tree: its structure (`mail.mime.parse`).
    """
    for part in islice(_texts(tree), _MOST_PARTS):
        text = shown = ""
        for most in _FIRST_OCTETS:
            text = _decoded(octets, part, most)
            shown = _line(_Reader().text_of(text) if part.subtype == "html" else _own(text))
            if len(shown) >= LONGEST or part.end - part.body <= most:
                break
        if not shown and part.subtype == "plain":
            shown = _line(text)
        if shown:
            return shown[:LONGEST].rstrip()
    return ""


def _texts(part: Part) -> Iterator[Part]:
    """The parts that can be shown, the best first."""
    if part.message is not None:
        yield from _texts(part.message)
    elif part.children:
        children = part.children
        if part.subtype == "alternative":
            children = sorted(children, key=lambda child: (child.media_type, child.subtype) != ("text", "plain"))
        for child in children:
            yield from _texts(child)
    elif part.media_type == "text" and part.subtype in ("plain", "html") and not _is_attachment(part):
        yield part


def _is_attachment(part: Part) -> bool:
    return part.disposition is not None and part.disposition[0].lower() == b"attachment"


def _decoded(octets: bytes, part: Part, most: int) -> str:
    """The beginning of a part's text."""
    stop = min(part.end, part.body + most)
    plain = decode_transfer(octets[part.body : stop], part.encoding) or b""
    if stop < part.end:
        plain = _whole_characters(plain)
    return decode_charset(plain, (part.parameter(b"charset") or b"").decode("latin-1"))


def _whole_characters(octets: bytes) -> bytes:
    """Without the UTF-8 character that the end cuts, if it is one."""
    for back in range(1, min(4, len(octets)) + 1):
        octet = octets[-back]
        if octet & 0xC0 != 0x80:
            return octets[:-back] if octet >= 0xC0 else octets
    return octets


def _own(text: str) -> str:
    """What the sender wrote: no quoted lines, no signature."""
    own = _QUOTED.sub("", _ATTRIBUTION.sub("", text)) if ">" in text else text
    signature = _SIGNATURE.search(own)
    return own[: signature.start()] if signature else own


def _line(text: str) -> str:
    """A text with its white space collapsed and without what cannot be seen."""
    words: list[str] = []
    room = LONGEST
    for found in re.finditer(r"\S+", text.translate(_CLEANED)):
        word = found[0]
        if not word.isascii() and not word.strip(_JOINERS):
            continue
        words.append(word[: LONGEST + 1])
        room -= len(words[-1]) + 1
        if room < 0:
            break
    return " ".join(words)


class _EnoughError(Exception):
    """There is text enough."""


_HIDDEN = frozenset(("script", "style", "head", "title", "template", "noscript", "object", "svg"))
_INLINE = frozenset(
    [
        "a",
        "abbr",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "em",
        "font",
        "i",
        "mark",
        "s",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "tt",
        "u",
        "wbr",
    ]
)


class _Reader(HTMLParser):
    """Reads the text of HTML: tags that are not inside a line are white space."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._hidden = ""
        self._visible = 0

    def text_of(self, html: str) -> str:
        """The first text of a document, cut anywhere."""
        try:
            # Without `close`: what is not complete is not looked at again and again.
            self.feed(html)
        except _EnoughError:
            pass
        except (AssertionError, ValueError):  # the parser gives up on some declarations
            pass
        return "".join(self._pieces)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag opens."""
        if tag in _HIDDEN and not self._hidden:
            self._hidden = tag
        elif tag == "body":
            self._hidden = ""
        if tag not in _INLINE:
            self._pieces.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag that closes itself hides nothing."""
        if tag not in _INLINE:
            self._pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        """A tag closes."""
        if tag == self._hidden:
            self._hidden = ""
        if tag not in _INLINE:
            self._pieces.append(" ")

    def handle_data(self, data: str) -> None:
        """Text."""
        if not self._hidden:
            self._pieces.append(data)
            self._visible += sum(map(len, data[: 4 * LONGEST].split()))
            if self._visible > 2 * LONGEST:
                raise _EnoughError
