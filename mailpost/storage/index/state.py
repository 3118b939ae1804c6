"""`state.sqlite3`, one per account: what cannot be read back from the Maildir tree but must not be lost.

One connection writes (the account's writer lane), any number read. Write-ahead log, `synchronous=NORMAL`: a commit
survives kill -9; it survives a power cut once `StateFile.harden` has flushed the log, which is what
`synchronous=FULL` does at every commit, wanted or not.

The schema only moves forward: `_MIGRATIONS[n]` leads from version n to n + 1. A newer one is refused.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.ownership import make_private

STATE_FILE = "state.sqlite3"

_FIRST = """
    CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE folders(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        directory TEXT NOT NULL UNIQUE,
        mailbox_id TEXT NOT NULL UNIQUE,
        uidvalidity INTEGER NOT NULL,
        uidnext INTEGER NOT NULL,
        reserved INTEGER NOT NULL,
        listed INTEGER NOT NULL,
        highest_modseq INTEGER NOT NULL,
        first_recent INTEGER NOT NULL,
        special_use TEXT,
        cur_mtime INTEGER NOT NULL,
        new_mtime INTEGER NOT NULL);
    CREATE TABLE messages(
        folder INTEGER NOT NULL,
        uid INTEGER NOT NULL,
        flags INTEGER NOT NULL,
        file_flags INTEGER NOT NULL,
        modseq INTEGER NOT NULL,
        internaldate INTEGER NOT NULL,
        saved INTEGER NOT NULL,
        PRIMARY KEY(folder, uid)) WITHOUT ROWID;
    CREATE TABLE files(
        folder INTEGER NOT NULL,
        uid INTEGER NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY(folder, uid)) WITHOUT ROWID;
    CREATE TABLE keywords(
        folder INTEGER NOT NULL,
        bit INTEGER NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY(folder, bit)) WITHOUT ROWID;
    CREATE TABLE expunged(
        folder INTEGER NOT NULL,
        modseq INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        PRIMARY KEY(folder, modseq, first)) WITHOUT ROWID;
    CREATE TABLE dead(
        folder INTEGER NOT NULL,
        base TEXT NOT NULL,
        PRIMARY KEY(folder, base)) WITHOUT ROWID;
    CREATE TABLE intents(
        id INTEGER PRIMARY KEY,
        operation TEXT NOT NULL,
        detail TEXT NOT NULL);
    """

_USAGE = (
    "ALTER TABLE files ADD COLUMN octets INTEGER",
    "CREATE INDEX unmeasured ON files(folder) WHERE octets IS NULL",
    "CREATE TABLE usage(octets INTEGER NOT NULL, messages INTEGER NOT NULL)",
    "INSERT INTO usage SELECT 0, count(*) FROM files",
    """CREATE TRIGGER came AFTER INSERT ON files BEGIN
        UPDATE usage SET octets = octets + coalesce(NEW.octets, 0), messages = messages + 1;
    END""",
    """CREATE TRIGGER went AFTER DELETE ON files BEGIN
        UPDATE usage SET octets = octets - coalesce(OLD.octets, 0), messages = messages - 1;
    END""",
    """CREATE TRIGGER measured AFTER UPDATE OF octets ON files BEGIN
        UPDATE usage SET octets = octets + coalesce(NEW.octets, 0) - coalesce(OLD.octets, 0);
    END""",
)
"""How many octets each file has, NULL until somebody has looked, and what all of them take: kept by the database
itself, so that whatever adds or removes a row counts."""

_REMEMBERED = (
    "ALTER TABLE folders ADD COLUMN remembered INTEGER NOT NULL DEFAULT 0",
    "UPDATE folders SET remembered = highest_modseq",
)
"""From which mod-sequence on all expunges are in `expunged`. Of older states nobody can say."""

_REMOVED = (
    """CREATE TRIGGER removed BEFORE DELETE ON folders BEGIN
        UPDATE usage SET
            octets = octets - (SELECT coalesce(sum(octets), 0) FROM files WHERE folder = OLD.id),
            messages = messages - (SELECT count(*) FROM files WHERE folder = OLD.id);
    END""",
    "DROP TRIGGER went",
    """CREATE TRIGGER went AFTER DELETE ON files WHEN EXISTS(SELECT 1 FROM folders WHERE id = OLD.folder) BEGIN
        UPDATE usage SET octets = octets - coalesce(OLD.octets, 0), messages = messages - 1;
    END""",
)
"""What a removed folder had is given back at once; its rows go some at a time (`folders.forget_removed`)."""

_MIGRATIONS: tuple[tuple[str, ...], ...] = (tuple(_FIRST.split(";")), _USAGE, _REMEMBERED, _REMOVED)
SCHEMA_VERSION = len(_MIGRATIONS)

_BUSY_SECONDS = 10.0
_CORRUPT = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})
_KINDS = {
    "SQLITE_FULL": (ErrorKind.DISK_FULL, "The disk is full"),
    "SQLITE_BUSY": (ErrorKind.IN_USE, "Another program is busy with this account, try again later"),
    "SQLITE_LOCKED": (ErrorKind.IN_USE, "Another program is busy with this account, try again later"),
    "SQLITE_READONLY": (ErrorKind.READ_ONLY, "The account's index may not be written"),
    "SQLITE_PERM": (ErrorKind.NO_PERMISSION, "The server may not open the account's index"),
    "SQLITE_CANTOPEN": (ErrorKind.NO_PERMISSION, "The server may not open the account's index"),
    "SQLITE_IOERR": (ErrorKind.UNAVAILABLE, "The disk could not be read or written"),
    "SQLITE_CORRUPT": (ErrorKind.CORRUPT, "The account's index is damaged"),
    "SQLITE_NOTADB": (ErrorKind.CORRUPT, "The account's index is damaged"),
}


_PERHAPS_READ_ONLY = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.READ_ONLY, ErrorKind.NO_PERMISSION})


class DamagedError(Exception):
    """The file is no sound database of ours; it should be set aside and built anew."""


@contextmanager
def index_errors() -> Iterator[None]:
    """Turn a database error that a client should hear of into a MailError; others pass as the bugs they are."""
    try:
        yield
    except sqlite3.Error as error:
        known = _KINDS.get(_primary_name(error))
        if known is None:
            raise
        raise MailError(*known) from error


def _primary_name(error: sqlite3.Error) -> str:
    """SQLITE_IOERR out of SQLITE_IOERR_WRITE and so on; "" for an error that is not SQLite's own."""
    return "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])


