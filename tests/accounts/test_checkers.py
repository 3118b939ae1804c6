from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.checkers import ICredentialsChecker, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import CramMD5Credentials, IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin, UnhandledCredentials
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailpost.accounts.checkers import MOST_REMEMBERED, AnyChecker, DirectoryChecker, Remembered
from mailpost.accounts.directory import PasswordFile
from mailpost.accounts.interfaces import ILoginMechanisms, IScramVerifiers, Refused
from mailpost.accounts.passwords import hashed
from mailpost.accounts.realm import MailRealm
from mailpost.accounts.scram import Exchange, ScramCredentials
from mailpost.accounts.verifiers import Verifier, beside
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.wire.sasl import parse_gs2
from tests.scramclient import ScramClient

JOE = hashed(b"secret", "SCRAM-SHA-256")


class Site:
    """A users file, its checker, and how often a password was tested."""

    def __init__(self, folder: Path, text: str) -> None:
        self.clock = Clock()
        self.path = folder / "users"
        self.path.write_text(text)
        self.tests = 0
        directory = PasswordFile(self.path, self._run, self.clock.seconds)
        self.checker = DirectoryChecker(directory, self._test, self.clock.seconds)

    def _run(self, function: Callable[[], None]) -> Awaitable[None]:
        return succeed(function())

    def _test(self, function: Callable[[], bool]) -> Awaitable[bool]:
        self.tests += 1
        return succeed(function())

    def login(self, name: bytes, password: bytes) -> object:
        return result(self.checker.requestAvatarId(UsernamePassword(name, password)))


def result(deferred: Deferred[object]) -> object:
    results: list[object] = []
    deferred.addBoth(results.append)
    value = getattr(results[0], "value", results[0])
    if isinstance(value, Exception):
        raise value
    return value


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, f"joe:{JOE}\nbad:{{SCRAM-SHA-256}}rubbish\nlocked:!\n")


def test_right_and_wrong(site: Site) -> None:
    verifyObject(ICredentialsChecker, site.checker)
    verifyObject(ILoginMechanisms, site.checker)
    assert site.checker.mechanisms() == {"PLAIN", "LOGIN"}
    assert site.login(b"joe", b"secret") == b"joe"
    assert site.login(b"Joe", b"secret") == b"joe"
    for name, password in [
        (b"joe", b"Secret"), (b"joe", b""), (b"jo", b"secret"), (b"bad", b"x"), (b"locked", b""), (b"locked", b"!"),
        (b"../joe", b"secret"), (b"", b""), (b"\xff", b"secret"), (b"joe\0", b"secret"),
    ]:  # fmt: skip
        with pytest.raises(UnauthorizedLogin):
            site.login(name, password)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"joe", "wrong password"),
        (b"nobody", "no such user"),
        (b"../joe", "no such user"),
        (b"locked", "this user may not log in"),
    ],
)
def test_a_refusal_has_a_reason_for_the_log(site: Site, name: bytes, reason: str) -> None:
    both = AnyChecker([InMemoryUsernamePasswordDatabaseDontUse(), site.checker])
    for checker in (site.checker, both):
        with pytest.raises(Refused, match=f"^{reason}$"):
            result(checker.requestAvatarId(UsernamePassword(name, b"wrong")))


def test_every_failure_tests_one_password(site: Site) -> None:
    for name in (b"joe", b"nobody", b"locked", b"../joe", b"\xff"):
        before = site.tests
        with pytest.raises(UnauthorizedLogin):
            site.login(name, b"wrong")
        assert site.tests == before + 1, name


def test_an_unknown_user_costs_what_a_wrong_password_costs(tmp_path: Path) -> None:
    site = Site(tmp_path, f"joe:{hashed(b'secret', 'PBKDF2')}\n")

    def spent(name: bytes) -> float:
        best = 1e9
        for _ in range(5):
            begun = time.process_time()
            with pytest.raises(UnauthorizedLogin):
                site.login(name, b"wrong")
            best = min(best, time.process_time() - begun)
        return best

    known, unknown = spent(b"joe"), spent(b"nobody")
    assert 0.5 < known / unknown < 2


def test_a_success_is_remembered_for_a_minute(site: Site) -> None:
    site.login(b"joe", b"secret")
    assert site.tests == 1
    site.clock.advance(59)
    site.login(b"joe", b"secret")
    assert site.tests == 1
    with pytest.raises(UnauthorizedLogin):
        site.login(b"joe", b"secreT")
    site.clock.advance(1)
    site.login(b"joe", b"secret")
    assert site.tests == 3


def test_a_changed_password_counts_at_once(site: Site) -> None:
    site.login(b"joe", b"secret")
    site.path.write_text(f"joe:{hashed(b'other', 'SCRAM-SHA-256')}\n")
    site.clock.advance(1)
    with pytest.raises(UnauthorizedLogin):
        site.login(b"joe", b"secret")
    assert site.login(b"joe", b"other") == b"joe"


