"""The letters of IMAP's grammar: character classes, bounds, and the error that every parser raises.

RFC: 3501 §9, 9051 §9
"""

from __future__ import annotations

import re

LARGEST_NUMBER = 0xFFFF_FFFF
"""Sequence numbers, UIDs and other `number`s are at most this. RFC: 3501 §9 (number)"""
LARGEST_NUMBER64 = (1 << 63) - 1
"""Sizes and mod-sequences are at most this. RFC: 9051 §9 (number64), 7162 §7 (mod-sequence-value)"""

MOST_DEPTH = 50
"""Search keys and lists may lie this deep in each other."""
MOST_KEYS = 1_000
"""So many search keys, fetch items or other elements a command may have."""
MOST_RANGES = 100_000
"""So many ranges a sequence set may have: more than any line within the decoder's default limit can hold."""

LONGEST_KEYWORD = 255
"""So many octets a keyword may have."""
MONTHS = {
    name: number for number, name in enumerate(b"JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), start=1)
}
"""Months of dates by name. RFC: 3501 §9 (date-month)"""


class ParseError(ValueError):
    """What the client sent is not IMAP: the answer is BAD with this text.

    Attributes:
        text: what was expected and where, in ASCII without line ends, fit for the reply.
        tag: the command's tag where that could be read; None asks for an untagged BAD.
        code: a response code without its brackets, b"" for none.
    """

    def __init__(self, text: str, tag: bytes | None = None, code: bytes = b"") -> None:
        super().__init__(text)
        self.text = text
        self.tag = tag
        self.code = code


class UnknownCommandError(ParseError):
    """A well-formed tag and a command name that this module does not know.

    Attributes:
        name: the name in capitals, `UID X` for a UID command.
    """

    def __init__(self, name: str, tag: bytes) -> None:
        super().__init__(f"Unknown command {name[:40]}", tag)
        self.name = name


# atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
# CTL is %x00-1F and %x7F; 8-bit octets are no CHAR, so they are no atom characters either.
_ATOM = rb"[^\x00-\x20(){%*\"\\\]\x7f-\xff]+"

TAG = rb"[^\x00-\x20(){%*\"\\+\x7f-\xff]+"
"""tag = 1*<any ASTRING-CHAR except "+">"""
ATOM_MATCH = re.compile(_ATOM).match
"""atom = 1*ATOM-CHAR"""
ASTRING_MATCH = re.compile(rb"[^\x00-\x20(){%*\"\\\x7f-\xff]+").match
"""1*ASTRING-CHAR: atom characters and "]"."""
ASTRING_FULL = re.compile(rb"[^\x00-\x20(){%*\"\\\x7f-\xff]+").fullmatch
LIST_MATCH = re.compile(rb"[^\x00-\x20(){\"\\\x7f-\xff]+").match
"""1*list-char: atom characters, "]" and the wildcards."""
QUOTED_MATCH = re.compile(rb'"((?:[^"\\\x00\r\n]|\\["\\])*+)"').match
"""quoted = DQUOTE *QUOTED-CHAR DQUOTE; 8-bit octets are let through for UTF-8 (RFC 6855)."""
LITERAL_MATCH = re.compile(rb"(~?)\{(\d{1,19})\+?\}").match
"""The announcement of a literal as it is left in the text of a CommandLine. RFC: 7888 §6, 3516 §3"""
NUMBER_MATCH = re.compile(rb"\d{1,20}").match
FLAG_MATCH = re.compile(rb"\\?" + _ATOM).match
"""flag = "\\" atom / atom"""
BASE64_FULL = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?").fullmatch
"""base64 = *(4base64-char) [base64-terminal]"""
