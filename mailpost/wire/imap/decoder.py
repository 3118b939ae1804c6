"""From octets as they arrive to whole commands: lines, literals, and the limits of both."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal of a command."""

    end: int
    """Where its announcement (`{5}`) ends in the text of the command."""
    size: int
    """Octets."""
    octets: bytes | None
    """None for a message, which went by as LiteralData."""


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
    """A message (of APPEND) is coming: answer with `Decoder.accept` or `Decoder.refuse`; no events until then."""

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
    """The command passed a limit, or is no line of text: answer BAD. What belongs to it is dropped unseen."""

    tag: bytes | None
    """Of the command, where it could be read."""
    text: str
    """What was too long, for the reply."""
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
