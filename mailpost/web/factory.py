"""The listener of the page. What HTTP needs is loaded when the first browser comes: most tests never see one."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory

from mailpost.protocols.connection import Connections
from mailpost.web.site import Site

CONNECTIONS = 50
"""Of one client at the same time."""
IDLE = 60
"""Seconds after which a connection that asks for nothing is closed."""


class WebFactory(ServerFactory):
    """Makes the connections of browsers.

    Args:
        site: what they see.
        connections: counts them.
    """

    noisy = False

    def __init__(self, site: Site, connections: Connections | None = None) -> None:
        self.connections = connections or Connections(CONNECTIONS, 0)
        self.answer: Any = None
        """Answers requests; there from the first connection on."""
        self._site = site

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection."""
        from mailpost.web.channel import Channel  # noqa: PLC0415
        from mailpost.web.pages import Pages  # noqa: PLC0415

        if self.answer is None:
            self.answer = Pages(self._site).answer
        channel: Any = Channel()
        channel.factory = self
        channel.callLater = self._site.clock.callLater
        channel.timeOut = IDLE
        return channel

    def log(self, request: object) -> None:
        """Requests are not logged, as commands of other protocols are not."""

    async def close(self) -> None:
        """End all connections; answers when they are gone."""
        await self.connections.close(b"", self._site.clock)
