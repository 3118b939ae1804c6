"""What an SMTP client hears and says: replies, extensions, MAIL and RCPT with their parameters, a message for DATA.

RFC: 5321 §4.2 (replies), §4.5.2 (transparency), 2034 (enhanced status codes), 1870, 6152, 6531, 3461 (parameters)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mailpost.mail.transport import BodyKind, ForwardPath, Notify, ReversePath

LONGEST_LINE = 4096
"""Octets of a line of a reply; RFC 5321 §4.5.3.1.5 allows 512."""
MOST_LINES = 200
"""Lines of one reply."""

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_STATUS = re.compile(r"([245])\.[0-9]{1,3}\.[0-9]{1,3}(?= |$)")
_NOT_XTEXT = re.compile(r"[^!-*,-<>-~]")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")

Extensions = Mapping[str, str]
"""What a server announces: keywords in capitals, with their parameters."""


class ReplyError(Exception):
    """What the server sent is no reply."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a server."""

    code: int
    lines: tuple[str, ...] = ()
    """Without the code; octets that are not UTF-8 are replaced."""

    @property
    def status(self) -> str:
        """The enhanced status code, or the nearest to it where the server gives none. RFC: 3463 §2"""
        found = _STATUS.match(self.lines[0]) if self.lines else None
        return found[0] if found and int(found[1]) == self.code // 100 else f"{self.code // 100}.0.0"

    @property
    def text(self) -> str:
        """All of it on one line."""
        return " ".join([str(self.code), *filter(None, self.lines)])


class ReplyReader:
    """Puts replies together from octets in whatever pieces they come."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lines: list[str] = []

    @property
    def buffered(self) -> bool:
        """Whether something has come that is no whole reply yet."""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that are whole now. Raises ReplyError; nothing is to be fed after that."""
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        if len(rest) > LONGEST_LINE:
            raise ReplyError("the server sends a line without end")
        return [reply for line in lines if (reply := self._line(bytes(line.removesuffix(b"\r"))))]

    def _line(self, line: bytes) -> Reply | None:
        found = _LINE.fullmatch(line)
        if found is None or len(line) > LONGEST_LINE:
            raise ReplyError(f"the server sends what is no reply: {line[:80]!r}")
        self._lines.append((found[3] or b"").decode(errors="replace"))
        if found[2] == b"-":
            if len(self._lines) >= MOST_LINES:
                raise ReplyError("the server sends a reply without end")
            return None
        reply, self._lines = Reply(int(found[1]), tuple(self._lines)), []
        return reply


def extensions(reply: Reply) -> Extensions:
    """What a reply to EHLO announces. RFC: 5321 §4.1.1.1"""
    found: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword, _, parameters = line.replace("AUTH=", "AUTH ", 1).strip().partition(" ")
        found.setdefault(keyword.upper(), parameters.strip())
    return found


def size_limit(announced: Extensions) -> int | None:
    """The octets that a message may have, where the server says so. RFC: 1870 §4"""
    limit = announced.get("SIZE", "")
    return int(limit) if limit.isdecimal() and limit.isascii() and int(limit) else None


def mail_from(sender: ReversePath, announced: Extensions, *, size: int, eight_bit: bool, smtputf8: bool) -> bytes:
    """The MAIL command with all parameters that the server knows. RFC: 5321 §4.1.1.2

    Args:
        sender: who sends.
        announced: the server's extensions.
        size: octets of the message.
        eight_bit: there are others than ASCII in it.
        smtputf8: addresses or header fields are not ASCII.
    """
    words = [f"MAIL FROM:<{_safe(sender.address)}>"]
    if "SIZE" in announced:
        words.append(f"SIZE={size}")
    if "8BITMIME" in announced:
        words.append(f"BODY={(BodyKind.EIGHT_BIT if eight_bit else BodyKind.SEVEN_BIT).value}")
    if smtputf8:
        words.append("SMTPUTF8")
    if "DSN" in announced:
        if sender.returned is not None:
            words.append(f"RET={sender.returned.value}")
        if sender.envelope_id is not None:
            words.append(f"ENVID={xtext(sender.envelope_id)}")
    return " ".join(words).encode() + b"\r\n"


def rcpt_to(recipient: ForwardPath, announced: Extensions) -> bytes:
    """The RCPT command with all parameters that the server knows. RFC: 3461 §4.1, §4.2"""
    words = [f"RCPT TO:<{_safe(recipient.address)}>"]
    if "DSN" in announced:
        if recipient.notify is not None:
            chosen = [each.value for each in Notify if each in recipient.notify]
            words.append(f"NOTIFY={','.join(chosen) or Notify.NEVER.value}")
        if recipient.original is not None:
            kind, _, address = recipient.original.partition(";")
            words.append(f"ORCPT={kind};{xtext(address)}")
    return " ".join(words).encode() + b"\r\n"


def _safe(address: str) -> str:
    """An address that is one argument and cannot be another command."""
    if _UNSAFE.search(address):
        raise ValueError("an address with control characters")
    return address


def xtext(text: str) -> str:
    """Text as a parameter can have it. RFC: 3461 §4, 6533 §3 (utf-8-addr-xtext for what is not ASCII)"""
    if text.isascii():
        return _NOT_XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", text)
    return re.sub(r"[^!-*,-<>-\[\]-~]", lambda found: f"\\x{{{ord(found[0]):X}}}", text)


class DotStuffing:
    """A message on its way through DATA: a line that begins with a dot gets one more, wherever the pieces are cut.

    Only CRLF ends a line here: a bare LF or CR is an octet like any other, and is for whoever takes mail in to refuse.

    RFC: 5321 §4.5.2
    """

    def __init__(self) -> None:
        self._last = b"\r\n"
        """The last two octets so far; the message begins as a new line does."""

    def add(self, piece: bytes) -> bytes:
        """The next piece as it is to be sent."""
        known = len(self._last)
        joined = self._last + piece
        self._last = joined[-2:]
        return joined.replace(b"\r\n.", b"\r\n..")[known:]

    def end(self) -> bytes:
        """What ends the message; one whose last line is not ended is ended."""
        return b".\r\n" if self._last == b"\r\n" else b"\r\n.\r\n"
