"""Numbers and flags of virtual folders, kept over restarts in one small database. Blocking: called in a thread.

A UID is in here before a client learns of it. What is not in here can be had of the program again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailpost.mail.flags import Flags, intern_flags
from mailpost.storage.virtual.entries import UNKNOWN, Entry

FORMAT = 1
_SCHEMA = """
CREATE TABLE folders (
    number INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, name TEXT NOT NULL, mailbox_id TEXT NOT NULL,
    uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL, modseq INTEGER NOT NULL, first_recent INTEGER NOT NULL,
    UNIQUE (user, name));
CREATE TABLE items (
    folder INTEGER NOT NULL, uid INTEGER NOT NULL, id TEXT NOT NULL, version TEXT, date INTEGER NOT NULL,
    saved INTEGER NOT NULL, given TEXT NOT NULL, flags TEXT NOT NULL, modseq INTEGER NOT NULL,
    PRIMARY KEY (folder, uid)) WITHOUT ROWID;
CREATE TABLE unsubscribed (user TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (user, name)) WITHOUT ROWID;
"""


class LedgerError(Exception):
    """The database cannot be used."""


@dataclass(slots=True)
class FolderRow:
    """A folder of a user."""

    mailbox_id: str
    uidvalidity: int
    uidnext: int = 1
    modseq: int = 1
    first_recent: int = 1
    number: int = 0
    """In the database; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class ItemRow:
    """A message."""

    uid: int
    entry: Entry
    flags: Flags
    modseq: int


class Ledger:
    """The database; opened when it is first used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: sqlite3.Connection | None = None

    def folders(self, user: str) -> tuple[dict[str, FolderRow], frozenset[str]]:
        """What is known of a user's folders, and the names that the user has unsubscribed from."""
        database = self._database()
        rows = database.execute(
            "SELECT name, mailbox_id, uidvalidity, uidnext, modseq, first_recent, number FROM folders WHERE user = ?",
            (user,),
        )
        found = {name: FolderRow(*columns) for name, *columns in rows}
        names = database.execute("SELECT name FROM unsubscribed WHERE user = ?", (user,))
        return found, frozenset(name for (name,) in names)

    def add_folders(self, user: str, rows: Iterable[tuple[str, FolderRow]]) -> None:
        """Take note of new folders, which get their numbers."""
        with self._database() as database:
            for name, row in rows:
                done = database.execute(
                    "INSERT INTO folders (user, name, mailbox_id, uidvalidity, uidnext, modseq, first_recent)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (user, name, row.mailbox_id, row.uidvalidity, row.uidnext, row.modseq, row.first_recent),
                )
                row.number = done.lastrowid or 0

    def items(self, row: FolderRow) -> list[ItemRow]:
        """The messages of a folder, by UID."""
        rows = self._database().execute(
            "SELECT uid, id, version, date, saved, given, flags, modseq FROM items WHERE folder = ? ORDER BY uid",
            (row.number,),
        )
        return [
            ItemRow(uid, Entry(json.loads(item), _version(version), date, saved, _read(given)), _read(flags), modseq)
            for uid, item, version, date, saved, given, flags, modseq in rows
        ]

    def write(self, row: FolderRow, gone: Sequence[int], kept: Sequence[ItemRow]) -> None:
        """A folder's numbers, messages that are gone, those that are new or have changed. Durable when it is done."""
        with self._database() as database:
            database.executemany("DELETE FROM items WHERE folder = ? AND uid = ?", [(row.number, uid) for uid in gone])
            database.executemany(
                "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        row.number,
                        each.uid,
                        json.dumps(each.entry.id),
                        None if each.entry.version is UNKNOWN else json.dumps(each.entry.version),
                        each.entry.date,
                        each.entry.saved,
                        _written(each.entry.given),
                        _written(each.flags),
                        each.modseq,
                    )
                    for each in kept
                ],
            )
            database.execute(
                "UPDATE folders SET uidnext = ?, modseq = ?, first_recent = ? WHERE number = ?",
                (row.uidnext, row.modseq, row.first_recent, row.number),
            )

    def subscribe(self, user: str, name: str, subscribed: bool) -> None:
        """Take note of what a user has unsubscribed from."""
        with self._database() as database:
            if subscribed:
                database.execute("DELETE FROM unsubscribed WHERE user = ? AND name = ?", (user, name))
            else:
                database.execute("INSERT OR REPLACE INTO unsubscribed VALUES (?, ?)", (user, name))

    def close(self) -> None:
        """Close the database."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _database(self) -> sqlite3.Connection:
        """The connection; it is used by one thread at a time. Raises LedgerError, sqlite3.Error."""
        if self._opened is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self._path, check_same_thread=False, timeout=10.0)
            try:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = FULL")
                (version,) = database.execute("PRAGMA user_version").fetchone()
                if version > FORMAT:
                    raise LedgerError(f"{self._path} is of a later version of mailpost")
                if not version:
                    database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
            except BaseException:  # raised again: `Keeping` logs what is no bug, whoever waits logs bugs
                database.close()
                raise
            self._opened = database
        return self._opened


def _version(text: str | None) -> Any:
    return UNKNOWN if text is None else json.loads(text)


def _written(flags: Flags) -> str:
    return " ".join(sorted(flags))


def _read(text: str) -> Flags:
    return intern_flags(text.split())
