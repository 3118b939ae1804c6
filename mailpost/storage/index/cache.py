"""`cache.sqlite3`, one per account: what is only there so that message files need not be read again.

Never flushed, of one format, and thrown away on any doubt: another format, damage, or a power cut while it was in
use (the boot it was opened in is noted in it while it is open). What it lacks is computed again.

One lane writes, any number of connections read. Values that lists show are apart from each other, so that a listing
of one kind reads the pages of that kind only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from mailpost.mail.summary import SUMMARY_FORMAT, Summary
from mailpost.storage.index.messages import Spans
from mailpost.storage.index.state import connect

T = TypeVar("T")

CACHE_FILE = "cache.sqlite3"
TEXT_COLUMNS = ("subject", "from_", "to_", "cc", "bcc")
"""Columns of casemapped header texts; `to_` holds Summary.to."""

_LAYOUT = 4
CACHE_FORMAT = _LAYOUT << 16 | SUMMARY_FORMAT
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_BY_UID = ("facts", "envelopes", "structures", "headers", "texts", "identities", "previews")
_SCHEMA = """
    CREATE TABLE opened(boot TEXT);
    CREATE TABLE folders(id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE);
    CREATE TABLE fieldsets(id INTEGER PRIMARY KEY, names BLOB NOT NULL UNIQUE);
    CREATE TABLE facts(folder INTEGER, uid INTEGER, size INTEGER, sent INTEGER, sent_day INTEGER,
        PRIMARY KEY(folder, uid)) WITHOUT ROWID;
    CREATE TABLE envelopes(folder INTEGER, uid INTEGER, octets BLOB, PRIMARY KEY(folder, uid)) WITHOUT ROWID;
    CREATE TABLE structures(folder INTEGER, uid INTEGER, octets BLOB, PRIMARY KEY(folder, uid)) WITHOUT ROWID;
    CREATE TABLE headers(folder INTEGER, uid INTEGER, octets BLOB, PRIMARY KEY(folder, uid)) WITHOUT ROWID;
    CREATE TABLE texts(folder INTEGER, uid INTEGER, subject TEXT, from_ TEXT, to_ TEXT, cc TEXT, bcc TEXT,
        PRIMARY KEY(folder, uid)) WITHOUT ROWID;
    CREATE TABLE identities(folder INTEGER, uid INTEGER, email BLOB, thread BLOB,
        PRIMARY KEY(folder, uid)) WITHOUT ROWID;
    CREATE TABLE previews(folder INTEGER, uid INTEGER, octets BLOB, PRIMARY KEY(folder, uid)) WITHOUT ROWID;
    CREATE TABLE selections(folder INTEGER, fields INTEGER, uid INTEGER, octets BLOB,
        PRIMARY KEY(folder, fields, uid)) WITHOUT ROWID;
