"""A message, and each of its parts, as Twisted's own `IMAP4Server` wants it: `IMessageIMAP`.

The stock server disconnects on header values that are not ASCII and on Content-Type fields that it cannot parse, and
describes parts without one wrongly. So it is given values made safe (RFC 2047), and a Content-Type as we read it, for
each part; the whole message it gets as it stands.
"""

from __future__ import annotations

from email.header import Header
from io import BytesIO

from twisted.mail.imap4 import MailboxException
from twisted.mail.interfaces import IMessageIMAP, IMessageIMAPFile, IMessageIMAPPart
from zope.interface import implementer

from mailpost.mail import headers
from mailpost.mail.dates import format_internaldate
from mailpost.mail.flags import Flags
from mailpost.mail.mime import Part, parse


def safe_value(raw: bytes) -> str:
    """A header's value on one line, in ASCII."""
    line = b" ".join(raw.split())
    if line.isascii():
        return line.decode("ascii")
    return Header(line.decode("utf-8", "replace"), "utf-8", maxlinelen=10_000).encode()


def content_type(part: Part) -> str:
    """A part's media type and parameters, written anew."""
    quoted = (
        f'; {name.decode()}="{value.decode().translate({34: None, 92: None})}"'
        for name, value in part.parameters
        if name.isascii() and value.isascii()
    )
    return f"{part.media_type}/{part.subtype}" + "".join(quoted)


@implementer(IMessageIMAPPart)
class StockPart:
    """One part of a message."""

    def __init__(self, octets: bytes, part: Part) -> None:
        self._octets = octets
        self._part = part

    def getHeaders(self, negate: bool, *names: str) -> dict[str, str]:
        """Fields by lower-case name: those named, or all others; of a field that comes twice, the first."""
        wanted = {name.lower() if isinstance(name, str) else name.decode("latin-1").lower() for name in names}
        found: dict[str, str] = {}
        if ("content-type" in wanted) is not negate:
            found["content-type"] = content_type(self._part)
        for raw, start, end in headers.fields(self._octets, self._part.start, self._part.body):
            name = raw.decode("latin-1")
            if name.isascii() and (name in wanted) is not negate and name not in found:
                value = self._octets[start:end].partition(b":")[2]
                found[name] = safe_value(value)
        return found

    def getBodyFile(self) -> BytesIO:
        """The body's octets."""
        return BytesIO(self._octets[self._part.body : self._part.end])

    def getSize(self) -> int:
        """Octets of the body."""
        return self._part.end - self._part.body

    def isMultipart(self) -> bool:
        """Whether there are parts below."""
        return bool(self._part.children)

    def getSubPart(self, part: int) -> StockPart:
        """The part of this index, from 0; TypeError where there are none, IndexError where it is out of range."""
        if not self._part.children:
            raise TypeError("not a multipart")
        return StockPart(self._octets, self._part.children[part])


@implementer(IMessageIMAP, IMessageIMAPFile)
class StockMessage(StockPart):
    """One message."""

    def __init__(self, uid: int, flags: Flags, size: int, internaldate: int, octets: bytes | None) -> None:
        self.uid = uid
        self._flags = flags
        self._size = size
        self._internaldate = internaldate
        self._whole = octets

    def getUID(self) -> int:
        """The message's UID."""
        return self.uid

    def getFlags(self) -> list[str]:
        """The message's flags."""
        return sorted(self._flags)

    def getInternalDate(self) -> str:
        """When the message came in, as IMAP writes it."""
        return format_internaldate(self._internaldate)

    def getSize(self) -> int:
        """Octets of the whole message."""
        return self._size

    def open(self) -> BytesIO:
        """The whole message."""
        return BytesIO(self._octets)

    @property
    def _octets(self) -> bytes:  # type: ignore[override]
        if self._whole is None:
            raise MailboxException("Too much for one FETCH: ask for fewer messages at a time")
        return self._whole

    @property
    def _part(self) -> Part:  # type: ignore[override]
        return parse(self._octets)
