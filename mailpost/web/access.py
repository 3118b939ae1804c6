"""Whose mail a request may see: everybody's, where nobody logs in; the user's own, where everybody does.

Where nobody logs in, the address that a browser was told has to be one of this machine: a page of somebody else's,
whose name suddenly means 127.0.0.1, would otherwise read all mail.

RFC: 7617 §2 (Basic)
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from twisted.cred.credentials import UsernamePassword
from twisted.cred.portal import Portal

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.connection import is_local
from mailpost.protocols.login import LoggedIn, Login
from mailpost.storage.interfaces import IMailAccount, IMailStore
from mailpost.storage.offload import settled
from mailpost.web.replies import RefusedError

_HERE = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)


class Visitor(Protocol):
    """A request that wants to be let in."""

    @property
    def address(self) -> str:
        """Where it comes from."""

    @property
    def encrypted(self) -> bool:
        """Whether it came inside TLS."""

    def header(self, name: str) -> str:
        """A header field; "" where there is none."""


class Visit(Protocol):
    """A request that has been let in."""

    def users(self) -> list[str]:
        """Whose mail may be seen, at once."""

    def account(self, user: str) -> AbstractAsyncContextManager[IMailAccount]:
        """An account, open to the end of the block. Raises NO_SUCH_USER."""


class Access(Protocol):
    """Lets requests in."""

    login: bool
    """Whether users log in."""

    def visit(self, request: Visitor) -> AbstractAsyncContextManager[Visit]:
        """Let a request in, to the end of the block. Raises RefusedError, MailError."""


class OpenAccess:
    """Everybody's mail, for people at this machine.

    Args:
        store: where it is.
        users: who has some.
    """

    login = False

    def __init__(self, store: IMailStore, users: Callable[[], Iterable[str]]) -> None:
        self._store = store
        self._users = users

    @asynccontextmanager
    async def visit(self, request: Visitor) -> AsyncIterator[Visit]:
        """Let it in if it was sent to this machine by name."""
        if not _HERE.fullmatch(request.header("host")):
            raise RefusedError(403, "This page is for this machine only: open it as localhost or 127.0.0.1.")
        yield self

    def users(self) -> list[str]:
        """All there are."""
        return sorted(self._users())

    @asynccontextmanager
    async def account(self, user: str) -> AsyncIterator[IMailAccount]:
        """The account of somebody who is known: nobody comes into being by being looked for."""
        if user not in self._users():
            raise MailError(ErrorKind.NO_SUCH_USER, "There is nobody of this name")
        account: IMailAccount = await settled(self._store.account(user))
        try:
            yield account
        finally:
            account.release()


class LoginAccess:
    """The mail of the user who logs in, with each request, by HTTP's Basic authentication.

    Args:
        login: counts guesses.
        portal: gives an IMailAccount.
        allow_plaintext_auth: passwords may come without TLS from anywhere, not only from this machine.
    """

    login = True

    def __init__(self, login: Login, portal: Portal, allow_plaintext_auth: bool = False) -> None:
        self._login = login
        self._portal = portal
        self._allow_plaintext_auth = allow_plaintext_auth

    @asynccontextmanager
    async def visit(self, request: Visitor) -> AsyncIterator[Visit]:
        """Log in, and out again behind the request."""
        if not (self._allow_plaintext_auth or request.encrypted or is_local(request.address)):
            raise RefusedError(403, "Passwords are taken inside TLS only: use https.")
        user, password = _credentials(request.header("authorization"))
        who = await self._login.log_in(
            "web",
            request.address,
            user,
            lambda: self._portal.login(UsernamePassword(user, password), None, IMailAccount),
        )
        try:
            yield _OwnMail(who)
        finally:
            who.log_out()


class _OwnMail:
    """What a user may see."""

    def __init__(self, who: LoggedIn) -> None:
        self._who = who

    def users(self) -> list[str]:
        """The one who has logged in."""
        return [self._who.user]

    @asynccontextmanager
    async def account(self, user: str) -> AsyncIterator[IMailAccount]:
        """The account, which is open as long as the login lasts."""
        if user != self._who.user:
            raise MailError(ErrorKind.NO_SUCH_USER, "There is nobody of this name")
        yield self._who.avatar


def _credentials(authorization: str) -> tuple[bytes, bytes]:
    scheme, _, encoded = authorization.partition(" ")
    colon = user = password = b""
    if scheme.lower() == "basic":
        try:
            user, colon, password = b64decode(encoded.strip(), validate=True).partition(b":")
        except (binascii.Error, ValueError):
            colon = b""
    if not colon:
        raise MailError(ErrorKind.AUTHENTICATION_FAILED, "Log in to see your mail")
    return user, password
