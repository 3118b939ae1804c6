"""A session's output: gathered while a command runs, handed to the transport in one piece."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailpost.protocols.outflow import Outflow


class Outgoing:
    """What is written and not yet handed over."""

    __slots__ = ("_flow", "_later", "_pieces", "_send", "command_running")

    def __init__(self, send: Callable[[bytes], None], flow: Outflow) -> None:
        self._send = send
        self._flow = flow
        self._pieces: list[bytes] = []
        self._later: list[bytes] = []
        self.command_running = False
        """A command is writing: what does not belong to it must wait for its tagged response."""

    def write(self, data: bytes | Sequence[bytes]) -> None:
        """Add whole or part lines."""
        if isinstance(data, bytes):
            self._pieces.append(data)
        else:
            self._pieces.extend(data)

    def write_later(self, line: bytes) -> None:
        """Send an untagged line that is no part of a command: before the tagged response of one that runs, or now."""
        if self.command_running:
            self._later.append(line)
        else:
            self._pieces.append(line)
            self.flush()

    def tagged(self, tag: bytes, status: bytes, text: bytes, code: bytes = b"") -> None:
        """End a command. RFC: 3501 §7.1"""
        if self._later:
            self._pieces += self._later
            self._later.clear()
        if code:
            text = b"[" + code + b"] " + text
        self._pieces.append(b"%b %b %b\r\n" % (tag, status, text))

    def flush(self) -> None:
        """Hand everything over to the transport, in one piece."""
        if self._pieces:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            self._send(data)

    @property
    def held_up(self) -> bool:
        """The client is not reading."""
        return self._flow.paused

    async def drained(self) -> None:
        """Hand everything over; wait while the client is not reading."""
        self.flush()
        if self._flow.paused:
            await self._flow.resumed()


def printable(text: str) -> bytes:
    """Text for a response line: ASCII without line ends, nor anything that looks like a literal to a client.

    RFC: 3501 §9 (resp-text)
    """
    return text.encode("ascii", "replace").translate(_PRINTABLE)


_PRINTABLE = bytes.maketrans(b"\r\n{", b"  ?")
