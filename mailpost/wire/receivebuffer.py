"""Octets that have arrived and are not yet understood.

What comes in one chunk and goes out again is not copied; what comes octet by octet is gathered in linear time.
"""

from __future__ import annotations


class ReceiveBuffer:
    """A queue of octets, read by lines or by counts."""

    __slots__ = ("_at", "_data", "_scanned")

    def __init__(self) -> None:
        self._data: bytes | bytearray = b""
        self._at = 0
        self._scanned = 0
        """No line feed lies between _at and here."""

    def __len__(self) -> int:
        return len(self._data) - self._at

    def feed(self, data: bytes) -> None:
        """Add octets at the end."""
        if self._at == len(self._data):
            self._data, self._at, self._scanned = data, 0, 0
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data[self._at :])
        else:
            del self._data[: self._at]
        self._scanned = max(0, self._scanned - self._at)
        self._at = 0
        self._data += data

    def line(self) -> bytes | None:
        """The next line without its end (CRLF or LF), or None while none is whole."""
        data, at = self._data, self._at
        end = data.find(b"\n", max(at, self._scanned))
        if end < 0:
            self._scanned = len(data)
            return None
        self._at = self._scanned = end + 1
        if end > at and data[end - 1] == 13:
            end -= 1
        return bytes(data[at:end])

    def take(self, most: int) -> bytes:
        """The next octets: as many as there are, but at most this many."""
        data, at = self._data, self._at
        if at == 0 and len(data) <= most:
            self.clear()
            return bytes(data)
        self._at = min(at + most, len(data))
        return bytes(data[at : self._at])

    def peek(self, most: int) -> bytes:
        """The next octets, at most this many, which stay."""
        return bytes(self._data[self._at : self._at + most])

    def clear(self) -> None:
        """Drop everything."""
        self._data, self._at, self._scanned = b"", 0, 0