def test_memory_of_successes_is_bounded_and_holds_no_password() -> None:
    clock = Clock()
    remembered = Remembered(clock.seconds)
    for number in range(MOST_REMEMBERED + 10):
        remembered.add("{PLAIN}x", f"user{number}", b"very secret")
    assert not remembered.has("{PLAIN}x", "user9", b"very secret")
    assert remembered.has("{PLAIN}x", "user10", b"very secret")
    assert len(remembered._until) == MOST_REMEMBERED
    assert all(len(digest) == 32 for digest in remembered._until)
    clock.advance(60)
    remembered.add("{PLAIN}x", "user", b"x")
    assert len(remembered._until) == 1


def test_parts_of_a_digest_cannot_be_shifted() -> None:
    remembered = Remembered(Clock().seconds)
    remembered.add("{PLAIN}a", "b", b"c")
    assert not remembered.has("{PLAIN}", "ab", b"c")
    assert not remembered.has("{PLAIN}a", "", b"bc")


@implementer(ICredentialsChecker, ILoginMechanisms)
class ScramOnly(InMemoryUsernamePasswordDatabaseDontUse):
    def mechanisms(self) -> frozenset[str]:
        return frozenset({"PLAIN", "SCRAM-SHA-256"})


def test_several_checkers_are_asked_in_turn(site: Site) -> None:
    memory = InMemoryUsernamePasswordDatabaseDontUse(ann=b"word")
    both = AnyChecker([site.checker, memory])
    portal = Portal(MailRealm.__new__(MailRealm), [both])
    assert portal.listCredentialsInterfaces()
    assert result(both.requestAvatarId(UsernamePassword(b"joe", b"secret"))) == b"joe"
    assert result(both.requestAvatarId(UsernamePassword(b"ann", b"word"))) == b"ann"
    with pytest.raises(UnauthorizedLogin):
        result(both.requestAvatarId(UsernamePassword(b"ann", b"secret")))
    assert both.mechanisms() == {"PLAIN", "LOGIN"}
    assert AnyChecker([site.checker]).mechanisms() == {"PLAIN", "LOGIN"}
    assert AnyChecker([both, ScramOnly()]).mechanisms() == {"PLAIN"}
    assert AnyChecker([]).mechanisms() == frozenset()


# -- SCRAM and CRAM-MD5


def verifier(checker: Any, name: bytes, mechanism: str = "SCRAM-SHA-256") -> tuple[Verifier, bool]:
    found: Any = result(Deferred.fromCoroutine(checker.verifier(name, mechanism)))
    return found


def proof(checker: Any, name: str, password: str, mechanism: str = "SCRAM-SHA-256") -> ScramCredentials:
    """What a client with this password brings, after it was shown what the checker has for this name."""
    exchange = Exchange(mechanism)
    client = ScramClient(mechanism, name, password)
    user = exchange.begin(*parse_gs2(client.first())).encode()
    kept, _ = verifier(checker, user, mechanism)
    return exchange.finish(client.final(exchange.server_first(kept)))


@pytest.fixture(params=["PLAIN", "SCRAM-SHA-256", "beside"])
def scram_site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    if request.param != "beside":
        return Site(tmp_path, f"joe:{hashed(b'secret', request.param)}\nlocked:!\n")
    stored = hashed(b"secret", "PBKDF2")
    return Site(tmp_path, f"joe:{stored}\nlocked:!\n#mailpost_scram:joe:{beside(stored, b'secret')}\n")


def test_a_proof_lets_in(scram_site: Site) -> None:
    verifyObject(IScramVerifiers, scram_site.checker)
    scram_site.login(b"joe", b"secret")
    assert "SCRAM-SHA-256" in scram_site.checker.mechanisms()
    credentials = proof(scram_site.checker, "Joe", "secret")
    assert result(scram_site.checker.requestAvatarId(credentials)) == b"joe"
    assert credentials.server_final.startswith(b"v=")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("joe", "wrong password"),
        ("nobody", "no such user"),
        ("../joe", "no such user"),
        ("locked", "this user may not log in"),
    ],
)
def test_a_wrong_proof_has_a_reason_for_the_log(scram_site: Site, name: str, reason: str) -> None:
    both = AnyChecker([InMemoryUsernamePasswordDatabaseDontUse(), scram_site.checker])
    for checker in (scram_site.checker, both):
        for password in ("wrong", "secret") if name != "joe" else ("wrong",):
            credentials = proof(checker, name, password)
            with pytest.raises(Refused, match=f"^{reason}$"):
                result(checker.requestAvatarId(credentials))
            assert credentials.server_final == b""


def test_challenges_do_not_tell_who_is_a_user(scram_site: Site) -> None:
    def shown(name: bytes) -> tuple[int, int, bytes]:
        before = scram_site.tests
        found, known = verifier(scram_site.checker, name)
        assert known is (name.lower() == b"joe")
        return scram_site.tests - before, found.iterations, found.salt

    for known, unknown in ((b"joe", b"nobody"), (b"JOE", b"NOBODY")):
        assert shown(known)[:2] == shown(unknown)[:2], "as much work in a thread, as many iterations"
        assert len(shown(known)[2]) == len(shown(unknown)[2])
    for name in (b"joe", b"nobody", b"locked", b"\xff", b""):
        assert shown(name) == shown(name)
    assert shown(b"NOBODY") == shown(b"nobody")
    assert shown(b"JOE") == shown(b"joe")
    assert len({shown(name)[2] for name in (b"joe", b"nobody", b"some", b"locked", b"\xff")}) == 5


