"""A message on its way into a store that keeps messages in memory, or hands them to somebody as octets."""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from mailpost.mail.lineends import normalised
from mailpost.storage.interfaces import ISpool
from mailpost.storage.records import NewMessage


@implementer(ISpool)
class OctetSpool:
    """A message on its way in, in memory."""

    def __init__(self) -> None:
        self.octets = bytearray()

    @property
    def size(self) -> int:
        """Octets so far."""
        return len(self.octets)

    def write(self, data: bytes) -> None:
        """Take the next octets."""
        self.octets += data

    def abort(self) -> None:
        """Throw it away."""
        self.octets = bytearray()


def octets_of(message: NewMessage) -> bytes:
    """The octets of a message that is to be appended, as every store keeps them.

    Raises:
        TypeError: its spool is of another store.
    """
    octets: Any = message.octets
    if isinstance(octets, OctetSpool):
        octets = bytes(octets.octets)
    if not isinstance(octets, bytes):
        raise TypeError(f"this store takes bytes and its own spools, not {octets!r}")
    return normalised(octets)
