"""Programs with data, for tests of virtual folders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mailpost.storage.records import NewMessage
from mailpost.storage.virtual import Item, VirtualFolder


class Shown(VirtualFolder):
    """What a program shows: text by id, with versions."""

    poll = None

    def __init__(self, texts: dict[Any, str] | None = None) -> None:
        self.texts = texts if texts is not None else {}
        self.versions: dict[Any, int] = {}
        self.flags: dict[Any, frozenset[str]] = {}
        self.listings = 0
        self.fetches: list[Any] = []

    def list(self) -> Iterable[Item]:
        self.listings += 1
        return [Item(name, self.versions.get(name), 1000, self.flags.get(name, ())) for name in self.texts]

    def fetch(self, item: Any) -> bytes:
        self.fetches.append(item)
        return b"Subject: %b\r\n\r\n%b\r\n" % (str(item).encode(), self.texts[item].encode())

    def put(self, item: Any, text: str) -> None:
        """New, or of another version."""
        self.versions[item] = self.versions.get(item, 0) + 1
        self.texts[item] = text
        self.changed()

    def drop(self, item: Any) -> None:
        """Gone."""
        del self.texts[item]
        self.changed()


class Written(VirtualFolder):
    """A folder over a dictionary that takes what clients do to it."""

    poll = None

    def __init__(self) -> None:
        self.octets: dict[int, bytes] = {}
        self.dates: dict[int, int | None] = {}
        self.told: list[tuple[int, frozenset[str]]] = []
        self._next = 0

    def list(self) -> list[Item]:
        return [Item(name, None, self.dates[name]) for name in self.octets]

    def fetch(self, item: int) -> bytes | None:
        return self.octets.get(item)

    def remove(self, item: int) -> None:
        del self.octets[item]

    def add(self, message: NewMessage) -> int:
        self._next += 1
        assert isinstance(message.octets, bytes)
        self.octets[self._next] = message.octets
        self.dates[self._next] = message.internaldate
        return self._next

    def flag(self, item: int, flags: frozenset[str]) -> None:
        self.told.append((item, flags))
