"""Mail as other programs keep it, read for import: an mbox file, a Maildir with its folders, a directory of messages.

Blocking; for programs. Messages come as they are, but for the line ends, which are CRLF, and the mbox "From " line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mailpost.admin.errors import SourceError
from mailpost.mail import headers
from mailpost.mail.dates import parse_date
from mailpost.mail.flags import ANSWERED, DELETED, DRAFT, FLAGGED, NO_FLAGS, SEEN, Flags, intern_flags
from mailpost.mail.foldertree import INBOX
from mailpost.mail.lineends import normalised
from mailpost.storage.maildir.directories import list_folders
from mailpost.storage.maildir.filename import FlagLetters, letters_of
from mailpost.storage.maildir.keywords import read_keywords
from mailpost.storage.maildir.layout import Hierarchy, layout_of
from mailpost.storage.maildir.shape import OtherLayoutError, check_shape

SUFFIXES = (".eml", ".txt")

_FROM_LINE = re.compile(rb"From (?:\S+ +)?.*\d\d:\d\d.*\d{4}")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_FROM_DATE = re.compile(rb"From (?:\S+ +)?(.*)")
_STATUS_FLAGS = {"R": SEEN, "A": ANSWERED, "F": FLAGGED, "D": DELETED, "T": DRAFT}


@dataclass(frozen=True, slots=True)
class Found:
    """One message to be imported."""

    folder: str
    """Where it was in its source, INBOX for its top."""
    octets: bytes
    """As a store keeps it."""
    flags: Flags
    internaldate: int
    """Seconds since the epoch."""
    read: int
    """Octets of the source that it took, for showing progress."""


@dataclass(frozen=True, slots=True)
class Source:
    """Something to import from."""

    size: int
    """Octets in all, about."""
    messages: Iterator[Found]
    left_out: Sequence[Path] = ()
    """Directories whose messages are not imported: in a directory of messages, or of the other layout in a Maildir."""


def open_source(path: Path, separator: str) -> Source:
    """What is at this path.

    Args:
        path: an mbox file, a file of one message, a Maildir, or a directory of .eml and .txt files.
        separator: what to put between the levels of a Maildir's folders.

    Raises:
        SourceError: there is no mail.
    """
    try:
        if path.is_dir():
            if any((path / name).is_dir() for name in ("cur", "new")):
                return _maildir(path, separator)
            return _directory(path)
        with path.open("rb") as file:
            first = file.readline(1000)
        mbox = first.startswith(b"From ")
        if not mbox and not _FIELD.match(first):
            raise SourceError(f"{path}: neither an mbox nor a message")
        return Source(path.stat().st_size, _mbox(path) if mbox else iter([_single(path)]))
    except OSError as problem:
        raise SourceError(f"{problem.filename or path}: {problem.strerror}") from None


def _directory(path: Path) -> Source:
    within = sorted(path.iterdir())
    files = [each for each in within if each.suffix.lower() in SUFFIXES and each.is_file()]
    if not files:
        raise SourceError(f"{path}: neither a Maildir nor a directory with .eml or .txt files")
    left_out = [each for each in within if each.is_dir()]
    return Source(sum(each.stat().st_size for each in files), map(_single, files), left_out)


def _single(path: Path) -> Found:
    """A file of one message, perhaps with the "From " line of an mbox before it."""
    octets = path.read_bytes()
    read = len(octets)
    separator = b""
    if octets.startswith(b"From "):
        separator, _, octets = octets.partition(b"\n")
    return _found(octets, separator, int(path.stat().st_mtime), read)


def _mbox(path: Path) -> Iterator[Found]:
    """The messages of an mbox: each begins with a "From " line, at the start or behind an empty line.

    RFC: 4155 §A (and the quoting of later "From " lines with ">", which is undone)
    """
    modified = int(path.stat().st_mtime)
    with path.open("rb") as file:
        separator = file.readline()
        lines: list[bytes] = []
        blank = False
        for line in file:
            if blank and line.startswith(b"From ") and _FROM_LINE.match(line):
                yield _unquoted(separator, lines, modified)
                separator, lines, blank = line, [], False
                continue
            blank = line in {b"\n", b"\r\n"}
            lines.append(line)
        yield _unquoted(separator, lines, modified)


def _unquoted(separator: bytes, lines: list[bytes], modified: int) -> Found:
    read = len(separator) + sum(map(len, lines))
    if lines and lines[-1] in {b"\n", b"\r\n"}:
        lines.pop()  # it belongs to the next "From " line
    return _found(_QUOTED_FROM.sub(rb"\1", b"".join(lines)), separator, modified, read)


def _found(octets: bytes, separator: bytes, modified: int, read: int) -> Found:
    """A message outside of a Maildir: flags from its Status fields, date from its "From " line or its Date field."""
    octets = normalised(octets)
    fields = dict(reversed(headers.values(octets, 0, headers.end_of(octets))))
    status = headers.unfolded(fields.get(b"status", b"") + fields.get(b"x-status", b"")).decode("latin-1")
    flags = [_STATUS_FLAGS[letter] for letter in status.upper() if letter in _STATUS_FLAGS]
    date = parse_date(headers.unfolded(fields.get(b"date", b"")))
    line = _FROM_DATE.match(separator)
    arrived = parse_date(line.group(1)) if line else None
    internaldate = arrived.seconds if arrived else date.seconds if date else modified
    return Found(INBOX, octets, intern_flags(flags), max(internaldate, 0), read)


def _maildir(path: Path, separator: str) -> Source:
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    layout, left_out = layout_of(Hierarchy.MAILDIR_PLUS_PLUS, separator), []
    try:
        try:
            left_out = check_shape(str(path), root, layout, None)
        except OtherLayoutError:
            layout = layout_of(Hierarchy.FS, separator)
        folders = [(each.name, path / each.directory) for each in list_folders(root, layout)]
    finally:
        os.close(root)
    files = [(name, place, each, status) for name, place in folders for each, status in _maildir_files(place)]
    left = [path / directory for directory in left_out]
    return Source(sum(status.st_size for *_, status in files), _maildir_messages(files), left)


def _maildir_files(place: Path) -> list[tuple[Path, os.stat_result]]:
    """The messages of one folder, those that came first before the others."""
    found: list[tuple[Path, os.stat_result]] = []
    for part in ("cur", "new"):
        for each in (place / part).iterdir() if (place / part).is_dir() else ():
            if not each.name.startswith("."):
                with suppress(FileNotFoundError):  # a mail program may be at work here
                    found.append((each, each.stat()))
    return sorted(found, key=lambda entry: (entry[1].st_mtime, entry[0].name))


def _maildir_messages(files: list[tuple[str, Path, Path, os.stat_result]]) -> Iterator[Found]:
    opened: Path | None = None
    letters = FlagLetters()
    for folder, place, each, status in files:
        if place != opened:
            opened, letters = place, _letters(place)
        try:
            octets = each.read_bytes()
        except FileNotFoundError:
            continue  # renamed or removed meanwhile; a second run finds it
        flags = letters.flags(letters_of(each.name)) if each.parent.name == "cur" else NO_FLAGS
        yield Found(folder, normalised(octets), flags, int(status.st_mtime), len(octets))


def _letters(place: Path) -> FlagLetters:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return FlagLetters(read_keywords(descriptor)[0])
    finally:
        os.close(descriptor)
