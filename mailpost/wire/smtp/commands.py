"""From a line to a command.

RFC: 5321 §4.1.1 (commands), 2033 §4.1 (LHLO), 3030 §2 (BDAT), 3207 §4 (STARTTLS), 4954 §4 (AUTH)
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from mailpost.mail.transport import ForwardPath, ReversePath
from mailpost.wire.smtp.errors import CommandError
from mailpost.wire.smtp.parameters import OF_MAIL, OF_RCPT, from_xtext, with_parameters
from mailpost.wire.smtp.paths import take_path


@dataclass(frozen=True, slots=True)
class Hello:
    """HELO, EHLO or LHLO."""

    verb: str
    name: str
    """What the client calls itself: an `?` for whatever has no place in a name."""


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL FROM."""

    sender: ReversePath


@dataclass(frozen=True, slots=True)
class Rcpt:
    """RCPT TO."""

    recipient: ForwardPath


@dataclass(frozen=True, slots=True)
class Data:
    """DATA: the message follows."""


@dataclass(frozen=True, slots=True)
class Bdat:
    """BDAT: so many octets of the message follow."""

    size: int
    last: bool


@dataclass(frozen=True, slots=True)
class Rset:
    """RSET."""


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP."""


@dataclass(frozen=True, slots=True)
class Help:
    """HELP."""


@dataclass(frozen=True, slots=True)
class Vrfy:
    """VRFY."""


@dataclass(frozen=True, slots=True)
class Expn:
    """EXPN."""


@dataclass(frozen=True, slots=True)
class Quit:
    """QUIT."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS."""


@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH."""

    mechanism: str
    initial: bytes | None
    """The client's first message, decoded; None where it did not send one."""


@dataclass(frozen=True, slots=True)
class XClient:
    """XCLIENT: whom the client speaks for; attributes in capitals, None for what is not known."""

    attributes: Mapping[str, str | None]


Command = Hello | Mail | Rcpt | Data | Bdat | Rset | Noop | Help | Vrfy | Expn | Quit | StartTls | Auth | XClient

XCLIENT_ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN")
"""http://www.postfix.org/XCLIENT_README.html"""
LARGEST_CHUNK = 10**15
_UNNAMED = re.compile("[^A-Za-z0-9.:_\\-\\[\\]\u00a0-\U0010ffff]")


def verb_of(line: bytes) -> str:
    """The first word of a line, in capitals; whatever it is."""
    return line.split(b" ", 1)[0].decode("ascii", "replace").upper()


def parse(line: bytes, extensions: Collection[str]) -> Command:
    """Read a command.

    Args:
        line: without its end.
        extensions: those that the server offers, which decide what parameters there are.

    Raises:
        CommandError: there is no such command, or it is not written so.
    """
    try:
        text = line.rstrip(b" \t").decode("utf-8")
    except UnicodeDecodeError:
        raise CommandError(500, "5.5.2", "Commands are ASCII, or UTF-8 where SMTPUTF8 is offered") from None
    if any(each < " " or each == "\x7f" for each in text):
        raise CommandError(500, "5.5.2", "There is a control character in the command")
    verb, _, argument = text.partition(" ")
    read = _READERS.get(verb.upper())
    if read is None:
        raise CommandError(500, "5.5.1", "There is no such command")
    return read(verb.upper(), argument.strip(" "), extensions)


Reader = Callable[[str, str, Collection[str]], Command]


def _alone(command: Command) -> Reader:
    """Reads a command that has no argument. RFC: 5321 §4.1.1.4 and its neighbours"""

    def read(verb: str, argument: str, _: Collection[str]) -> Command:
        if argument:
            raise CommandError(501, "5.5.4", f"{verb} has no argument")
        return command

    return read


def _with_any(command: Command) -> Reader:
    """Reads a command whose argument does not matter."""
    return lambda verb, argument, extensions: command


def _hello(verb: str, argument: str, _: Collection[str]) -> Hello:
    if not argument:
        raise CommandError(501, "5.5.4", f"Syntax: {verb} the name of your host")
    return Hello(verb, _UNNAMED.sub("?", argument[:255]))


