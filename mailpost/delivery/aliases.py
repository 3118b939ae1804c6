"""The aliases file: addresses that stand for others.

    postmaster: ann
    sales: ann, bob@example.org,
        cleo@elsewhere.example
    @old.example: ann

A line names an address (`local@domain`, `local` at any domain of ours, or `@domain` for all that is not named
otherwise) and whom it stands for. Lines that begin with white space go on with the line before; "#" begins a comment
where it is the first character of a line but for white space. This is the aliases(5) of sendmail and Postfix without
commands, files and `:include:`: a target is an address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

_WORD = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"([^\s,:"]*)|([^\s,:"]+))\s*')


@dataclass(frozen=True, slots=True)
class Aliases:
    """What an aliases file says."""

    targets: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}))
    """By name in the form of `key`."""
    warnings: Sequence[str] = ()
    """One sentence for each bad line, beginning with its line number."""


def key(name: str) -> str:
    """The form in which names are compared: case does not matter."""
    local, at, domain = name.rpartition("@")
    return f"{local.casefold()}@{canonical_domain(domain)}" if at else name.casefold()


def canonical_domain(domain: str) -> str:
    """A domain as it is compared: lower case, non-ASCII labels as they are in the DNS. RFC: 6531 §3.2"""
    domain = domain.rstrip(".").casefold()
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode()
    except UnicodeError:  # no domain at all: equal to nothing but itself
        return domain


def parse(text: str) -> Aliases:
    """Read the text of an aliases file; a bad line takes no other down."""
    targets: dict[str, Sequence[str]] = {}
    warnings = []
    for number, line in _logical_lines(text):
        try:
            name, addresses = _entry(line)
        except ValueError as problem:
            warnings.append(f"line {number}: {problem}")
            continue
        if key(name) in targets:
            warnings.append(f"line {number}: {name} is listed twice; the first counts")
        else:
            targets[key(name)] = addresses
    return Aliases(MappingProxyType(targets), tuple(warnings))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Entries on one line each, with the number of the line where they begin."""
    start, parts = 0, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if parts and line[0].isspace():
            parts.append(line)
            continue
        if parts:
            yield start, " ".join(parts)
        start, parts = number, [line]
    if parts:
        yield start, " ".join(parts)


def _entry(line: str) -> tuple[str, list[str]]:
    """The name and the targets of a line. Raises ValueError."""
    names, at = _words(line, 0)
    if line[at : at + 1] != ":":
        raise ValueError("there is no colon behind the name")
    if len(names) != 1:
        raise ValueError("there must be one name before the colon")
    if names[0].endswith("@"):
        raise ValueError(f"{names[0]} is no address")
    targets, at = _words(line, at + 1)
    if at < len(line):
        raise ValueError(_complaint(line[at:]))
    if not targets:
        raise ValueError(f"{names[0]} stands for nobody")
    for target in targets:
        if target.startswith(("/", "|", "\\", "@")) or target.endswith("@"):
            raise ValueError(_complaint(target))
    return names[0], targets


def _complaint(rest: str) -> str:
    return f"an alias stands for addresses with commas between them, not for {rest[:40].strip()}"


def _words(line: str, at: int) -> tuple[list[str], int]:
    """Words with commas between them, and where they end."""
    words: list[str] = []
    while match := _WORD.match(line, at):
        quoted, behind, plain = match.groups()
        words.append(plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted) + behind)
        at = match.end()
        if line[at : at + 1] != ",":
            break
        at += 1
    while at < len(line) and line[at].isspace():
        at += 1
    return words, at
