"""What a test puts into a folder: messages as values, or as other programs keep them in files."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from email.message import EmailMessage, Message
from email.policy import SMTP
from pathlib import Path

from mailpost.admin.sources import Found, open_source
from mailpost.mail.flags import canonical, intern_flags
from mailpost.storage.records import NewMessage

Puttable = bytes | str | Message | Path
"""A message (octets, text, or of the `email` package), or the path of a file, mbox, Maildir or directory of files."""


def new_message(message: bytes | str | Message, flags: Iterable[str] = (), date: datetime | None = None) -> NewMessage:
    """A message to be appended; its line ends become CRLF.

    Args:
        message: the whole of it.
        flags: `\\Seen` and the like, and keywords.
        date: INTERNALDATE, with a zone; None: now.
    """
    if isinstance(message, EmailMessage):
        octets = message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
    elif isinstance(message, Message):
        octets = message.as_bytes(policy=SMTP)
    else:
        octets = message.encode() if isinstance(message, str) else message
        octets = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    seconds = None if date is None else int(date.timestamp())
    return NewMessage(octets, intern_flags(map(canonical, flags)), seconds)


def read_source(path: Path) -> dict[str, list[NewMessage]]:
    """All messages of a file, an mbox, a Maildir or a directory, by folder. Blocking. Raises SourceError."""
    folders: dict[str, list[NewMessage]] = {}
    for found in open_source(path, "/").messages:
        folders.setdefault(found.folder, []).append(_as_new(found))
    return folders


def _as_new(found: Found) -> NewMessage:
    return NewMessage(found.octets, found.flags, found.internaldate)
