"""From credentials to a logged-in user, the same for every protocol.

Three promises: whoever guesses passwords is slowed down more and more; nobody learns from an answer or its time
whether a user exists; and what a login took (the account) is given back, even when the client has gone meanwhile.

RFC: 5530 §3 (AUTHENTICATIONFAILED says no more than that), 4422 §6.1 (passwords in the clear)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.cred.credentials import IUsernameHashedPassword, IUsernamePassword
from twisted.cred.error import LoginFailed, UnhandledCredentials
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Interface

from mailpost.accounts.interfaces import (
    PASSWORD_MECHANISMS,
    ILoginMechanisms,
    IScramCredentials,
    IScramVerifiers,
    Refused,
)
from mailpost.accounts.verifiers import SCRAM_MECHANISMS
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.connection import Connections, is_local, network_of
from mailpost.storage import events
from mailpost.storage.events import Tell

log = Logger()

FIRST_DELAY = 0.5
"""Seconds before a first failure is answered; each further one doubles it."""
LONGEST_DELAY = 15.0
"""Seconds that no delay exceeds."""
REMEMBERED = 15 * 60.0
"""Seconds without a failure after which a client is as good as new."""
MOST_REMEMBERED = 20_000
"""Clients and users whose failures are remembered; the oldest are forgotten first."""

_TAKEN_AS = {
    IUsernamePassword: PASSWORD_MECHANISMS,
    IScramCredentials: frozenset(SCRAM_MECHANISMS),
    IUsernameHashedPassword: frozenset({"CRAM-MD5"}),
}
"""What a portal must take for a mechanism to be possible."""

PortalAnswer = tuple[type[Interface], Any, Callable[[], None]]
"""Interface, avatar, logout: what `Portal.login` answers with."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A login that succeeded. Who holds it must call `log_out` once."""

    interface: type[Interface]
    avatar: Any
    user: str
    log_out: Callable[[], None]


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = 0.0
    free_at: float = 0.0
    """The time at which the next attempt may be tested."""


class Penalties:
    """Remembers failed logins under a key, in bounded memory, and how long the next one must wait."""

    def __init__(self, clock: IReactorTime, first: float = FIRST_DELAY, longest: float = LONGEST_DELAY) -> None:
        self._clock = clock
        self._first = first
        self._longest = longest
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def failed(self, key: str) -> float:
        """Note a failure; the seconds before it is answered."""
        failures = self._known(key) or _Failures()
        self._failures[key] = failures
        self._failures.move_to_end(key)
        if len(self._failures) > MOST_REMEMBERED:
            self._failures.popitem(last=False)
        failures.count += 1
        failures.last = self._clock.seconds()
        return self._delay(failures)

    def wait(self, key: str) -> float:
        """The seconds before an attempt may be tested; each attempt that asks takes a turn of its own.

        So a thousand connections at once get no more guesses than one.
        """
        failures = self._known(key)
        if failures is None:
            return 0.0
        now = self._clock.seconds()
        turn = max(now, failures.free_at)
        failures.free_at = turn + self._delay(failures)
        return min(turn - now, 4 * self._longest)

    def succeeded(self, key: str) -> None:
        """Forget the failures of this key."""
        self._failures.pop(key, None)

    def _delay(self, failures: _Failures) -> float:
        return min(self._longest, self._first * 2.0 ** min(failures.count - 1, 30))

    def _known(self, key: str) -> _Failures | None:
        failures = self._failures.get(key)
        if failures is not None and self._clock.seconds() - failures.last > REMEMBERED:
            del self._failures[key]
            return None
        return failures


