"""Whether the folders of a tree lie as the configured layout has them, lest an account look empty by mistake."""

from __future__ import annotations

import os
import sqlite3

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.index.state import meta, set_meta
from mailpost.storage.maildir import nesting
from mailpost.storage.maildir.files import mail_errors, scanned
from mailpost.storage.maildir.folder import SUBDIRECTORIES
from mailpost.storage.maildir.layout import Hierarchy, Layout

_META = "layout"
_SHOWN = 3


class OtherLayoutError(MailError):
    """All folders of a tree are laid out in another way than the server is set to; as `str`, what to do about it."""

    def __init__(self, root: str, layout: Layout, found: list[str]) -> None:
        super().__init__(ErrorKind.UNAVAILABLE, "This account cannot be served yet; the server's log says why")
        other = Hierarchy.MAILDIR_PLUS_PLUS if layout.nested else Hierarchy.FS
        self.advice = (
            f'{root} has folders that are laid out as "{other.value}" ({some(found)}), and none that are laid out as'
            f' "{layout.hierarchy.value}": set layout = "{other.value}" under [storage], or move them'
        )

    def __str__(self) -> str:
        return self.advice


def some(directories: list[str]) -> str:
    """The first of these, for a sentence."""
    return ", ".join(directories[:_SHOWN]) + (", ..." if len(directories) > _SHOWN else "")


def check_shape(root: str, root_fd: int, layout: Layout, served_as: Hierarchy | None) -> list[str]:
    """Directories that hold a folder's `cur` and that other programs would take for folders, but this layout does not.

    Args:
        root: named in the error.
        root_fd: the account.
        layout: how it is to be served.
        served_as: how it was served before; None when it never was.

    Raises:
        OtherLayoutError: there are only such, and the account was not served so before.
    """
    with mail_errors():
        with scanned(root_fd) as entries:
            within = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        plain = [name for name in within if not name.startswith(".") and name not in SUBDIRECTORIES]
        dotted = [name for name in within if name.startswith(".") and not name.startswith("..")]
        if layout.nested:
            others = [name for name in dotted if _holds(root_fd, name, "maildirfolder")]
            ours = any(nesting.find(root_fd, name) for name in plain) if others else True
        else:
            others = [directory for name in plain for directory in sorted(nesting.find(root_fd, name))]
            ours = any(_holds(root_fd, name, "cur") for name in dotted)
    if others and not ours and served_as is not layout.hierarchy:
        raise OtherLayoutError(root, layout, others)
    return others


def _holds(root_fd: int, directory: str, name: str) -> bool:
    """Whether there is something of this name in a directory; those who make folders of Maildir++ mark them so."""
    try:
        os.stat(f"{directory}/{name}", dir_fd=root_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except PermissionError:  # then it is one that cannot be told from others
        return True
    return True


def served_as(db: sqlite3.Connection) -> Hierarchy:
    """How an account was served so far, by its state."""
    known = meta(db, _META)
    return Hierarchy.MAILDIR_PLUS_PLUS if known is None else Hierarchy(known)


def note_served(db: sqlite3.Connection, hierarchy: Hierarchy) -> None:
    """From now on it is served so."""
    if meta(db, _META) != hierarchy.value:
        set_meta(db, _META, hierarchy.value)
