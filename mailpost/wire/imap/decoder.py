"""From octets as they arrive to whole commands: lines, literals, and the limits of both.

A `Decoder` is fed with whatever arrives and asked for one event after the other. Octets that nobody has asked for
yet stay where they are: they are the queue of a pipelining client, and whoever feeds bounds it by no longer reading
(never while `next_event` says None: then it needs more).

* The text of a command and its literals are gathered up to `Limits`. What passes a limit is dropped in bounded
  memory: a synchronizing literal is simply never sent, a non-synchronizing one is read and forgotten with the rest of
  its command.
* A literal's octets are never taken for commands, however the rest of the command looks.
* The messages of APPEND and REPLACE are not gathered. They are offered, and if accepted go by as they come.
* A line may end in LF alone, as Dovecot has it; a NUL makes the command invalid.

Time is linear in the octets, even if they come one by one.

RFC: 3501 §2.2.1, §4.3, 7888 (LITERAL+), 3516 §3 (literal8)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from mailpost.wire.imap.grammar import LARGEST_NUMBER64, TAG
from mailpost.wire.receivebuffer import ReceiveBuffer


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal of a command."""

    end: int
    """Where its announcement (`{5}`) ends in the text of the command."""
    size: int
    """Octets."""
    octets: bytes | None
    """None for a message, which goes by as LiteralData."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A whole command, ready for `commands.parse`."""

    text: bytes
    """The line without its end. Literals stand in it as their announcement only: `a LOGIN {3} {6}`."""
    literals: tuple[Literal, ...] = ()
    """In their order."""


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line that is no command, while `Decoder.raw_lines` is set: a SASL response, DONE."""

    octets: bytes
    """Without its end."""


@dataclass(frozen=True, slots=True)
class ContinuationDue:
    """The client waits for leave to send a literal, and may: write `+ ...` now, before anything else."""


@dataclass(frozen=True, slots=True)
class LiteralOffered:
    """Octets of a message (APPEND, REPLACE) are coming: answer with `Decoder.accept` or `Decoder.refuse`.

    There are no events until then.
    """

    size: int
    """Octets."""
    synchronizing: bool
    """The client waits: after `accept`, write `+ ...`; after `refuse`, the tagged answer is all."""
    binary: bool
    """Announced as `~{n}`."""
    so_far: CommandLine
    """The command up to here, fit for `commands.parse`; this literal is its last, with octets None."""


@dataclass(frozen=True, slots=True)
class LiteralData:
    """Octets of an accepted message."""

    octets: bytes
    last: bool
    """The message is complete."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """The command passed a limit, or is no text: answer BAD. What belongs to it is dropped unseen."""

    tag: bytes | None
    """Of the command, where it could be read and has not been told already."""
    text: str
    """What was wrong, for the reply."""
    fatal: bool = False
    """Nothing sensible can follow: say BYE and close."""


Event = CommandLine | RawLine | ContinuationDue | LiteralOffered | LiteralData | TooLong


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a client may send. All in octets."""

    line: int = 65_536
    """Text of one command without its literals; also a raw line."""
    literal: int = 65_536
    """One literal that is kept in memory (all but messages)."""
    command: int = 262_144
    """Text and literals of one command together, without messages."""


class _State(Enum):
    LINE = auto()
    """At the text of a command: its beginning, or what follows a literal."""
    LITERAL = auto()
    """Inside a literal that is gathered."""
    OFFERED = auto()
    """A message has been offered and neither accepted nor refused."""
    MESSAGE = auto()
    """Inside a message that goes by."""
    DROP_LITERAL = auto()
    """Inside a literal that is forgotten."""
    DROP_LINE = auto()
    """In the text of a command that is forgotten."""
    DEAD = auto()
    """After something that nothing sensible can follow."""


_ANNOUNCEMENT = re.compile(rb"(~?)\{(\d+)(\+?)\}\Z")
_LONGEST_ANNOUNCEMENT = 48
_TAG = re.compile(TAG + rb"(?= )")
_APPEND = re.compile(TAG + rb" (?:APPEND|(?:UID )?REPLACE [0-9*$]+) ", re.IGNORECASE)
_LONGEST_TAG_SHOWN = 256
_CONTINUATION_DUE = ContinuationDue()