def connect(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection that threads may use in turn, in autocommit mode: transactions are begun by hand."""
    if not read_only:
        make_private(path)
    db = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    if read_only:
        db.execute("PRAGMA query_only=ON")
    return db


class StateFile:
    """The writing side of an account's state.

    Args:
        path: the file; it is made if missing.

    Raises:
        DamagedError: it is no database, or none of ours.
        MailError: UNAVAILABLE when a newer mailpost wrote it; NO_PERMISSION.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._log_fd = -1
        self._has_log = True
        with self.errors():
            self.db = connect(path)
            try:
                self._prepare()
            except BaseException as error:
                self.db.close()
                if isinstance(error, sqlite3.Error) and _primary_name(error) in _CORRUPT:
                    raise DamagedError(str(error)) from error
                raise

    def _prepare(self) -> None:
        db = self.db
        (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
        self._has_log = mode == "wal"  # a file system without shared memory has none: then every commit is flushed
        db.execute(f"PRAGMA synchronous={'NORMAL' if self._has_log else 'FULL'}")
        db.execute("PRAGMA wal_autocheckpoint=2000")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise MailError(ErrorKind.UNAVAILABLE, "This account was written by a newer version of the server")
        if version < SCHEMA_VERSION:
            self._migrate()
        (sound,) = db.execute("PRAGMA quick_check(1)").fetchone() if version else ("ok",)
        if sound != "ok":
            raise DamagedError(str(sound))

    def _migrate(self) -> None:
        """Bring the schema up to date, unless another process has just done it."""
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            for number in range(version, SCHEMA_VERSION):
                for statement in _MIGRATIONS[number]:
                    db.execute(statement)
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        except BaseException:  # raised again, with no half migration left
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Like `index_errors`; of a file system that has turned read-only SQLite only says that it could not write."""
        try:
            with index_errors():
                yield
        except MailError as error:
            if isinstance(error.__cause__, sqlite3.Error) and error.kind in _PERHAPS_READ_ONLY:
                self._require_writable()
            raise

    def _require_writable(self) -> None:
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            if error.errno == errno.EROFS:
                raise MailError(ErrorKind.READ_ONLY, "The mail is on a read-only file system") from error

    def harden(self) -> None:
        """Make all commits so far survive a power cut."""
        if not self._has_log:
            return
        if self._log_fd < 0:
            self._log_fd = os.open(f"{self.path}-wal", os.O_RDWR | os.O_CLOEXEC)
            directory = os.open(os.path.dirname(self.path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        os.fsync(self._log_fd)

    def close(self) -> None:
        """Move the log into the database and close it."""
        if self._log_fd >= 0:
            os.close(self._log_fd)
            self._log_fd = -1
        self.db.close()


def meta(db: sqlite3.Connection, key: str) -> object:
    """A value of the account itself; None where it was never set."""
    row = db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
    return row[0] if row else None


def set_meta(db: sqlite3.Connection, key: str, value: object) -> None:
    """Set a value of the account itself."""
    db.execute("INSERT OR REPLACE INTO meta VALUES(?, ?)", (key, value))


class Readers:
    """Connections for reading, each used by one thread at a time; made as needed, kept for the next.

    Args:
        path: the database.
        setup: statements to run on each new connection.
    """

    def __init__(self, path: str, setup: tuple[str, ...] = ()) -> None:
        self._path = path
        self._setup = setup
        self._free: list[sqlite3.Connection] = []
        self._closed = False

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for the block; leave no statement of it unfinished."""
        with index_errors():
            try:
                db = self._free.pop()  # atomic, as append is
            except IndexError:
                db = connect(self._path, read_only=True)
                for statement in self._setup:
                    db.execute(statement)
            try:
                yield db
            finally:
                if self._closed:
                    db.close()
                else:
                    self._free.append(db)

    def close(self) -> None:
        """Close those that are free; those in use close when they are done."""
        self._closed = True
        while self._free:
            self._free.pop().close()
