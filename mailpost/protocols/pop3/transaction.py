"""Commands of the TRANSACTION state, and QUIT.

RFC: 1939 §5, §6, §7 (TOP, UIDL)
"""

from __future__ import annotations

from mailpost.protocols.pop3.maildrop import Maildrop
from mailpost.protocols.pop3.session import Session, not_now
from mailpost.wire.pop3 import responses
from mailpost.wire.pop3.commands import number


class Transaction:
    """The commands, for `MailpostPOP3`."""

    session: Session

    @property
    def _maildrop(self) -> Maildrop:
        maildrop = self.session.maildrop
        if maildrop is None:
            raise not_now("after login")
        return maildrop

    def do_STAT(self) -> None:
        """How many messages, and their octets; what is marked does not count. RFC: 1939 §5"""
        self.session.write(responses.ok(b"%d %d" % (len(self._maildrop), self._maildrop.size)))

    async def do_LIST(self, i: bytes | None = None) -> None:
        """The octets of one message or of all. RFC: 1939 §5"""
        maildrop = self._maildrop
        if i is not None:
            at = number(i)
            self.session.write(responses.ok(b"%d %d" % (at, maildrop.size_of(at))))
            return
        head = responses.ok(b"%d messages (%d octets)" % (len(maildrop), maildrop.size))
        await self.session.send(head + responses.lines([b"%d %d" % pair for pair in maildrop.sizes()]))

    async def do_UIDL(self, i: bytes | None = None) -> None:
        """The unique name of one message or of all. RFC: 1939 §7"""
        maildrop = self._maildrop
        if i is not None:
            at = number(i)
            self.session.write(responses.ok(b"%d %b" % (at, maildrop.uidl(at))))
            return
        await self.session.send(responses.ok() + responses.lines([b"%d %b" % pair for pair in maildrop.uidls()]))

    async def do_RETR(self, i: bytes) -> None:
        """A message, octet by octet. RFC: 1939 §5"""
        octets = await self._maildrop.octets(number(i))
        self.session.write(responses.ok(b"%d octets" % len(octets)))
        await self._send_message(octets)

    async def do_TOP(self, i: bytes, size: bytes) -> None:
        """A message's header and some lines of its body. RFC: 1939 §7"""
        at, lines = number(i), number(size)
        octets = responses.top(await self._maildrop.octets(at, whole=False), lines)
        self.session.write(responses.ok(b"The top of message %d" % at))
        await self._send_message(octets)

    async def _send_message(self, octets: bytes) -> None:
        stuffer = responses.DotStuffer()
        step = self.session.settings.output_octets
        for at in range(0, len(octets), step):
            self.session.write(stuffer.feed(octets[at : at + step]))
            if at + step < len(octets):
                await self.session.drained()
        self.session.write(stuffer.end())

    def do_DELE(self, i: bytes) -> None:
        """Mark a message to be deleted at QUIT. RFC: 1939 §5"""
        at = number(i)
        self._maildrop.delete(at)
        self.session.write(responses.ok(b"Message %d will be deleted" % at))

    def do_RSET(self) -> None:
        """Take all marks off. RFC: 1939 §5"""
        self._maildrop.reset()
        self.session.write(responses.ok(b"%d messages" % len(self._maildrop)))

    def do_NOOP(self) -> None:
        """Do nothing. RFC: 1939 §5"""
        self.session.write(responses.ok())

    async def do_QUIT(self) -> None:
        """Delete what is marked, all or none, and end. RFC: 1939 §6"""
        self.session.close("quit")
        if self.session.maildrop is not None:
            removed = await self.session.update(self.session.maildrop)
            self.session.write(responses.ok(b"Bye, %d deleted" % removed if removed else b"Bye"))
        else:
            self.session.write(responses.ok(b"Bye"))
