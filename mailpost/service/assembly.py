"""The wiring: a configuration becomes a service. Nothing else in mailpost knows all its parts.

`build` answers with a Twisted service. It binds its ports when it is started, and stops cleanly: no new connections,
BYE to those that stand, then everything on disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime

from mailpost.accounts.checkers import AnyChecker, DirectoryChecker
from mailpost.accounts.directory import PasswordFile, Run
from mailpost.accounts.interfaces import IUserDirectory
from mailpost.accounts.realm import MailRealm
from mailpost.accounts.stock import StockAccount
from mailpost.accounts.usersfile import parse, scram_note
from mailpost.delivery.interfaces import IDeliveryFilter, IRecipients
from mailpost.delivery.sent import WatchedStore
from mailpost.protocols.connection import Connections
from mailpost.protocols.imap.connection import IMAPFactory
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.protocols.lmtp.connection import LMTPFactory
from mailpost.protocols.lmtp.settings import LmtpSettings
from mailpost.protocols.login import Login, Penalties
from mailpost.protocols.pop3.connection import POP3Factory
from mailpost.protocols.pop3.settings import Pop3Settings
from mailpost.protocols.submission.connection import SubmissionFactory
from mailpost.protocols.submission.open import OpenSmtpFactory
from mailpost.protocols.submission.settings import SubmissionSettings
from mailpost.service.clockwatch import ClockWatch
from mailpost.service.config import Config, ConfigError
from mailpost.service.delivering import local_receiver, recipients_of, require_recipients, survey_recipients
from mailpost.service.listening import Listening
from mailpost.service.parts import Parts
from mailpost.service.sending import copies_wanted, finder, require_queue, sending, sends_mail
from mailpost.service.server import ClosableFactory, Listener, MailServer, Runner
from mailpost.service.stores import open_store
from mailpost.service.tls import Certificate, CertificateError
from mailpost.service.unixsockets import require_folder, socket_path
from mailpost.storage.events import Way
from mailpost.storage.heard import HeardStore
from mailpost.storage.interfaces import IMailListener
from mailpost.storage.offload import Offload
from mailpost.web.access import LoginAccess, OpenAccess
from mailpost.web.factory import WebFactory
from mailpost.web.site import Site

HASHING_THREADS = 2
DELIVERY_THREADS = 2
SHOWING_THREADS = 2
BACKLOG = 1024
"""Connections that wait to be taken: Twisted's 50 are fewer than may come while one turn of the reactor lasts, and who
comes to a full queue tries again a second later."""
_NONE = Parts()
_LOOPBACK = re.compile(r":interface=(?:127(?:\.[0-9]{1,3}){3}|\\:\\:1)(?=:|$)")
_PORT = re.compile(r"(?:tcp6?|ssl):(?:port=)?([0-9]+)(?=:|$)")
_BETWEEN_PARTS = re.compile(r"(?<!\\):")


def endpoints_of(
    config: Config, reactor: Any, open_smtp: Sequence[str] = (), open_web: Sequence[str] = ()
) -> list[Listener]:
    """All endpoints of a configuration. Raises ConfigError for descriptions that Twisted does not know.

    `open_smtp`, `open_web`: those of SMTP, and of a page, for anybody.
    """
    found: list[Listener] = []
    problems = []
    names = [
        (each.name, description) for each in fields(config.listen) for description in getattr(config.listen, each.name)
    ]
    if open_web and (config.listen.web or config.listen.webs):
        problems.append(f"{config.source.place('listen', 'web')}users log in to it, and there is one without a login")
    beside = [*(("smtp", each) for each in open_smtp), *(("web", each) for each in open_web)]
    for name, description in [*names, *beside]:
        try:
            endpoint = serverFromString(reactor, _with_backlog(description))
            _check_port(description, [listener.description for listener in found])
            if (path := socket_path(description)) is not None:
                require_folder(path)
            elif not _LOOPBACK.search(description) and (why := _why_loopback(config, name, description in open_web)):
                raise ValueError(f"{why}, so it needs interface=127.0.0.1")
        except Exception as problem:  # of a plugin perhaps, which may fail in any way
            problems.append(f'{config.source.place("listen", name)}"{description}": {problem}')
        else:
            found.append(Listener(name, description, endpoint, name.endswith("s")))
    if problems:
        raise ConfigError(problems)
    return found


def _with_backlog(description: str) -> str:
    """The same with our backlog, unless it names one or may do so."""
    kind, *parts = _BETWEEN_PARTS.split(description)
    is_ours = kind in {"tcp", "tcp6", "ssl", "unix"} and all("=" in part for part in parts[1:])
    if not is_ours or any(part.startswith("backlog=") for part in parts):
        return description
    return f"{description}:backlog={BACKLOG}"


def _why_loopback(config: Config, name: str, is_open: bool) -> str:
    """Why a listener must not be reached from elsewhere; "" where it may."""
    if name == "smtp":
        return "it takes mail from anybody"
    if name == "web" and is_open:
        return "it shows everybody's mail without a login"
    if name == "web" and not config.tls.allow_plaintext_auth:
        return "passwords would come without TLS (webs has it)"
    return ""


def _check_port(description: str, others: Sequence[str]) -> None:
    port = _PORT.match(description)
    if port is not None and int(port[1]) > 65_535:
        raise ValueError("the highest port is 65535")
    if description in others and not (port is not None and int(port[1]) == 0):
        raise ValueError("is there twice")


def users_file(config: Config, reactor: Any, run: Run[Any]) -> PasswordFile | None:
    """The users file of a configuration, if it has one, read at once; `run` reads it again in a thread."""
    if config.users.file is None:
        return None
    directory = PasswordFile(config.users.file, run, reactor.seconds)
    directory.load()
    return directory


def users_now(config: Config, reactor: Any) -> PasswordFile | None:
    """The users file as it is now, read at once: for commands, which may block."""
    return users_file(config, reactor, maybeDeferred)


def certificate(config: Config, reactor: Any) -> Certificate | None:
    """The certificate of a configuration, if it has one. Raises ConfigError."""
    if config.tls.certificate is None:
        return None
    try:
        return Certificate(config.tls.certificate, config.tls.key or config.tls.certificate, reactor.seconds)
    except CertificateError as problem:
        raise ConfigError([f"{config.source.place('tls')}{problem}"]) from None


def require_users(config: Config, others: Sequence[object]) -> None:
    """Raise ConfigError when nobody could log in: neither by the users file nor by any of the others."""
    place = config.source.place("users", "file")
    if config.users.file is None and not others:
        raise ConfigError([f"{place}is missing, and there is no --auth: nobody can log in"])
    if config.users.file is not None and not config.users.file.is_file():
        raise ConfigError([f"{place}{config.users.file} is no file; `mailpost user add` makes it"])


def checker(
    directory: IUserDirectory | None, clock: IReactorTime, run: Run[Any], others: Sequence[ICredentialsChecker]
) -> AnyChecker:
    """Everything that can say who somebody is: the users file first."""
    if directory is None:
        return AnyChecker(others)
    return AnyChecker([DirectoryChecker(directory, run, clock.seconds), *others])


def imap_settings(config: Config) -> ImapSettings:
    """What an IMAP listener is told."""
    limits = config.limits
    return ImapSettings(
        **_every_settings(config),
        **_login_settings(config),
        line_length=limits.line,
        literal_before_login=limits.literal_before_login,
        literal_size=limits.literal,
        message_size=limits.message,
        idle_timeout=limits.idle_timeout,
        unauthenticate=config.imap.unauthenticate,
    )


def pop3_settings(config: Config) -> Pop3Settings:
    """What a POP3 listener is told."""
    return Pop3Settings(
        **_every_settings(config), **_login_settings(config), idle_timeout=config.limits.pop3_idle_timeout
    )


def lmtp_settings(config: Config) -> LmtpSettings:
    """What an LMTP listener is told."""
    return LmtpSettings(**_smtp_settings(config), trusted=config.lmtp.trusted)


def submission_settings(config: Config) -> SubmissionSettings:
    """What a submission listener is told."""
    return SubmissionSettings(**_smtp_settings(config), **_login_settings(config))


def _every_settings(config: Config) -> dict[str, Any]:
    return {
        "hostname": config.server.hostname,
        "pipelined_octets": config.limits.pipelined,
        "connections_per_address": config.limits.connections_per_address,
    }


def _login_settings(config: Config) -> dict[str, Any]:
    return {
        "connections_per_user": config.limits.connections_per_user,
        "login_timeout": config.limits.login_timeout,
        "allow_plaintext_auth": config.tls.allow_plaintext_auth,
    }


def _smtp_settings(config: Config) -> dict[str, Any]:
    limits = config.limits
    return {
        **_every_settings(config),
        "message_size": limits.message,
        "recipients": limits.recipients,
        "idle_timeout": limits.smtp_idle_timeout,
        "over_quota_permanent": limits.over_quota_permanent,
    }


def build(
    config: Config,
    reactor: Any,
    checkers: Sequence[ICredentialsChecker] = (),
    *,
    recipients: IRecipients | None = None,
    filters: Sequence[IDeliveryFilter] = (),
    listeners: Sequence[IMailListener] = (),
    parts: Parts = _NONE,
) -> MailServer:
    """A server for this configuration, not started.

    Args:
        config: what to serve, to whom, where.
        reactor: the reactor that it will run on.
        checkers: further ways to log in, asked after the users file.
        recipients: whom addresses mean; None: what [recipients] and the users file say.
        filters: asked in this order before a message is delivered.
        listeners: told of what has happened.
        parts: what else the program brings along.

    Raises:
        ConfigError: something that the configuration names cannot be used.
    """
    tls = parts.certificate or certificate(config, reactor)
    clock = parts.clock or reactor
    hashing = Offload(reactor, threads=HASHING_THREADS)
    spooling = Offload(reactor, threads=DELIVERY_THREADS)
    showing = Offload(reactor, threads=SHOWING_THREADS)

    def run(function: Callable[[], Any]) -> Deferred[Any]:
        return hashing.read("login", function)

    def in_thread(function: Callable[[], Any]) -> Deferred[Any]:
        return spooling.read("delivery", function)

    def showing_thread(function: Callable[[], Any]) -> Deferred[Any]:
        return showing.read("web", function)

    directory: IUserDirectory | None = parts.directory
    require_users(config, checkers if directory is None else [directory])
    file = users_file(config, reactor, run) if directory is None else None
    directory = file if directory is None else directory
    if recipients is None:
        recipients = recipients_of(config, reactor, directory, checkers, run)
    known = checker(directory, clock, run, checkers)
    store = open_store(config, reactor, file) if parts.store is None else parts.store
    listening = Listening(listeners, clock)
    filed = HeardStore(store, listening.tell, Way.DELIVERED) if listeners else store
    used = HeardStore(store, listening.tell, Way.APPENDED) if listeners else store
    find = finder(directory, checkers)
    served = WatchedStore(used, copies_wanted(config, find)) if sends_mail(config) else used
    portal = Portal(MailRealm(served, lambda account: StockAccount(account, reactor)), [known])
    penalties = Penalties(clock) if parts.penalties is None else parts.penalties
    shared: dict[str, Any] = {"mechanisms": known, "tls": tls, "clock": clock, "penalties": penalties}
    shared["tell"] = listening.tell if listeners else None
    factories: dict[str, ClosableFactory] = {
        "imap": IMAPFactory(portal, imap_settings(config), **shared),
        "pop3": POP3Factory(portal, pop3_settings(config), **shared),
    }
    runners: list[Runner] = [ClockWatch(reactor)]
    receiver = None
    if recipients is not None:
        receiver = local_receiver(config, filed, recipients, filters, run=in_thread, now=parts.now)
        submission, queue = sending(
            config, reactor, store=used, find=find, local=receiver, run=in_thread, clock=clock, now=parts.now
        )
        runners += [queue] if queue is not None else []
        settings = submission_settings(config)
        factories["lmtp"] = LMTPFactory(receiver, lmtp_settings(config), clock=clock)
        factories["submission"] = SubmissionFactory(portal, submission, settings, **shared)
        shared["tls"] = tls if parts.open_smtp_tls else None
        factories["smtp"] = OpenSmtpFactory(portal, receiver, settings, **shared)
    site = Site(
        OpenAccess(served, parts.everybody)
        if parts.open_web
        else web_login(config, portal, clock, known, penalties, tell=shared["tell"]),
        reactor,
        showing_thread,
        transcripts=parts.transcripts if parts.open_web else None,
    )
    factories["web"] = WebFactory(site)
    runners.append(listening)
    server = MailServer(
        endpoints_of(config, reactor, parts.open_smtp, parts.open_web),
        factories,
        store=store,
        receiver=receiver,
        runners=runners,
        workers=(spooling, showing, hashing),
        certificate=tls,
        around=parts.around,
    )
    site.addresses = lambda: server.addresses
    return server


def web_login(
    config: Config, portal: Portal, clock: IReactorTime, known: AnyChecker, penalties: Penalties, *, tell: Any = None
) -> LoginAccess:
    """How users log in to the page that shows their mail."""
    limits = config.limits
    connections = Connections(limits.connections_per_address, limits.connections_per_user)
    return LoginAccess(Login(clock, connections, known, penalties, tell), portal, config.tls.allow_plaintext_auth)


def survey(config: Config, reactor: Any, checkers: Sequence[ICredentialsChecker] = ()) -> list[str]:
    """What a server of this configuration would do, a line each, without starting anything.

    Raises:
        ConfigError: with everything that it could not use.
    """
    found: list[Listener] = []
    problems: list[str] = []
    parts: Sequence[Callable[[], object]] = (
        lambda: found.extend(endpoints_of(config, reactor)),
        lambda: certificate(config, reactor),
        lambda: require_users(config, checkers),
        lambda: require_recipients(config, checkers),
        lambda: require_queue(config),
    )
    for part in parts:
        try:
            part()
        except ConfigError as problem:
            problems += problem.problems
    if problems:
        raise ConfigError(problems)
    lines = [f"{listener.name}: {listener.description}" for listener in found]
    lines.append(f"mail: {config.storage.maildir}")
    if config.smarthost.host:
        lines.append(f"smarthost: {config.smarthost.host}, queue in {config.smarthost.queue}")
    if config.users.file is not None:
        listing = parse(config.users.file.read_text(errors="replace"))
        lines.append(f"users: {len(listing.users)} in {config.users.file}")
        lines += [f"warning: {config.users.file}: {warning}" for warning in listing.warnings]
        if note := scram_note(listing.users):
            lines.append(f"note: {config.users.file}: {note}")
    return lines + survey_recipients(config)
