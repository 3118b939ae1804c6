"""SCRAM and CRAM-MD5 through the server's side of SASL, with a real users file behind it.

RFC: 5802 §6, 7677, 9266, 2195
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from mailpost.accounts.checkers import AnyChecker, DirectoryChecker
from mailpost.accounts.directory import PasswordFile
from mailpost.accounts.interfaces import IScramVerifiers
from mailpost.accounts.passwords import hashed
from mailpost.accounts.verifiers import Verifier, beside
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.connection import ConnectionRecord, Connections
from mailpost.protocols.login import Login
from mailpost.protocols.sasl import Cancelled, SaslError, SaslServer, UnknownMechanism
from tests.protocols.test_sasl import FAR, Answers, Realm, answers
from tests.scramclient import ScramClient

CHANNEL = b"32 octets of keying material ..."
ALL = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"]


class Site:
    """A connection to a server whose users are in a file."""

    def __init__(self, folder: Path, users: str = "joe:{PLAIN}secret\n", address: str = FAR) -> None:
        self.clock = Clock()
        self.path = folder / "users"
        self.path.write_text(users)
        directory = PasswordFile(self.path, self._run, self.clock.seconds)
        directory.load()
        checker = AnyChecker([DirectoryChecker(directory, self._run, self.clock.seconds)])
        self.realm = Realm()
        self.connections = Connections(0, 1)
        self.record = ConnectionRecord("TEST", address, self.clock)
        self.record.encrypted = True
        self.channel: bytes | None = None
        self.sasl = SaslServer(
            Login(self.clock, self.connections, checker),
            self.record,
            protocol="TEST",
            portal=Portal(self.realm, [checker]),
            channel_binding=lambda: self.channel,
        )

    def _run(self, function: Callable[[], Any]) -> Deferred[Any]:
        return succeed(function())

    def authenticate(self, mechanism: str, initial: bytes | None, ask: Any) -> Any:
        results: list[Any] = []
        Deferred.fromCoroutine(self.sasl.authenticate(mechanism, initial, ask)).addBoth(results.append)
        for _ in range(400):
            if results:
                break
            self.clock.advance(0.25)
        value = getattr(results[0], "value", results[0])
        if isinstance(value, BaseException):
            raise value
        return value

    def scram(self, client: ScramClient, mechanism: str = "SCRAM-SHA-256", inline: bool = True) -> Any:
        """The whole exchange; the client must trust the server at its end."""

        def last(message: bytes) -> bytes:
            assert client.trusts(message)
            return b""

        ask = answers(client.final, last) if inline else answers(client.first(), client.final, last)
        return self.authenticate(mechanism, client.first() if inline else None, ask)

    def refused(
        self,
        client: ScramClient,
        mechanism: str = "SCRAM-SHA-256",
        kind: ErrorKind = ErrorKind.AUTHENTICATION_FAILED,
    ) -> str:
        """The reason in the log of a login that failed as it must."""
        noted: list[str] = []

        def note(event: LogEvent) -> None:
            noted.append(formatEvent(event))

        globalLogPublisher.addObserver(note)
        failures, began = self.sasl.failures, self.clock.seconds()
        try:
            with pytest.raises(MailError) as caught:
                self.scram(client, mechanism)
        finally:
            globalLogPublisher.removeObserver(note)
        assert caught.value.kind is kind
        assert self.sasl.failures == failures + 1
        late = self.clock.seconds() - began >= 0.5
        assert late or kind is not ErrorKind.AUTHENTICATION_FAILED, "answered late, as any wrong password"
        assert self.realm.inside == 0
        (line,) = [line for line in noted if line.startswith("TEST login of ")]
        return line.partition(" failed: ")[2]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


# -- announcing


def test_the_strongest_are_announced_first_and_none_that_is_not_possible(site: Site) -> None:
    assert site.sasl.mechanisms() == ALL[2:]
    site.channel = CHANNEL
    assert site.sasl.mechanisms() == ALL
    site.record.encrypted = False
    site.channel = None
    assert site.sasl.mechanisms() == ["SCRAM-SHA-256", "SCRAM-SHA-1"], "CRAM-MD5 is as good as the password"
    with pytest.raises(MailError) as caught:
        site.authenticate("CRAM-MD5", None, answers())
    assert caught.value.kind is ErrorKind.PRIVACY_REQUIRED
    with pytest.raises(UnknownMechanism):
        site.authenticate("SCRAM-SHA-256-PLUS", None, answers())


def test_it_follows_the_users_file(site: Site) -> None:
    stored = hashed(b"secret", "PBKDF2")
    for text, expected in (
        (f"joe:{stored}\n", ["PLAIN", "LOGIN"]),
        (f"joe:{stored}\n#mailpost_scram:joe:{beside(stored, b'secret')}\n", [*ALL[2:4], *ALL[5:]]),
        (f"joe:{hashed(b'x', 'SCRAM-SHA-1')}\n", ["SCRAM-SHA-1", "PLAIN", "LOGIN"]),
        ("joe:{PLAIN}secret\n", ALL[2:]),
    ):
        site.path.write_text(text)
        site.clock.advance(1)
        site.sasl.mechanisms()
        assert site.sasl.mechanisms() == expected


@implementer(IScramVerifiers)
class Claims:
    def mechanisms(self) -> frozenset[str]:
        return frozenset(ALL)

    def verifier(self, name: bytes, mechanism: str) -> tuple[Verifier, bool]:
        return Verifier.of(mechanism, b"secret", b"sixteen octets!!"), True


def test_a_portal_that_takes_no_proofs_has_no_scram() -> None:
    login = Login(Clock(), Connections(0, 0), Claims())
    portal = Portal(Realm(), [InMemoryUsernamePasswordDatabaseDontUse(joe=b"secret")])
    assert login.mechanisms(portal) == {"PLAIN", "LOGIN", "CRAM-MD5"}
    assert login.mechanisms(Portal(Realm())) == frozenset()
    assert Login(Clock(), Connections(0, 0)).mechanisms(portal) == {"PLAIN", "LOGIN"}


def test_a_checker_that_tests_no_proof_lets_nobody_in(site: Site) -> None:
    class Careless:
        credentialInterfaces = DirectoryChecker.credentialInterfaces

        def requestAvatarId(self, credentials: Any) -> Any:
            return succeed(credentials.username)

    site.sasl.portal = Portal(site.realm, [Careless()])
    with pytest.raises(RuntimeError, match="without a proof"):
        site.scram(ScramClient("SCRAM-SHA-256", "joe", "secret"))
    assert site.realm.inside == 0
    assert site.record.user == ""


# -- SCRAM


@pytest.mark.parametrize("mechanism", ALL[:4])
@pytest.mark.parametrize("inline", [True, False])
def test_both_sides_know_each_other_in_the_end(site: Site, mechanism: str, inline: bool) -> None:
    site.channel = CHANNEL
    binding = CHANNEL if mechanism.endswith("-PLUS") else b""
    logged_in = site.scram(ScramClient(mechanism, "joe", "secret", binding=binding), mechanism, inline)
    assert (logged_in.user, site.record.user, site.realm.inside, site.sasl.failures) == ("joe", "joe", 1, 0)
    logged_in.log_out()
    assert site.realm.inside == 0


def test_an_initial_response_that_is_empty_is_no_beginning(site: Site) -> None:
    with pytest.raises(SaslError):
        site.authenticate("SCRAM-SHA-256", b"", answers())


def test_who_is_refused_and_what_the_log_says(site: Site) -> None:
    assert site.refused(ScramClient("SCRAM-SHA-256", "joe", "wrong")) == "wrong password"
    assert site.refused(ScramClient("SCRAM-SHA-256", "nobody", "secret")) == "no such user"
    assert site.refused(ScramClient("SCRAM-SHA-256", "../joe", "secret")) == "no such user"
    mine = ScramClient("SCRAM-SHA-256", "joe", "secret", header="n,a=j\u00adoe,")
    assert site.scram(mine).user == "joe", "both names are prepared"


def test_nobody_acts_for_somebody_else(site: Site) -> None:
    client = ScramClient("SCRAM-SHA-256", "joe", "secret", header="n,a=ann,")
    assert site.refused(client, kind=ErrorKind.AUTHORIZATION_FAILED) == "Nobody may act for somebody else"
    guess = ScramClient("SCRAM-SHA-256", "joe", "wrong", header="n,a=ann,")
    assert site.refused(guess) == "wrong password"


def test_a_guess_takes_a_turn_before_it_is_tested(site: Site) -> None:
    for _ in range(3):
        site.refused(ScramClient("SCRAM-SHA-256", "joe", "wrong"))
    guess = ScramClient("SCRAM-SHA-256", "joe", "wrong")
    waiting = Deferred.fromCoroutine(site.sasl.authenticate("SCRAM-SHA-256", guess.first(), answers(guess.final)))
    waiting.addErrback(lambda failure: failure.trap(MailError))
    began = site.clock.seconds()
    site.scram(ScramClient("SCRAM-SHA-256", "joe", "secret"))
    assert site.clock.seconds() - began >= 1, "nor does the server's proof tell earlier that it was right"


def test_too_many_connections_of_a_user(site: Site) -> None:
    first = site.scram(ScramClient("SCRAM-SHA-256", "joe", "secret"))
    with pytest.raises(MailError) as caught:
        site.scram(ScramClient("SCRAM-SHA-256", "joe", "secret"))
    assert caught.value.kind is ErrorKind.LIMIT
    first.log_out()
    site.scram(ScramClient("SCRAM-SHA-256", "joe", "secret"))


# -- the channel


def test_a_client_that_was_not_shown_the_binding_is_turned_away(site: Site) -> None:
    """RFC: 5802 §6"""
    client = ScramClient("SCRAM-SHA-256", "joe", "secret", header="y,,")
    assert site.scram(client).user == "joe"
    site.realm.inside = 0
    site.channel = CHANNEL
    assert "was not shown the channel binding" in site.refused(
        ScramClient("SCRAM-SHA-256", "joe", "secret", header="y,,")
    )


def test_another_channel_is_refused(site: Site) -> None:
    site.channel = CHANNEL
    client = ScramClient("SCRAM-SHA-256", "joe", "secret", binding=b"x" * 32)
    assert "somebody may be between" in site.refused(client, "SCRAM-SHA-256-PLUS")


@pytest.mark.parametrize(
    ("mechanism", "header"),
    [
        ("SCRAM-SHA-256-PLUS", "n,,"),
        ("SCRAM-SHA-256-PLUS", "y,,"),
        ("SCRAM-SHA-256-PLUS", "p=tls-unique,,"),
        ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,"),
        ("SCRAM-SHA-256", "p=tls-exporter,,"),
    ],
)
def test_the_binding_goes_with_the_mechanism(site: Site, mechanism: str, header: str) -> None:
    site.channel = CHANNEL
    with pytest.raises(SaslError):
        site.scram(ScramClient(mechanism, "joe", "secret", binding=CHANNEL, header=header), mechanism)
    assert site.realm.inside == 0


# -- giving up


def test_a_client_may_give_up_anywhere(site: Site) -> None:
    for steps in range(4):
        client = ScramClient("SCRAM-SHA-256", "joe", "secret")
        with pytest.raises(Cancelled):
            site.authenticate("SCRAM-SHA-256", None, answers(*[lambda _, c=client: c.first(), client.final][:steps]))
        assert (site.realm.inside, site.record.user, site.sasl.failures) == (0, "", 0)
    assert site.scram(ScramClient("SCRAM-SHA-256", "joe", "secret")).user == "joe", "and is not counted as being in"


def test_a_connection_lost_before_the_end_gives_the_account_back(site: Site) -> None:
    client = ScramClient("SCRAM-SHA-256", "joe", "secret")
    waiting: Deferred[bytes] = Deferred()
    asked: list[bytes] = []

    def ask(challenge: bytes) -> Deferred[bytes]:
        asked.append(challenge)
        return succeed(client.final(challenge)) if len(asked) == 1 else waiting

    exchange = Deferred.fromCoroutine(site.sasl.authenticate("SCRAM-SHA-256", client.first(), ask))
    assert client.trusts(asked[1])
    assert site.realm.inside == 1
    exchange.addErrback(lambda _: None)
    exchange.cancel()
    assert site.realm.inside == 0


def test_nothing_follows_the_last_message(site: Site) -> None:
    client = ScramClient("SCRAM-SHA-256", "joe", "secret")
    with pytest.raises(SaslError, match="Nothing may follow"):
        site.authenticate("SCRAM-SHA-256", client.first(), answers(client.final, b"more"))
    assert site.realm.inside == 0


@settings(max_examples=200, deadline=None)
@given(first=st.binary(max_size=100), final=st.binary(max_size=100), begun=st.booleans())
def test_any_octets(tmp_path_factory: pytest.TempPathFactory, first: bytes, final: bytes, begun: bool) -> None:
    site = Site(tmp_path_factory.mktemp("any"))
    site.channel = CHANNEL
    for mechanism in ALL[:4]:
        beginning = b"p=tls-exporter,,n=joe,r=" if mechanism.endswith("-PLUS") else b"n,,n=joe,r="
        ask = Answers([final] * 10)
        with pytest.raises((SaslError, MailError)):
            site.authenticate(mechanism, beginning + first if begun else first, ask)
        assert len(ask.asked) <= 2
    assert site.realm.inside == 0


# -- CRAM-MD5


def digest(user: bytes, password: bytes) -> Callable[[bytes], bytes]:
    return lambda challenge: user + b" " + hmac.new(password, challenge, "md5").hexdigest().encode()


def test_cram_md5(site: Site) -> None:
    client = Answers([digest(b"joe", b"secret")])
    assert site.authenticate("CRAM-MD5", None, client).user == "joe"
    assert client.asked[0].startswith(b"<")
    other = Answers([digest(b"joe", b"wrong")])
    for wrong in (other, Answers([digest(b"nobody", b"secret")]), Answers([lambda _: client.asked[0]])):
        with pytest.raises((MailError, SaslError)):
            site.authenticate("CRAM-MD5", None, wrong)
    assert other.asked[0] != client.asked[0]
    assert site.sasl.failures == 2
    with pytest.raises(SaslError, match="begins with the server"):
        site.authenticate("CRAM-MD5", b"joe", answers())
