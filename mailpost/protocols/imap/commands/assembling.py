"""Putting a message together from literals and from parts of messages that are here (CATENATE).

Octets go into the message's spool in their order as they come: what URLs name is fetched when the literal behind them
is offered, so that nothing is held but one message that a URL names.

RFC: 4469 §3, §4
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import isawaitable
from typing import Any

from mailpost.mail.errors import BadUrlError, ErrorKind, MailError, message_too_big
from mailpost.mail.sections import extract
from mailpost.protocols.imap.commands.context import Context
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute
from mailpost.wire.imap.commands import ParseError, TextPart, UrlPart
from mailpost.wire.imap.url import MessageUrl, parse_url


class Assembly:
    """A message on its way in, of several parts."""

    def __init__(self, spool: Any, largest: int) -> None:
        """Gather parts in this `ISpool`, `largest` octets at most."""
        self.spool = spool
        self._largest = largest
        self._done = 0

    async def advance(self, context: Context, parts: Sequence[TextPart | UrlPart]) -> None:
        """Fetch what the URLs among these parts name, which are all up to the literal that comes, or all there are.

        Raises:
            BadUrlError: for the first that names nothing.
            MailError: MESSAGE_TOO_BIG.
        """
        fresh = parts[self._done :]
        self._done = len(parts)
        for part in fresh:
            if isinstance(part, UrlPart):
                octets = await _octets_of(context, part.url)
                self.require(len(octets))
                if isawaitable(writing := self.spool.write(octets)):
                    await writing

    def require(self, more: int) -> None:
        """Raise MESSAGE_TOO_BIG unless so many more octets may come."""
        if self.spool.size + more > self._largest:
            raise message_too_big(self._largest)


class TextSink:
    """Where one of the literals goes."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self.size = 0

    def write(self, data: bytes) -> Any:
        """Take the next octets."""
        self.size += len(data)
        return self.assembly.spool.write(data)

    def abort(self) -> None:
        """Throw the whole message away."""
        self.assembly.spool.abort()


async def _octets_of(context: Context, url: bytes) -> bytes:
    """What a URL names, as BODY.PEEK would give it; the \\Seen flag stays as it is. RFC: 4469 §3"""
    try:
        wanted = parse_url(url)
        octets = await _message(context, wanted)
    except (ParseError, MailError) as error:
        raise BadUrlError(error.text, url) from error
    octets = None if octets is None else extract(octets, wanted.section)
    if octets is None:
        raise BadUrlError("There is no such part of a message", url)
    if wanted.partial is not None:
        first, count = wanted.partial
        octets = octets[first:] if count is None else octets[first : first + count]
    return octets


async def _message(context: Context, wanted: MessageUrl) -> bytes | None:
    """The whole message; None where there is none."""
    if wanted.mailbox is None:
        if context.selected is None:
            raise MailError(ErrorKind.BAD_URL, "No mailbox is selected that the URL could be about")
        return await _fetched(context.selected.mailbox, wanted)
    mailbox = await settled(context.account.open(wanted.mailbox))
    try:
        return await _fetched(mailbox, wanted)
    finally:
        mailbox.release()


async def _fetched(mailbox: Any, wanted: MessageUrl) -> bytes | None:
    if wanted.uidvalidity not in (None, mailbox.live.uidvalidity):
        raise MailError(ErrorKind.BAD_URL, "UIDVALIDITY is another now")
    async for batch in mailbox.fetch([wanted.uid], (Attribute.OCTETS,)):
        for _, octets in batch:
            return bytes(octets)
    return None
