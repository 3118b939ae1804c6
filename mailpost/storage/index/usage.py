"""What an account's messages take: counted by the database whenever a row of `files` comes or goes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from mailpost.mail.flags import DELETED, SYSTEM_FLAGS
from mailpost.storage.records import Usage

_DELETED_BIT = 1 << SYSTEM_FLAGS.index(DELETED)


def usage(db: sqlite3.Connection) -> Usage:
    """Of the whole account."""
    return Usage(*db.execute("SELECT octets, messages FROM usage").fetchone())


_OF_FOLDERS = "folder IN (SELECT id FROM folders)"
"""Rows of a removed folder, which go some at a time, are no longer counted."""
_COUNTED = f"(SELECT coalesce(sum(octets), 0), count(*) FROM files WHERE {_OF_FOLDERS})"


def is_right(db: sqlite3.Connection) -> bool:
    """Whether the rows give the same sums."""
    row = db.execute(f"SELECT (SELECT octets, messages FROM usage) = {_COUNTED}").fetchone()
    return bool(row[0])


def recount(db: sqlite3.Connection) -> None:
    """Believe the rows, not the sums."""
    db.execute(f"UPDATE usage SET (octets, messages) = {_COUNTED}")


def deleted_octets(db: sqlite3.Connection, folder: int) -> int:
    """What EXPUNGE would free in a folder. RFC: 9208 §4.1.4 (DELETED-STORAGE)"""
    row = db.execute(
        "SELECT coalesce(sum(octets), 0) FROM messages JOIN files USING(folder, uid) WHERE folder=? AND flags & ?",
        (folder, _DELETED_BIT),
    ).fetchone()
    return int(row[0])


def unmeasured(db: sqlite3.Connection, most: int) -> list[tuple[int, int, str]]:
    """(folder, UID, file name) of some files whose octets are not known."""
    rows: list[tuple[int, int, str]] = db.execute(
        f"SELECT folder, uid, name FROM files WHERE octets IS NULL AND {_OF_FOLDERS} LIMIT ?", (most,)
    ).fetchall()
    return rows


def set_octets(db: sqlite3.Connection, rows: Iterable[tuple[int, int, int]]) -> None:
    """Files have so many octets: (folder, UID, octets) each."""
    db.executemany("UPDATE files SET octets=? WHERE folder=? AND uid=?", [(o, f, u) for f, u, o in rows])
