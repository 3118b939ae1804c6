"""Names of folders as a tree: which are valid, what lies above and below, how a rename moves them.

Every store agrees on these, whatever it makes of a name on disk.

RFC: 3501 §5.1 (mailbox naming), §6.3.3 (CREATE), §6.3.5 (RENAME), 9051 §5.1
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailpost.mail.errors import ErrorKind, MailError

INBOX = "INBOX"
LONGEST_NAME = 255
"""Characters in a full name."""

_WILDCARDS = frozenset("*%")


def canonical_name(name: str, separator: str) -> str:
    """The name as it is kept: a first level of INBOX in capitals, else unchanged.

    Raises:
        MailError: BAD_FOLDER_NAME for a name that no folder may have: an empty level, `.` or `..` as a level, control
            characters, a wildcard, a lone surrogate, or too long.
    """
    levels = name.split(separator)
    if len(name) > LONGEST_NAME:
        raise MailError(ErrorKind.BAD_FOLDER_NAME, f"A folder's name may have {LONGEST_NAME} characters at most")
    if any(level in ("", ".", "..") for level in levels):
        raise MailError(ErrorKind.BAD_FOLDER_NAME, 'No level of a folder\'s name may be empty, "." or ".."')
    if any(character < " " or "\x7f" <= character < "\xa0" or "\ud800" <= character < "\ue000" for character in name):
        raise MailError(ErrorKind.BAD_FOLDER_NAME, "A folder's name may hold no control characters")
    if not _WILDCARDS.isdisjoint(name):
        raise MailError(ErrorKind.BAD_FOLDER_NAME, "A folder's name may hold neither * nor %")
    if levels[0].upper() == INBOX:
        levels[0] = INBOX
    return separator.join(levels)


def known_name(name: str, separator: str) -> str:
    """The name under which an existing folder would be kept; a name that none may have passes unchanged."""
    first, gap, rest = name.partition(separator)
    return INBOX + gap + rest if first.upper() == INBOX else name


def above(name: str, separator: str) -> Iterator[str]:
    """The names above this one, the topmost first."""
    at = name.find(separator)
    while at >= 0:
        yield name[:at]
        at = name.find(separator, at + 1)


def below(name: str, names: Iterable[str], separator: str) -> list[str]:
    """Those of these names that lie below this one, sorted."""
    return sorted(each for each in names if each.startswith(name + separator))


def tree(names: Iterable[str], separator: str) -> list[str]:
    """These names and all above them: INBOX first, then sorted."""
    found = {INBOX}
    for name in names:
        found.add(name)
        found.update(above(name, separator))
    return sorted(found, key=lambda name: (name != INBOX, name))


def moved(old: str, new: str, names: Iterable[str], separator: str) -> dict[str, str]:
    """What a rename makes of these names: old full name -> new full name, for the folder and all below it."""
    return {
        name: new + name[len(old) :]
        for name in sorted(names)
        if name == old or (old != INBOX and name.startswith(old + separator))
    }
