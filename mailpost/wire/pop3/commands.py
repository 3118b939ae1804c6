"""A POP3 command line: a keyword and its arguments.

    command = keyword *(SP param) CRLF
    keyword = 3*4VCHAR
    param   = 1*VCHAR

Octets outside ASCII have a place in names and passwords alone. More than one space, and spaces at the end, are let
pass, as real clients send them; PASS takes all behind its first space, since passwords have spaces.

RFC: 1939 §3, 2449 §4 (syntax), 5034 §4 (AUTH), 6856 §2, §3 (UTF8, LANG)
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass

WHOLE = frozenset({"USER", "PASS"})
"""Commands whose one argument is the rest of the line."""
LARGEST_NUMBER = 0xFFFF_FFFF


class CommandError(Exception):
    """A command that makes no sense; the text is for the client."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it stands."""

    name: str
    """In capitals."""
    arguments: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"Command({self.name!r}, {len(self.arguments)} arguments)"  # one may be a password


def parse(line: bytes) -> Command:
    """Read a line without its end. Raises CommandError."""
    keyword, _, rest = line.partition(b" ")
    if not (3 <= len(keyword) <= 4 and keyword.isalnum() and keyword.isascii()):
        raise CommandError("This is no command" if keyword else "A command is missing")
    name = keyword.decode("ascii").upper()
    if b"\0" in rest or b"\r" in rest:
        raise CommandError("A command is one line without NUL")
    if name in WHOLE:
        rest = rest if name == "PASS" else rest.strip(b" ")
        return Command(name, (rest,) if rest else ())
    if not rest.isascii():
        raise CommandError(f"{name} takes ASCII only")
    return Command(name, tuple(rest.split()))


def number(argument: bytes) -> int:
    """A message number as a client gives it, or a count of lines. Raises CommandError."""
    if argument.isdigit() and len(argument) <= 10 and int(argument) <= LARGEST_NUMBER:
        return int(argument)
    raise CommandError("This is no number")


def text(argument: bytes) -> bytes:
    """A name or password that is sent as it is. Raises CommandError where it is not UTF-8. RFC: 6856 §2.2"""
    try:
        argument.decode("utf-8")
    except UnicodeDecodeError:
        raise CommandError("Names and passwords are UTF-8") from None
    return argument


def initial_response(argument: bytes) -> bytes:
    """What a client begins a SASL exchange with; "=" is the empty one. Raises CommandError. RFC: 5034 §4"""
    return b"" if argument == b"=" else response(argument)


def response(line: bytes) -> bytes:
    """What a client answers to a SASL challenge. Raises CommandError where it is not base64."""
    try:
        return b64decode(line, validate=True)
    except Base64Error:
        raise CommandError("This is not base64") from None
