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
        at, end = self._at, self._past_line()
        if not end:
            return None
        end -= 1
        if end > at and self._data[end - 1] == 13:
            end -= 1
        return bytes(self._data[at:end])

    def whole_line(self) -> bytes | None:
        """The next line with its end, or None while none is whole."""
        at, end = self._at, self._past_line()
        return bytes(self._data[at:end]) if end else None

    def _past_line(self) -> int:
        """Where the next line ends, which counts as read; 0 while none is whole."""
        end = self._data.find(b"\n", max(self._at, self._scanned)) + 1
        if end:
            self._at = self._scanned = end
        else:
            self._scanned = len(self._data)
        return end

    def take(self, most: int) -> bytes:
        """The next octets: as many as there are, but at most this many."""
        data, at = self._data, self._at
        if at == 0 and len(data) <= most:
            self.clear()
            return bytes(data)
        self._at = min(at + most, len(data))
        return bytes(data[at : self._at])

    def put_back(self, octets: bytes) -> None:
        """Octets that were read, to be read again before all that is here."""
        if octets:
            self._data, self._at, self._scanned = octets + self._data[self._at :], 0, 0

    def peek(self, most: int) -> bytes:
        """The next octets, at most this many, which stay."""
        return bytes(self._data[self._at : self._at + most])

    def ends_with(self, octets: bytes) -> bool:
        """Whether these are the last octets that are here."""
        return len(self) >= len(octets) and self._data.endswith(octets)

    def clear(self) -> None:
        """Drop everything."""
        self._data, self._at, self._scanned = b"", 0, 0