def test_a_password_changed_meanwhile_is_not_proven_by_the_old_one(scram_site: Site) -> None:
    credentials = proof(scram_site.checker, "joe", "secret")
    scram_site.path.write_text(f"joe:{hashed(b'other', 'SCRAM-SHA-256')}\n")
    scram_site.clock.advance(1)
    with pytest.raises(Refused, match="changed meanwhile"):
        result(scram_site.checker.requestAvatarId(credentials))


def test_the_old_password_is_out_when_another_program_changed_the_hash(tmp_path: Path) -> None:
    stored = hashed(b"secret", "PBKDF2")
    site = Site(tmp_path, f"joe:{stored}\n#mailpost_scram:joe:{beside(stored, b'secret')}\n")
    site.login(b"joe", b"secret")
    site.path.write_text(site.path.read_text().replace(stored, hashed(b"other", "PBKDF2")))
    site.clock.advance(1)
    assert site.login(b"joe", b"other") == b"joe"
    assert site.checker.mechanisms() == {"PLAIN", "LOGIN"}
    for password in ("secret", "other"):
        with pytest.raises(Refused, match="wrong password"):
            result(site.checker.requestAvatarId(proof(site.checker, "joe", password)))


def test_cram_md5_where_the_password_itself_is_stored(tmp_path: Path) -> None:
    def answer(site: Site, user: bytes, password: bytes) -> object:
        credentials = CramMD5Credentials()
        credentials.challenge = b"<1896.697170952@postoffice.reston.mci.net>"
        credentials.username = user
        credentials.response = hmac.new(password, credentials.challenge, "md5").hexdigest().encode()
        return result(AnyChecker([site.checker]).requestAvatarId(credentials))

    site = Site(tmp_path, "tim:{PLAIN}tanstaaftanstaaf\nlocked:!\n")
    assert answer(site, b"tim", b"tanstaaftanstaaf") == b"tim"
    for user, password, reason in (
        (b"tim", b"x", "wrong password"),
        (b"nobody", b"tanstaaftanstaaf", "no such user"),
        (b"locked", b"", "may not log in"),
    ):
        with pytest.raises(Refused, match=reason):
            answer(site, user, password)
    site.path.write_text(f"tim:{JOE}\n")
    site.clock.advance(1)
    for password in (b"", b"secret"):
        with pytest.raises(Refused, match="wrong password"):
            answer(site, b"tim", password)


def test_checkers_get_only_what_they_take(scram_site: Site) -> None:
    scram_site.login(b"joe", b"secret")
    memory = InMemoryUsernamePasswordDatabaseDontUse(ann=b"word")
    both = AnyChecker([memory, scram_site.checker])
    assert both.mechanisms() == {"PLAIN", "LOGIN"}, "not everybody can use SCRAM"
    assert result(both.requestAvatarId(proof(both, "joe", "secret"))) == b"joe"
    with pytest.raises(UnhandledCredentials):
        result(AnyChecker([memory]).requestAvatarId(proof(both, "joe", "secret")))
    with pytest.raises(UnauthorizedLogin):
        verifier(AnyChecker([memory]), b"joe")


def test_the_verifier_of_several_checkers_is_that_of_who_knows_the_user(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = Site(tmp_path / "one", "joe:{PLAIN}secret\n"), Site(tmp_path / "two", "ann:{PLAIN}word\n")
    both = AnyChecker([one.checker, two.checker])
    assert verifier(both, b"joe") == verifier(one.checker, b"joe")
    assert verifier(both, b"ann") == verifier(two.checker, b"ann")
    assert verifier(both, b"nobody") == verifier(one.checker, b"nobody")
    assert result(both.requestAvatarId(proof(both, "ann", "word"))) == b"ann"
    with pytest.raises(Refused):
        result(both.requestAvatarId(proof(both, "ann", "secret")))


def test_users_who_cannot_be_looked_up_keep_nobody_else_out() -> None:
    class Away:
        credentialInterfaces = (IUsernamePassword,)

        def requestAvatarId(self, credentials: object) -> object:
            raise MailError(ErrorKind.UNAVAILABLE, "away")

    both = AnyChecker([Away(), InMemoryUsernamePasswordDatabaseDontUse(bob=b"word")])  # type: ignore[list-item]
    outcomes: list[Any] = []
    for password in (b"word", b"wrong"):
        both.requestAvatarId(UsernamePassword(b"bob", password)).addBoth(outcomes.append)
    assert outcomes[0] == b"bob"
    assert outcomes[1].check(MailError), "not that the password is wrong: nobody knows"
