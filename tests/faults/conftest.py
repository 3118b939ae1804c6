"""A server whose mail lies in a place that goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.server import Twistd, configured
from tests.faults.places import small_disk, why_no_mounts


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Twistd]]:
    """Start a server (once a test): `before` stands before its command, `disk` is the size of a file system for its
    mail, `extra` is what more its configuration says.
    """
    with ExitStack() as stack:

        def started(before: tuple[str, ...] = (), disk: str | None = None, extra: str = "") -> Twistd:
            server = configured(tmp_path, users=("ann", "bob"), extra=extra)
            server.before = before
            if disk is not None:
                if reason := why_no_mounts():
                    pytest.skip(reason)
                stack.enter_context(small_disk(tmp_path / "mail", disk))
            stack.enter_context(server)
            return server

        yield started
