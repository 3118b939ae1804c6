"""Moving what lies in new over to cur, without taking our own renames for news. For jobs of the lane."""

from __future__ import annotations

import time

from mailpost.storage.maildir.files import names_in
from mailpost.storage.maildir.lane import CLOCK_TICK_NS, HeldFiles

_MOST_ROUNDS = 5


class CurMtime:
    """The mtime of cur before it was listed, carried over our own renames into it.

    Args:
        files: the folder's directories.
        value: the mtime.
    """

    def __init__(self, files: HeldFiles, value: int) -> None:
        self._files = files
        self.value = value
        self.doubtful = False
        """Whether another program's change may be among ours: then the folder is to be listed once more."""

    def accept(self, names: list[str]) -> list[str | None]:
        """Move messages over from new."""
        before = self._files.changed_at()[0]
        moved = self._files.accept(names)
        self.doubtful = True
        if before == self.value:
            self.value = self._files.changed_at()[0]
        return moved


def accept(files: HeldFiles, cur_mtime: CurMtime) -> tuple[list[str], int, bool]:
    """Move what lies in new to cur.

    Returns:
        The file names in cur; the mtime of new when it was seen empty, or 0; and whether these are all that came into
        cur: not if another server moves them as well.
    """
    came: list[str] = []
    for _ in range(_MOST_ROUNDS):
        mtime = new_mtime(files)
        names = sorted(name for name in names_in(files.new) if not name.startswith("."))
        if not names:
            return came, mtime, True
        moved = cur_mtime.accept(names)
        came += [name for name in moved if name is not None]
        if None in moved:
            cur_mtime.value = 0
            return came, 0, False
    return came, 0, True


def settled(mtime: int, at: int) -> int:
    """The mtime, or 0 if it was so young that another change might not show in it when it was read, not before `at`."""
    return mtime if at - mtime > CLOCK_TICK_NS else 0


def new_mtime(files: HeldFiles) -> int:
    """The mtime of new, or 0 if it is too young."""
    at = time.time_ns()
    return settled(files.changed_at()[1], at)
