"""Files that the superuser makes belong to whom the directory belongs to: others that serve the same mail go on.

Everybody else makes files of his own, and nothing is to be done.
"""

from __future__ import annotations

import os
from contextlib import suppress


def inherit_owner(fd: int, above: int | str) -> None:
    """Give a new file or directory, opened as `fd`, owner and group of the directory `above` (open, or its path)."""
    if os.geteuid() == 0:
        owner = os.stat(above)
        with suppress(PermissionError):  # a superuser without the power over owners
            os.fchown(fd, owner.st_uid, owner.st_gid)


def make_private(path: str) -> None:
    """Make a file, empty and 0600, if it is not there."""
    with suppress(FileExistsError):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            inherit_owner(fd, os.path.dirname(path) or ".")
        finally:
            os.close(fd)
