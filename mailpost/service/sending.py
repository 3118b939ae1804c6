"""The wiring of mail that goes out: users hand it over, a queue keeps it, a smarthost takes it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IReactorTime
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)

from mailpost.accounts.account import User
from mailpost.accounts.interfaces import IUserDirectory
from mailpost.delivery.body import Run
from mailpost.delivery.filing import LocalReceiver
from mailpost.delivery.outgoing.authentication import Credentials
from mailpost.delivery.outgoing.files import QueueFiles
from mailpost.delivery.outgoing.queue import OutgoingQueue
from mailpost.delivery.outgoing.receiver import QueueReceiver
from mailpost.delivery.outgoing.reports import Reports
from mailpost.delivery.outgoing.schedule import Schedule
from mailpost.delivery.outgoing.smarthost import Security, Smarthost
from mailpost.delivery.senders import Find, Senders
from mailpost.delivery.sent import SentCopies
from mailpost.delivery.submission import Submission
from mailpost.service.config import Config, ConfigError
from mailpost.service.delivering import telling
from mailpost.storage.interfaces import IMailStore
from mailpost.storage.offload import settled

CONNECT_SECONDS = 30
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def sends_mail(config: Config) -> bool:
    """Whether users can hand over mail here."""
    return bool(config.listen.submission or config.listen.submissions)


def finder(directory: IUserDirectory | None, checkers: Sequence[ICredentialsChecker]) -> Find:
    """What is known of a user before he logs in; nothing where no checker knows users."""
    others: list[Any] = [each for each in checkers if IUserDirectory.providedBy(each)]
    known = directory or next(iter(others), None)

    async def find(user: str) -> User | None:
        return None if known is None else await settled(known.find(user))

    return find


def sending(
    config: Config,
    reactor: Any,
    *,
    store: IMailStore,
    find: Find,
    local: LocalReceiver,
    run: Run,
    clock: IReactorTime,
    now: Callable[[], float],
) -> tuple[Submission, OutgoingQueue | None]:
    """What takes mail from users, and the queue, not started; None without a smarthost.

    `local` gets a way out too, for aliases that lead elsewhere. `run` runs a blocking function in a thread, `clock` is
    for timers, `now` the time of day.

    Raises:
        ConfigError: something that the configuration names cannot be used.
    """
    reports = Reports(config.server.hostname, local, run, now, lambda: local.elsewhere)
    out = smarthost(config, reactor, run, clock) if config.smarthost.host else None
    queue, relay = _queue(config, out, reports, run=run, clock=clock, now=now) if out else (None, None)
    local.elsewhere = relay
    options = config.submission
    submission = Submission(
        local=local,
        relay=relay,
        senders=Senders(local.recipients, find, options.check_sender, options.check_from, options.null_sender),
        sent=SentCopies(store, copies_wanted(config, find), config.folders.sent or "Sent"),
        reports=reports,
        hostname=config.server.hostname,
        now=now,
        hide_client=options.hide_client,
    )
    return submission, queue


def copies_wanted(config: Config, find: Find) -> Callable[[str], Awaitable[bool]]:
    """Says of a user whether what he sends is filed."""

    async def wanted(user: str) -> bool:
        found = await find(user)
        own = None if found is None else found.sent_copies
        return config.submission.sent_copies if own is None else own

    return wanted


def _queue(
    config: Config, out: Smarthost, reports: Reports, *, run: Run, clock: IReactorTime, now: Callable[[], float]
) -> tuple[OutgoingQueue, QueueReceiver]:
    settings, limits = config.smarthost, config.limits
    files = queue_files(config)
    queue = OutgoingQueue(
        files,
        out,
        reports,
        Schedule(settings.retry_after, settings.give_up, settings.warn_after),
        connections=settings.connections,
        clock=clock,
        run=run,
        now=now,
    )
    receiver = QueueReceiver(
        files,
        telling(run, "the queue"),
        now,
        queue.added,
        message_size=limits.message,
        most_recipients=limits.recipients,
    )
    return queue, receiver


def queue_files(config: Config) -> QueueFiles:
    """The queue of a configuration. Raises ConfigError if it has none."""
    if config.smarthost.queue is None:
        raise ConfigError([f"{config.source.place('smarthost', 'queue')}is missing: nothing is queued"])
    return QueueFiles(config.smarthost.queue)


def smarthost(config: Config, reactor: Any, run: Run, clock: IReactorTime) -> Smarthost:
    """The smarthost of a configuration; `clock` is for timers. Raises ConfigError: no certificates in a file."""
    settings = config.smarthost
    security = Security(settings.tls)
    tls = _tls(config, security)
    endpoint: Any = HostnameEndpoint(reactor, settings.host, settings.port, timeout=CONNECT_SECONDS)
    if security is Security.IMPLICIT:
        endpoint = wrapClientTLS(tls, endpoint)
    user, file = settings.user, settings.password_file
    return Smarthost(
        clock=clock,
        endpoint=endpoint,
        name=settings.host,
        hostname=config.server.hostname,
        security=security,
        tls=tls,
        run=run,
        credentials=(lambda: Credentials(user, _first_line(file))) if user and file is not None else None,
        local=settings.host in _LOCAL,
    )


def _first_line(path: Path) -> str:
    return path.read_text().partition("\n")[0].rstrip("\r")


def _tls(config: Config, security: Security) -> Any:
    """What TLS is begun with."""
    if security is Security.NONE:
        return None
    if security is Security.OPPORTUNISTIC:
        return CertificateOptions()
    path = config.smarthost.ca_file
    trust = platformTrust()
    if path is not None:
        place = config.source.place("smarthost", "ca_file")
        try:
            found = _PEM.findall(path.read_text())
            trust = trustRootFromCertificates([Certificate.loadPEM(each) for each in found])
        except Exception as problem:  # of the file, or of OpenSSL, which has errors of its own
            raise ConfigError([f"{place}{path}: cannot be read: {problem}"]) from None
        if not found:
            raise ConfigError([f"{place}{path}: has no certificate in PEM form"])
    return optionsForClientTLS(config.smarthost.host, trustRoot=trust)


def require_queue(config: Config) -> None:
    """Raise ConfigError when the folder of the queue is not there and cannot be made."""
    queue = config.smarthost.queue
    if config.smarthost.host and queue is not None and not (queue.is_dir() or queue.parent.is_dir()):
        raise ConfigError([f"{config.source.place('smarthost', 'queue')}{queue.parent} is no folder"])
