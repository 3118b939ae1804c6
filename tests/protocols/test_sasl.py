"""The server's side of SASL: what is announced, the mechanisms that carry a password, Twisted's, and how all end.

RFC: 4422, 4616, 8314
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import CramMD5Credentials
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.mail.imap4 import PLAINCredentials
from zope.interface import implementer

from mailpost.accounts.interfaces import ILoginMechanisms
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.connection import ConnectionRecord, Connections
from mailpost.protocols.login import Login
from mailpost.protocols.sasl import MOST_CHALLENGES, Ask, Cancelled, SaslError, SaslServer, UnknownMechanism
from mailpost.storage.interfaces import IMailAccount

FAR = "192.0.2.1"


@implementer(IRealm)
class Realm:
    def __init__(self) -> None:
        self.inside = 0

    def requestAvatar(self, avatar_id: bytes, mind: Any, *interfaces: Any) -> Any:
        assert interfaces == (IMailAccount,)
        self.inside += 1

        def leave() -> None:
            self.inside -= 1

        return IMailAccount, avatar_id, leave


class Server:
    def __init__(self, address: str = FAR, mechanisms: ILoginMechanisms | None = None, **settings: Any) -> None:
        self.clock = Clock()
        self.realm = Realm()
        self.portal: Portal | None = Portal(
            self.realm, [InMemoryUsernamePasswordDatabaseDontUse(joe=b"secret", ann=b"word")]
        )
        self.record = ConnectionRecord("TEST", address, self.clock)
        self.record.encrypted = True
        login = Login(self.clock, Connections(0, 0), mechanisms)
        self.sasl = SaslServer(login, self.record, protocol="TEST", portal=self.portal, **settings)

    def finish(self, way: Awaitable[Any]) -> Any:
        results: list[Any] = []
        Deferred.fromCoroutine(way).addBoth(results.append)
        for _ in range(100):
            if results:
                break
            self.clock.advance(0.25)
        value = getattr(results[0], "value", results[0])
        if isinstance(value, BaseException):
            raise value
        return value

    def authenticate(self, mechanism: str, initial: bytes | None = None, ask: Ask | None = None) -> Any:
        return self.finish(self.sasl.authenticate(mechanism, initial, ask or answers()))

    def refused(self, mechanism: str, initial: bytes | None = None, ask: Ask | None = None) -> ErrorKind:
        with pytest.raises(MailError) as caught:
            self.authenticate(mechanism, initial, ask)
        return caught.value.kind


class Answers:
    """A client with these answers; `asked` is what it was asked."""

    def __init__(self, lines: Sequence[bytes | Callable[[bytes], bytes]]) -> None:
        self.lines = list(lines)
        self.asked: list[bytes] = []

    async def __call__(self, challenge: bytes) -> bytes:
        self.asked.append(challenge)
        if not self.lines:
            raise Cancelled("cancelled")
        line = self.lines.pop(0)
        return line if isinstance(line, bytes) else line(challenge)


def answers(*lines: bytes | Callable[[bytes], bytes]) -> Answers:
    return Answers(lines)


# -- what is announced


def test_passwords_need_tls_or_a_client_of_this_machine_or_the_setting() -> None:
    server = Server()
    assert server.sasl.mechanisms() == ["PLAIN", "LOGIN"]
    server.record.encrypted = False
    assert server.sasl.mechanisms() == []
    assert not server.sasl.password_permitted
    for mechanism in ("PLAIN", "LOGIN"):
        assert server.refused(mechanism, b"\0joe\0secret") is ErrorKind.PRIVACY_REQUIRED
    with pytest.raises(MailError) as caught:
        server.finish(server.sasl.with_password(b"joe", b"secret"))
    assert caught.value.kind is ErrorKind.PRIVACY_REQUIRED
    assert server.sasl.failures == 0
    for other in (Server("127.0.0.1"), Server("unix"), Server(""), Server(allow_plaintext_auth=True)):
        other.record.encrypted = False
        assert other.sasl.mechanisms() == ["PLAIN", "LOGIN"]
    assert Server(encrypted=lambda: False).sasl.mechanisms() == []


@implementer(ILoginMechanisms)
class Announced:
    def __init__(self, *names: str) -> None:
        self.names = frozenset(names)

    def mechanisms(self) -> frozenset[str]:
        return self.names


def test_what_not_every_user_can_use_is_not_announced() -> None:
    users = Announced("PLAIN", "GSSAPI")
    server = Server(mechanisms=users)
    assert server.sasl.mechanisms() == ["PLAIN"]
    with pytest.raises(UnknownMechanism):
        server.authenticate("LOGIN")
    users.names = frozenset({"LOGIN"})
    assert server.sasl.mechanisms() == ["LOGIN"]


def test_without_a_portal_there_is_nothing() -> None:
    server = Server()
    server.sasl.portal = None
    assert server.sasl.mechanisms() == []
    with pytest.raises(MailError) as caught:
        server.finish(server.sasl.with_password(b"joe", b"secret"))
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    server.sasl.challengers = {b"PLAIN": PLAINCredentials}
    assert server.refused("PLAIN", b"\0joe\0secret") is ErrorKind.UNAVAILABLE


# -- the mechanisms


@pytest.mark.parametrize(
    ("mechanism", "initial", "lines", "asked"),
    [
        ("PLAIN", b"\0joe\0secret", [], []),
        ("PLAIN", b"joe\0joe\0secret", [], []),
        ("PLAIN", None, [b"\0joe\0secret"], [b""]),
        ("LOGIN", None, [b"joe", b"secret"], [b"Username:", b"Password:"]),
        ("LOGIN", b"joe", [b"secret"], [b"Password:"]),
    ],
)
def test_passwords(mechanism: str, initial: bytes | None, lines: list[bytes], asked: list[bytes]) -> None:
    server = Server()
    client = Answers(lines)
    logged_in = server.authenticate(mechanism, initial, client)
    assert client.asked == asked
    assert logged_in.user == server.record.user == "joe"
    assert server.realm.inside == 1
    logged_in.log_out()
    assert server.realm.inside == 0


def test_refusals_are_late_and_counted() -> None:
    server = Server()
    for mechanism, initial, ask in (
        ("PLAIN", b"\0joe\0wrong", None),
        ("PLAIN", b"\0nobody\0secret", None),
        ("PLAIN", b"ann\0joe\0wrong", None),
        ("LOGIN", b"joe", answers(b"wrong")),
        ("LOGIN", None, answers(b"", b"")),
    ):
        began = server.clock.seconds()
        assert server.refused(mechanism, initial, ask) is ErrorKind.AUTHENTICATION_FAILED
        assert server.clock.seconds() - began >= 0.5
    assert server.sasl.failures == 5
    assert server.realm.inside == 0
    assert server.record.user == ""


def test_who_is_known_may_not_act_for_somebody_else() -> None:
    """RFC: 5530 §3 (AUTHORIZATIONFAILED)"""
    server = Server()
    assert server.refused("PLAIN", b"ann\0joe\0secret", None) is ErrorKind.AUTHORIZATION_FAILED
    assert server.sasl.failures == 1
    assert (server.realm.inside, server.record.user) == (0, "")
    server.authenticate("PLAIN", b"joe\0joe\0secret", None).log_out()


@pytest.mark.parametrize("message", [b"", b"joe", b"\0joe", b"\0\0secret", b"\0joe\0", b"\0\xff\0x", b"\0a\0b\0c"])
def test_messages_that_cannot_be_read_are_no_login(message: bytes) -> None:
    server = Server()
    for initial, ask in ((message, None), (None, answers(message))):
        with pytest.raises(SaslError):
            server.authenticate("PLAIN", initial, ask)
    assert server.sasl.failures == 0


def test_a_client_may_give_up() -> None:
    server = Server()
    for mechanism, client in (("PLAIN", answers()), ("LOGIN", answers()), ("LOGIN", answers(b"joe"))):
        with pytest.raises(Cancelled):
            server.authenticate(mechanism, None, client)
    assert server.sasl.failures == 0
    assert not server.clock.getDelayedCalls()


def test_what_the_way_to_the_client_raises_comes_through() -> None:
    async def broken(_: bytes) -> bytes:
        raise ValueError("a line too long")

    with pytest.raises(ValueError, match="a line too long"):
        Server().authenticate("PLAIN", None, broken)


def test_a_hook_in_place_of_the_portal() -> None:
    def by_password(user: bytes, password: bytes) -> Any:
        return IMailAccount, (user, password), lambda: None

    logged_in = Server(by_password=by_password).authenticate("PLAIN", b"\0any\0thing")
    assert logged_in.avatar == (b"any", b"thing")


# -- as Twisted has them


def digest(challenge: bytes) -> bytes:
    return b"joe " + hmac.new(b"secret", challenge, "md5").hexdigest().encode()


def test_challengers_of_twisted() -> None:
    server = Server(challengers={b"CRAM-MD5": CramMD5Credentials, b"PLAIN": PLAINCredentials})
    assert server.sasl.mechanisms() == ["CRAM-MD5", "PLAIN", "LOGIN"]
    assert server.authenticate("CRAM-MD5", None, answers(digest)).user == "joe"
    assert server.refused("CRAM-MD5", None, answers(b"joe 00")) is ErrorKind.AUTHENTICATION_FAILED
    with pytest.raises(SaslError, match="cannot be read"):
        server.authenticate("CRAM-MD5", None, answers(b"joe"))
    assert server.authenticate("PLAIN", b"\0joe\0secret").user == "joe"
    with pytest.raises(SaslError):
        server.authenticate("PLAIN", b"joe")


def test_an_exchange_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CramMD5Credentials, "moreChallenges", lambda self: True)
    client = Answers([digest] * 100)
    with pytest.raises(SaslError, match="no end"):
        Server(challengers={b"CRAM-MD5": CramMD5Credentials}).authenticate("CRAM-MD5", None, client)
    assert len(client.asked) == MOST_CHALLENGES
