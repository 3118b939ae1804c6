"""What a place that knows users offers: the plug-in interfaces of the accounts floor.

Who logs in is settled by `twisted.cred`: a portal with our realm (`mailpost.accounts.realm`) and any checkers.
These interfaces are what our own checker asks, and what a server asks before it announces a mechanism. Except where
a method says that it answers at once, it may return its value, a Deferred or a coroutine.
"""

from __future__ import annotations

from twisted.cred.credentials import ICredentials
from twisted.cred.error import UnauthorizedLogin
from zope.interface import Attribute, Interface

from mailpost.accounts.account import User
from mailpost.accounts.verifiers import Verifier
from mailpost.storage.interfaces import Answer

PASSWORD_MECHANISMS = frozenset({"PLAIN", "LOGIN"})
"""The SASL mechanisms that bring the password itself, which any checker of passwords can test."""


class Refused(UnauthorizedLogin):
    """A login that is refused; the text says why, to the log and never to the client, without a password in it."""


class ILoginMechanisms(Interface):
    """Knows how all users can log in. A checker may provide it; one that does not is taken to know passwords only."""

    def mechanisms() -> frozenset[str]:
        """The SASL mechanisms that every user can use now, at once: a frozenset of names such as "PLAIN", "CRAM-MD5".

        SCRAM's are named without "-PLUS", and count only with `IScramVerifiers`.

        It may change while the server runs, so it is asked each time that capabilities are announced.
        """


class IScramCredentials(ICredentials):
    """A SCRAM exchange up to the client's proof. A checker that takes it has verifiers: it provides IScramVerifiers."""

    username: bytes = Attribute("The user, in UTF-8 after SASLprep.")
    mechanism: str = Attribute('"SCRAM-SHA-256" or "SCRAM-SHA-1".')
    server_final: bytes = Attribute('What proves the server to the client; b"" until `check_verifier` has succeeded.')

    def check_verifier(verifier: Verifier) -> None:
        """Test the proof against the user's verifier of this mechanism, at once. Raises Refused if it is wrong.

        Nobody is in who has not come through here: an avatar without `server_final` is a bug, and turned away.
        """


class IScramVerifiers(ILoginMechanisms):
    """Has a SCRAM verifier for every user, while `mechanisms` names SCRAM-SHA-256 or SCRAM-SHA-1."""

    def verifier(name: bytes, mechanism: str) -> Answer[tuple[Verifier, bool]]:
        """The `accounts.verifiers.Verifier` of this user, and True.

        For a name that nobody has who may log in, a decoy and False: a verifier like the others, always the same for a
        name, and as long to find, so that neither the challenge nor its time tells which names exist.
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

        The same name gets the same decoy, so that the time tells nothing about which names exist. What verifiers it has
        have salts of their own, which are the same for a name as long as can be, over restarts too.
        """
