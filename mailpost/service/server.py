"""The running server as a Twisted service: ports, sessions, store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from mailpost.delivery.interfaces import IReceiver
from mailpost.service.tls import Certificate
from mailpost.service.unixsockets import remove_stale, require_folder, socket_path
from mailpost.storage.interfaces import IMailStore
from mailpost.storage.offload import Offload, settled


class CannotStartError(Exception):
    """The server cannot start, for a reason that the person who starts it can do something about."""


class ClosableFactory(Protocol):
    """Makes the connections of one protocol: a `twisted.internet.interfaces.IProtocolFactory` that can end them."""

    async def close(self) -> None:
        """Say goodbye to all clients; answers when they are gone, in a few seconds at most."""


class Runner(Protocol):
    """Work that goes on beside the connections while the server runs (the outgoing queue)."""

    def start(self) -> None:
        """Begin."""

    async def close(self) -> None:
        """Come to an end; answers when nothing is under way."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One endpoint of the configuration."""

    name: str
    """The key under [listen]."""
    description: str
    endpoint: IStreamServerEndpoint
    tls: bool
    """TLS from the first octet."""

    @property
    def protocol(self) -> str:
        """The protocol spoken there: the name without the "s" of TLS."""
        return self.name[:-1] if self.tls else self.name


class MailServer(Service):
    """The running server: its ports, and everything that is closed when it stops."""

    _log = Logger()

    def __init__(
        self,
        listeners: Sequence[Listener],
        factories: Mapping[str, ClosableFactory],
        *,
        store: IMailStore,
        receiver: IReceiver | None = None,
        runners: Sequence[Runner] = (),
        workers: Sequence[Offload],
        certificate: Certificate | None,
        around: Callable[[str, Any], Any] | None = None,
    ) -> None:
        """A server that is not started yet.

        Args:
            listeners: where connections are taken.
            factories: by `Listener.protocol`.
            store: closed when all connections are.
            receiver: takes mail for local users, for whoever has the server in hand.
            runners: started with the server, closed before the store.
            workers: threads beside those of the store, closed last.
            certificate: for the listeners with TLS.
            around: (protocol, factory) -> the factory that takes the connections, inside TLS; of mail, not of pages.
        """
        self.store = store
        self.receiver = receiver
        self.ports: list[Any] = []
        self._listeners = listeners
        self._factories = factories
        self._runners = runners
        self._workers = workers
        self._certificate = certificate
        self._around = around

    @property
    def addresses(self) -> Mapping[str, IAddress]:
        """Where it listens, by `Listener.name`, the first of each; empty while it is not started."""
        bound = zip(self._listeners, self.ports, strict=False)
        return {listener.name: port.getHost() for listener, port in reversed(list(bound))}

    def privilegedStartService(self) -> None:
        """Bind all ports, or none.

        Raises:
            CannotStartError: one is taken, or not allowed.
        """
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        if not self.ports:
            for listener in self._listeners:
                self._listen(listener)

    def startService(self) -> None:
        """Begin to serve."""
        self.privilegedStartService()
        super().startService()  # type: ignore[no-untyped-call]
        for listener in self._listeners:
            self._log.info("{name} on {description}", name=listener.name, description=listener.description)
        for runner in self._runners:
            runner.start()

    def stopService(self) -> Deferred[None]:
        """Stop: fires when all connections are closed and all is on disk."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        ports, self.ports = self.ports, []
        for port in ports:
            try:
                await settled(port.stopListening())
            except OSError as problem:  # a socket of the file system that is gone, or in a folder of another user's
                self._log.warn("stopped listening, but: {problem}", problem=problem)
        await gatherResults([Deferred.fromCoroutine(each.close()) for each in self._factories.values()])
        for runner in self._runners:
            await runner.close()
        await settled(self.store.close())
        for each in self._workers:
            await each.close()

    def reload(self) -> None:
        """Read again what may have changed: the certificate. The users file is looked at with every login."""
        self._log.info("reading again: certificate and users; listeners and limits change with a restart")
        if self._certificate is not None:
            self._certificate.reload()

    def pause(self) -> None:
        """Let new connections wait in the queue of the system."""
        for port in self.ports:
            port.stopReading()

    def resume(self) -> None:
        """Take the connections that wait."""
        for port in self.ports:
            port.startReading()

    def _listen(self, listener: Listener) -> None:
        factory: Any = self._factories[listener.protocol]
        if self._around is not None and listener.protocol != "web":
            factory = self._around(listener.protocol, factory)
        path = socket_path(listener.description)
        try:
            if path is not None:
                require_folder(path)
                remove_stale(path)
        except (OSError, ValueError) as problem:
            self._give_back()
            raise CannotStartError(f"cannot listen ({problem}) on {listener.description}") from None
        if listener.tls and self._certificate is not None:
            factory = TLSMemoryBIOFactory(self._certificate, False, factory)
        outcome: list[Any] = []
        listener.endpoint.listen(factory).addBoth(outcome.append)
        if not outcome or isinstance(outcome[0], Failure):
            self._give_back()
            raise CannotStartError(f"cannot listen ({_reason(outcome)}) on {listener.description}")
        self.ports.append(outcome[0])

    def _give_back(self) -> None:
        for port in self.ports:
            port.stopListening()
        self.ports = []


def _reason(outcome: Sequence[object]) -> str:
    """Why an endpoint does not listen, in the words of the system where it has some."""
    problem = outcome[0].value if outcome and isinstance(outcome[0], Failure) else None
    if isinstance(problem, CannotListenError):
        cause = problem.socketError
        return cause.strerror or str(cause) if isinstance(cause, OSError) else str(cause)
    return str(problem) if problem is not None else "it does not answer at once"
