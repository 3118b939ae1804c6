"""What was made of messages lately, bounded in octets."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """Values by key; those that nobody has asked for longest make room for others."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self.octets = 0
        """What all values take."""

    def get(self, key: Hashable) -> V | None:
        """The value of a key, if it is still here."""
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: V, octets: int) -> None:
        """Keep a value that takes so much; one that is larger than a quarter of all is not kept."""
        if key in self._held or octets > self._most // 4:
            return
        self._held[key] = value, octets
        self.octets += octets
        while self.octets > self._most:
            self.octets -= self._held.popitem(last=False)[1][1]

    def drop(self, key: Hashable) -> None:
        """Keep the value of this key no longer."""
        found = self._held.pop(key, None)
        if found is not None:
            self.octets -= found[1]
