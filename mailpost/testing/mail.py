"""A message as a test sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from functools import cached_property
from itertools import chain

from mailpost.mail import headers
from mailpost.mail.content import content_id, file_name, is_text, leaves, octets_of, text_of
from mailpost.mail.encodings import decode_header
from mailpost.mail.flags import NO_FLAGS, Flags
from mailpost.mail.mime import Part, parse
from mailpost.testing.codes import one_time_code
from mailpost.testing.links import Html, in_text


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part of a message that is not its text."""

    name: str
    """The name of the file; "" where there is none."""
    type: str
    """"application/pdf"."""
    octets: bytes
    """Decoded."""
    content_id: str = ""
    """How its HTML names it, without angle brackets."""


class Mail(EmailMessage):
    """An `email.message.EmailMessage`, with what tests most often want of it. Made by `read_mail`."""

    raw: bytes = b""
    """Its octets, with CRLF line ends, as they lie in the mailbox: trace fields that the server adds are on top."""
    uid: int = 0
    flags: Flags = NO_FLAGS
    user: str = ""
    """In whose mail it is."""
    folder: str = ""
    """The folder's full name."""
    arrived: datetime = datetime.fromtimestamp(0, UTC)
    """INTERNALDATE."""

    @property
    def subject(self) -> str:
        """The Subject field, decoded; "" without one."""
        return self._field(b"subject")

    @property
    def sender(self) -> str:
        """The From field, decoded; "" without one."""
        return self._field(b"from")

    @property
    def envelope_from(self) -> str | None:
        """The address of MAIL FROM; "" for a bounce. None for what has not come by SMTP."""
        path = headers.value(self.raw, b"return-path")
        return None if path is None else decode_header(headers.unfolded(path)).strip().strip("<>")

    @property
    def envelope_to(self) -> str | None:
        """The address of RCPT TO that brought it here. None for what has not come by SMTP."""
        return self._field(b"delivered-to").strip() or None

    @cached_property
    def text(self) -> str:
        """Its plain text, decoded, with LF line ends; "" without any."""
        return self._texts("plain")

    @cached_property
    def html(self) -> str:
        """Its HTML, decoded, with LF line ends; "" without any."""
        return self._texts("html")

    @cached_property
    def links(self) -> list[str]:
        """What can be followed, each once: addresses in the text, then targets in the HTML."""
        return list(dict.fromkeys(chain(in_text(self.text), self._read.links, in_text(self._read.text))))

    @cached_property
    def code(self) -> str | None:
        """The one-time code in it: of the text, else of the HTML, else of the subject. See `mailpost.testing.codes`."""
        return one_time_code(self.text) or one_time_code(self._read.text) or one_time_code(self.subject)

    @cached_property
    def attachments(self) -> list[Attachment]:
        """Everything that is not its text: what is attached, and the images of its HTML."""
        return [_attachment(self.raw, part) for part in self._leaves if not is_text(part)]

    @cached_property
    def _read(self) -> Html:
        return Html(self.html)

    @cached_property
    def _leaves(self) -> list[Part]:
        return list(leaves(parse(self.raw)))

    def _field(self, name: bytes) -> str:
        value = headers.value(self.raw, name)
        return "" if value is None else decode_header(headers.unfolded(value)).strip()

    def _texts(self, subtype: str) -> str:
        parts = [part for part in self._leaves if is_text(part) and part.subtype == subtype]
        return "\n".join(text_of(self.raw, part) for part in parts)

    def __repr__(self) -> str:
        return f"<Mail {self.uid} in {self.folder} of {self.user}: {self.subject!r} from {self.sender!r}>"


def read_mail(raw: bytes, *, uid: int, flags: Flags, user: str, folder: str, arrived: int) -> Mail:
    """A message out of a mailbox; `arrived` is in seconds since the epoch."""
    mail = Mail()
    parsed = BytesParser(policy=default).parsebytes(raw.replace(b"\r\n", b"\n"))  # line ends as Python has them
    vars(mail).update(vars(parsed))  # so its parts are plain EmailMessages
    mail.raw, mail.uid, mail.flags, mail.user, mail.folder = raw, uid, flags, user, folder
    mail.arrived = datetime.fromtimestamp(arrived, UTC)
    return mail


def _attachment(raw: bytes, part: Part) -> Attachment:
    return Attachment(file_name(part), f"{part.media_type}/{part.subtype}", octets_of(raw, part), content_id(part))
