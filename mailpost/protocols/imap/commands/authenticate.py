"""Getting in and out: LOGIN, AUTHENTICATE, STARTTLS, UNAUTHENTICATE.

RFC: 3501 §6.2, 9051 §6.2, 4959 §3 (SASL-IR), 5530 §3, 8437 (UNAUTHENTICATE)
"""

from __future__ import annotations

from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64

from mailpost.protocols import sasl
from mailpost.protocols.imap.commands.context import Completed, Context, TlsState
from mailpost.wire.imap.commands import Authenticate, Login, ParseError, StartTls, Unauthenticate


async def login(context: Context, command: Login) -> Completed:
    """LOGIN. RFC: 3501 §6.2.3"""
    await context.log_in(context.authentication.with_password(command.user, command.password))
    return _welcome(context, b"LOGIN completed")


async def authenticate(context: Context, command: Authenticate) -> Completed:
    """AUTHENTICATE with one of the announced mechanisms. RFC: 3501 §6.2.2, 4959 §3"""

    async def ask(challenge: bytes) -> bytes:
        return await _answer(context, challenge)

    try:
        await context.log_in(context.authentication.authenticate(command.mechanism, command.initial, ask))
    except sasl.UnknownMechanism:
        return Completed(b"AUTHENTICATE method unsupported", ok=False)
    except sasl.SaslError as error:
        raise ParseError(str(error)) from error
    return _welcome(context, b"Authentication successful")


async def unauthenticate(context: Context, _: Unauthenticate) -> None:
    """UNAUTHENTICATE: as before login, but for TLS. RFC: 8437 §3"""
    if not context.settings.unauthenticate:
        raise ParseError("UNAUTHENTICATE is not possible here")
    context.log_out()


async def start_tls(context: Context, _: StartTls) -> Completed:
    """STARTTLS. RFC: 3501 §6.2.1, 2595 §3.1"""
    match context.authentication.tls:
        case TlsState.ACTIVE:
            raise ParseError("TLS already negotiated")
        case TlsState.ABSENT:
            raise ParseError("TLS not available")
        case _:
            context.start_tls()
            return Completed(b"Begin TLS negotiation now")


async def _answer(context: Context, challenge: bytes) -> bytes:
    """Put a challenge to the client. RFC: 3501 §6.2.2 ("*" cancels)"""
    context.continuation(b64encode(challenge))
    line = await context.client_line()
    if line == b"*":
        raise sasl.Cancelled("AUTHENTICATE cancelled")
    try:
        return a2b_base64(line, strict_mode=True)
    except Base64Error as error:
        raise sasl.SaslError("Authentication failed: this is not base64") from error


def _welcome(context: Context, text: bytes) -> Completed:
    """What has changed by logging in is told at once. RFC: 3501 §6.2.2, §6.2.3 (CAPABILITY code)"""
    return Completed(text, b"CAPABILITY " + b" ".join(context.capabilities()))
