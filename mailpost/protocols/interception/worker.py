"""A coroutine function that runs once at a time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


class Worker:
    """Runs it when asked to, unless it runs: it is to take what has come meanwhile by itself."""

    def __init__(
        self,
        work: Callable[[], Coroutine[Any, Any, None]],
        done: Callable[[], None],
        failed: Callable[[Failure], None],
    ) -> None:
        """Call `done` when it has come to its end, `failed` when it has raised something."""
        self.running = False
        self._work = work
        self._done = done
        self._failed = failed
        self._task: Deferred[None] | None = None

    def run(self) -> None:
        """Work."""
        if not self.running:
            self.running = True
            self._task = task = Deferred.fromCoroutine(self._work())
            task.addBoth(self._ended)

    def cancel(self) -> None:
        """Stop it where it waits; harmless if it does not run."""
        if self._task is not None:
            self._task.cancel()

    def _ended(self, result: Any) -> None:
        self.running = False
        self._task = None
        if isinstance(result, Failure):
            self._failed(result)
        else:
            self._done()
