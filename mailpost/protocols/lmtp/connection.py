"""LMTP: SMTP with LHLO, and an answer for each recipient behind the message.

RFC: 2033 §4
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from mailpost.delivery.interfaces import IReceiver
from mailpost.protocols.lmtp import xclient
from mailpost.protocols.lmtp.settings import LmtpSettings
from mailpost.protocols.smtp.connection import SmtpFactory, SmtpServer
from mailpost.protocols.smtp.dialect import Dialect
from mailpost.protocols.smtp.handlers import BASE_EXTENSIONS, COMMON, base_keywords
from mailpost.protocols.smtp.session import Session
from mailpost.wire.smtp.commands import XClient


def _keywords(session: Session) -> list[str]:
    known = base_keywords(session)
    server = session.connection
    if isinstance(server, LMTPServer) and server.record.address in server.trusted:
        known.append(xclient.KEYWORD)
    return known


LMTP = Dialect(
    name="LMTP",
    hellos=("LHLO",),
    rules={**COMMON, XClient: xclient.RULE},
    extensions=BASE_EXTENSIONS,
    keywords=_keywords,
    reply_to_each=True,
)


class LMTPServer(SmtpServer):
    """One connection of LMTP."""

    dialect = LMTP
    factory: LMTPFactory

    @property
    def trusted(self) -> xclient.Trusted:
        """Who may speak for others."""
        return self.factory.trusted


class LMTPFactory(SmtpFactory):
    """Makes the connections of LMTP listeners, of TCP or of the file system."""

    protocol = LMTPServer

    def __init__(
        self, receiver: IReceiver, settings: LmtpSettings | None = None, *, clock: IReactorTime | None = None
    ) -> None:
        """Give what comes to this receiver.

        Args:
            receiver: `mailpost.delivery.filing.LocalReceiver`, or another.
            settings: limits, times, whom to trust.
            clock: the reactor, or a Clock in tests.
        """
        settings = settings or LmtpSettings()
        super().__init__(receiver, settings, clock=clock)
        self.trusted = xclient.Trusted(settings.trusted)
