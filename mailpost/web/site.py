"""What the page is made of: whose mail it shows, and what it may ask of the server around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred

from mailpost.web.access import Access

T = TypeVar("T")


class Spoken(Protocol):
    """What was said on one connection."""

    number: int
    """It stays the same, and is another for each connection."""

    def lines(self) -> list[str]:
        """All of it; the first line says what it is."""


class Run(Protocol):
    """Runs a blocking function in a thread."""

    def __call__(self, function: Callable[[], T]) -> Deferred[T]:
        """Its value, or its failure."""


def _nowhere() -> Mapping[str, Any]:
    return {}


@dataclass(slots=True)
class Site:
    """The parts."""

    access: Access
    """Whose mail is shown to whom."""
    clock: Any
    """The reactor."""
    run: Run
    """For what takes time."""
    addresses: Callable[[], Mapping[str, Any]] = _nowhere
    """Where the server's listeners are, by name."""
    transcripts: Callable[[], Sequence[Spoken]] | None = None
    """What was said on the server's connections, oldest first; None where that is not kept."""
