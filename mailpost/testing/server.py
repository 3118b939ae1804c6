"""A mail server for tests: `MailServer` for tests that block, `AsyncMailServer` for those that await.

with MailServer() as mailpost:
user = mailpost.user("ann@example.org")
send_welcome(mailpost.smtp.host, mailpost.smtp.port)
assert user.inbox.wait(subject="Welcome").code == "123456"
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.threadable import isInIOThread

from mailpost.faults.injector import Faults
from mailpost.service.testcertificates import NO_AUTHORITY, NoAuthorityError, TrustedAuthority
from mailpost.service.throwaway import Endpoint, user_of
from mailpost.service.transcripts import Transcripts
from mailpost.testing.folders import AsyncUser, Run, User
from mailpost.testing.reactorthread import ReactorThread, reactor_thread
from mailpost.testing.running import RunningServer, Settings, made_up_password

T = TypeVar("T")


class _Server:
    """What both forms have: where the server is, and what was said to it."""

    _running: RunningServer
    _passwords: dict[str, str]

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """Where it listens, by name; without trustme there are none of those with TLS."""
        return self._running.endpoints

    @property
    def smtp(self) -> Endpoint:
        """SMTP that takes mail for anybody, from anybody."""
        return self.endpoints["smtp"]

    @property
    def submission(self) -> Endpoint:
        """SMTP for users, who log in; with STARTTLS."""
        return self.endpoints["submission"]

    @property
    def submissions(self) -> Endpoint:
        """The same inside TLS."""
        return self._with_tls("submissions")

    @property
    def lmtp(self) -> Endpoint:
        """LMTP."""
        return self.endpoints["lmtp"]

    @property
    def imap(self) -> Endpoint:
        """IMAP; with STARTTLS."""
        return self.endpoints["imap"]

    @property
    def imaps(self) -> Endpoint:
        """IMAP inside TLS."""
        return self._with_tls("imaps")

    @property
    def pop3(self) -> Endpoint:
        """POP3; with STLS."""
        return self.endpoints["pop3"]

    @property
    def pop3s(self) -> Endpoint:
        """POP3 inside TLS."""
        return self._with_tls("pop3s")

    @property
    def web(self) -> Endpoint:
        """A page that shows all mail, while it comes: open its `url` in a browser."""
        return self.endpoints["web"]

    @property
    def ca_file(self) -> Path:
        """The certificate, PEM, of the authority that the server's certificate is of."""
        return self._authority.ca_file

    @property
    def transcripts(self) -> Transcripts:
        """What was said on each connection, without passwords; `str` of it is to be read."""
        return self._running.transcripts

    @property
    def faults(self) -> Faults:
        """What goes wrong: rules can be added, counted and taken away. `str` of each says what it is."""
        return self._running.faults

    def ssl_context(self) -> ssl.SSLContext:
        """For clients: trusts the server's certificate."""
        return self._authority.client_context()

    def environment(self) -> dict[str, str]:
        """Environment variables that tell a program of all endpoints: SMTP_HOST, SMTP_PORT, SMTP_URL, IMAP_HOST ...

        SSL_CERT_FILE, among them where there is TLS, makes most programs trust the server, and nobody else.
        """
        return {name: value for each in self.endpoints.values() for name, value in each.environment().items()}

    def _password(self, name: str, password: str | None) -> str:
        """The password of a user, who is let in with it from now on."""
        if password is not None or name not in self._passwords:
            self._passwords[name] = password or made_up_password()
            self._running.add_user(name, self._passwords[name])
        return self._passwords[name]

    def _with_tls(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise NoAuthorityError(NO_AUTHORITY)
        return self.endpoints[name]

    @property
    def _authority(self) -> TrustedAuthority:
        if self._running.authority is None:
            raise NoAuthorityError(NO_AUTHORITY)
        return self._running.authority


class MailServer(_Server):
    """A server whose methods block; it runs in a thread, from `start` to `stop` or in a `with` block.

    Args:
        settings: see `mailpost.testing.running.Settings`; as keywords.

    Raises:
        RuntimeError: the reactor runs in this thread (trial): use `AsyncMailServer`.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = Settings(**settings)
        self._passwords = {}
        self._thread: ReactorThread | None = None

    def __enter__(self) -> MailServer:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def start(self) -> MailServer:
        """Listen, on free ports of loopback."""
        thread = reactor_thread()
        self._running = RunningServer(thread.reactor, self._settings)
        thread.enter()
        try:
            thread.run(_calling(self._running.start))
        except BaseException:  # raised again
            thread.leave()
            raise
        self._thread = thread
        return self

    def stop(self) -> None:
        """Close all connections, forget all mail; harmless when that is done."""
        thread, self._thread = self._thread, None
        if thread is not None:
            try:
                thread.run(self._running.stop)
            finally:
                thread.leave()

    def user(self, name: str, password: str | None = None) -> User:
        """Somebody, by address; let in when first asked for, with a made-up password if none is given.

        Raises:
            UserNameError: nobody can have this name.
        """
        name = user_of(name)
        return User(AsyncUser(self._running, name, self._password(name, password), _here), self._block)

    def advance(self, seconds: float) -> None:
        """Move the server's clock on: timers of idle clients, delays and retries, and dates, go by it."""
        self._block(_calling(lambda: self._running.clock.advance(seconds)))

    @property
    def awaitable(self) -> AsyncMailServer:
        """The same server for coroutines of asyncio."""
        assert self._thread is not None, "the server runs"
        return AsyncMailServer._of(self._running, self._passwords, self._thread.run_in_asyncio)

    def _block(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self._thread is None:
            raise RuntimeError("the server does not run: use it in a `with` block, or call start()")
        return self._thread.run(work)


class AsyncMailServer(_Server):
    """A server whose methods are awaited; in an `async with` block, or from `start` to `stop`.

    In tests of trial and others on Twisted's reactor it runs there, and so it does in asyncio where Twisted's reactor
    uses the same loop; in any other loop of asyncio the reactor has a thread of its own.

    Args:
        settings: see `mailpost.testing.running.Settings`; as keywords.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = Settings(**settings)
        self._passwords = {}
        self._thread: ReactorThread | None = None
        self._run: Run = _here

    @classmethod
    def _of(cls, running: RunningServer, passwords: dict[str, str], run: Run) -> AsyncMailServer:
        made = cls()
        made._running, made._passwords, made._run = running, passwords, run
        return made

    async def __aenter__(self) -> AsyncMailServer:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop()

    def start(self) -> AsyncMailServer:
        """Listen, on free ports of loopback; that is done at once.

        Raises:
            RuntimeError: there is no loop of asyncio here, and the reactor runs in another thread.
        """
        thread = reactor_thread()
        in_task = _loop_of_task() is not None
        here = isInIOThread() or not thread.reactor.running  # trial runs it a moment later
        if not in_task and not here:
            raise RuntimeError("the reactor runs in another thread: use mailpost.testing.MailServer")
        self._running = RunningServer(thread.reactor, self._settings)
        if not in_task or (thread.reactor.running and here):
            self._running.start()
            return self
        thread.enter()
        try:
            thread.run(_calling(self._running.start))
        except BaseException:  # raised again
            thread.leave()
            raise
        self._thread, self._run = thread, thread.run_in_asyncio
        return self

    async def stop(self) -> None:
        """Close all connections, forget all mail; harmless when that is done."""
        thread, self._thread = self._thread, None
        try:
            await self._run(self._running.stop)
        finally:
            if thread is not None:
                thread.leave()

    def user(self, name: str, password: str | None = None) -> AsyncUser:
        """Somebody, by address; let in when first asked for. Raises UserNameError."""
        name = user_of(name)
        return AsyncUser(self._running, name, self._password(name, password), self._run)

    async def advance(self, seconds: float) -> None:
        """Move the server's clock on: timers of idle clients, delays and retries, and dates, go by it."""
        await self._run(_calling(lambda: self._running.clock.advance(seconds)))


async def _here(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function where we are, which is the reactor's thread."""
    loop = _loop_of_task()
    if loop is None:
        return await work()
    done: T = await Deferred.fromCoroutine(work()).asFuture(loop)
    return done


def _calling(function: Callable[[], None]) -> Callable[[], Coroutine[Any, Any, None]]:
    async def call() -> None:
        function()

    return call


def _loop_of_task() -> asyncio.AbstractEventLoop | None:
    """The loop of the asyncio task that we are in; None where we are in none, as in coroutines that Twisted runs."""
    try:
        return asyncio.get_running_loop() if asyncio.current_task() is not None else None
    except RuntimeError:
        return None
