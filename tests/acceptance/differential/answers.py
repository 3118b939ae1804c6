"""A small IMAP client that shows a server's answers as plain values, so that those of two servers can be compared."""

from __future__ import annotations

import re
import socket
import zlib
from binascii import b2a_base64
from dataclasses import dataclass, field
from typing import Any

Value = bytes | None | list["Value"]
"""An atom, string or literal; NIL; a parenthesised list."""


@dataclass(frozen=True)
class Literal:
    """A literal in a command; with `plus` it follows at once, with `eight` it is a literal8."""

    octets: bytes
    plus: bool = False
    eight: bool = False
    claimed: int = 0
    """A size that no server takes; nothing follows."""


@dataclass(frozen=True)
class Line:
    """A line that answers the server's continuation request, as of IDLE and AUTHENTICATE."""

    octets: bytes


Piece = bytes | Literal | Line
Pieces = tuple[Piece, ...]
"""A command without its tag."""


def first_of(command: Pieces) -> bytes:
    """The command up to its first literal."""
    return command[0] if isinstance(command[0], bytes) else b""


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


class Wire:
    """Octets to a server and back, with DEFLATE on them when that is agreed. RFC: 4978 §3"""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self._socket = socket.create_connection((host, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._deflate: Any = None
        self._inflate: Any = None
        self._here = bytearray()

    def compress(self) -> None:
        """All that follows is compressed."""
        self._deflate = zlib.compressobj(wbits=-15)
        self._inflate = zlib.decompressobj(wbits=-15)

    def uncompress(self) -> None:
        """What follows is plain again. RFC: 8437 §4.1"""
        self._deflate = self._inflate = None

    def send(self, octets: bytes) -> None:
        """Send, in one piece."""
        if self._deflate is not None:
            octets = self._deflate.compress(octets) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._socket.sendall(octets)

    def line(self) -> bytes:
        """A line with its CRLF."""
        looked = 0
        while (end := self._here.find(b"\n", looked)) < 0:
            looked = len(self._here)
            self._more()
        return self._take(end + 1)

    def read(self, count: int) -> bytes:
        """So many octets."""
        while len(self._here) < count:
            self._more()
        return self._take(count)

    def close(self) -> None:
        """Leave without a word."""
        self._socket.close()

    def _take(self, count: int) -> bytes:
        taken = bytes(self._here[:count])
        del self._here[:count]
        return taken

    def _more(self) -> None:
        octets = self._socket.recv(1 << 16)
        if not octets:
            raise HungUpError
        self._here += self._inflate.decompress(octets) if self._inflate is not None else octets


class Client:
    """One connection.

    Words in commands stand for what differs between servers: `@USER`, `@PASSWORD` and `@PLAIN` (RFC 4616) for who logs
    in, `@UIDVALIDITY` and `@MODSEQ` for what SELECT told last: of the mailbox that the command enters, or else of the
    one that is selected.
    """

    def __init__(self, host: str, port: int, user: str, password: str, timeout: float = 10) -> None:
        self._wire = Wire(host, port, timeout)
        self._number = 0
        self._entering = b""
        plain = b"\0%b\0%b" % (user.encode(), password.encode())
        self._words = {
            b"@USER": user.encode(),
            b"@PASSWORD": password.encode(),
            b"@PLAIN": b2a_base64(plain, newline=False),
            b"@UIDVALIDITY": b"1",
            b"@MODSEQ": b"1",
        }
        self._known: dict[bytes, dict[bytes, bytes]] = {}
        """What SELECT told last, by mailbox."""
        self.greeting = self._line()

    def close(self) -> None:
        """Leave without a word."""
        self._wire.close()

    def run(self, *pieces: Piece) -> Answer:
        """Send one command and gather the answer."""
        self._number += 1
        tag = b"t%d" % self._number
        answer = Answer()
        first = first_of(pieces).upper()
        entered = _ENTERING.match(first)
        self._entering = entered[1] if entered else b""
        words = {**self._words, **self._known.get(self._entering, {})}
        try:
            if self._send(tag + b" ", pieces, tag, answer, words):
                while not self._took(tag, answer):
                    pass
        except TimeoutError:
            answer.status = b"silence"
        except (HungUpError, OSError):
            answer.status = b"closed"
        if answer.status == b"OK":
            if entered:
                self._known[self._entering] = {key: self._words[key] for key in (b"@UIDVALIDITY", b"@MODSEQ")}
            elif first.startswith(b"COMPRESS"):
                self._wire.compress()
            elif first == b"UNAUTHENTICATE":
                self._wire.uncompress()
        return answer

    def _send(self, start: bytes, pieces: Pieces, tag: bytes, answer: Answer, words: dict[bytes, bytes]) -> bool:
        """Whether all was sent; False if the server did not want the rest, and then the answer is complete."""
        out = start
        for piece in pieces:
            if isinstance(piece, bytes):
                out += _fill(piece, words)
                continue
            if isinstance(piece, Literal):
                size = piece.claimed or len(piece.octets)
                out += b"%b{%d%b}" % (b"~" * piece.eight, size, b"+" * piece.plus)
            out += b"\r\n"
            if isinstance(piece, Line) or not piece.plus:
                self._wire.send(out)
                out = b""
                while (taken := self._took(tag, answer)) is False:
                    pass
                if taken:
                    return False
                assert not (isinstance(piece, Literal) and piece.claimed), "the server waits for too much"
            out += piece.octets if isinstance(piece, Literal) else _fill(piece.octets, words)
        self._wire.send(out + b"\r\n")
        return True

    def _took(self, tag: bytes, answer: Answer) -> bool | None:
        """Take one response: True at the tagged one, None at a continuation request, False at any other."""
        line = self._line()
        if line.startswith(b"+"):
            return None
        if not line.startswith((b"* ", tag + b" ")):
            raise AssertionError(f"no response: {line!r}")
        values = parse(line)
        if line.startswith(b"* "):
            answer.untagged.append(values[1:])
            if self._entering and len(values) > 2 and isinstance(values[2], list):
                self._learn(values[2])
            return False
        answer.status = bytes(values[1] or b"")  # type: ignore[arg-type]
        if len(values) > 2 and isinstance(values[2], list):
            answer.code = values[2]
        answer.text = line
        return True

    def _learn(self, code: list[Value]) -> None:
        if code[:1] == [b"UIDVALIDITY"] and isinstance(code[1], bytes):
            self._words[b"@UIDVALIDITY"] = code[1]
        elif code[:1] == [b"HIGHESTMODSEQ"] and isinstance(code[1], bytes):
            self._words[b"@MODSEQ"] = code[1]

    def _line(self) -> bytes:
        """A response with its literals, without the CRLF at its end."""
        whole = b""
        while True:
            whole += self._wire.line()
            announced = re.search(rb"\{(\d+)\}\r\n\Z", whole)
            if announced is None:
                return whole[:-2]
            whole += self._wire.read(int(announced[1]))


def _fill(text: bytes, words: dict[bytes, bytes]) -> bytes:
    return _WORD.sub(lambda found: words[found[0]], text) if b"@" in text else text


_WORD = re.compile(rb"@(?:USER|PASSWORD|PLAIN|UIDVALIDITY|MODSEQ)\b")
_ENTERING = re.compile(rb'(?:SELECT|EXAMINE) ("(?:\\.|[^"])*"|\S+)')
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
