"""What a place that knows users offers: the plug-in interfaces of the accounts floor.

Who logs in is settled by `twisted.cred`: a portal with our realm (`mailpost.accounts.realm`) and any checkers.
These interfaces are what our own checker asks, and what a server asks before it announces a mechanism. Except where
a method says that it answers at once, it may return its value, a Deferred or a coroutine.
"""

from __future__ import annotations

from twisted.cred.error import UnauthorizedLogin
from zope.interface import Interface

from mailpost.accounts.account import User
from mailpost.storage.interfaces import Answer


class Refused(UnauthorizedLogin):
    """A login that is refused; the text says why, to the log and never to the client, without a password in it."""


class ILoginMechanisms(Interface):
    """Knows how all users can log in. A checker may provide it; one that does not is taken to know passwords only."""

    def mechanisms() -> frozenset[str]:
        """The SASL mechanisms that every user can use now, at once: a frozenset of names such as "PLAIN", "LOGIN".

        It may change while the server runs, so it is asked each time that capabilities are announced.
        """


class IUserDirectory(ILoginMechanisms):
    """A list of users with what their passwords are tested against."""

    def find(name: str) -> Answer[User | None]:
        """The `accounts.account.User` of this name as it was typed, or None; at most a second behind its source.

        Raises:
            MailError: UNAVAILABLE, it cannot be told now who there is. (Mail for nobody is refused for good.)
        """

    def decoy(name: str) -> User:
        """For a name that `find` does not know, at once: a User whose password takes as long to test as anybody's.

        The same name gets the same decoy, so that the time tells nothing about which names exist.
        """
