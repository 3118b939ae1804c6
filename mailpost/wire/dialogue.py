"""What client and server say on one connection: which command it is, and what of the server's octets answers it.

A `Dialogue` is given the octets of both sides as they come, in pieces of any size, and hands them out again: commands,
what belongs to them, responses. All octets are handed out, in their order, whatever they are.

A command is handed out when the one before it has been answered; of one that asks for leave to go on (a literal, a
SASL exchange, DATA), what follows is handed out when the server has said so. `imap.dialogue`, `pop3.dialogue` and
`smtp.dialogue` know how each protocol says it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from mailpost.wire.receivebuffer import ReceiveBuffer

GREETING = "GREETING"
"""The verb of what nobody has asked for: the server's first words answer it."""
LONGEST_LINE = 128 << 10
"""Octets of a client's line that are waited for; of a longer one they are handed out as they come."""
WHOLE = 1 << 20
"""Octets of a response that are gathered; a longer one is handed out in parts."""
PIECE = 64 << 10
"""Octets at a time of what follows a command."""


@dataclass(frozen=True, slots=True)
class Command:
    """The line that a command begins with."""

    octets: bytes
    """With the line's end."""
    verb: str
    """In capitals: SELECT, UID FETCH, RETR, MAIL; GREETING for the server's first words."""
    tag: bytes = b""
    """IMAP's, where it has one."""

    def __repr__(self) -> str:
        return f"Command({self.verb!r}, {len(self.octets)} octets)"  # some have a password


@dataclass(frozen=True, slots=True)
class Content:
    """Octets that belong to a command, behind its line: of a literal, a message, a SASL response."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response of the server, with its literals or all its lines; or a part, if it is very long."""

    octets: bytes
    command: Command | None
    """What it belongs to: the command that runs. None where the server speaks unasked."""
    first: bool
    """It begins here."""
    last: bool
    """It ends here."""
    final: bool
    """With this the command has been answered; LMTP answers a message for each recipient."""


class Expected(Enum):
    """What the client's next octets are."""

    COMMAND = auto()
    LINE = auto()
    """More of the text of a command."""
    REPLY = auto()
    """A line that the server has asked for: of a SASL exchange, DONE."""
    OCTETS = auto()
    """So many octets of it."""
    MESSAGE = auto()
    """A message, up to a line of one dot."""
    ANSWER = auto()
    """The server has to say first."""


