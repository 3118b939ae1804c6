"""AUTH and STARTTLS, and MAIL behind them.

RFC: 4954 §4, §6 (AUTH), 3207 §4 (STARTTLS), 8314 §3 (passwords need TLS)
"""

from __future__ import annotations

from base64 import b64encode
from typing import Protocol, cast

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols import sasl
from mailpost.protocols.login import LoggedIn
from mailpost.protocols.smtp import handlers
from mailpost.protocols.smtp.session import Connection, Session
from mailpost.wire.smtp import replies
from mailpost.wire.smtp.commands import Auth, Mail, StartTls, from_base64
from mailpost.wire.smtp.errors import CommandError
from mailpost.wire.smtp.replies import Reply

LONGEST_RESPONSE = 12_288
"""RFC: 4954 §4"""


class Authenticating(Connection, Protocol):
    """A connection on which one can log in."""

    sasl: sasl.SaslServer

    @property
    def tls_possible(self) -> bool:
        """There is no TLS yet, and there could be."""

    def upgrade(self) -> None:
        """Begin TLS."""

    def logged_in(self, login: LoggedIn) -> None:
        """Somebody is in."""


async def mail(session: Session, command: Mail) -> None:
    """MAIL, for whoever has logged in. RFC: 6409 §4.3, 4954 §6 and 3207 §4 (530)"""
    connection = cast(Authenticating, session.connection)
    if connection.record.user:
        await handlers.mail(session, command)
    elif connection.tls_possible and not connection.sasl.password_permitted:
        raise CommandError(530, "5.7.0", "Say STARTTLS first, and log in: mail is taken from users only")
    else:
        raise CommandError(530, "5.7.0", "Log in first: mail is taken from users only")


async def auth(session: Session, command: Auth) -> None:
    """AUTH. RFC: 4954 §4"""
    connection = cast(Authenticating, session.connection)
    if connection.record.user:
        raise CommandError(503, "5.5.1", "You have logged in already")

    async def ask(challenge: bytes) -> bytes:
        return await _answer(session, challenge)

    try:
        login = await connection.sasl.authenticate(command.mechanism, command.initial, ask)
    except sasl.UnknownMechanism:
        raise CommandError(504, "5.5.4", f"{command.mechanism} is not among the mechanisms announced") from None
    except sasl.Cancelled:
        raise CommandError(501, "5.7.0", "AUTH cancelled") from None
    except sasl.SaslError as error:
        raise CommandError(501, "5.5.2", str(error)) from None
    except MailError as error:
        session.reply(_refusal(session, error))
        if connection.sasl.failures >= session.settings.failed_logins:  # type: ignore[attr-defined]
            session.close(Reply(421, "4.7.0", "Too many failed logins"), "too many failed logins")
        return
    connection.logged_in(login)
    session.reply(replies.LOGGED_IN)


def _refusal(session: Session, error: MailError) -> Reply:
    """RFC: 4954 §6"""
    if error.kind in (ErrorKind.LIMIT, ErrorKind.UNAVAILABLE):
        return Reply(454, "4.7.0", error.text)
    return session.reply_to(error)


async def _answer(session: Session, challenge: bytes) -> bytes:
    """Put a challenge to the client. RFC: 4954 §4 ("*" cancels)"""
    session.write(b"334 " + b64encode(challenge) + b"\r\n")
    line = await session.queue.line(LONGEST_RESPONSE)
    session.connection.restart_idle_time()
    if line.too_long:
        raise CommandError(500, "5.5.6", "The response is too long")
    if line.octets == b"*":
        raise sasl.Cancelled("AUTH cancelled")
    return from_base64(line.octets or b"=")


async def start_tls(session: Session, _: StartTls) -> None:
    """STARTTLS: nothing that came before it counts, and nothing may have come behind it. RFC: 3207 §4, §4.2, §5"""
    connection = cast(Authenticating, session.connection)
    if connection.record.encrypted:
        raise CommandError(503, "5.5.1", "There is TLS already")
    if not connection.tls_possible:
        raise CommandError(502, "5.5.1", "TLS is not available")
    if connection.record.user:
        raise CommandError(503, "5.5.1", "STARTTLS comes before AUTH")
    if session.queue.buffered:
        raise CommandError(503, "5.5.1", "Nothing may be sent behind STARTTLS until TLS is there", fatal=True)
    session.begin_anew()
    session.reply(replies.START_TLS)
    session.flush()
    connection.upgrade()