class Login:
    """Logs users in through a portal. One for all connections of a server, so that guesses are counted together."""

    def __init__(
        self,
        clock: IReactorTime,
        connections: Connections,
        mechanisms: ILoginMechanisms | None = None,
        penalties: Penalties | None = None,
        tell: Tell | None = None,
    ) -> None:
        """Count logins in `connections`; without `mechanisms`, PLAIN and LOGIN go if the portal takes passwords.

        SCRAM is possible if `mechanisms` provides `IScramVerifiers`. `tell` hears of every login, and every failure.
        """
        self._clock = clock
        self._connections = connections
        self._mechanisms = mechanisms
        self._penalties = Penalties(clock) if penalties is None else penalties
        self._tell = tell or (lambda event: None)

    def mechanisms(self, portal: Portal) -> frozenset[str]:
        """The SASL mechanisms with which every user of the portal can log in now."""
        taken = portal.listCredentialsInterfaces()
        possible = frozenset().union(*(names for interface, names in _TAKEN_AS.items() if interface in taken))
        if self._mechanisms is None:
            return possible & PASSWORD_MECHANISMS
        if not IScramVerifiers.providedBy(self._mechanisms):
            possible = possible.difference(SCRAM_MECHANISMS)
        return possible & self._mechanisms.mechanisms()

    @property
    def verifiers(self) -> IScramVerifiers | None:
        """Who has the verifiers for SCRAM."""
        return self._mechanisms if IScramVerifiers.providedBy(self._mechanisms) else None

    async def log_in(self, protocol: str, address: str, user: bytes, attempt: Callable[[], Any]) -> LoggedIn:
        """Try to log in.

        Args:
            protocol: for the log.
            address: the client's, as `connection.address_of` gives it.
            user: the name that was given, for the log and to count guesses by.
            attempt: starts the login. Its answer is a `PortalAnswer`, now or later.

        Raises:
            MailError: AUTHENTICATION_FAILED, after a delay; LIMIT; UNAVAILABLE.
        """
        name = user.decode("utf-8", "backslashreplace")[:200]
        whose = f"user {name.lower()}"
        # Behind a local address there may be a web mailer with all its users.
        place = whose + " here" if is_local(address) else f"address {network_of(address)}"
        if wait := self._penalties.wait(place):
            await deferLater(self._clock, wait)
        try:
            interface, avatar, leave = await _held(maybeDeferred(attempt))
        except (LoginFailed, UnhandledCredentials) as error:
            self.note(protocol, name, address, _why(error))
            await deferLater(self._clock, max(self._penalties.failed(place), self._penalties.failed(whose)))
            raise MailError(ErrorKind.AUTHENTICATION_FAILED, "Authentication failed") from None
        except MailError as error:
            self.note(protocol, name, address, error.text)
            raise
        self._penalties.succeeded(place)
        self._penalties.succeeded(whose)
        known_as = str(getattr(avatar, "user", name))
        if not self._connections.log_in(known_as, address):
            leave()
            self.note(protocol, name, address, "too many connections")
            raise MailError(ErrorKind.LIMIT, "Too many connections of this user from this address")
        self._tell(events.LoggedIn(known_as, protocol, address))
        return LoggedIn(interface, avatar, known_as, _once(leave, lambda: self._connections.log_out(known_as, address)))

    def note(self, protocol: str, user: str, address: str, reason: str) -> None:
        """Tell the log, and whoever listens, that a login was refused."""
        self._tell(events.LoginFailed(user, protocol, address))
        log.warn(
            "{protocol} login of {user!r} from {address} failed: {reason}",
            protocol=protocol,
            user=user,
            address=address or "this process",
            reason=reason,
        )


def _why(problem: Exception) -> str:
    """The reason for the log. Other checkers than ours may say anything, even a password."""
    if isinstance(problem, UnhandledCredentials):
        return "this way of logging in is not possible"
    return str(problem) if isinstance(problem, Refused) else "refused"


def _once(*calls: Callable[[], None]) -> Callable[[], None]:
    """A function that makes these calls when it is first called, and nothing after that."""
    left = list(calls)

    def call() -> None:
        while left:
            left.pop()()

    return call


def _held(answer: Deferred[PortalAnswer]) -> Deferred[PortalAnswer]:
    """The same answer; but when the waiter is cancelled, a login that still succeeds is logged out at once.

    Cancelling the portal's own Deferred would not do: a checker's thread goes on and the avatar would be lost.
    """
    abandoned = False

    def abandon(_: Deferred[PortalAnswer]) -> None:
        nonlocal abandoned
        abandoned = True

    held: Deferred[PortalAnswer] = Deferred(abandon)

    def answered(result: PortalAnswer) -> None:
        if abandoned:
            result[2]()
        else:
            held.callback(result)

    def failed(failure: Failure) -> None:
        if not abandoned:
            held.errback(failure)

    answer.addCallbacks(answered, failed).addErrback(
        lambda failure: log.failure("Logging out after a lost connection", failure)
    )
    return held
