"""What can be followed in a message, and the text of its HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

_IN_TEXT = re.compile(r"https?://[^\s<>\"'`{}|\\^\x00-\x20]+", re.IGNORECASE)
_FOLLOWED = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_NEVER = ("javascript:", "data:", "cid:")
_HIDDEN = frozenset(("script", "style", "head", "title", "template", "noscript"))
_INLINE = frozenset(
    ("a", "abbr", "b", "big", "cite", "code", "em", "font", "i", "mark", "s", "small", "span", "strong", "u", "wbr")
)
_CELLS = frozenset(("td", "th", "img", "input", "button"))


class Html(HTMLParser):
    """The text and the links of an HTML document."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self._pieces: list[str] = []
        self._hidden = 0
        self.feed(document)
        self.close()

    @property
    def text(self) -> str:
        """What is to be read, a line for each block."""
        lines = (" ".join(line.split()) for line in "".join(self._pieces).split("\n"))
        return "\n".join(line for line in lines if line)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag opens."""
        if tag in ("a", "area"):
            target = next((value or "" for name, value in attrs if name == "href"), "").strip()
            if _FOLLOWED.match(target) and not target.lower().startswith(_NEVER):
                self.links.append(target)
        self._hidden += tag in _HIDDEN
        self._apart(tag)

    def handle_endtag(self, tag: str) -> None:
        """A tag closes."""
        self._hidden = max(0, self._hidden - (tag in _HIDDEN))
        self._apart(tag)

    def handle_data(self, data: str) -> None:
        """Text between tags; line ends in it are spaces."""
        if not self._hidden:
            self._pieces.append(data.replace("\r", " ").replace("\n", " "))

    def _apart(self, tag: str) -> None:
        if tag not in _INLINE:
            self._pieces.append(" " if tag in _CELLS else "\n")


def in_text(text: str) -> Iterator[str]:
    """The addresses of the web that stand in a text, without the punctuation behind them."""
    for match in _IN_TEXT.finditer(text):
        found = match[0].rstrip(".,;:!?*_")
        while found.endswith((")", "]")) and found.count(found[-1]) > found.count("(["[")]".index(found[-1])]):
            found = found[:-1].rstrip(".,;:!?*_")
        yield found
