"""The dialogue of IMAP, for whoever stands between client and server.

RFC: 9051 §2.2, §7 (commands, responses), 7888 §3 (literals that do not wait), 2177 (IDLE)
"""

from __future__ import annotations

import re
from collections.abc import Collection

from mailpost.wire.dialogue import GREETING, WHOLE, Command, Dialogue, Expected, Response
from mailpost.wire.imap.grammar import TAG

_COMMAND = re.compile(rb"(" + TAG + rb")(?: +((?:UID +)?[^ \r\n{]+))?(?=[ \r\n])", re.IGNORECASE)
_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r?\n\Z")
_LONGEST_ANNOUNCEMENT = 50
"""Octets of `{1234+}` and the line's end."""
_NO_LITERALS = re.compile(rb"\+|\* (?:OK|NO|BAD|BYE|PREAUTH)(?: |\r)", re.IGNORECASE)
"""Responses that end in text."""
_CAPABILITIES = re.compile(rb"(\A\* CAPABILITY|\A\S+ [A-Z]+ \[CAPABILITY)([^\]\r\n]*)", re.IGNORECASE)
_STATUS = re.compile(r"(?:OK|NO|BAD)\b")


class ImapDialogue(Dialogue):
    """What is said on an IMAP connection that is not compressed."""

    refused = {"COMPRESS": "NO [CANNOT] Nothing is compressed on this connection"}

    def __init__(self) -> None:
        super().__init__()
        self._literal = 0
        """Octets of the literal that the client has announced."""
        self._announced = False
        """The client waits to be let send it."""
        self._talking: Command | None = None
        """The command that has asked for lines."""
        self._missing = 0
        """Octets of the server's literal that are still to come."""
        self._tail = b""
        """Of a client's line that is longer than is waited for."""
        self._textual = False
        """What is being gathered is one line, whatever it ends in."""

    def without(self, response: Response, names: Collection[str]) -> bytes:
        """The octets of a response in which these capabilities are not announced. `AUTH` stands for all of `AUTH=`."""

        def shorter(found: re.Match[bytes]) -> bytes:
            words = [word for word in found[2].split() if not _among(word, names)]
            return b" ".join([found[1], *words])

        return _CAPABILITIES.sub(shorter, response.octets) if response.first else response.octets

    def answer(self, command: Command, text: str) -> bytes:
        """An answer: the tag is put before its last line, if that begins with OK, NO or BAD, else a `*`."""
        *lines, last = text.splitlines() or [""]
        tag = command.tag if command.tag and _STATUS.match(last) else b"*"
        told = [line if line.startswith(("* ", "+ ")) else f"* {line}" for line in lines]
        last = last.removeprefix("* ")
        return b"".join(f"{line}\r\n".encode() for line in told) + tag + f" {last}\r\n".encode()

    def goodbye(self, text: str) -> bytes:
        """BYE."""
        return f"* BYE {text}\r\n".encode()

    def closes(self, text: str) -> bool:
        """Whether this says BYE."""
        return any(line.removeprefix("* ").upper().startswith("BYE") for line in text.splitlines())

    def _named(self, line: bytes) -> Command:
        found = _COMMAND.match(line)
        if found is None:
            return Command(line, "")
        verb = b" ".join((found[2] or b"").split())
        return Command(line, verb.decode("ascii", "replace").upper(), found[1])

    def _follow(self, line: bytes) -> None:
        super()._follow(line)
        self._tail = b"" if line.endswith(b"\n") else line[-_LONGEST_ANNOUNCEMENT:]

    def _expect_after(self, line: bytes, command: Command | None) -> None:
        end = self._tail + line[-_LONGEST_ANNOUNCEMENT:]
        found = _LITERAL.search(end)
        self._announced = found is not None and not found[2]
        if found is None:
            self._wait()
        elif found[2]:
            self._expect_octets(int(found[1]))
        else:
            self._literal = int(found[1])
            self._wait()

    def _octets_ended(self) -> None:
        self._expected = Expected.LINE

    def _gather(self) -> bool:
        while self._size < WHOLE:
            if self._missing:
                piece = self._server.take(min(self._missing, WHOLE))
                if not piece:
                    return False
                self._missing -= len(piece)
                self._keep(piece)
                continue
            begins = not self._head
            if not self._take_line():
                return False
            line = self._gathered[-1]
            if begins:
                self._textual = not line.startswith(b"* ") or _NO_LITERALS.match(line) is not None
            found = None if self._textual else _LITERAL.search(line, max(0, len(line) - _LONGEST_ANNOUNCEMENT))
            if found is None:
                return True
            self._missing = int(found[1])
        return False

    def _asks(self, head: bytes) -> bool:
        if not head.startswith(b"+"):
            return False
        if self._expected is Expected.ANSWER:
            if self._announced:
                self._announced = False
                self._expect_octets(self._literal)
            else:
                self._expected, self._talking = Expected.REPLY, self.current
        return True

    def _is_final(self, head: bytes, command: Command) -> bool:
        if command.verb == GREETING:
            return True
        if command.tag and head.startswith(command.tag + b" "):
            return True
        if command is self._talking and head.startswith(b"* BAD"):
            self._expected = Expected.REPLY  # it was not the line that was wanted
            return False
        return head.startswith(b"* BAD") or (not command.tag and head.startswith(b"* NO"))


def _among(word: bytes, names: Collection[str]) -> bool:
    name = word.decode("ascii", "replace").upper()
    return name in names or name.partition("=")[0] in names
