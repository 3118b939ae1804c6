"""A store, account or mailbox that is as another one is but for what a subclass does otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from zope.interface import alsoProvides, providedBy

W = TypeVar("W", bound="Wrapped")


class Wrapped:
    """Has the attributes and the interfaces of what is inside, but for those that a subclass has of its own."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        alsoProvides(self, providedBy(inner))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Wrappers(Generic[W]):
    """One wrapper for each object as long as anybody holds it, so that who shares the object shares that, too."""

    def __init__(self, make: Callable[[Any], W]) -> None:
        self._make = make
        self._known: WeakValueDictionary[int, W] = WeakValueDictionary()

    def of(self, inner: Any) -> W:
        """The wrapper of this object."""
        found = self._known.get(id(inner))  # the wrapper keeps what is inside, so no other has its id
        if found is None:
            found = self._known[id(inner)] = self._make(inner)
        return found


def unwrapped(thing: Any) -> Any:
    """What is inside all wrappers."""
    while isinstance(thing, Wrapped):
        thing = thing.inner
    return thing