class Decoder:
    """Makes events of octets. Feed it, then ask for events until there is None."""

    def __init__(self, limits: Limits = Limits()) -> None:
        self.limits = limits
        """May be set anew at any time; counts from the next line or literal on."""
        self.raw_lines = False
        """While True, lines come as RawLine. Set it between commands."""
        self._buffer = ReceiveBuffer()
        self._state = _State.LINE
        self._text = bytearray()
        self._literals: list[Literal] = []
        self._gathered = 0
        """Octets of literals kept for this command."""
        self._append = False
        self._offer: LiteralOffered | None = None
        self._needed = 0
        self._pieces: list[bytes] = []
        self._tail = b""
        self._verdict: TooLong | None = None
        """What to say when a command that is being dropped has ended."""
        self._steps = {
            _State.LINE: self._line,
            _State.LITERAL: self._literal,
            _State.OFFERED: self._wait,
            _State.MESSAGE: self._message,
            _State.DROP_LITERAL: self._drop_literal,
            _State.DROP_LINE: self._drop_line,
            _State.DEAD: self._dead,
        }

    @property
    def buffered(self) -> int:
        """Octets that have arrived and no event has told of."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        self._buffer.feed(data)

    def clear(self) -> None:
        """Forget all octets that no event has told of (at STARTTLS)."""
        self._buffer.clear()

    def next_event(self) -> Event | None:
        """The next event; None when more octets, or an answer to LiteralOffered, are needed first."""
        while True:
            state = self._state
            event = self._steps[state]()
            if event is not None or self._state is state:
                return event

    def accept(self) -> None:
        """Let the offered message come. If it was synchronizing, the caller writes the continuation request."""
        offer = self._answered()
        self._literals.append(offer.so_far.literals[-1])
        self._needed = offer.size
        self._state = _State.MESSAGE

    def refuse(self) -> None:
        """Do not take the offered message, and forget its whole command. The caller gives the tagged answer."""
        offer = self._answered()
        self._verdict = None
        self._refuse_literal(offer.size, offer.synchronizing)

    def _answered(self) -> LiteralOffered:
        offer, self._offer = self._offer, None
        if offer is None:
            raise RuntimeError("no literal is on offer")
        return offer

    def _line(self) -> Event | None:
        line = self._buffer.line()
        if line is None:
            if len(self._text) + len(self._buffer) > self.limits.line + 1:
                return self._overlong()
            return None
        if self.raw_lines and not self._text:
            if len(line) > self.limits.line:
                return TooLong(None, "Line too long")
            return RawLine(line)
        if len(line) + len(self._text) > self.limits.line:
            return self._spoilt(line, f"Command line over {self.limits.line} octets")
        if b"\0" in line:
            return self._spoilt(line, "NUL in the command")
        if line.endswith(b"}"):
            announcement = _ANNOUNCEMENT.search(line, max(0, len(line) - _LONGEST_ANNOUNCEMENT))
            if announcement:
                self._text += line
                return self._announced(announcement)
        if not self._text:
            return CommandLine(line)
        self._text += line
        command = CommandLine(bytes(self._text), tuple(self._literals))
        self._reset()
        return command

    def _announced(self, announcement: re.Match[bytes]) -> Event | None:
        size, synchronizing = int(announcement[2]), not announcement[3]
        if size > LARGEST_NUMBER64:
            self._verdict = TooLong(self._tag(), "Literal too big")
            return self._refuse_literal(size, synchronizing)
        if not self._literals:
            append = _APPEND.match(self._text)
            self._append = append is not None
            # What comes first is the mailbox's name, even as a literal.
            offered = append is not None and _ANNOUNCEMENT.fullmatch(self._text, append.end()) is None
        else:
            offered = self._append
        if offered:
            literals = (*self._literals, Literal(len(self._text), size, None))
            so_far = CommandLine(bytes(self._text), literals)
            self._offer = LiteralOffered(size, synchronizing, bool(announcement[1]), so_far)
            self._state = _State.OFFERED
            return self._offer
        if size > self.limits.literal or len(self._text) + self._gathered + size > self.limits.command:
            self._verdict = TooLong(self._tag(), f"Literal of {size} octets is too big")
            return self._refuse_literal(size, synchronizing)
        self._needed = size
        self._state = _State.LITERAL
        return _CONTINUATION_DUE if synchronizing else None

    def _literal(self) -> Event | None:
        piece = self._buffer.take(self._needed)
        self._needed -= len(piece)
        self._pieces.append(piece)
        if self._needed == 0:
            octets = b"".join(self._pieces)
            self._pieces.clear()
            self._gathered += len(octets)
            self._literals.append(Literal(len(self._text), len(octets), octets))
            self._state = _State.LINE
        return None

    def _wait(self) -> Event | None:
        return None

    def _message(self) -> Event | None:
        piece = self._buffer.take(self._needed)
        if self._needed and not piece:
            return None
        self._needed -= len(piece)
        if self._needed == 0:
            self._state = _State.LINE
        return LiteralData(piece, self._needed == 0)

    def _drop_literal(self) -> Event | None:
        self._needed -= len(self._buffer.take(self._needed))
        if self._needed == 0:
            self._state = _State.DROP_LINE
        return None

    def _drop_line(self) -> Event | None:
        line = self._buffer.whole_line()
        if line is None:
            tail = self._buffer.take(len(self._buffer))
            # One octet more, which may turn out to be the CR of the line's end.
            self._tail = (self._tail + tail[-_LONGEST_ANNOUNCEMENT - 1 :])[-_LONGEST_ANNOUNCEMENT - 1 :]
            return None
        end = self._tail + line[-_LONGEST_ANNOUNCEMENT - 2 :]
        self._tail = b""
        return self._after_dropped(end.removesuffix(b"\n").removesuffix(b"\r"))

    def _after_dropped(self, line: bytes) -> Event | None:
        """A line of a command that is dropped ends so, without its CRLF: see whether octets of a literal follow."""
        announcement = _ANNOUNCEMENT.search(line, max(0, len(line) - _LONGEST_ANNOUNCEMENT))
        if announcement and announcement[3]:
            return self._refuse_literal(int(announcement[2]), synchronizing=False)
        return self._dropped()

    def _refuse_literal(self, size: int, synchronizing: bool) -> Event | None:
        if synchronizing:
            return self._dropped()
        if size > LARGEST_NUMBER64:
            self._verdict = TooLong(None, "Literal too big", fatal=True)
            self._state = _State.DEAD
            return None
        self._text = self._text[:0]
        self._needed = size
        self._state = _State.DROP_LITERAL
        return None

    def _dropped(self) -> Event | None:
        verdict, self._verdict = self._verdict, None
        self._reset()
        return verdict

    def _dead(self) -> Event | None:
        self._buffer.clear()
        verdict, self._verdict = self._verdict, None
        return verdict

    def _spoilt(self, line: bytes, text: str) -> Event | None:
        """A whole line is of no use: say so, and drop what else there is of its command."""
        self._text += line[:_LONGEST_TAG_SHOWN]
        verdict = TooLong(self._tag(), text)
        self._after_dropped(line)
        return verdict

    def _overlong(self) -> Event | None:
        """The line has no end yet and is too long already: say so at once, and drop what is still to come."""
        raw = self.raw_lines and not self._text
        self._text += self._buffer.peek(_LONGEST_TAG_SHOWN)
        verdict = TooLong(None if raw else self._tag(), f"Line over {self.limits.line} octets")
        self._reset()
        self._state = _State.DROP_LINE
        return verdict

    def _tag(self) -> bytes | None:
        tag = _TAG.match(self._text, 0, min(_LONGEST_TAG_SHOWN, self.limits.line))
        return tag[0] if tag else None

    def _reset(self) -> None:
        self._text = bytearray()
        self._literals = []
        self._gathered = 0
        self._append = False
        self._pieces = []
        self._needed = 0
        self._state = _State.LINE