"""


class CacheFile:
    """The writing side of an account's cache, and the runner of the lane that writes it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._folders: dict[str, int] = {}
        self._boot = ""
        with suppress(OSError):
            self._boot = _BOOT_ID.read_text()
        try:
            self.db = self._opened()
        except sqlite3.Error:
            self.discard()
            self.db = self._opened()

    def _opened(self) -> sqlite3.Connection:
        """Open the file, made anew if there is any doubt about it."""
        db = connect(self.path)
        try:
            if not self._trusted(db):
                db.close()
                self.discard()
                db = connect(self.path)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=OFF")
            db.execute("PRAGMA wal_autocheckpoint=4000")
            db.execute("BEGIN IMMEDIATE")
            if db.execute("PRAGMA user_version").fetchone() == (0,):
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version={CACHE_FORMAT}")
            db.execute("DELETE FROM opened")
            db.execute("INSERT INTO opened VALUES(?)", (self._boot,))
            db.execute("COMMIT")
        except BaseException:  # raised again, with the file closed
            db.close()
            raise
        return db

    def _trusted(self, db: sqlite3.Connection) -> bool:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != CACHE_FORMAT:
            return bool(version == 0 and not Path(self.path).stat().st_size)
        boot = db.execute("SELECT boot FROM opened").fetchone()
        return boot is None or boot[0] == self._boot

    def discard(self) -> None:
        """Throw the file away."""
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(self.path + suffix).unlink()

    def close(self) -> None:
        """Note that all is on its way to the disk, and close."""
        with suppress(sqlite3.Error):  # a cache that cannot be closed well is thrown away next time
            self.db.execute("PRAGMA synchronous=NORMAL")
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.db.execute("DELETE FROM opened")
        self.db.close()

    # -- the runner of the cache's lane: one transaction a batch

    def begin(self) -> None:
        """A batch of jobs begins."""
        self.db.execute("BEGIN IMMEDIATE")

    def run(self, job: Callable[[], T]) -> T:
        """Do one job. One that fails half-way leaves rows that are true all the same."""
        return job()

    def commit(self) -> None:
        """Keep what the jobs wrote."""
        self.db.execute("COMMIT")

    def abort(self) -> None:
        """Drop what the jobs wrote."""
        with suppress(sqlite3.Error):
            self.db.execute("ROLLBACK")
        self._folders.clear()

    # -- jobs

    def folder(self, key: str) -> int:
        """The number of a folder (`folder_number` for readers), given out if it has none."""
        number = self._folders.get(key)
        if number is None:
            self.db.execute("INSERT OR IGNORE INTO folders(key) VALUES(?)", (key,))
            number = self._folders[key] = folder_number(self.db, key)
        return number

    def put(self, key: str, summaries: Iterable[tuple[int, Summary]]) -> None:
        """Keep summaries: (UID, summary) each."""
        f, db = self.folder(key), self.db
        rows = list(summaries)
        db.executemany(
            "INSERT OR REPLACE INTO facts VALUES(?, ?, ?, ?, ?)",
            [(f, uid, one.size, one.sent, one.sent_day) for uid, one in rows],
        )
        db.executemany("INSERT OR REPLACE INTO envelopes VALUES(?, ?, ?)", [(f, u, one.envelope) for u, one in rows])
        db.executemany(
            "INSERT OR REPLACE INTO structures VALUES(?, ?, ?)", [(f, u, one.bodystructure) for u, one in rows]
        )
        db.executemany("INSERT OR REPLACE INTO headers VALUES(?, ?, ?)", [(f, u, one.header) for u, one in rows])
        db.executemany(
            "INSERT OR REPLACE INTO texts VALUES(?, ?, ?, ?, ?, ?, ?)",
            [(f, u, one.subject, one.from_, one.to, one.cc, one.bcc) for u, one in rows],
        )
        db.executemany(
            "INSERT OR REPLACE INTO identities VALUES(?, ?, ?, ?)",
            [(f, u, one.email_id, one.thread_id) for u, one in rows],
        )
        db.executemany("INSERT OR REPLACE INTO previews VALUES(?, ?, ?)", [(f, u, one.preview) for u, one in rows])

    def put_fields(self, key: str, names: Sequence[bytes], rows: Iterable[tuple[int, bytes]]) -> None:
        """Keep what a selection of header fields gave: (UID, octets) each."""
        folder, joined = self.folder(key), b" ".join(names)
        self.db.execute("INSERT OR IGNORE INTO fieldsets(names) VALUES(?)", (joined,))
        fields = fieldset_number(self.db, names)
        self.db.executemany(
            "INSERT OR REPLACE INTO selections VALUES(?, ?, ?, ?)",
            [(folder, fields, uid, octets) for uid, octets in rows],
        )

    def copy(self, key: str, target: str, pairs: Sequence[tuple[int, int]]) -> None:
        """Messages were copied: (UID in folder `key`, UID in folder `target`) each, both ascending."""
        source, to = self.folder(key), self.folder(target)
        for first, last, shift in _runs(pairs):
            for table, names in (*_VALUES.items(), ("selections", "fields, octets")):
                self.db.execute(
                    f"INSERT OR IGNORE INTO {table}(folder, uid, {names})"
                    f" SELECT ?, uid + ?, {names} FROM {table} WHERE folder=? AND uid BETWEEN ? AND ?",
                    (to, shift, source, first, last),
                )

    def remove(self, key: str, spans: Spans) -> None:
        """These messages are gone."""
        folder = self.folder(key)
        fieldsets = [number for (number,) in self.db.execute("SELECT id FROM fieldsets")]
        for span in spans:
            for table in _BY_UID:
                self.db.execute(
                    f"DELETE FROM {table} WHERE folder=? AND uid BETWEEN ? AND ?",
                    (folder, *span),
                )
            for fields in fieldsets:
                self.db.execute(
                    "DELETE FROM selections WHERE folder=? AND fields=? AND uid BETWEEN ? AND ?",
                    (folder, fields, *span),
                )

    def remove_folder(self, key: str) -> None:
        """A folder is gone."""
        folder = self.folder(key)
        for table in (*_BY_UID, "selections"):
            self.db.execute(f"DELETE FROM {table} WHERE folder=?", (folder,))
        self.db.execute("DELETE FROM folders WHERE id=?", (folder,))
        self._folders.pop(key, None)


