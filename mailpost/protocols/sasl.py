"""The server's side of SASL, the same for every protocol: which mechanisms there are now, and how each one goes.

Base64, line ends and what cancels an exchange are the protocol's own: it lends a function that puts a challenge to the
client and answers with the decoded response.

RFC: 4422 §3, §6.1 (passwords in the clear), 4616 (PLAIN), 5802 and 7677 (SCRAM), 8314 §3 (passwords need TLS)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from secrets import token_hex
from typing import Any, NoReturn, cast

from twisted.cred.credentials import CramMD5Credentials, ICredentials, UsernamePassword
from twisted.cred.portal import Portal
from twisted.mail.imap4 import IllegalClientResponse  # of IChallengeResponse, whatever the protocol
from twisted.mail.interfaces import IChallengeResponse
from zope.interface import Interface

from mailpost.accounts.interfaces import PASSWORD_MECHANISMS, IScramVerifiers, Refused
from mailpost.accounts.scram import Exchange, ScramError
from mailpost.accounts.verifiers import SCRAM_MECHANISMS, prepared
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.connection import ConnectionRecord, is_local
from mailpost.protocols.login import LoggedIn, Login
from mailpost.storage.interfaces import IMailAccount
from mailpost.storage.offload import settled
from mailpost.wire import sasl as messages

MOST_CHALLENGES = 10
"""A mechanism that has not come to an end after so many exchanges is given up."""

OVER_TLS = PASSWORD_MECHANISMS | {"CRAM-MD5"}
"""What is as good as telling the password to whoever listens: CRAM-MD5 lets it be guessed at full speed."""
BINDING = "tls-exporter"
"""The channel binding of the -PLUS mechanisms. RFC: 9266"""
_STRONGEST_FIRST = (*(f"{name}-PLUS" for name in SCRAM_MECHANISMS), *SCRAM_MECHANISMS, "CRAM-MD5")
_LAST = ("PLAIN", "LOGIN")

Ask = Callable[[bytes], Awaitable[bytes]]
"""Puts a challenge to the client; its response. Both without base64. Raises Cancelled, SaslError for what is none."""


class SaslError(Exception):
    """A message of the client that cannot be read; the text says why and may be told. No login was tried."""


class Cancelled(SaslError):  # noqa: N818 (the client's right)
    """The client has given the exchange up. RFC: 4422 §3.5"""


class UnknownMechanism(Exception):  # noqa: N818 (no failure of a login)
    """No such mechanism is announced."""


class SaslServer:
    """How the client of one connection may log in, and the way through it.

    Attributes:
        portal: who is asked, or None while nobody can log in; may be exchanged at any time.
        challengers: further mechanisms, as Twisted has them: name -> what makes an `IChallengeResponse`.
        failures: logins of this connection that came to nothing; a protocol ends connections with too many.
    """

    def __init__(
        self,
        login: Login,
        record: ConnectionRecord,
        *,
        protocol: str,
        portal: Portal | None,
        interfaces: Sequence[type[Interface]] = (IMailAccount,),
        encrypted: Callable[[], bool] | None = None,
        allow_plaintext_auth: bool = False,
        channel_binding: Callable[[], bytes | None] = lambda: None,
        challengers: Mapping[bytes, Any] | None = None,
        by_password: Callable[[bytes, bytes], Any] | None = None,
    ) -> None:
        """One connection's way in.

        Args:
            login: shared by the connections of a server.
            record: of this connection; it is told the user.
            protocol: for the log.
            portal: who is asked.
            interfaces: what an avatar may provide, the best first.
            encrypted: whether there is TLS now; as the record says, without it.
            allow_plaintext_auth: passwords may come without TLS, from wherever.
            channel_binding: `tls-exporter` of the connection as it is now, or None (`connection.tls_exporter`).
            challengers: further mechanisms.
            by_password: asks for the account of a name and a password in place of the portal; answers like it.
        """
        self._login = login
        self._record = record
        self._protocol = protocol
        self.portal = portal
        self._interfaces = interfaces
        self._encrypted = encrypted or (lambda: record.encrypted)
        self._allow_plaintext_auth = allow_plaintext_auth
        self._channel_binding = channel_binding
        self.challengers: Mapping[bytes, Any] = challengers or {}
        self._by_password = by_password or (lambda user, password: self._ask_portal(UsernamePassword(user, password)))
        self.failures = 0

    @property
    def password_permitted(self) -> bool:
        """Whether a password may be sent over this connection as it is."""
        return self._allow_plaintext_auth or self._encrypted() or is_local(self._record.address)

    def mechanisms(self) -> list[str]:
        """The mechanisms that are announced now: each is good for every user. The strongest are first."""
        names = set() if self.portal is None else set(self._login.mechanisms(self.portal))
        if self._channel_binding() is not None:
            names |= {f"{name}-PLUS" for name in names.intersection(SCRAM_MECHANISMS)}
        if not self.password_permitted:
            names -= OVER_TLS
        # What somebody has given to the server on purpose is announced as it is, but for passwords.
        given = {name.decode("ascii") for name in self.challengers}
        names |= given if self.password_permitted else given - PASSWORD_MECHANISMS
        return sorted(names, key=_rank)

    async def with_password(self, user: bytes, password: bytes) -> LoggedIn:
        """Log in with a name and a password that came outside of SASL.

        Raises:
            MailError: PRIVACY_REQUIRED, AUTHENTICATION_FAILED, LIMIT, UNAVAILABLE.
        """
        if not self.password_permitted:
            raise MailError(ErrorKind.PRIVACY_REQUIRED, "Passwords are taken over TLS only")
        return await self._log_in(user, lambda: self._by_password(user, password))

    async def authenticate(self, mechanism: str, initial: bytes | None, ask: Ask) -> LoggedIn:
        """Log in by a mechanism.

        Args:
            mechanism: its name, in capitals.
            initial: the response that came with the command, decoded; None if there was none, b"" for an empty one.
            ask: the way to the client. What it raises ends the exchange.

        Raises:
            UnknownMechanism: it is not announced.
            SaslError: the client's messages cannot be read, or come to no end; Cancelled.
            MailError: PRIVACY_REQUIRED, AUTHENTICATION_FAILED, AUTHORIZATION_FAILED, LIMIT, UNAVAILABLE.
        """
        if mechanism not in self.mechanisms():
            if mechanism in OVER_TLS and not self.password_permitted:
                raise MailError(ErrorKind.PRIVACY_REQUIRED, f"{mechanism} is possible over TLS only")
            raise UnknownMechanism(mechanism)
        challenger = self.challengers.get(mechanism.encode())
        if challenger is not None:
            return await self._challenged(challenger(), initial, ask)
        match mechanism:
            case "PLAIN":
                return await self._plain(initial, ask)
            case "LOGIN":
                return await self._login_mechanism(initial, ask)
            case "CRAM-MD5":
                return await self._cram_md5(initial, ask)
            case _:
                return await self._scram(mechanism, initial, ask)

    # -- mechanisms

    async def _plain(self, initial: bytes | None, ask: Ask) -> LoggedIn:
        """PLAIN: who, as whom, and the password in one message. RFC: 4616 §2"""
        message = await ask(b"") if initial is None else initial
        try:
            plain = messages.parse_plain(message)
        except ValueError as error:
            raise SaslError("The PLAIN message cannot be read") from error
        logged_in = await self.with_password(plain.user, plain.password)
        if plain.authorization not in (b"", plain.user):
            raise self._for_another(logged_in)
        return logged_in

    async def _login_mechanism(self, initial: bytes | None, ask: Ask) -> LoggedIn:
        """LOGIN: the name and the password, each asked for; obsolete and in wide use."""
        user = await ask(messages.LOGIN_USER) if initial is None else initial
        return await self.with_password(user, await ask(messages.LOGIN_PASSWORD))

    async def _cram_md5(self, initial: bytes | None, ask: Ask) -> LoggedIn:
        """CRAM-MD5: the digest of a challenge with the password as its key. RFC: 2195 §2"""
        if initial is not None:
            raise SaslError("CRAM-MD5 begins with the server")
        credentials = CramMD5Credentials()
        credentials.challenge = f"<{token_hex(16)}@mailpost>".encode()
        message = await ask(credentials.challenge)
        try:
            credentials.username, credentials.response = messages.parse_cram_md5(message)
        except ValueError as error:
            raise SaslError("The CRAM-MD5 message cannot be read") from error
        return await self._log_in(credentials.username, lambda: self._ask_portal(credentials))

    async def _scram(self, mechanism: str, initial: bytes | None, ask: Ask) -> LoggedIn:
        """SCRAM: both sides prove that they know the password, and none tells it. RFC: 5802 §3, §5, §6"""
        plain_name = mechanism.removesuffix("-PLUS")
        binding = self._channel_binding()
        message = await ask(b"") if initial is None else initial
        exchange = Exchange(plain_name, binding or b"")
        try:
            header, bare = messages.parse_gs2(message)
            user = exchange.begin(header, bare)
        except ValueError as error:
            raise SaslError("The first message of SCRAM cannot be read") from error
        if (header.flag == "p") != (mechanism != plain_name):
            raise SaslError("A channel binding goes with a -PLUS mechanism, and only with it")
        if header.flag == "p" and header.binding != BINDING:
            raise SaslError(f"The only channel binding here is {BINDING}")
        if header.flag == "y" and binding is not None:
            return await self._log_in(user.encode(), _downgraded)
        verifier, _ = await settled(cast(IScramVerifiers, self._login.verifiers).verifier(user.encode(), plain_name))
        final = await ask(exchange.server_first(verifier))
        try:
            credentials = exchange.finish(final)
        except ScramError as error:
            raise SaslError(str(error)) from error
        logged_in = await self._log_in(credentials.username, lambda: self._ask_portal(credentials))
        if prepared(header.authorization.encode()) not in (b"", user.encode()):
            raise self._for_another(logged_in)
        try:
            if not credentials.server_final:
                raise RuntimeError("a checker let somebody in without a proof")
            if await ask(credentials.server_final):
                raise SaslError("Nothing may follow the last message of SCRAM")
        except BaseException:  # cancelled too: raised again, with the login given back
            self._give_back(logged_in)
            raise
        return logged_in

    async def _challenged(self, challenge: IChallengeResponse, initial: bytes | None, ask: Ask) -> LoggedIn:
        """A mechanism that was given to the server, as Twisted has them."""
        for _ in range(MOST_CHALLENGES):
            question = challenge.getChallenge()
            if initial is None or question:
                answer = await ask(question)
            else:
                # The mechanism begins with the client, who has begun already. RFC: 4422 §3.3
                answer, initial = initial, None
            try:
                challenge.setResponse(answer)
            except IllegalClientResponse as error:
                raise SaslError(f"Authentication failed: {error}") from error
            except ValueError as error:  # so Twisted's CRAM-MD5; the text is not for the client
                raise SaslError("Authentication failed: the response cannot be read") from error
            if not challenge.moreChallenges():
                break
        else:
            raise SaslError("This authentication comes to no end")
        credentials = cast(ICredentials, challenge)
        user = getattr(credentials, "username", None) or b""
        return await self._log_in(user, lambda: self._ask_portal(credentials))

    # -- logging in

    async def _log_in(self, user: bytes, attempt: Callable[[], Any]) -> LoggedIn:
        try:
            logged_in = await self._login.log_in(self._protocol, self._record.address, user, attempt)
        except MailError:
            self.failures += 1
            raise
        self._record.user = logged_in.user
        return logged_in

    def _give_back(self, logged_in: LoggedIn) -> None:
        self._record.user = ""
        logged_in.log_out()

    def _for_another(self, logged_in: LoggedIn) -> MailError:
        """The error that nobody may act for somebody else; it counts as a failed login. RFC: 4616 §2, 5530 §3"""
        self._give_back(logged_in)
        self.failures += 1
        error = MailError(ErrorKind.AUTHORIZATION_FAILED, "Nobody may act for somebody else")
        self._login.note(self._protocol, logged_in.user, self._record.address, error.text)
        return error

    def _ask_portal(self, credentials: ICredentials) -> Any:
        if self.portal is None:
            raise MailError(ErrorKind.UNAVAILABLE, "Logins are not possible at the moment")
        return self.portal.login(credentials, None, *self._interfaces)


def _rank(name: str) -> tuple[int, int, str]:
    if name in _LAST:
        return 2, _LAST.index(name), name
    return (0, _STRONGEST_FIRST.index(name), name) if name in _STRONGEST_FIRST else (1, 0, name)


def _downgraded() -> NoReturn:
    raise Refused("the client was not shown the channel binding that is there: somebody may be between")
