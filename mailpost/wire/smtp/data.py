"""A message behind DATA: where it ends, and its octets without the dots that SMTP puts before dots.

Only CR LF "." CR LF ends a message. What other servers may take for line ends (a CR or LF alone) ends nothing here and
is told of: whoever sends it may mean to smuggle a second message behind the first. It works on pieces of any size,
with a few passes over each in C, and keeps at most four octets between them.

RFC: 5321 §2.3.8, §4.1.1.4, §4.5.2 (lines, the end, transparency)
"""

from __future__ import annotations

from mailpost.mail.lineends import all_lf

_END = b"\r\n.\r\n"
_PARTS = tuple(_END[:size] for size in range(4, 0, -1))


class DataDecoder:
    """Takes the pieces of one message."""

    __slots__ = ("_held", "_virtual", "bare")

    def __init__(self) -> None:
        # A dot in the first line is a dot at the beginning of a line, as if DATA's own CRLF came with the message.
        self._held = b"\r\n"
        self._virtual = 2
        self.bare = False
        """There was a CR or LF alone."""

    def feed(self, piece: bytes) -> tuple[bytes, int | None]:
        """The octets of the message that are certain now; and, at its end, how many octets of this piece were used."""
        held = self._held
        octets = held + piece if held else piece
        dot = octets.find(b"\r\n.") if b"." in octets else -1  # most of a large message is base64, which has none
        end = octets.find(_END, dot) if dot >= 0 else -1
        if end < 0:
            self._held = next((part for part in _PARTS if octets.endswith(part)), b"")
            certain, used = octets[: len(octets) - len(self._held)] if self._held else octets, None
        else:
            certain, used = octets[: end + 2], end + len(_END) - len(held)
        self.bare = self.bare or _is_bare(certain)
        if dot >= 0:
            certain = certain.replace(b"\r\n.", b"\r\n")
        if self._virtual and certain:
            certain = certain[self._virtual :]
            self._virtual = 0
        return certain, used


def has_bare(octets: bytes, after: bytes = b"") -> tuple[bool, bytes]:
    """Whether a CR or LF stands alone in a piece of a chunked message, behind `after`; what goes before the next piece.

    A CR at the end of a piece is not judged before its next octet is there: it is handed back to be given again.
    """
    octets = after + octets if after else octets
    left = b"\r" if octets.endswith(b"\r") else b""
    return _is_bare(octets[:-1] if left else octets), left


def _is_bare(octets: bytes) -> bool:
    """Whether a CR or LF stands alone."""
    return all_lf(octets) is None
