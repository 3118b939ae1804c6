"""Checkers for `twisted.cred`: name and password against a directory, and several checkers as one.

The answer to an unknown name is the answer to a wrong password, and takes as long. Passwords are tested in a worker
thread. A success is remembered for a minute, so that clients which connect often cost little: as a keyed digest over
name, password and stored hash, so that a changed password counts at once and memory holds nothing to guess from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b
from secrets import token_bytes

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailpost.accounts.account import UserNameError, checked_user
from mailpost.accounts.interfaces import ILoginMechanisms, IUserDirectory, Refused
from mailpost.accounts.passwords import HashError, verify
from mailpost.mail.errors import MailError
from mailpost.storage.offload import settled

REMEMBERED_SECONDS = 60.0
MOST_REMEMBERED = 4096


class Remembered:
    """Successful logins of the last minute, a bounded number of them."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._key = token_bytes(32)
        self._until: dict[bytes, float] = {}

    def _digest(self, stored: str, name: str, password: bytes) -> bytes:
        digest = blake2b(key=self._key, digest_size=32)
        for part in (stored.encode(errors="surrogateescape"), name.encode(), password):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

    def has(self, stored: str, name: str, password: bytes) -> bool:
        """Whether this was right, less than a minute ago."""
        until = self._until.get(self._digest(stored, name, password))
        return until is not None and self._seconds() < until

    def add(self, stored: str, name: str, password: bytes) -> None:
        """Take note that these were right just now."""
        digest = self._digest(stored, name, password)
        self._until.pop(digest, None)
        now = self._seconds()
        while self._until:
            oldest = next(iter(self._until))
            if len(self._until) < MOST_REMEMBERED and now < self._until[oldest]:
                break
            del self._until[oldest]
        self._until[digest] = now + REMEMBERED_SECONDS


@implementer(ICredentialsChecker, ILoginMechanisms)
class DirectoryChecker:
    """Name and password against an `accounts.interfaces.IUserDirectory`; the avatar ID is the name there, in UTF-8."""

    credentialInterfaces = (IUsernamePassword,)
    _log = Logger()

    def __init__(
        self,
        directory: IUserDirectory,
        run: Callable[[Callable[[], bool]], Awaitable[bool]],
        seconds: Callable[[], float],
    ) -> None:
        """A checker over this directory.

        Args:
            directory: the users.
            run: runs a blocking function in a worker thread and answers with an awaitable.
            seconds: a clock that only goes forward.
        """
        self._directory = directory
        self._run = run
        self._remembered = Remembered(seconds)

    def mechanisms(self) -> frozenset[str]:
        """As the directory says."""
        return self._directory.mechanisms()

    def requestAvatarId(self, credentials: IUsernamePassword) -> Deferred[bytes | tuple[()]]:
        """The name of the user who has this password; fails with Refused."""
        return Deferred.fromCoroutine(self._check(credentials.username, credentials.password))

    async def _check(self, username: bytes | str, secret: bytes | str) -> bytes:
        password = secret.encode() if isinstance(secret, str) else secret
        try:
            name = checked_user(username)
            user = await settled(self._directory.find(name))
        except UserNameError:
            name, user = repr(username), None
        stored = user.password if user is not None else ""
        if user is not None and stored and self._remembered.has(stored, user.name, password):
            return user.name.encode()
        right = await self._run(lambda: self._test(stored or self._directory.decoy(name).password, password))
        if user is None:
            raise Refused("no such user")
        if not stored:
            raise Refused("this user may not log in")
        if not right:
            raise Refused("wrong password")
        self._remembered.add(stored, user.name, password)
        return user.name.encode()

    def _test(self, stored: str, password: bytes) -> bool:
        try:
            return verify(stored, password)
        except HashError as problem:
            self._log.warn("a stored password cannot be read: {reason}", reason=str(problem))
            return False


@implementer(ICredentialsChecker, ILoginMechanisms)
class AnyChecker:
    """Several checkers for name and password, asked in turn until one says yes."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, checkers: Sequence[ICredentialsChecker]) -> None:
        self._checkers = checkers

    def mechanisms(self) -> frozenset[str]:
        """What every one of them can do; a checker that does not say knows plain passwords."""
        known = [frozenset({"PLAIN", "LOGIN"})]
        known += [
            checker.mechanisms() if ILoginMechanisms.providedBy(checker) else known[0] for checker in self._checkers
        ]
        return frozenset.intersection(*known[1:]) if len(known) > 1 else frozenset()

    def requestAvatarId(self, credentials: IUsernamePassword) -> Deferred[bytes | tuple[()]]:
        """The avatar ID of the first checker that accepts these; fails with UnauthorizedLogin."""
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: IUsernamePassword) -> bytes | tuple[()]:
        first: Refused | MailError | None = None
        for checker in self._checkers:
            try:
                return await settled(checker.requestAvatarId(credentials))
            except (Refused, MailError) as refusal:
                first = first or refusal
            except UnauthorizedLogin:
                continue
        raise first or UnauthorizedLogin()
