"""The users of a file (`accounts.usersfile`), which is read again when it changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from secrets import token_bytes
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailpost.accounts.account import User
from mailpost.accounts.interfaces import IUserDirectory
from mailpost.accounts.reread import RereadFile
from mailpost.accounts.usersfile import Listing, mechanisms_of_all, parse, scram_note
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.records import QuotaLimit

T = TypeVar("T")
Run = Callable[[Callable[[], T]], Awaitable[T]]

_UNUSED_DECOY = User("", "{PBKDF2}$1$none$50000$" + "0" * 40)


@dataclass(frozen=True, slots=True)
class _Users:
    """What a users file says, and what follows from it, worked out once for all logins."""

    listing: Listing
    spelling: Mapping[str, str]
    """Names as they are in the file, by what they are without regard to case."""
    real: Sequence[User]
    """Those who may log in."""
    mechanisms: frozenset[str]
    """What every one of these can use."""

    @classmethod
    def of(cls, listing: Listing) -> _Users:
        """The users of a listing."""
        real = [user for user in listing.users.values() if user.password]
        return cls(
            listing,
            spelling={name.casefold(): name for name in reversed(list(listing.users))},
            real=real,
            mechanisms=mechanisms_of_all(real),
        )

    @property
    def warnings(self) -> Sequence[str]:
        """Of bad lines."""
        return self.listing.warnings


@implementer(IUserDirectory)
class PasswordFile:
    """A users file as a directory."""

    _log = Logger()

    def __init__(self, path: Path, run: Run[None], seconds: Callable[[], float]) -> None:
        """Nothing is read before the first question, unless `load` is called; what can be announced is known behind it.

        Args:
            path: the file.
            run: runs a blocking function in a worker thread and answers with an awaitable.
            seconds: a clock that only goes forward.
        """
        self.path = path
        self._file = RereadFile(path, self._read, _Users.of(Listing()), what="users file", run=run, seconds=seconds)
        self._key = token_bytes(16)

    async def find(self, name: str) -> User | None:
        """The user of this very name, else the first of it in other letters, small or capital.

        Raises:
            MailError: UNAVAILABLE as long as the file could never be read: then nobody can say that a user is none.
        """
        known = await self._file.current()
        if not self._file.was_read:
            raise MailError(ErrorKind.UNAVAILABLE, "The users are not known at the moment")
        users = known.listing.users
        return users.get(name) or users.get(known.spelling.get(name.casefold(), ""))

    def quota(self, name: str) -> QuotaLimit | None:
        """How much mail a user of this exact name may have, at once; None where the file does not say."""
        user = self._file.value.listing.users.get(name)
        return user.quota if user is not None else None

    def decoy(self, name: str) -> User:
        """One of the users, always the same for a name; the salts of its verifiers are the name's own."""
        known = self._file.value
        if not known.real:
            return _UNUSED_DECOY
        # A name is found in lower case too, and so in any case it is the same decoy's.
        key = known.listing.secret or self._key
        digest = blake2b(name.lower().encode(errors="replace"), key=key, digest_size=64).digest()
        user = known.real[int.from_bytes(digest[:8], "big") % len(known.real)]
        return replace(user, verifiers=tuple(each.with_salt_of(digest[8:]) for each in user.verifiers))

    def mechanisms(self) -> frozenset[str]:
        """What every user can use, as the file was when it was read last; it is looked at for the next time."""
        Deferred.fromCoroutine(self._file.current()).addErrback(
            lambda failure: self._log.failure("{path}: looking at the users file", failure, path=str(self.path))
        )
        return self._file.value.mechanisms

    def load(self) -> None:
        """Read the file if it is not what was read last. Blocking; a file that cannot be read keeps the old users."""
        self._file.load()

    def _read(self, text: str) -> _Users:
        listing = parse(text)
        self._log.info("{path}: {count} users", path=str(self.path), count=len(listing.users))
        if note := scram_note(listing.users):
            self._log.info("{path}: {note}", path=str(self.path), note=note)
        return _Users.of(listing)