def _mail(_: str, argument: str, extensions: Collection[str]) -> Mail:
    address, rest = _path(argument, "FROM:", "Syntax: MAIL FROM:<address>", "5.1.7")
    sender = with_parameters(ReversePath(address), rest, OF_MAIL, extensions)
    if not address.isascii() and not sender.smtputf8:
        raise CommandError(553, "5.6.7", "An address that is not ASCII needs the parameter SMTPUTF8")
    return Mail(sender)


def _rcpt(_: str, argument: str, extensions: Collection[str]) -> Rcpt:
    address, rest = _path(argument, "TO:", "Syntax: RCPT TO:<address>", "5.1.3")
    if not address:
        raise CommandError(501, "5.1.3", "A recipient has an address")
    return Rcpt(with_parameters(ForwardPath(address), rest, OF_RCPT, extensions))


def _path(argument: str, word: str, syntax: str, status: str) -> tuple[str, str]:
    if argument[: len(word)].upper() != word:
        raise CommandError(501, "5.5.4", syntax)
    text = argument[len(word) :].lstrip(" ")
    if not text.startswith("<"):
        raise CommandError(501, "5.5.4", f"{syntax}, with the angle brackets")
    found = take_path(text)
    if found is None:
        raise CommandError(501, status, "This is no address")
    return found


def _bdat(_: str, argument: str, __: Collection[str]) -> Bdat:
    found = re.fullmatch(r"([0-9]{1,19})(?: +(LAST))?", argument, re.IGNORECASE)
    if found is None or int(found[1]) > LARGEST_CHUNK:
        # What follows may be a chunk, and must not be read as commands.
        raise CommandError(501, "5.5.4", "Syntax: BDAT size [LAST]", fatal=True)
    return Bdat(int(found[1]), found[2] is not None)


def _auth(_: str, argument: str, __: Collection[str]) -> Auth:
    mechanism, _, initial = argument.partition(" ")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,20}", mechanism):
        raise CommandError(501, "5.5.4", "Syntax: AUTH mechanism [initial response]")
    return Auth(mechanism.upper(), from_base64(initial.strip(" ").encode()) if initial else None)


def from_base64(text: bytes) -> bytes:
    """A message of SASL; "=" alone is an empty one. RFC: 4954 §4

    Raises:
        CommandError: it is no base64.
    """
    if text == b"=":
        return b""
    try:
        return a2b_base64(text, strict_mode=True)
    except Base64Error:
        raise CommandError(501, "5.5.2", "This is not base64") from None


def _xclient(_: str, argument: str, __: Collection[str]) -> XClient:
    attributes: dict[str, str | None] = {}
    for word in argument.split():
        name, is_there, value = word.partition("=")
        name = name.upper()
        if not is_there or name not in XCLIENT_ATTRIBUTES:
            raise CommandError(501, "5.5.4", f"XCLIENT has {' '.join(XCLIENT_ATTRIBUTES)}, each with =value")
        try:
            decoded = from_xtext(value)
        except ValueError:
            raise CommandError(501, "5.5.4", f"The value of {name} is no xtext") from None
        attributes[name] = None if decoded.upper() in ("[UNAVAILABLE]", "[TEMPUNAVAIL]") else decoded
    if not attributes:
        raise CommandError(501, "5.5.4", "Syntax: XCLIENT name=value ...")
    return XClient(attributes)


_READERS: Mapping[str, Reader] = {
    "HELO": _hello,
    "EHLO": _hello,
    "LHLO": _hello,
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": _alone(Data()),
    "BDAT": _bdat,
    "RSET": _alone(Rset()),
    "NOOP": _with_any(Noop()),
    "HELP": _with_any(Help()),
    "VRFY": _with_any(Vrfy()),
    "EXPN": _with_any(Expn()),
    "QUIT": _alone(Quit()),
    "STARTTLS": _alone(StartTls()),
    "AUTH": _auth,
    "XCLIENT": _xclient,
}
