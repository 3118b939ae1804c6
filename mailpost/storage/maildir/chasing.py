"""Finding the file of a message whose name another program has changed, perhaps while others are changed. Blocking."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, combinations
from typing import Protocol, TypeVar

from mailpost.storage.maildir.filename import SYSTEM_LETTERS, base_of, letters_of, with_letters
from mailpost.storage.maildir.files import names_in, scanned

T = TypeVar("T")
X = TypeVar("X")

CHASE = 0.1
"""Seconds for which a message is looked for while other programs rename, where others may have to wait for that."""
LONG_CHASE = 2.0
"""Where nobody else has to wait."""
_CLOCK_TICK = 0.02
"""Seconds within which two changes of a directory may leave it with the same mtime."""
_FEW = 16
_CHOICES = [
    "".join(letters)
    for count in range(len(SYSTEM_LETTERS) + 1)
    for letters in combinations(sorted(SYSTEM_LETTERS), count)
]
"""What a file name can say of system flags."""
_MISSING = {errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EAGAIN}
"""What opening or reading says of a file that is not there, or is no plain file."""


class Directories(Protocol):
    """What a folder has to offer for that; see `FolderFiles`."""

    cur: int
    new: int

    def changed_at(self) -> tuple[int, int]:
        """Mtimes of cur and new."""
        ...

    def accept(self, names: Sequence[str]) -> list[str | None]:
        """Move files from new to cur: their names there, None for one that is gone."""
        ...


def unless_missing(one: Callable[[str, X], T], name: str, extra: X) -> T | None:
    """`one(name, extra)`, or None if there is no such file."""
    try:
        return one(name, extra)
    except OSError as error:
        if error.errno not in _MISSING:
            raise
        return None


def chase_missing(
    files: Directories,
    items: Sequence[tuple[str, X]],
    missing: dict[str, int],
    one: Callable[[str, X], T],
    *,
    results: list[T | None],
    seconds: float,
) -> None:
    """Do `one` for messages that are not where they were, as soon as each is met.

    Most have other letters now: of a few messages all choices of letters are tried, which costs less than a listing.
    While another program renames, a name is old soon after it was listed, and a listing may miss some. So this is done
    again and again, until all are met, or it was quiet and they were not there.

    Args:
        files: the folder's directories.
        items: (file name, extra) each.
        missing: base name -> place in `items`, of those that are to be found; loses those that are.
        one: called with a file name and the extra.
        results: where the values go.
        seconds: how long, while it is not quiet.
    """
    until = time.monotonic() + seconds
    waited = False
    while True:
        before = files.changed_at()
        settled = not 0 <= time.time_ns() - max(before) < _CLOCK_TICK * 1e9
        for name in chain(_guessed(items, missing), _met(files, missing)):
            number = missing.get(base_of(name), -1)
            if number >= 0 and (result := unless_missing(one, name, items[number][1])) is not None:
                results[number] = result
                del missing[base_of(name)]
        quiet = files.changed_at() == before
        if not missing or (quiet and (settled or waited)) or (not quiet and time.monotonic() >= until):
            return
        waited = quiet
        if quiet:  # the last change was so short a time ago that another might not show
            time.sleep(_CLOCK_TICK)


def _guessed(items: Sequence[tuple[str, X]], missing: dict[str, int]) -> Iterator[str]:
    """The names that a few missing messages may have now: all choices of system flags, with the keywords they had."""
    if len(missing) <= _FEW:
        for number in list(missing.values()):
            name = items[number][0]
            keywords = "".join(letter for letter in letters_of(name) if letter not in SYSTEM_LETTERS)
            for letters in _CHOICES:
                yield with_letters(name, letters + keywords)


def _met(files: Directories, missing: dict[str, int]) -> Iterator[str]:
    """File names in cur of these messages, as they are met; then of those that are in new, moved over.

    When there are none left in `missing` that is all.
    """
    if not missing:
        return
    with scanned(files.cur) as entries:
        for entry in entries:
            if base_of(entry.name) in missing:
                yield entry.name
                if not missing:
                    return
    for name in files.accept([name for name in names_in(files.new) if base_of(name) in missing]):
        if name is not None:
            yield name
