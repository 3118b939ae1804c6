"""The dialogue of POP3, for whoever stands between client and server.

RFC: 1939 §3, 2449 §3 (which answers have several lines), 5034 §4 (AUTH)
"""

from __future__ import annotations

from collections.abc import Collection

from mailpost.wire.dialogue import PIECE, WHOLE, Command, Dialogue, DotEnd, Expected, Response, announced, verb_of

_LONG = frozenset({"RETR", "TOP", "CAPA"})
_LONG_ALONE = frozenset({"LIST", "UIDL", "AUTH", "LANG"})
"""Commands whose answer has several lines if they have no argument."""


class Pop3Dialogue(Dialogue):
    """What is said on a POP3 connection."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: DotEnd | None = None
        """Looks for the end of the lines behind +OK, while they come."""

    def without(self, response: Response, names: Collection[str]) -> bytes:
        """The octets of an answer to CAPA without these. RFC: 2449 §5"""
        if response.command is None or response.command.verb != "CAPA":
            return response.octets
        head, *lines = response.octets.splitlines(keepends=True)
        return b"".join([head, *filter(None, (announced(line, names) for line in lines))])

    def answer(self, command: Command, text: str) -> bytes:
        """An answer, of one line or more."""
        return b"".join(f"{line}\r\n".encode() for line in text.splitlines())

    def goodbye(self, text: str) -> bytes:
        """Nothing: a server that has had enough closes without a word. RFC: 1939 §3"""
        return b""

    def closes(self, text: str) -> bool:
        """No answer means that."""
        return False

    def _named(self, line: bytes) -> Command:
        return Command(line, verb_of(line))

    def _expect_after(self, line: bytes, command: Command | None) -> None:
        self._wait()

    def _gather(self) -> bool:
        if not self._head:
            if not self._take_line():
                return False
            if not self._has_lines():
                return True
            self._lines = DotEnd()
        while self._lines is not None and self._size < WHOLE:
            piece = self._server.take(PIECE)
            if not piece:
                return False
            used = self._lines.find(piece)
            if used is None:
                self._keep(piece)
            else:
                self._keep(piece[:used])
                self._server.put_back(piece[used:])
                self._lines = None
        return self._lines is None

    def _has_lines(self) -> bool:
        command = self.current
        if command is None or not self._head.startswith(b"+OK"):
            return False
        return command.verb in _LONG or (command.verb in _LONG_ALONE and len(command.octets.split()) == 1)

    def _asks(self, head: bytes) -> bool:
        if not head.startswith(b"+ "):
            return False
        if self._expected is Expected.ANSWER:
            self._expected = Expected.REPLY
        return True

    def _is_final(self, head: bytes, command: Command) -> bool:
        return True
