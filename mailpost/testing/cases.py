"""For classes of unittest and of trial: a server that a test has when it first asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailpost.testing.server import AsyncMailServer, MailServer

if TYPE_CHECKING:
    from unittest import TestCase as _Case
else:
    _Case = object


class MailpostMixin(_Case):
    """Mix it into a `unittest.TestCase`: `self.mailpost` is a `MailServer`, a new one for each test.

    `mailpost_settings` are its settings; `new_mailpost` makes more servers.
    """

    mailpost_settings: dict[str, Any] = {}
    _mailpost: MailServer | None = None

    @property
    def mailpost(self) -> MailServer:
        """The server of this test."""
        if self._mailpost is None:
            self._mailpost = self.new_mailpost(**self.mailpost_settings)
        return self._mailpost

    def new_mailpost(self, **settings: Any) -> MailServer:
        """One more server, until the end of the test."""
        server = MailServer(**settings).start()
        self.addCleanup(server.stop)
        return server


class AsyncMailpostMixin(_Case):
    """Mix it into a `twisted.trial.unittest.TestCase` or a `unittest.IsolatedAsyncioTestCase`.

    `self.mailpost` is an `AsyncMailServer`, a new one for each test.
    """

    mailpost_settings: dict[str, Any] = {}
    _mailpost: AsyncMailServer | None = None

    @property
    def mailpost(self) -> AsyncMailServer:
        """The server of this test."""
        if self._mailpost is None:
            self._mailpost = self.new_mailpost(**self.mailpost_settings)
        return self._mailpost

    def new_mailpost(self, **settings: Any) -> AsyncMailServer:
        """One more server, until the end of the test."""
        server = AsyncMailServer(**settings).start()
        # asyncio's cases have a way of their own for what is awaited; trial's wait for what a cleanup answers with.
        register: Any = getattr(self, "addAsyncCleanup", None)
        if register is not None:
            register(server.stop)
        else:
            self.addCleanup(server.stop)
        return server
