"""Logging in: delays, and that nothing of a login is left behind."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from twisted.cred.error import LoginFailed, UnauthorizedLogin, UnhandledCredentials
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import Interface

from mailpost.accounts.interfaces import Refused
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.connection import Connections
from mailpost.protocols.login import FIRST_DELAY, LONGEST_DELAY, MOST_REMEMBERED, REMEMBERED, LoggedIn, Login, Penalties


class Account:
    user = "joe"


class Fixture:
    def __init__(self, per_user: int = 0) -> None:
        self.clock = Clock()
        self.connections = Connections(0, per_user)
        self.login = Login(self.clock, self.connections)
        self.logged_out = 0

    def leave(self) -> None:
        self.logged_out += 1

    def answer(self) -> tuple[Any, Any, Callable[[], None]]:
        return Interface, Account(), self.leave

    def attempt(
        self, what: Callable[[], Any], user: bytes = b"joe", address: str = "192.0.2.1"
    ) -> tuple[Deferred[LoggedIn], list[Any]]:
        results: list[Any] = []
        attempt = Deferred.fromCoroutine(self.login.log_in("TEST", address, user, what))
        attempt.addBoth(results.append)
        return attempt, results

    def refused(self, user: bytes = b"joe", address: str = "192.0.2.1") -> float:
        """The seconds until a wrong password is answered."""
        _, results = self.attempt(lambda: fail(UnauthorizedLogin()), user, address)
        began = self.clock.seconds()
        while not results:
            self.clock.advance(0.25)
        results[0].trap(MailError)
        assert results[0].value.kind is ErrorKind.AUTHENTICATION_FAILED
        return self.clock.seconds() - began


@pytest.fixture
def fixture() -> Fixture:
    return Fixture()


def test_a_login_succeeds_at_once(fixture: Fixture) -> None:
    _, (logged_in,) = fixture.attempt(fixture.answer)
    assert (logged_in.interface, logged_in.user) == (Interface, "joe")
    logged_in.log_out()
    logged_in.log_out()
    assert fixture.logged_out == 1


def test_each_failure_takes_longer(fixture: Fixture) -> None:
    times = [fixture.refused() for _ in range(8)]
    assert times[0] == FIRST_DELAY
    assert all(later > earlier for earlier, later in pairwise(times[:5]))
    assert times[-1] <= 2 * LONGEST_DELAY


def test_an_unknown_user_takes_as_long_as_a_wrong_password() -> None:
    known, unknown = Fixture(), Fixture()
    assert [known.refused(b"joe") for _ in range(5)] == [unknown.refused(b"nobody") for _ in range(5)]


def test_a_user_guessed_from_everywhere_is_slow_to_refuse(fixture: Fixture) -> None:
    times = [fixture.refused(b"joe", f"192.0.2.{n}") for n in range(1, 8)]
    assert times[-1] == LONGEST_DELAY
    _, results = fixture.attempt(fixture.answer, b"joe", "198.51.100.1")
    assert results, "who knows the password and has not failed is not kept waiting"


def test_parallel_guesses_take_turns(fixture: Fixture) -> None:
    fixture.refused()
    began: list[float] = []

    def guess() -> Any:
        began.append(fixture.clock.seconds())
        return fail(UnauthorizedLogin())

    start = fixture.clock.seconds()
    for _ in range(5):
        fixture.attempt(guess)
    for _ in range(40):
        fixture.clock.advance(0.25)
    gaps = [later - earlier for earlier, later in zip([start, *began], began, strict=False)]
    assert all(gap >= FIRST_DELAY for gap in gaps[1:])


def test_success_is_forgiven_and_time_forgets(fixture: Fixture) -> None:
    for _ in range(4):
        fixture.refused()
    _, results = fixture.attempt(fixture.answer)
    fixture.clock.advance(60)
    assert isinstance(results[0], LoggedIn)
    assert fixture.refused() == FIRST_DELAY
    fixture.clock.advance(REMEMBERED + 1)
    assert fixture.refused() == FIRST_DELAY


def test_a_local_client_is_held_to_account_by_its_user(fixture: Fixture) -> None:
    for _ in range(4):
        fixture.refused(b"joe", "127.0.0.1")
    _, results = fixture.attempt(fixture.answer, b"ann", "127.0.0.1")
    assert results


def test_failures_are_remembered_in_bounded_memory() -> None:
    penalties = Penalties(Clock())
    for n in range(MOST_REMEMBERED + 10):
        penalties.failed(str(n))
    assert len(penalties) == MOST_REMEMBERED
    assert penalties.wait("0") == 0.0


def test_a_login_that_succeeds_after_the_client_has_gone_is_logged_out(fixture: Fixture) -> None:
    portal: Deferred[Any] = Deferred()
    attempt, results = fixture.attempt(lambda: portal)
    attempt.cancel()
    assert results[0].check(CancelledError)
    assert fixture.logged_out == 0
    portal.callback(fixture.answer())
    assert fixture.logged_out == 1


def test_a_login_that_fails_after_the_client_has_gone_is_no_error(fixture: Fixture) -> None:
    portal: Deferred[Any] = Deferred()
    attempt, results = fixture.attempt(lambda: portal)
    attempt.cancel()
    portal.errback(UnauthorizedLogin())
    assert len(results) == 1


def test_too_many_of_one_user() -> None:
    fixture = Fixture(per_user=1)
    _, (first,) = fixture.attempt(fixture.answer)
    _, (second,) = fixture.attempt(fixture.answer)
    assert second.value.kind is ErrorKind.LIMIT
    assert fixture.logged_out == 1
    _, (elsewhere,) = fixture.attempt(fixture.answer, address="192.0.2.2")
    assert isinstance(elsewhere, LoggedIn)
    first.log_out()
    _, (again,) = fixture.attempt(fixture.answer)
    assert isinstance(again, LoggedIn)


def failing(error: Exception) -> Callable[[], Any]:
    def attempt() -> Any:
        raise error

    return attempt


def logged(fixture: Fixture, error: Exception, kind: ErrorKind) -> dict[str, Any]:
    """The one line in the log about a login that fails so."""
    events: list[dict[str, Any]] = []
    globalLogPublisher.addObserver(events.append)
    try:
        _, results = fixture.attempt(failing(error), "jo\u00e9\n".encode())
        fixture.clock.advance(FIRST_DELAY)
    finally:
        globalLogPublisher.removeObserver(events.append)
    failure: Failure = results[0]
    assert isinstance(failure.value, MailError)
    assert failure.value.kind is kind
    (event,) = events
    return event


def test_our_own_checker_tells_the_log_why(fixture: Fixture) -> None:
    event = logged(fixture, Refused("no such user"), ErrorKind.AUTHENTICATION_FAILED)
    assert event["reason"] == "no such user"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UnauthorizedLogin("secret"), ErrorKind.AUTHENTICATION_FAILED),
        (UnhandledCredentials("secret"), ErrorKind.AUTHENTICATION_FAILED),
        (LoginFailed("secret"), ErrorKind.AUTHENTICATION_FAILED),
        (MailError(ErrorKind.UNAVAILABLE, "The mail is not there"), ErrorKind.UNAVAILABLE),
    ],
)
def test_failures_are_logged_without_secrets(fixture: Fixture, error: Exception, kind: ErrorKind) -> None:
    event = logged(fixture, error, kind)
    assert (event["user"], event["address"], event["protocol"]) == ("jo\u00e9\n", "192.0.2.1", "TEST")
    assert event["reason"]
    assert "secret" not in str(event)


def test_other_errors_are_bugs_and_pass(fixture: Fixture) -> None:
    _, results = fixture.attempt(failing(ZeroDivisionError()))
    assert results[0].check(ZeroDivisionError)
