"""Logging in to the smarthost: the best mechanism that both sides know.

RFC: 4954 §4 (AUTH), 4616 (PLAIN), 5802, 7677 (SCRAM)
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import NamedTuple, Protocol

from scramp import ScramClient, ScramException

from mailpost.delivery.body import Run
from mailpost.delivery.outgoing.dialogue import TroubleError
from mailpost.wire.smtp.client import Reply

MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN")
"""The best first: SCRAM does not give the password away, and makes the server prove that it knows it."""


class Credentials(NamedTuple):
    """What to log in with."""

    user: str
    password: str


class Asking(Protocol):
    """A connection on which one asks and is answered."""

    async def ask(self, command: bytes, expected: int, seconds: float = ...) -> Reply:
        """Say something, and have a reply of this class. Raises TroubleError."""


async def authenticate(connection: Asking, offered: str, credentials: Credentials, run: Run) -> None:
    """Log in.

    Args:
        connection: to the server.
        offered: the mechanisms that it announces.
        credentials: user and password.
        run: runs a blocking function in a thread: SCRAM computes long on purpose.

    Raises:
        TroubleError: it cannot be done. That is no fault of the messages, which wait.
    """
    names = offered.upper().split()
    mechanism = next((each for each in MECHANISMS if each in names), None)
    match mechanism:
        case None:
            raise TroubleError(
                "4.7.0", f"the smarthost offers no way to log in that is known here: {offered or 'none'}"
            )
        case "PLAIN":
            secret = f"\0{credentials.user}\0{credentials.password}".encode()
            await connection.ask(b"AUTH PLAIN %b\r\n" % b64encode(secret), 2)
        case "LOGIN":
            await connection.ask(b"AUTH LOGIN\r\n", 3)
            await connection.ask(_response(credentials.user), 3)
            await connection.ask(_response(credentials.password), 2)
        case _:
            try:
                await _scram(connection, mechanism, credentials, run)
            except (ScramException, Base64Error, UnicodeDecodeError, ValueError) as problem:
                raise TroubleError("4.7.0", f"logging in to the smarthost fails: {problem}") from problem


async def _scram(
    connection: Asking,
    mechanism: str,
    credentials: Credentials,
    run: Run,
) -> None:
    """Prove that the password is known, and have the server prove it. RFC: 5802 §3"""
    client = ScramClient([mechanism], credentials.user, credentials.password)
    first = b64encode(client.get_client_first().encode())
    reply = await connection.ask(b"AUTH %b %b\r\n" % (mechanism.encode(), first), 3)
    client.set_server_first(_challenge(reply))  # refuses a number of rounds that would take very long
    final: str = await run(client.get_client_final)
    reply = await connection.ask(_response(final), 3)
    client.set_server_final(_challenge(reply))
    await connection.ask(b"\r\n", 2)


def _challenge(reply: Reply) -> str:
    return b64decode("".join(reply.lines), validate=True).decode()


def _response(text: str) -> bytes:
    return b64encode(text.encode()) + b"\r\n"
