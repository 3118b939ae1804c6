"""The parameters of MAIL and RCPT, and xtext, in which some of their values are written.

RFC: 5321 §4.1.2 (esmtp-param), 1870 §3 (SIZE), 6152 §2 (BODY), 6531 §3.4 (SMTPUTF8), 4954 §5 (AUTH),
3461 §4 (RET, ENVID, NOTIFY, ORCPT, xtext), 6533 §3 (utf-8 addresses in ORCPT)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeVar

from mailpost.mail.transport import BodyKind, ForwardPath, Notify, Returned, ReversePath
from mailpost.wire.smtp.errors import CommandError

P = TypeVar("P", ReversePath, ForwardPath)
Setter = Callable[[P, str], P]
"""Puts a value into a path; raises ValueError for one that cannot be."""

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20\x7f]+))?")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_UTF8_XTEXT = re.compile(r"\\x\{([0-9A-F]{2,6})\}")


def with_parameters(path: P, text: str, known: Mapping[str, tuple[str, Setter[P]]], extensions: Collection[str]) -> P:
    """The path with what these parameters say.

    Args:
        path: without parameters.
        text: what stands behind the path in the command.
        known: by name: the extension that the parameter belongs to, and what it does.
        extensions: those that the server offers.

    Raises:
        CommandError: 555 for a parameter that is not known here, 501 for a value that makes no sense.
    """
    if text and not text.startswith(" "):
        raise CommandError(501, "5.5.4", "There is something behind the address that does not belong there")
    seen = set()
    for word in text.split(" "):
        if not word:
            continue
        found = _PARAMETER.fullmatch(word)
        if found is None:
            raise CommandError(501, "5.5.4", f"{word[:60]} is no parameter: NAME or NAME=VALUE")
        name, value = found[1].upper(), found[2] or ""
        extension, put = known.get(name, ("", None))
        if put is None or extension not in extensions:
            raise CommandError(555, "5.5.4", f"The parameter {name[:60]} is not known here")
        if name in seen:
            raise CommandError(501, "5.5.4", f"{name} is there twice")
        seen.add(name)
        try:
            path = put(path, value)
        except ValueError:
            raise CommandError(501, "5.5.4", f"{word[:60]}: {name} cannot have this value") from None
    return path


def from_xtext(text: str) -> str:
    """Decode xtext. RFC: 3461 §4

    Raises:
        ValueError: it is none, or what it stands for is no text.
    """
    if not _XTEXT.fullmatch(text):
        raise ValueError("no xtext")
    octets = re.sub(rb"\+(..)", lambda found: bytes.fromhex(found[1].decode()), text.encode("ascii"))
    decoded = octets.decode("utf-8")
    if not decoded.isprintable():
        raise ValueError("control characters")
    return decoded


def _size(path: ReversePath, value: str) -> ReversePath:
    if not re.fullmatch(r"[0-9]{1,20}", value):
        raise ValueError
    return replace(path, size=int(value))


def _body(path: ReversePath, value: str) -> ReversePath:
    kind = BodyKind(value.upper())
    if kind is BodyKind.BINARY:
        raise ValueError
    return replace(path, body=kind)


def _smtputf8(path: ReversePath, value: str) -> ReversePath:
    if value:
        raise ValueError
    return replace(path, smtputf8=True)


def _auth(path: ReversePath, value: str) -> ReversePath:
    """Who wrote the message, for servers that trust the client to know; no user of a server is one. RFC: 4954 §5"""
    if not value:
        raise ValueError
    from_xtext(value)
    return path


def _returned(path: ReversePath, value: str) -> ReversePath:
    return replace(path, returned=Returned(value.upper()))


def _envelope_id(path: ReversePath, value: str) -> ReversePath:
    decoded = from_xtext(value)
    if not 0 < len(value) <= 100:
        raise ValueError
    return replace(path, envelope_id=decoded)


def _notify(path: ForwardPath, value: str) -> ForwardPath:
    wanted = frozenset(Notify(word) for word in value.upper().split(","))
    if Notify.NEVER in wanted and len(wanted) > 1:
        raise ValueError
    return replace(path, notify=wanted)


def _original(path: ForwardPath, value: str) -> ForwardPath:
    kind, semicolon, address = value.partition(";")
    if not (semicolon and address and len(value) <= 500 and re.fullmatch(r"[A-Za-z0-9-]+", kind)):
        raise ValueError
    if kind.lower() == "utf-8":
        decoded = _UTF8_XTEXT.sub(lambda found: chr(int(found[1], 16)), address)
        decoded.encode("utf-8")
    else:
        decoded = from_xtext(address)
    if not decoded.isprintable():
        raise ValueError
    return replace(path, original=f"{kind};{decoded}")


OF_MAIL: Mapping[str, tuple[str, Setter[ReversePath]]] = {
    "SIZE": ("SIZE", _size),
    "BODY": ("8BITMIME", _body),
    "SMTPUTF8": ("SMTPUTF8", _smtputf8),
    "AUTH": ("AUTH", _auth),
    "RET": ("DSN", _returned),
    "ENVID": ("DSN", _envelope_id),
}
OF_RCPT: Mapping[str, tuple[str, Setter[ForwardPath]]] = {
    "NOTIFY": ("DSN", _notify),
    "ORCPT": ("DSN", _original),
}
