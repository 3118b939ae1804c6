"""A server of the harness, in the reactor's thread: made, started, asked, stopped."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailpost.accounts.account import User
from mailpost.delivery.interfaces import IDeliveryFilter
from mailpost.faults.certificates import FaultyCertificate
from mailpost.faults.injector import Faults, Rules
from mailpost.mail.foldertree import known_name
from mailpost.protocols.login import Penalties
from mailpost.service.config import Limits, Smarthost, Submission
from mailpost.service.parts import Parts
from mailpost.service.server import MailServer as Service
from mailpost.service.stores import memory_store, memory_users
from mailpost.service.testcertificates import NoAuthorityError, TrustedAuthority, authority
from mailpost.service.throwaway import Endpoint, Everybody, endpoints, throwaway_server
from mailpost.service.transcripts import Transcripts
from mailpost.storage.offload import Offload, settled
from mailpost.storage.records import NO_LIMIT, QuotaLimit
from mailpost.testing.clock import MovingClock
from mailpost.testing.criteria import Criteria
from mailpost.testing.mail import Mail
from mailpost.testing.mailbox import Cursor, Mailbox
from mailpost.testing.reports import no_mail


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server of the harness can be told; all of it has a default."""

    filters: Sequence[IDeliveryFilter] = ()
    """Asked before a message is delivered."""
    quota: QuotaLimit = NO_LIMIT
    """How much each user may have."""
    hostname: str = "mail.test"
    """What clients are greeted with."""
    limits: Limits | None = None
    """What one client may ask for."""
    submission: Submission | None = None
    """What users who send may do; None: they may send as whom they like."""
    domains: Sequence[str] = ()
    """Whose addresses are somebody here; without any, all are."""
    smarthost: Smarthost | None = None
    """Who takes what users submit for other domains; without one it is refused."""
    smtp_starttls: bool = False
    """`smtp` offers STARTTLS as `submission` does. Many clients then insist on a certificate that they trust."""
    faults: Rules | None = None
    """What goes wrong, and when: a list of `mailpost.faults.fault.Fault` or of their fields, or the path of a file."""


class RunningServer:
    """The server. All of its methods are called in the reactor's thread."""

    def __init__(self, reactor: Any, settings: Settings) -> None:
        self.transcripts = Transcripts()
        given = settings.faults
        self.faults = Faults(() if given is None else given, always=given is not None, note=self.transcripts.note)
        self.authority = _authority()
        self.endpoints: Mapping[str, Endpoint] = {}
        self.clock = MovingClock(reactor)
        self._reactor = reactor
        self._settings = settings
        self._users = memory_users({})
        self._everybody = Everybody(settings.domains)
        self._mailboxes: dict[tuple[str, str], Mailbox] = {}
        self._service: Service | None = None
        self.store = memory_store(quota=lambda _: settings.quota, now=self.clock.now)

    def start(self) -> None:
        """Listen."""
        settings, clock = self._settings, self.clock
        transcripts, faults = self.transcripts, self.faults
        self._service = throwaway_server(
            self._reactor,
            Parts(
                store=self.store,
                directory=self._users,
                certificate=FaultyCertificate(self.authority, self.faults) if self.authority else None,
                clock=clock,
                now=clock.now,
                penalties=Penalties(clock, first=0.0),
                around=lambda protocol, factory: transcripts.around(protocol, faults.around(protocol, factory)),
                transcripts=transcripts.all,
                open_smtp_tls=settings.smtp_starttls,
            ),
            everybody=self._everybody,
            filters=settings.filters,
            hostname=settings.hostname,
            limits=settings.limits,
            submission=settings.submission,
            smarthost=settings.smarthost,
        )
        self._service.startService()
        self.endpoints = endpoints(self._service, self.authority.ca_file if self.authority else None)

    async def stop(self) -> None:
        """Close all connections and forget everything."""
        if self._service is not None:
            service, self._service = self._service, None
            await service.stopService()
            self.clock.stop()

    def add_user(self, name: str, password: str) -> None:
        """Let somebody in."""
        self._everybody.known[name] = None
        self._users.add(User(name, f"{{PLAIN}}{password}"))

    def mailbox(self, user: str, folder: str) -> Mailbox:
        """A folder of a user, the same one each time."""
        key = user, known_name(folder, self.store.separator)
        if key not in self._mailboxes:
            self._mailboxes[key] = Mailbox(self._reactor, self.store, *key)
        return self._mailboxes[key]

    async def wait(self, mailbox: Mailbox, wanted: Criteria, timeout: float, after: Cursor | None) -> Mail:
        """The first new mail that matches. Raises NoMailError."""
        cursor = after or mailbox.cursor
        mail = await mailbox.wait(wanted, timeout, cursor)
        if mail is None:
            raise await no_mail(mailbox, wanted, cursor, timeout, await self._others(mailbox))
        return mail

    async def _others(self, mailbox: Mailbox) -> list[Mailbox]:
        """All other folders of all users who are known."""
        found = []
        for user in list(self._everybody.known):
            account = await settled(self.store.account(user))
            try:
                found += [self.mailbox(user, each.name) for each in account.folders() if each.selectable]
            finally:
                account.release()
        return [each for each in found if each is not mailbox]

    async def in_thread(self, work: Any) -> Any:
        """Run something that reads files, outside of the reactor's thread."""
        offload = Offload(self._reactor, threads=1)
        try:
            return await offload.read("files", work)
        finally:
            await offload.close()


def made_up_password() -> str:
    """A password that nobody has had before."""
    return secrets.token_urlsafe(12)


def _authority() -> TrustedAuthority | None:
    try:
        return authority()
    except NoAuthorityError:
        return None
