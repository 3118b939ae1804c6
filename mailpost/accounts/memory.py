"""Users in memory, as a directory: for programs that have their users elsewhere, and for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from secrets import token_hex

from zope.interface import implementer

from mailpost.accounts.account import User, checked_user
from mailpost.accounts.interfaces import PASSWORD_MECHANISMS, IUserDirectory
from mailpost.accounts.usersfile import mechanisms_of_all


@implementer(IUserDirectory)
class MemoryDirectory:
    """Some users, found by name whatever the case of its letters; more can be added while a server runs."""

    def __init__(self, users: Iterable[User] = ()) -> None:
        self._users: dict[str, User] = {}
        self._mechanisms = PASSWORD_MECHANISMS
        for user in users:
            self.add(user)

    @classmethod
    def of(cls, passwords: Mapping[str, str]) -> MemoryDirectory:
        """Users by name, with the passwords that they type. Raises UserNameError."""
        return cls(User(checked_user(name), f"{{PLAIN}}{password}") for name, password in passwords.items())

    def add(self, user: User) -> None:
        """Let in one more, or one in place of another of this name."""
        self._users[user.name.casefold()] = user
        self._mechanisms = mechanisms_of_all(known for known in self._users.values() if known.password)

    def find(self, name: str) -> User | None:
        """The user of this name."""
        return self._users.get(name.casefold())

    def decoy(self, name: str) -> User:
        """Somebody with a password that nobody knows, which takes as long to test as those that are kept as typed."""
        return User(name, f"{{PLAIN}}{token_hex(16)}")

    def mechanisms(self) -> frozenset[str]:
        """What all of them can use."""
        return self._mechanisms
