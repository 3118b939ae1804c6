"""A file that an administrator edits, read again when it has changed; looked at once a second at most, in a thread."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from twisted.logger import Logger

_log = Logger()


class Parsed(Protocol):
    """What the text of a file means."""

    @property
    def warnings(self) -> Sequence[str]:
        """One sentence for each bad line, beginning with its line number."""
        ...


P = TypeVar("P", bound=Parsed)


class RereadFile(Generic[P]):
    """What a file says now, at most a second behind it.

    Args:
        path: the file.
        parse: reads its text.
        empty: what holds before it could be read for the first time.
        what: what the log calls it, such as "users file".
        run: runs a blocking function in a worker thread and answers with an awaitable.
        seconds: a clock that only goes forward.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[str], P],
        empty: P,
        *,
        what: str,
        run: Callable[[Callable[[], None]], Awaitable[object]],
        seconds: Callable[[], float],
    ) -> None:
        self.path = path
        self.value = empty
        """What was read last."""
        self.was_read = False
        """Whether it could be read once at least."""
        self._parse = parse
        self._what = what
        self._run = run
        self._seconds = seconds
        self._seen: object = None
        self._looked = float("-inf")

    async def current(self) -> P:
        """What it says; looks whether it has changed once a second at most."""
        time = self._seconds()
        if self._seen is None or time - self._looked >= 1:
            self._looked = time
            await self._run(self.load)
        return self.value

    def load(self) -> None:
        """Read it if it is not what was read last. Blocking; what cannot be read leaves what was there."""
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                identity = (status.st_mtime_ns, status.st_size, status.st_ino)
                if identity == self._seen:
                    return
                text = file.read().decode(errors="surrogateescape")
        except OSError as problem:
            if self._seen != problem.errno:
                self._seen = problem.errno
                _log.error(
                    "{path}: the {what} cannot be read: {reason}",
                    path=str(self.path),
                    what=self._what,
                    reason=problem.strerror,
                )
            return
        value = self._parse(text)
        self._seen, self.value, self.was_read = identity, value, True
        for warning in value.warnings:
            _log.warn("{path}: {warning}", path=str(self.path), warning=warning)
