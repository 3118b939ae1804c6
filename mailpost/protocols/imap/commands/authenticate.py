"""Getting in: LOGIN, AUTHENTICATE, STARTTLS.

RFC: 3501 §6.2, 9051 §6.2, 4959 (SASL-IR), 4616 (PLAIN), 5530 §3
"""

from __future__ import annotations

from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from typing import NoReturn, cast

from twisted.cred.credentials import ICredentials
from twisted.mail import imap4
from twisted.mail.interfaces import IChallengeResponse

from mailpost.accounts.interfaces import Refused
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.imap.commands.context import Completed, Context, TlsState
from mailpost.wire import sasl
from mailpost.wire.imap.commands import Authenticate, Login, ParseError, StartTls

MOST_CHALLENGES = 10
"""A mechanism that has not come to an end after so many exchanges is given up."""


async def login(context: Context, command: Login) -> Completed:
    """LOGIN. RFC: 3501 §6.2.3"""
    authentication = context.authentication
    if not authentication.password_permitted:
        raise MailError(ErrorKind.PRIVACY_REQUIRED, "LOGIN is disabled before STARTTLS")
    await context.log_in(command.user, lambda: authentication.with_password(command.user, command.password))
    return _welcome(context, b"LOGIN completed")


async def authenticate(context: Context, command: Authenticate) -> Completed:
    """AUTHENTICATE with one of the announced mechanisms. RFC: 3501 §6.2.2, 4959 §3"""
    authentication = context.authentication
    if command.mechanism not in authentication.mechanisms():
        if command.mechanism in sasl.PASSWORD_MECHANISMS and not authentication.password_permitted:
            raise MailError(ErrorKind.PRIVACY_REQUIRED, f"{command.mechanism} is disabled before STARTTLS")
        return Completed(b"AUTHENTICATE method unsupported", ok=False)
    challenge = authentication.challenge(command.mechanism)
    if challenge is not None:
        await _challenged(context, command, challenge)
    elif command.mechanism == "PLAIN":
        await _plain(context, command)
    else:
        await _login(context, command)
    return _welcome(context, b"Authentication successful")


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


async def _plain(context: Context, command: Authenticate) -> None:
    """PLAIN: who, as whom, and the password in one message. RFC: 4616 §2"""
    message = command.initial if command.initial is not None else await _answer(context, b"")
    try:
        plain = sasl.parse_plain(message)
    except ValueError as error:
        raise ParseError("The PLAIN message cannot be read") from error
    if plain.authorization not in (b"", plain.user):
        await context.log_in(plain.user, _for_another)
    await _password(context, plain.user, plain.password)


def _for_another() -> NoReturn:
    raise Refused("nobody may act for somebody else")


async def _login(context: Context, command: Authenticate) -> None:
    """LOGIN: the name and the password, each asked for; obsolete and in wide use."""
    user = command.initial if command.initial is not None else await _answer(context, sasl.LOGIN_USER)
    await _password(context, user, await _answer(context, sasl.LOGIN_PASSWORD))


async def _password(context: Context, user: bytes, password: bytes) -> None:
    await context.log_in(user, lambda: context.authentication.with_password(user, password))


async def _challenged(context: Context, command: Authenticate, challenge: IChallengeResponse) -> None:
    """A mechanism that was given to the server, as Twisted has them."""
    await _converse(context, command.initial, challenge)
    credentials = cast(ICredentials, challenge)
    user = getattr(credentials, "username", None) or b""
    await context.log_in(user, lambda: context.authentication.with_credentials(credentials))


async def _converse(context: Context, initial: bytes | None, challenge: IChallengeResponse) -> None:
    """Question and answer, until the mechanism has what it needs."""
    for _ in range(MOST_CHALLENGES):
        question = challenge.getChallenge()
        if initial is None or question:
            answer = await _answer(context, question)
        else:
            # The mechanism begins with the client, who has begun already. RFC: 4959 §3
            answer, initial = initial, None
        try:
            challenge.setResponse(answer)
        except imap4.IllegalClientResponse as error:
            raise ParseError(f"Authentication failed: {error}") from error
        if not challenge.moreChallenges():
            return
    raise ParseError("This authentication comes to no end")


async def _answer(context: Context, challenge: bytes) -> bytes:
    """Put a challenge to the client. RFC: 3501 §6.2.2 ("*" cancels)"""
    context.continuation(b64encode(challenge))
    line = await context.client_line()
    if line == b"*":
        raise ParseError("AUTHENTICATE cancelled")
    try:
        return a2b_base64(line, strict_mode=True)
    except Base64Error as error:
        raise ParseError("Authentication failed: this is not base64") from error


def _welcome(context: Context, text: bytes) -> Completed:
    """What has changed by logging in is told at once. RFC: 3501 §6.2.2, §6.2.3 (CAPABILITY code)"""
    return Completed(text, b"CAPABILITY " + b" ".join(context.capabilities()))
