"""The pytest plugin: the fixtures `mailpost`, `mailpost_factory`, `async_mailpost`; transcripts with failures.

Nothing of mailpost or Twisted is imported before a test asks for a fixture.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mailpost.testing.server import AsyncMailServer, MailServer

_SERVERS = pytest.StashKey[list[Any]]()


@pytest.fixture
def mailpost_factory(request: pytest.FixtureRequest) -> Iterator[Callable[..., MailServer]]:
    """Makes mail servers, each with the settings that it is given (see `mailpost.testing.MailServer`)."""
    from mailpost.testing.server import MailServer  # noqa: PLC0415

    servers = request.node.stash.setdefault(_SERVERS, [])
    with ExitStack() as running:

        def make(**settings: Any) -> MailServer:
            server = MailServer(**settings).start()
            running.callback(server.stop)
            servers.append(server)
            return server

        yield make
        servers.clear()  # pytest keeps the test, and what is in its stash, to the end of the session


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "mailpost(**settings): the settings of the fixture `mailpost` in this test")


@pytest.fixture
def mailpost(request: pytest.FixtureRequest, mailpost_factory: Callable[..., MailServer]) -> MailServer:
    """A mail server with empty mailboxes, on free ports; its settings are those of the marker `mailpost`."""
    settings: dict[str, Any] = {}
    for marker in request.node.iter_markers("mailpost"):  # that of the test itself comes first
        settings = {**marker.kwargs, **settings}
    return mailpost_factory(**settings)


@pytest.fixture
def async_mailpost(mailpost: MailServer) -> AsyncMailServer:
    """The same server, for coroutines of asyncio: its methods are awaited."""
    return mailpost.awaitable


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show in the report of a failed test what was said to its servers, and what was to go wrong on purpose."""
    report = yield
    if report.failed:
        servers = item.stash.get(_SERVERS, None) or ()
        for number, server in enumerate(servers, 1):
            for name in ("transcripts", "faults"):
                text = str(getattr(server, name))
                if text:
                    report.sections.append((f"mailpost {number}: {name}", text))
    return report
