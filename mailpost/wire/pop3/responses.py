"""What a POP3 server says: single lines, multi-line answers, messages with their dots stuffed.

RFC: 1939 §3 (byte-stuffing), 2449 §3, §8, 3206 (response codes)
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable

from mailpost.mail.errors import ErrorKind
from mailpost.mail.headers import end_of

END = b".\r\n"
"""The end of an answer of several lines."""

_CODES: dict[ErrorKind, bytes] = {
    ErrorKind.IN_USE: b"IN-USE",
    ErrorKind.AUTHENTICATION_FAILED: b"AUTH",
    ErrorKind.AUTHORIZATION_FAILED: b"AUTH",
    **dict.fromkeys(
        (ErrorKind.UNAVAILABLE, ErrorKind.DISK_FULL, ErrorKind.OVER_QUOTA, ErrorKind.LIMIT, ErrorKind.BUG), b"SYS/TEMP"
    ),
    **dict.fromkeys(
        (ErrorKind.CORRUPT, ErrorKind.NO_PERMISSION, ErrorKind.READ_ONLY, ErrorKind.NO_SUCH_FOLDER), b"SYS/PERM"
    ),
}


def code_of(kind: ErrorKind) -> bytes:
    """The response code of a kind of failure; b"" where none says more than the text. RFC: 2449 §8, 3206 §4, §5"""
    return _CODES.get(kind, b"")


def ok(text: bytes = b"") -> bytes:
    """A positive answer."""
    return b"+OK " + printable(text) + b"\r\n" if text else b"+OK\r\n"


def error(text: bytes, code: bytes = b"") -> bytes:
    """A negative answer, with a response code or none."""
    return b"-ERR [" + code + b"] " + printable(text) + b"\r\n" if code else b"-ERR " + printable(text) + b"\r\n"


def challenge(octets: bytes) -> bytes:
    """A SASL challenge. RFC: 5034 §4"""
    return b"+ " + b64encode(octets) + b"\r\n"


def printable(text: bytes) -> bytes:
    """Text without line ends. RFC: 2449 §4 allows 512 octets a line"""
    return text.translate(_SPACES)[:400]


_SPACES = bytes.maketrans(b"\r\n\0", b"   ")


def lines(each: Iterable[bytes]) -> bytes:
    """Lines that begin with no dot, and the end of the answer."""
    return b"".join([line + b"\r\n" for line in each]) + END


class DotStuffer:
    """Makes a message fit to be sent: a dot before each line that begins with one.

    A line begins behind every LF: most clients take a bare LF for the end of a line, and must not find the end of the
    answer, and behind it whatever somebody wrote into a message, where we saw none. What is fed may be cut anywhere.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = b"\r\n"

    def feed(self, octets: bytes) -> bytes:
        """The next piece of the message, ready to be sent."""
        if not octets:
            return b""
        stuffed = octets.replace(b"\n.", b"\n..")
        if self._last.endswith(b"\n") and octets.startswith(b"."):
            stuffed = b"." + stuffed
        self._last = (self._last + octets[-2:])[-2:]
        return stuffed

    def end(self) -> bytes:
        """What ends the answer; a last line without an end gets one. RFC: 1939 §3"""
        return END if self._last == b"\r\n" else b"\r\n" + END


_WINDOW = 16 << 10


def top(octets: bytes, count: int) -> bytes:
    """The header of a message, the blank line, and this many lines of the body. RFC: 1939 §7"""
    at = end_of(octets)
    while count:
        here = octets.count(b"\n", at, at + _WINDOW)  # quicker than going from line to line
        if here > count:
            for _ in range(count):
                at = octets.index(b"\n", at) + 1
            break
        count -= here
        at = octets.rindex(b"\n", at, at + _WINDOW) + 1 if here and not count else at + _WINDOW
        if at >= len(octets):
            return octets
    return octets[:at]


def default_uidl(uid: int, uidvalidity: int) -> bytes:
    """The UIDL of a message, as Dovecot makes it where nothing else is set: 16 hexadecimal digits. RFC: 1939 §7"""
    return b"%08x%08x" % (uid, uidvalidity)


def is_uidl(uidl: str) -> bool:
    """Whether this can be one: 1 to 70 octets from 0x21 to 0x7E. RFC: 1939 §7"""
    return 0 < len(uidl) <= 70 and all("!" <= octet <= "~" for octet in uidl)
