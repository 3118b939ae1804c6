"""Listening on sockets of the file system.

A daemon that was killed leaves its socket behind, and Twisted's lock beside it, which names a process by its number:
in a container that number is soon another's, or one's own. Whether somebody listens is what tells a live socket.
"""

from __future__ import annotations

import re
import socket
import stat
from pathlib import Path

_ADDRESS = re.compile(r"unix:(?:address=)?((?:[^:\\]|\\.)+)")


def socket_path(description: str) -> Path | None:
    """The path of an endpoint description of this kind; None for other kinds."""
    found = _ADDRESS.match(description)
    return Path(re.sub(r"\\(.)", r"\1", found[1])) if found else None


def require_folder(path: Path) -> None:
    """Raise ValueError when there is nowhere to make the socket."""
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent} for the socket")


def remove_stale(path: Path) -> None:
    """Remove a socket on which nobody listens any more, with its lock; anything else is left as it is."""
    try:
        there = stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        there = False
    if not there or not _is_alive(path):
        if there:
            path.unlink(missing_ok=True)
        path.with_name(path.name + ".lock").unlink(missing_ok=True)


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:  # it has more callers than it takes at once, or is not for us to open
            return True
    return True