_VALUES = {
    "facts": "size, sent, sent_day",
    "envelopes": "octets",
    "structures": "octets",
    "headers": "octets",
    "texts": "subject, from_, to_, cc, bcc",
    "identities": "email, thread",
    "previews": "octets",
}


def _runs(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """(first, last, shift) of stretches in which all UIDs move by the same amount and none is left out."""
    runs: list[tuple[int, int, int]] = []
    for old, new in pairs:
        if runs and runs[-1][1] == old - 1 and runs[-1][2] == new - old:
            runs[-1] = (runs[-1][0], old, new - old)
        else:
            runs.append((old, old, new - old))
    return runs


# -- reading


def folder_number(db: sqlite3.Connection, key: str) -> int:
    """The number of a folder in the cache; 0 where it has none yet."""
    row = db.execute("SELECT id FROM folders WHERE key=?", (key,)).fetchone()
    return row[0] if row else 0


def fieldset_number(db: sqlite3.Connection, names: Sequence[bytes]) -> int:
    """The number of a selection of header fields; 0 where it has none yet."""
    row = db.execute("SELECT id FROM fieldsets WHERE names=?", (b" ".join(names),)).fetchone()
    return row[0] if row else 0


def values(db: sqlite3.Connection, folder: int, table: str, column: str, span: tuple[int, int]) -> dict[int, object]:
    """UID -> the value of one column of a table, for the UIDs in a span that have one."""
    return dict(
        db.execute(
            f"SELECT uid, {column} FROM {table} WHERE folder=? AND uid BETWEEN ? AND ?",
            (folder, *span),
        )
    )


def selected_fields(db: sqlite3.Connection, folder: int, fields: int, span: tuple[int, int]) -> dict[int, object]:
    """UID -> octets of a selection of header fields, for the UIDs in a span that have them."""
    return dict(
        db.execute(
            "SELECT uid, octets FROM selections WHERE folder=? AND fields=? AND uid BETWEEN ? AND ?",
            (folder, fields, *span),
        )
    )


def holding(
    db: sqlite3.Connection, folder: int, column: str, text: str, span: tuple[int, int]
) -> tuple[set[int], set[int]]:
    """UIDs whose text in this column holds the (casemapped) text, and all UIDs that have texts."""
    rows = db.execute(
        f"SELECT uid, instr({column}, ?) FROM texts WHERE folder=? AND uid BETWEEN ? AND ?",
        (text, folder, *span),
    ).fetchall()
    return {uid for uid, place in rows if place}, {uid for uid, _ in rows}


def total_size(db: sqlite3.Connection, folder: int) -> tuple[tuple[int, int], int]:
    """(of the messages with a known size: their number and the sum of their UIDs, the sum of the sizes)."""
    count, uids, total = db.execute(
        "SELECT count(*), total(uid), total(size) FROM facts WHERE folder=?", (folder,)
    ).fetchone()
    return (count, int(uids)), int(total)
