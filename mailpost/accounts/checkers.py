"""Checkers for `twisted.cred`: passwords and proofs of them against a directory, and several checkers as one.

The answer to an unknown name is the answer to a wrong password, and takes as long. Passwords are tested in a worker
thread. A success is remembered for a minute, so that clients which connect often cost little: as a keyed digest over
name, password and stored hash, so that a changed password counts at once and memory holds nothing to guess from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from hashlib import blake2b
from secrets import token_bytes
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernameHashedPassword, IUsernamePassword
from twisted.cred.error import UnauthorizedLogin, UnhandledCredentials
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailpost.accounts.account import User, UserNameError, checked_user
from mailpost.accounts.interfaces import (
    PASSWORD_MECHANISMS,
    ILoginMechanisms,
    IScramCredentials,
    IScramVerifiers,
    IUserDirectory,
    Refused,
)
from mailpost.accounts.passwords import HashError, plain_of, verify
from mailpost.accounts.verifiers import ITERATIONS, SALT_LENGTH, Verifier, find
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


@implementer(ICredentialsChecker, IScramVerifiers)
class DirectoryChecker:
    """Users of an `accounts.interfaces.IUserDirectory`; the avatar ID is the name there, in UTF-8.

    Takes name and password, SCRAM's proof, and (of users whose password is stored as it is) a digest of the password.
    """

    credentialInterfaces = (IUsernamePassword, IScramCredentials, IUsernameHashedPassword)
    _log = Logger()

    def __init__(
        self,
        directory: IUserDirectory,
        run: Callable[[Callable[[], Any]], Awaitable[Any]],
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
        self._salt_key = token_bytes(32)

    def mechanisms(self) -> frozenset[str]:
        """As the directory says."""
        return self._directory.mechanisms()

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """The name of the user whom these prove; fails with Refused."""
        if IScramCredentials.providedBy(credentials):
            return Deferred.fromCoroutine(self._check_proof(credentials))
        if IUsernamePassword.providedBy(credentials):
            return Deferred.fromCoroutine(self._check(credentials.username, credentials.password))
        return Deferred.fromCoroutine(self._check_digest(credentials))

    async def verifier(self, name: bytes, mechanism: str) -> tuple[Verifier, bool]:
        """The verifier of this user and True, or a decoy and False."""
        typed, user = await self._known(name)
        decoy = self._directory.decoy(typed)  # made in any case, so that it takes as long
        if user is not None and user.password:
            subject, name_of_salt, known = user, user.name, True
        else:
            subject, name_of_salt, known = decoy, typed, False
        kept = await self._kept(subject, name_of_salt, mechanism)
        if kept is None:
            return Verifier(mechanism, ITERATIONS, self._salt(name_of_salt), b"", b""), known
        # Nothing proves a decoy, not even the password of the user whom it was made from.
        return kept if known else replace(kept, stored_key=b"", server_key=b""), known

    async def _known(self, username: bytes | str) -> tuple[str, User | None]:
        """The name as text, whatever it is, and the user if there is one."""
        try:
            name = checked_user(username)
        except UserNameError:
            return repr(username), None
        return name, await settled(self._directory.find(name))

    async def _kept(self, user: User, name: str, mechanism: str) -> Verifier | None:
        kept = find(user.verifiers, mechanism)
        plain = self._plain(user.password) if kept is None else None
        if plain is None:
            return kept
        # The salt is made of the name, as a decoy's is, which must not change from one challenge to the next.
        made: Verifier = await self._run(lambda: Verifier.of(mechanism, plain, self._salt(name)))
        return made

    def _salt(self, name: str) -> bytes:
        return blake2b(name.lower().encode(errors="replace"), key=self._salt_key, digest_size=SALT_LENGTH).digest()

    async def _check(self, username: bytes | str, secret: bytes | str) -> bytes:
        password = secret.encode() if isinstance(secret, str) else secret
        name, user = await self._known(username)
        stored = user.password if user is not None else ""
        if user is not None and stored and self._remembered.has(stored, user.name, password):
            return user.name.encode()
        right = await self._run(lambda: self._test(stored or self._directory.decoy(name).password, password))
        known = _may_log_in(user)
        if not right:
            raise Refused("wrong password")
        self._remembered.add(stored, known.name, password)
        return known.name.encode()

    async def _check_proof(self, credentials: IScramCredentials) -> bytes:
        """SCRAM: the proof against the verifier as it is now."""
        name, mechanism = credentials.username, credentials.mechanism
        _, user = await self._known(name)
        verifier, _ = await self.verifier(name, mechanism)
        refusal = None
        try:
            credentials.check_verifier(verifier)
        except Refused as problem:
            refusal = problem
        known = _may_log_in(user)
        if refusal is not None:
            raise refusal
        return known.name.encode()

    async def _check_digest(self, credentials: IUsernameHashedPassword) -> bytes:
        """CRAM-MD5 and its like, which need the password itself."""
        name, user = await self._known(credentials.username)
        stored = user.password if user is not None else ""
        plain = self._plain(stored or self._directory.decoy(name).password)
        right = credentials.checkPassword(b"" if plain is None else plain)
        known = _may_log_in(user)
        if plain is None or not right:
            raise Refused("wrong password")
        return known.name.encode()

    def _test(self, stored: str, password: bytes) -> bool:
        try:
            return verify(stored, password)
        except HashError as problem:
            self._unreadable(problem)
            return False

    def _plain(self, stored: str) -> bytes | None:
        try:
            return plain_of(stored)
        except HashError as problem:
            self._unreadable(problem)
            return None

    def _unreadable(self, problem: HashError) -> None:
        self._log.warn("a stored password cannot be read: {reason}", reason=str(problem))


def _may_log_in(user: User | None) -> User:
    if user is None:
        raise Refused("no such user")
    if not user.password:
        raise Refused("this user may not log in")
    return user


@implementer(ICredentialsChecker, IScramVerifiers)
class AnyChecker:
    """Several checkers, asked in turn until one says yes."""

    credentialInterfaces = (IUsernamePassword, IScramCredentials, IUsernameHashedPassword)

    def __init__(self, checkers: Sequence[ICredentialsChecker]) -> None:
        self._checkers = checkers

    def mechanisms(self) -> frozenset[str]:
        """What every one of them can do; a checker that does not say knows plain passwords."""
        known = [_mechanisms(checker) for checker in self._checkers]
        return frozenset.intersection(*known) if known else frozenset()

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """The avatar ID of the first checker that accepts these; fails with UnauthorizedLogin."""
        return Deferred.fromCoroutine(self._check(credentials))

    async def verifier(self, name: bytes, mechanism: str) -> tuple[Verifier, bool]:
        """What the first checker has that knows the user; the first's decoy if none does.

        All are asked in any case, so that it takes as long. Raises UnauthorizedLogin if none has verifiers.
        """
        able = [checker for checker in self._checkers if IScramVerifiers.providedBy(checker)]
        found = [await settled(checker.verifier(name, mechanism)) for checker in able]
        if not found:
            raise UnauthorizedLogin
        return next((each for each in found if each[1]), found[0])

    async def _check(self, credentials: Any) -> bytes | tuple[()]:
        first: Refused | MailError | None = None
        able = [
            checker
            for checker in self._checkers
            if any(interface.providedBy(credentials) for interface in checker.credentialInterfaces)
        ]
        if not able:
            raise UnhandledCredentials
        for checker in able:
            try:
                return await settled(checker.requestAvatarId(credentials))
            except (Refused, MailError) as refusal:
                first = first or refusal
            except UnauthorizedLogin:
                continue
        raise first or UnauthorizedLogin()


def _mechanisms(checker: ICredentialsChecker) -> frozenset[str]:
    return checker.mechanisms() if ILoginMechanisms.providedBy(checker) else PASSWORD_MECHANISMS
