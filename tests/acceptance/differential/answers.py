"""A small IMAP client that shows a server's answers as plain values, so that those of two servers can be compared."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field

Value = bytes | None | list["Value"]
"""An atom, string or literal; NIL; a parenthesised list."""


@dataclass(frozen=True)
class Literal:
    """A literal in a command; with `plus` it follows at once."""

    octets: bytes
    plus: bool = False


Pieces = tuple[bytes | Literal, ...]
"""A command without its tag."""


@dataclass
class Answer:
    """Everything that came in answer to one command."""

    status: bytes = b""
    """OK, NO or BAD; "closed" if the server hung up, "silence" if it said nothing in time."""
    code: list[Value] = field(default_factory=list)
    text: bytes = b""
    untagged: list[list[Value]] = field(default_factory=list)
    """Each response as values; a response code stands as a list behind OK, NO, BAD and BYE."""


class HungUpError(Exception):
    """The server closed the connection."""


class Client:
    """One connection."""

    def __init__(self, host: str, port: int, timeout: float = 10) -> None:
        self._socket = socket.create_connection((host, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._number = 0
        self._entering = False
        self.modseq = b"1"
        """The last HIGHESTMODSEQ that SELECT told."""
        self.greeting = self._line()

    def close(self) -> None:
        """Leave without a word."""
        self._file.close()
        self._socket.close()

    def run(self, *pieces: bytes | Literal) -> Answer:
        """Send one command and gather the answer. `@MODSEQ` in it stands for `modseq`."""
        self._number += 1
        tag = b"t%d" % self._number
        answer = Answer()
        self._entering = isinstance(pieces[0], bytes) and pieces[0].upper().startswith((b"SELECT", b"EXAMINE"))
        try:
            if self._send(tag + b" ", pieces, tag, answer):
                while not self._took(tag, answer):
                    pass
        except TimeoutError:
            answer.status = b"silence"
        except (HungUpError, OSError):
            answer.status = b"closed"
        return answer

    def _send(self, start: bytes, pieces: Pieces, tag: bytes, answer: Answer) -> bool:
        """Whether all was sent; False if a literal was refused, and then the answer is complete."""
        out = start
        for piece in pieces:
            if isinstance(piece, bytes):
                out += piece.replace(b"@MODSEQ", self.modseq)
                continue
            out += b"{%d%b}\r\n" % (len(piece.octets), b"+" if piece.plus else b"")
            if not piece.plus:
                self._socket.sendall(out)
                out = b""
                while (taken := self._took(tag, answer)) is False:
                    pass
                if taken:
                    return False
            out += piece.octets
        self._socket.sendall(out + b"\r\n")
        return True

    def _took(self, tag: bytes, answer: Answer) -> bool | None:
        """Take one response: True at the tagged one, None at a continuation request, False at any other."""
        line = self._line()
        if line.startswith(b"+"):
            return None
        if not line.startswith((b"* ", tag + b" ")):
            raise AssertionError(f"no response: {line!r}")
        values = parse(line)
        entering = self._entering
        if line.startswith(b"* "):
            answer.untagged.append(values[1:])
            if entering and len(values) > 2 and isinstance(values[2], list) and values[2][:1] == [b"HIGHESTMODSEQ"]:
                self.modseq = bytes(values[2][1] or b"")  # type: ignore[arg-type]
            return False
        answer.status = bytes(values[1] or b"")  # type: ignore[arg-type]
        if len(values) > 2 and isinstance(values[2], list):
            answer.code = values[2]
        answer.text = line
        return True

    def _line(self) -> bytes:
        """A response with its literals, without the CRLF at its end."""
        whole = b""
        while True:
            line = self._file.readline()
            if not line.endswith(b"\r\n"):
                raise HungUpError
            whole += line
            announced = re.search(rb"\{(\d+)\}\r\n\Z", line)
            if announced is None:
                return whole[:-2]
            whole += self._file.read(int(announced[1]))


_TEXTS = re.compile(rb"(?:\*|\S+) (?:OK|NO|BAD|BYE|PREAUTH)(?: |\Z)", re.I)
_ATOM = re.compile(rb'(?:\[[^\]]*\](?:<\d+>)?|[^\s()"\[\]])+')
_ATOM_OUTSIDE = re.compile(rb'(?:\[[^\]]*\](?:<\d+>)?|[^\s()"\[])+')
_LITERAL = re.compile(rb"~?\{(\d+)\}\r\n")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S)


def parse(line: bytes) -> list[Value]:
    """A response as values. Of OK, NO, BAD and BYE: the tag, the word, and the response code as a list."""
    if _TEXTS.match(line):
        words = line.split(b" ", 2)
        rest = words[2] if len(words) > 2 else b""
        if not rest.startswith(b"["):
            return [words[0], words[1].upper()]
        return [words[0], words[1].upper(), _values(rest, 1, b"]")[0]]
    return _values(line, 0, b"")[0]


def _values(line: bytes, at: int, closing: bytes) -> tuple[list[Value], int]:
    values: list[Value] = []
    atom = _ATOM if closing == b"]" else _ATOM_OUTSIDE
    while at < len(line):
        octet = line[at : at + 1]
        if octet == closing:
            return values, at + 1
        if octet == b" ":
            at += 1
        elif octet == b"(":
            inner, at = _values(line, at + 1, b")")
            values.append(inner)
        elif octet == b'"' and (found := _QUOTED.match(line, at)):
            values.append(re.sub(rb"\\(.)", rb"\1", found[1], flags=re.S))
            at = found.end()
        elif found := _LITERAL.match(line, at):
            end = found.end() + int(found[1])
            values.append(line[found.end() : end])
            at = end
        elif found := atom.match(line, at):
            values.append(None if found[0].upper() == b"NIL" else found[0])
            at = found.end()
        else:
            raise AssertionError(f"no IMAP at {at}: {line[max(0, at - 60) : at + 60]!r}")
    if closing:
        raise AssertionError(f"not closed: {line[-200:]!r}")
    return values, at
