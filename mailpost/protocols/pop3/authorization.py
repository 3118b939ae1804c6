"""Commands of the AUTHORIZATION state: who is it, and over which connection.

APOP is not offered. It needs every password in the clear on the server, and its MD5 digests have been broken for years;
SASL does what it did. RFC: 6151 §2 (MD5)

RFC: 1939 §4, §7 (USER, PASS), 1734, 5034 (AUTH), 2595 §4 (STLS), 2449 §5 (CAPA), 6856 §2, §3 (UTF8, LANG)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.login import LoggedIn
from mailpost.protocols.pop3.maildrop import Maildrop
from mailpost.protocols.pop3.session import Session, not_now
from mailpost.protocols.sasl import Cancelled, SaslError, SaslServer, UnknownMechanism
from mailpost.wire.pop3 import responses
from mailpost.wire.pop3.commands import CommandError, initial_response, response, text

LANGUAGE = b"en"
"""The only one there is, as its tag. RFC: 5646"""


class Authorization(ABC):
    """The commands, for `MailpostPOP3`."""

    session: Session
    sasl: SaslServer
    _user: bytes | None = None

    @property
    @abstractmethod
    def tls_possible(self) -> bool:
        """Whether STLS is offered."""

    @abstractmethod
    def start_tls(self) -> None:
        """Begin TLS; what was written before is sent without."""

    def listCapabilities(self) -> list[bytes]:
        """What CAPA tells, in the present state.

        RFC: 2449 §6, 3206 §5 (AUTH-RESP-CODE), 2595 §4 (STLS), 5034 §3 (SASL), 6856 §2, §3
        """
        capabilities = [b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"EXPIRE NEVER"]
        if self.sasl.password_permitted:
            capabilities.append(b"USER")
        if mechanisms := self.sasl.mechanisms():
            capabilities.append(b"SASL " + " ".join(mechanisms).encode("ascii"))
        if self.tls_possible:
            capabilities.append(b"STLS")
        return [*capabilities, b"UTF8 USER", b"LANG", b"IMPLEMENTATION mailpost"]

    def do_CAPA(self) -> None:
        """Tell what this server can do. RFC: 2449 §5"""
        self.session.write(responses.ok(b"Capabilities follow") + responses.lines(self.listCapabilities()))

    def do_USER(self, user: bytes) -> None:
        """Take the name; whether anybody has it is not said. RFC: 1939 §7"""
        if not self.sasl.password_permitted:
            raise MailError(ErrorKind.PRIVACY_REQUIRED, "Passwords are taken over TLS only")
        self._user = text(user)
        self.session.write(responses.ok(b"Now the password"))

    async def do_PASS(self, password: bytes) -> None:
        """Take the password, and let the user in. RFC: 1939 §7"""
        user, self._user = self._user, None
        if user is None:
            raise CommandError("USER comes before PASS")
        await self._log_in(self.sasl.with_password(user, text(password)))

    async def do_AUTH(self, mechanism: bytes | None = None, initial: bytes | None = None) -> None:
        """Let a user in by a SASL mechanism; without an argument, list them. RFC: 5034 §4, 1734"""
        if mechanism is None:
            names = [name.encode("ascii") for name in self.sasl.mechanisms()]
            self.session.write(responses.ok(b"Mechanisms follow") + responses.lines(names))
            return
        begun = None if initial is None else initial_response(initial)
        try:
            await self._log_in(self.sasl.authenticate(mechanism.decode("ascii").upper(), begun, self._ask))
        except UnknownMechanism:
            raise MailError(ErrorKind.CANNOT, "There is no such mechanism") from None
        except SaslError as error:
            raise CommandError(str(error) or "Authentication cancelled") from None

    async def _ask(self, challenge: bytes) -> bytes:
        """Put a challenge to the client; its response."""
        self.session.write(responses.challenge(challenge))
        line = await self.session.queue.line(self.session.settings.response_length)
        if line.too_long:
            raise CommandError("This response is too long")
        if line.octets == b"*":
            raise Cancelled("Authentication cancelled")
        return response(line.octets)

    async def _log_in(self, attempt: Awaitable[LoggedIn]) -> None:
        try:
            maildrop: Maildrop = await self.session.log_in(attempt)
        except MailError:
            if self.sasl.failures >= self.session.settings.failed_logins:
                self.session.close("too many failed logins")
            raise
        self.session.write(responses.ok(b"%d messages" % len(maildrop)))

    def do_STLS(self) -> None:
        """Begin TLS; nothing that came before it may be taken as encrypted. RFC: 2595 §2.4, §4"""
        if not self.tls_possible:
            raise not_now("where there is TLS to offer, before it")
        if self.session.queue.buffered:
            self.session.close("commands behind STLS")
            raise CommandError("Nothing may be sent behind STLS until TLS is there")
        self._user = None
        self.session.write(responses.ok(b"Begin TLS"))
        self.session.flush()
        self.start_tls()

    def do_UTF8(self) -> None:
        """Enter UTF-8 mode. RFC: 6856 §2.1

        Nothing changes by it: messages are sent as they are in either mode. To refuse one that has UTF-8 in its header
        would let whoever sends such mail lock out every client that does not know this command, of which most today
        take it well.
        """
        self.session.write(responses.ok(b"UTF-8 it is"))

    def do_LANG(self, wanted: bytes | None = None) -> None:
        """Choose the language of texts, or list them: there is one. RFC: 6856 §3.2"""
        if wanted is None:
            self.session.write(responses.ok(b"Languages follow") + responses.lines([LANGUAGE + b" English"]))
        elif wanted == b"*" or wanted.lower().partition(b"-")[0] == LANGUAGE:
            self.session.write(responses.ok(LANGUAGE + b" English it is"))
        else:
            raise MailError(ErrorKind.CANNOT, "This language is not spoken here")
