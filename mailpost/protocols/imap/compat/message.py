"""Messages as Twisted has them: their octets, and what a search asks of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from twisted.mail.interfaces import IMessageIMAPFile
from zope.interface import implementer

from mailpost.mail.dates import parse_date, parse_internaldate
from mailpost.mail.flags import RECENT, Flags, canonical, intern_flags
from mailpost.mail.headers import end_of
from mailpost.mail.lineends import to_crlf
from mailpost.mail.searching import header_texts
from mailpost.storage.interfaces import ISpool
from mailpost.wire.imap.structures import summarise

IN_MEMORY = 1024 * 1024
"""Octets of a message on its way in that are kept out of a file."""

_BOUNDARY = re.compile(rb'boundary\s*=\s*"?([^";\r\n]+)', re.IGNORECASE)

_BARE_LF = re.compile(rb"(?<!\r)\n")


@implementer(ISpool)
class MessageFile:
    """A message on its way in, as a file: what Twisted's mailboxes take."""

    def __init__(self) -> None:
        self.size = 0
        # Whoever takes the message closes it; it vanishes with the last reference otherwise.
        self.file: IO[bytes] = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115

    @classmethod
    def of(cls, octets: bytes) -> MessageFile:
        """One that is complete."""
        made = cls()
        made.write(octets)
        return made

    def write(self, data: bytes) -> None:
        """Take the next octets."""
        self.size += len(data)
        self.file.write(data)

    def opened(self) -> IO[bytes]:
        """The file at its beginning."""
        self.file.seek(0)
        return self.file

    def abort(self) -> None:
        """Nothing to do: it is gone when nobody has it any more."""


def flags_of(flags: Iterable[str | bytes]) -> Flags:
    """Flags of a message or mailbox in our spelling, without \\Recent, which a session knows for itself."""
    named = (flag.decode("ascii", "replace") if isinstance(flag, bytes) else flag for flag in flags)
    return intern_flags(flag for flag in map(canonical, named) if flag != RECENT)


def octets_of(message: Any) -> bytes:
    """The whole message with CRLF line ends: from its file where it has one, else put together from its parts."""
    file: Any = IMessageIMAPFile(message, None)
    if file is not None:
        with file.open() as source:
            return to_crlf(source.read())
    return _assembled(message)


def _assembled(message: Any) -> bytes:
    header = b"".join(
        b"%b: %b\r\n" % (_octets(name).title(), _octets(value)) for name, value in message.getHeaders(True).items()
    )
    if not message.isMultipart():
        return header + b"\r\n" + _BARE_LF.sub(b"\r\n", message.getBodyFile().read())
    found = _BOUNDARY.search(header)
    boundary = found[1] if found else b"=_between_the_parts"
    if not found:
        header += b'Content-Type: multipart/mixed; boundary="%b"\r\n' % boundary
    parts = b"".join(b"\r\n--%b\r\n%b" % (boundary, _assembled(part)) for part in _parts(message))
    return header + parts + b"\r\n--" + boundary + b"--\r\n"


def _parts(message: Any) -> Iterable[Any]:
    number = 0
    while True:
        try:
            part = message.getSubPart(number)
        except IndexError:
            return
        yield part
        number += 1


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def internaldate_of(message: Any) -> int:
    """Seconds since the epoch: INTERNALDATE, which is written in several ways; 0 where it cannot be read."""
    date = message.getInternalDate()
    try:
        return parse_internaldate(date)
    except ValueError:
        sent = parse_date(date)
        return 0 if sent is None else sent.seconds


@dataclass
class StockFacts:
    """A message, as a search sees it."""

    uid: int
    flags: Flags
    message: Any
    modseq: int = 0

    @cached_property
    def whole(self) -> bytes:
        """All octets."""
        return octets_of(self.message)

    @property
    def size(self) -> int:
        """Of all octets."""
        return len(self.whole)

    @property
    def internaldate(self) -> int:
        """Seconds since the epoch."""
        return internaldate_of(self.message)

    @property
    def savedate(self) -> int:
        """That is not kept here. RFC: 8514 §4.3"""
        return self.internaldate

    @property
    def email_id(self) -> bytes:
        """EMAILID."""
        return summarise(self.whole).email_id

    @property
    def thread_id(self) -> bytes:
        """THREADID."""
        return summarise(self.whole).thread_id

    @property
    def sent_day(self) -> int | None:
        """The Date field's day."""
        return summarise(self.whole).sent_day

    def header_texts(self, name: str) -> list[str]:
        """Decoded fields of this name."""
        return header_texts(self.whole[: end_of(self.whole)], name)

    def octets(self) -> bytes:
        """All octets."""
        return self.whole
