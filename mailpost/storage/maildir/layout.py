"""Which directory is which folder: the names of folders as names on the disk, in either hierarchy.

In Maildir++ all directories lie side by side in the root: A/B is `.A.B`. In Dovecot's LAYOUT=fs they lie in each
other: A/B is `A/B`. INBOX is the root itself in both. Levels are spelt in modified UTF-7 (or UTF-8, by setting).

RFC: 3501 §5.1, §5.1.3
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from mailpost.mail import foldernames
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.foldertree import INBOX, canonical_name
from mailpost.storage.maildir.folder import SUBDIRECTORIES

ROOT = "."
"""The directory of INBOX."""

MOST_OCTETS = 255
"""In one name on the disk."""
_ESCAPE = re.compile(r"\\([0-9a-fA-F]{2})")
_ESCAPED = {ord(character): f"\\{ord(character):02x}" for character in "./\\"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FILES_OF_SERVERS = re.compile(
    r"(dovecot-(uidlist|keywords|uidvalidity)|dovecot\.(list\.)?index|dovecot\.mailbox\.log|subscriptions"
    r"|mailpost-(state|cache|generation|ballast)|courierimap\w+|maildirsize|maildirfolder)(\..*)?"
    r"|\.\.(mailpost|DOVECOT)-.*"
)
"""What servers keep beside `cur`; a folder that is named so would be in the way."""


class Hierarchy(Enum):
    """How folders below folders lie on the disk."""

    MAILDIR_PLUS_PLUS = "maildir++"
    """Side by side: `.A.B`."""
    FS = "fs"
    """In each other: `A/B`."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How names of folders become names of directories; one of its two subclasses."""

    hierarchy: ClassVar[Hierarchy]
    prefix: ClassVar[str]
    """What the name of every directory begins with, but for the root."""
    between: ClassVar[str]
    """What stands between the levels on the disk."""

    separator: str = "/"
    """One character between the levels of a name."""
    utf8: bool = False
    """Directories are named in UTF-8, not modified UTF-7."""

    @property
    def nested(self) -> bool:
        """Whether folders lie in each other."""
        return self.hierarchy is Hierarchy.FS

    def directory(self, name: str) -> str:
        """The directory of the folder with this name, below the root; "." for INBOX in any case.

        Raises:
            MailError: BAD_FOLDER_NAME for a name that no folder may have (`mail.foldertree.canonical_name`), one of
                more than 255 octets on the disk, or one that is kept for something else.
        """
        name = canonical_name(name, self.separator)
        if name == INBOX:
            return ROOT
        directory = self.prefix + self.between.join(self._encode(level) for level in name.split(self.separator))
        if not is_short_enough(directory):
            raise MailError(ErrorKind.BAD_FOLDER_NAME, "This name is too long for a folder")
        return directory

    def name(self, directory: str) -> str | None:
        """The folder that a directory is; None where no folder has it (`.INBOX`, `..x`, a name outside the rules)."""
        if directory == ROOT:
            return INBOX
        levels = self._levels(directory)
        if any(level is None or self.separator in level for level in levels):
            return None
        name = self.separator.join(level for level in levels if level is not None)
        try:
            return name if self.directory(name) == directory else None
        except MailError:
            return None

    def lenient_name(self, directory: str) -> str | None:
        """A name to show for a directory that `name` has none for; None where it is no folder at all."""
        if not directory.startswith(self.prefix):
            return None
        levels = directory.removeprefix(self.prefix).split(self.between)
        if "" in levels:
            return None
        if levels[0].upper() == INBOX:
            levels[0] = INBOX
        if levels == [INBOX]:
            return None
        shown = [self._decoded(level) or level for level in levels]
        return _CONTROL.sub("\ufffd", self.separator.join(shown))

    def moves(self, directories: Iterable[str], old: str, new: str) -> list[tuple[str, str]]:
        """(old directory, new directory) of a folder and all below it, those above first.

        Args:
            directories: all that there are.
            old: the directory of the folder that is renamed; it need not be a folder itself.
            new: what it is to be.
        """
        below = old + self.between
        found = {old, *(directory for directory in directories if directory.startswith(below))}
        return sorted((directory, new + directory[len(old) :]) for directory in found)

    def _levels(self, directory: str) -> list[str | None]:
        if not directory.startswith(self.prefix):
            return [None]
        return [self._decoded(level) for level in directory.removeprefix(self.prefix).split(self.between)]

    def _encode(self, level: str) -> str:
        return level if self.utf8 else foldernames.encode(level).decode("ascii")

    def _decoded(self, level: str) -> str | None:
        try:
            return level if self.utf8 else foldernames.decode(os.fsencode(level))
        except ValueError:
            return None


class MaildirPlusPlus(Layout):
    """`.A.B`. In a level a dot, a backslash, a slash and a leading tilde are `\\2e`, `\\5c`, `\\2f`, `\\7e`.

    So Dovecot's listescape plugin writes them. A name that begins with two dots has an empty level and so is nobody's
    folder: what is on its way out or in is named so.
    """

    __slots__ = ()
    hierarchy = Hierarchy.MAILDIR_PLUS_PLUS
    prefix = "."
    between = "."

    def _encode(self, level: str) -> str:
        escaped = level.translate(_ESCAPED)
        if escaped.startswith("~"):
            escaped = "\\7e" + escaped[1:]
        return super()._encode(escaped)

    def _decoded(self, level: str) -> str | None:
        plain = super()._decoded(level)
        return None if plain is None else _ESCAPE.sub(lambda match: chr(int(match[1], 16)), plain)


class Nested(Layout):
    """`A/B`, as Dovecot has it with LAYOUT=fs: nothing is escaped, so that some names are no folder's.

    Those are `cur`, `new` and `tmp` on any level, a first level with a tilde before it, a slash where it does not
    separate levels, and what the files of servers are called.
    """

    __slots__ = ()
    hierarchy = Hierarchy.FS
    prefix = ""
    between = "/"

    def directory(self, name: str) -> str:
        """The directory of the folder with this name, below the root; "." for INBOX in any case."""
        directory = super().directory(name)
        levels = name.split(self.separator)
        if any("/" in level for level in levels):
            raise MailError(ErrorKind.BAD_FOLDER_NAME, "A folder's name may hold no slash here")
        kept = any(level in SUBDIRECTORIES or _FILES_OF_SERVERS.fullmatch(level) for level in levels)
        if kept or name.startswith("~"):
            raise MailError(ErrorKind.BAD_FOLDER_NAME, "This name is kept for something else")
        return directory


def layout_of(hierarchy: Hierarchy, separator: str = "/", utf8: bool = False) -> Layout:
    """The layout of this kind."""
    return (Nested if hierarchy is Hierarchy.FS else MaildirPlusPlus)(separator, utf8)


def is_short_enough(directory: str) -> bool:
    """Whether a file system takes the names on this path."""
    return all(len(part) <= MOST_OCTETS for part in os.fsencode(directory).split(b"/"))