class Dialogue(ABC):
    """The dialogue on one connection."""

    refused: Mapping[str, str] = {}
    """Commands that nobody can stand between, with an answer to them."""

    def __init__(self) -> None:
        self.current: Command | None = Command(b"", GREETING)
        """What is being answered."""
        self.skipping = False
        """What comes belongs to a command that is not passed on."""
        self._client = ReceiveBuffer()
        self._server = ReceiveBuffer()
        self._expected = Expected.ANSWER
        self._needed = 0
        self._end = DotEnd()
        self._gathered: list[bytes] = []
        self._size = 0
        self._head = b""
        """The first line of the response that is being gathered, once it is there."""
        self._in_parts = False
        """Its beginning has been handed out."""
        self._answered: Command | None = None
        """What else is said belongs to this command, though it has been answered."""

    # -- the client

    @property
    def waiting(self) -> int:
        """Octets of the client that have not been handed out."""
        return len(self._client)

    def client(self, octets: bytes) -> None:
        """The client has sent this."""
        self._client.feed(octets)

    def next_request(self) -> Command | Content | None:
        """What the client says next; None while that is not there, or not due."""
        match self._expected:
            case Expected.COMMAND:
                line = self._client_line()
                return None if line is None else self._begin(line)
            case Expected.LINE:
                line = self._client_line()
                if line is None:
                    return None
                self._follow(line)
                return Content(line)
            case Expected.REPLY:
                line = self._client_line()
                if line is None:
                    return None
                if line.endswith(b"\n"):
                    self._wait()
                return Content(line)
            case Expected.OCTETS:
                piece = self._client.take(min(self._needed, PIECE))
                self._needed -= len(piece)
                if not self._needed:
                    self._octets_ended()
            case Expected.MESSAGE:
                piece = self._client.take(PIECE)
                used = self._end.find(piece)
                if used is not None:
                    self._client.put_back(piece[used:])
                    piece = piece[:used]
                    self._wait()
            case _:
                return None
        return Content(piece) if piece else None

    def change(self, octets: bytes) -> None:
        """The command that was handed out last is passed on as this line; what follows it stays as it is."""
        self.current = self._named(octets)

    def skip(self) -> None:
        """The command that was handed out last is not passed on; what follows it is to be dropped too."""
        self.current = None
        self.skipping = True
        if self._expected is Expected.ANSWER:
            self._expected = Expected.COMMAND

    def drop_waiting(self) -> None:
        """Drop the octets of the client that have not been handed out."""
        self._client.clear()

    # -- the server

    def server(self, octets: bytes) -> None:
        """The server has sent this."""
        self._server.feed(octets)

    def next_response(self) -> Response | None:
        """The server's next response; None while it is not whole."""
        if self._gather():
            return self._handed_out(True)
        return self._handed_out(False) if self._size >= WHOLE else None

    @property
    def unsaid(self) -> int:
        """Octets of the server that have not been handed out."""
        return len(self._server) + self._size

    def rest(self) -> bytes:
        """What the server has sent of a response that it will not end."""
        octets = b"".join(self._gathered) + self._server.take(len(self._server))
        self._gathered, self._size = [], 0
        return octets

    @abstractmethod
    def without(self, response: Response, names: Collection[str]) -> bytes:
        """The octets of a response in which these capabilities are not announced; names in capitals."""

    @abstractmethod
    def answer(self, command: Command, text: str) -> bytes:
        """An answer to a command, of one line or several, as the protocol writes it: with the tag, for IMAP."""

    @abstractmethod
    def goodbye(self, text: str) -> bytes:
        """What a server says that closes unasked."""

    @abstractmethod
    def closes(self, text: str) -> bool:
        """Whether a server that gives this answer closes behind it."""

    # -- what each protocol knows

    @abstractmethod
    def _named(self, line: bytes) -> Command:
        """The command of a line."""

    @abstractmethod
    def _expect_after(self, line: bytes, command: Command | None) -> None:
        """Set what comes behind a line of a command; None: one that has been answered already."""

    @abstractmethod
    def _gather(self) -> bool:
        """Take what there is of a response, but not much more than WHOLE; whether its end is there."""

    @abstractmethod
    def _asks(self, head: bytes) -> bool:
        """Whether a response that begins so asks the client to go on; and then sets what is expected."""

    @abstractmethod
    def _is_final(self, head: bytes, command: Command) -> bool:
        """Whether the command has been answered with a response that begins so."""

    # -- inside

    def _client_line(self) -> bytes | None:
        line = self._client.whole_line()
        if line is None and len(self._client) > LONGEST_LINE:
            return self._client.take(len(self._client))
        return line

    def _begin(self, line: bytes) -> Command:
        self.skipping = False
        self.current = command = self._named(line)
        self._follow(line)
        return command

    def _follow(self, line: bytes) -> None:
        if line.endswith(b"\n"):
            self._expect_after(line, self.current)
        else:
            self._expected = Expected.LINE

    def _octets_ended(self) -> None:
        """A literal is over."""
        self._wait()

    def _expect_octets(self, count: int) -> None:
        self._expected, self._needed = Expected.OCTETS, count
        if not count:
            self._octets_ended()

    def _expect_message(self) -> None:
        self._expected, self._end = Expected.MESSAGE, DotEnd()

    def _wait(self) -> None:
        """The command is complete."""
        self._expected = Expected.COMMAND if self.current is None else Expected.ANSWER

    def _take_line(self) -> bool:
        """Move a line of the server to what is gathered; whether there was one."""
        line = self._server.whole_line()
        if line is None:
            return False
        if not self._head:
            self._head = line
        self._keep(line)
        return True

    def _keep(self, octets: bytes) -> None:
        self._gathered.append(octets)
        self._size += len(octets)

    def _handed_out(self, last: bool) -> Response:
        octets, head = b"".join(self._gathered), self._head
        self._gathered, self._size = [], 0
        first = not self._in_parts
        self._in_parts = not last
        command = running = self.current
        if running is None:
            command = self._answered
        if not last:
            return Response(octets, command, first, last, False)
        self._head = b""
        if running is None:
            return Response(octets, command, first, last, command is not None)
        final = not self._asks(head) and self._is_final(head, running)
        if final:
            self.current = None
            if self._expected in {Expected.ANSWER, Expected.REPLY}:
                self._expected = Expected.COMMAND
        return Response(octets, command, first, last, final)


class DotEnd:
    """Finds the end of a message, the line of one dot, in pieces. RFC: 5321 §4.1.1.4, 1939 §3"""

    def __init__(self) -> None:
        self._tail = b"\r\n"

    def find(self, piece: bytes) -> int | None:
        """How many octets of this piece are the message's last; None: all, and there is more."""
        octets = self._tail + piece
        at = octets.find(b"\r\n.\r\n")
        if at >= 0:
            return at + 5 - len(self._tail)
        self._tail = octets[-4:]
        return None


def verb_of(line: bytes) -> str:
    """The first word of a line, in capitals."""
    words = line.split(None, 1)
    return words[0].decode("ascii", "replace").upper() if words else ""


def announced(line: bytes, names: Collection[str]) -> bytes:
    """A line that announces a capability, without what `names` has: all of it (`AUTH`), or a value (`AUTH=PLAIN`).

    Empty if nothing is left to be announced.
    """
    name, *values = line.decode("latin-1").split()
    if name.upper() in names:
        return b""
    kept = [value for value in values if f"{name}={value}".upper() not in names]
    if len(kept) == len(values):
        return line
    return f"{' '.join([name, *kept])}\r\n".encode("latin-1") if kept else b""
