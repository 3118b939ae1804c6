"""What a program may bring along when it builds a server, in place of what a configuration would make."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.interfaces import IReactorTime

from mailpost.accounts.interfaces import IUserDirectory
from mailpost.protocols.login import Penalties
from mailpost.service.tls import Certificate
from mailpost.storage.interfaces import IMailStore
from mailpost.web.site import Spoken

Around = Callable[[str, Any], Any]
"""(protocol, factory) -> the factory whose connections are taken: that one, or another around it. It stands between TLS
and the protocol."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Each of them None, or empty, for what the configuration says."""

    store: IMailStore | None = None
    """Where mail is kept. The server closes it."""
    directory: IUserDirectory | None = None
    """Who may log in, and has mail."""
    certificate: Certificate | None = None
    """For TLS."""
    clock: IReactorTime | None = None
    """What the server's own timers go by (idle clients, delays, retries); the reactor if None."""
    now: Callable[[], float] = time.time
    """The time of day: seconds since the epoch."""
    penalties: Penalties | None = None
    """How long those wait who have failed to log in."""
    around: Around | None = None
    """What stands around the connections of each protocol of mail."""
    open_smtp: tuple[str, ...] = field(default=())
    """Endpoints, on loopback only, of SMTP that asks for no login: for tests and demonstrations. It takes what the
    recipients of the server take."""
    open_web: tuple[str, ...] = field(default=())
    """Endpoints, on loopback only, of a page that shows everybody's mail and asks for no login: likewise."""
    everybody: Callable[[], Iterable[str]] = tuple
    """Whose mail that is."""
    transcripts: Callable[[], Sequence[Spoken]] | None = None
    """What was said on the connections, for that page."""
    open_smtp_tls: bool = False
    """STARTTLS is offered there too. Many clients use it when it is, and insist on a certificate that they trust."""
