"""Rows of folders: identity, what is given out next (UIDs, mod-sequences), what the directories showed last."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import cast

from mailpost.storage.index.state import meta, set_meta

LARGEST_UIDVALIDITY = 0xFFFF_FFFF


@dataclass(slots=True)
class FolderRow:
    """One folder as the state knows it. `save` writes the fields that change."""

    id: int
    """Never that of another folder again: there may be work waiting for the one that had it."""
    directory: str
    """Below the account's root; "." for INBOX."""
    mailbox_id: str
    uidvalidity: int
    uidnext: int
    """The next UID to be given out."""
    reserved: int
    """The next UID of `dovecot-uidlist` when it was last compared with the rows; with another one, others wrote."""
    listed: int
    """Messages up to this UID have their lines in `dovecot-uidlist`, durable."""
    highest_modseq: int
    first_recent: int
    special_use: str | None
    cur_mtime: int
    """Mtime of cur when it was last listed or changed by us, nanoseconds; 0: list it again."""
    new_mtime: int
    remembered: int
    """Expunges at mod-sequences above this one are all known. RFC: 7162 §3.2.6 (<minmodseq>)"""


_COLUMNS = tuple(field.name for field in fields(FolderRow))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM folders"
_SAVED = _COLUMNS[3:]
_OF_FOLDERS = {"messages": "uid", "files": "uid", "keywords": "bit", "expunged": "modseq", "dead": "base"}
"""Tables whose rows hang on folders, and the column that comes next in their keys."""
_UPDATE = f"UPDATE folders SET {', '.join(f'{name}=?' for name in _SAVED)} WHERE id=?"


def all_folders(db: sqlite3.Connection) -> list[FolderRow]:
    """All folders that the state knows."""
    return [FolderRow(*row) for row in db.execute(_SELECT)]


def folder_row(db: sqlite3.Connection, folder: int) -> FolderRow | None:
    """One folder as it is now; None when it is gone."""
    row = db.execute(f"{_SELECT} WHERE id=?", (folder,)).fetchone()
    return FolderRow(*row) if row else None


def save_folder(db: sqlite3.Connection, row: FolderRow) -> None:
    """Write what may have changed in a row."""
    db.execute(_UPDATE, (*(getattr(row, name) for name in _SAVED), row.id))


def new_uidvalidity(db: sqlite3.Connection, now: int, least: int = 0) -> int:
    """A UIDVALIDITY above all that this account ever gave out, and not below `least`. `now`: seconds."""
    given = cast("int", meta(db, "uidvalidity") or 0)
    value = min(max(now, given + 1, least), LARGEST_UIDVALIDITY)
    set_meta(db, "uidvalidity", value)
    return value


def note_uidvalidity(db: sqlite3.Connection, value: int) -> None:
    """A folder came with this UIDVALIDITY: later ones are above it."""
    if value > cast("int", meta(db, "uidvalidity") or 0):
        set_meta(db, "uidvalidity", value)


def add_folder(
    db: sqlite3.Connection, directory: str, *, uidvalidity: int, modseq: int, special_use: str | None
) -> FolderRow:
    """Make the row of a folder that has none."""
    row = FolderRow(
        id=0,
        directory=directory,
        mailbox_id="F" + secrets.token_hex(12),
        uidvalidity=uidvalidity,
        uidnext=1,
        reserved=0,
        listed=0,
        highest_modseq=modseq,
        first_recent=1,
        special_use=special_use,
        cur_mtime=0,
        new_mtime=0,
        remembered=modseq,
    )
    places = ", ".join("?" * (len(_COLUMNS) - 1))
    cursor = db.execute(
        f"INSERT INTO folders({', '.join(_COLUMNS[1:])}) VALUES({places})",
        [getattr(row, name) for name in _COLUMNS[1:]],
    )
    row.id = cast("int", cursor.lastrowid)
    return row


def doubt_uidlists(db: sqlite3.Connection) -> None:
    """Have all UID lists compared with the rows when they are next read."""
    db.execute("UPDATE folders SET reserved=0")


def list_again(db: sqlite3.Connection) -> None:
    """What the directories showed last is not to be relied on."""
    db.execute("UPDATE folders SET cur_mtime=0, new_mtime=0")


def never_listed(db: sqlite3.Connection) -> list[int]:
    """Folders whose messages are not known yet: none is, and the directories were not looked into."""
    rows = db.execute(
        "SELECT id FROM folders WHERE (cur_mtime=0 OR new_mtime=0)"
        " AND NOT EXISTS (SELECT 1 FROM messages WHERE folder=folders.id)"
    )
    return [folder for (folder,) in rows]


def unlisted(db: sqlite3.Connection) -> list[int]:
    """Folders in which `dovecot-uidlist` lacks the last lines."""
    rows = db.execute("SELECT id FROM folders WHERE listed < (SELECT max(uid) FROM messages WHERE folder=folders.id)")
    return [folder for (folder,) in rows]


def remove_folder(db: sqlite3.Connection, folder: int) -> None:
    """Forget a folder. Its number is never given out again; `forget_removed` frees what hangs on it."""
    db.execute("DELETE FROM folders WHERE id=?", (folder,))


def forget_removed(db: sqlite3.Connection, most: int = 2000) -> bool:
    """Delete rows that hang on folders which were removed, about so many in one call; False when none are left."""
    for table, key in _OF_FOLDERS.items():
        for folder in _removed(db, table):
            most -= db.execute(
                f"DELETE FROM {table} WHERE folder = :folder AND {key} <= (SELECT max({key}) FROM"
                f" (SELECT {key} FROM {table} WHERE folder = :folder ORDER BY {key} LIMIT :most))",
                {"folder": folder, "most": most},
            ).rowcount
            if most <= 0:
                return True
    return False


def _removed(db: sqlite3.Connection, table: str) -> Iterator[int]:
    """Numbers that a table has and that no folder has any more; a seek for each number, not a scan."""
    folder = 0
    following = f"SELECT folder FROM {table} WHERE folder > ? ORDER BY folder LIMIT 1"
    while row := db.execute(following, (folder,)).fetchone():
        folder = row[0]
        if folder_row(db, folder) is None:
            yield folder


def move_folder(db: sqlite3.Connection, folder: int, directory: str) -> None:
    """The folder's directory has another name."""
    db.execute("UPDATE folders SET directory=? WHERE id=?", (directory, folder))
