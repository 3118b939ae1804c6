"""Whether files, UID list, state and cache of an account agree. Reads only; beside a running server too. Blocking.

What the next look at a folder, or the next opening of the account, puts right by itself is no finding: a delivery
that nobody has seen yet, a flag that is not in its file name yet, what a process left that died. It is counted as
being on its way. While others have the account open, a finding is one only if it stays.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.summary import Summariser
from mailpost.storage.index import folders as rows
from mailpost.storage.index.cache import CACHE_FILE
from mailpost.storage.index.generation import GENERATION_FILE
from mailpost.storage.index.state import SCHEMA_VERSION, STATE_FILE, meta
from mailpost.storage.index.usage import is_right, usage
from mailpost.storage.maildir.checkingcache import check_cache
from mailpost.storage.maildir.checkingfolder import check_folder
from mailpost.storage.maildir.delivery import STALE_TMP_SECONDS
from mailpost.storage.maildir.directories import list_folders
from mailpost.storage.maildir.filename import unique_names
from mailpost.storage.maildir.files import scanned
from mailpost.storage.maildir.findings import Finding, Remedy, Report
from mailpost.storage.maildir.folder import SUBDIRECTORIES, FolderFiles
from mailpost.storage.maildir.layout import Layout
from mailpost.storage.maildir.opening import index_prefix
from mailpost.storage.maildir.shape import check_shape, served_as
from mailpost.storage.records import Usage

SAMPLE = 50
"""Messages of each folder whose summary is worked out again."""
_PAUSES = (0.3, 0.7, 1.0, 2.0, 2.5, 2.5)
"""Seconds between looks at findings that may pass: what is written behind is late, a second listing five seconds."""


def check(
    root: Path, index: Path | None, layout: Layout, summarise: Summariser, *, sample: int | None = SAMPLE
) -> Report:
    """Compare all that is known of an account.

    Args:
        root: its Maildir.
        index: the folder of state and cache; None for the root itself.
        layout: how folders are named.
        summarise: octets -> summary.
        sample: so many messages of each folder are read and compared with the cache; None: all.

    Raises:
        OtherLayoutError: all folders are laid out in another way.
        MailError: UNAVAILABLE for a state written by a newer server; NO_PERMISSION and the like.
    """
    checker = _Checker(root, index, layout, summarise, sample)
    report = checker.look()
    for pause in _PAUSES:
        if not report.findings:
            break
        time.sleep(pause)
        report = checker.look().lasting(report)
        if checker.alone:
            break
    return report


@contextmanager
def nobody_else(root: Path, index: Path | None) -> Iterator[bool]:
    """Whether nobody has the account open; then nobody opens it during the block either."""
    try:
        fd = os.open(index_prefix(root, index) + GENERATION_FILE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


class _Checker:
    """Looks at one account, as often as is wanted."""

    def __init__(
        self, root: Path, index: Path | None, layout: Layout, summarise: Summariser, sample: int | None
    ) -> None:
        self.alone = True
        self._root = root
        self._index = index
        self._prefix = index_prefix(root, index)
        self._layout = layout
        self._summarise = summarise
        self._sample = sample

    def look(self) -> Report:
        """All that is not as it should be at this moment."""
        report = Report()
        with nobody_else(self._root, self._index) as alone:
            self.alone = alone
        self._modes(report)
        state = self._prefix + STATE_FILE
        root_fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if not Path(state).exists():
                check_shape(str(self._root), root_fd, self._layout, None)
                report.coming += 1  # built out of the tree by whoever opens it
                return report
            with closing(read_only(state)) as db:
                self._account(db, root_fd, report)
        except sqlite3.DatabaseError as error:
            report.findings.append(Finding(Remedy.STATE_FILE, "", f"{Path(state).name} is damaged ({error})"))
        finally:
            os.close(root_fd)
        return report

    def _account(self, db: sqlite3.Connection, root_fd: int, report: Report) -> None:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise MailError(ErrorKind.UNAVAILABLE, "This account was written by a newer version of mailpost")
        if version < SCHEMA_VERSION:
            report.coming += 1  # migrated by whoever opens it
            return
        (sound,) = db.execute("PRAGMA integrity_check(1)").fetchone()
        if sound != "ok":
            raise sqlite3.DatabaseError(sound)
        interrupted = self.alone and meta(db, "generation") != self._generation()
        self._unfinished(db, report, coming=interrupted)
        for table in ("messages", "files", "keywords", "expunged", "dead"):
            lost = db.execute(f"SELECT DISTINCT folder FROM {table} WHERE folder NOT IN (SELECT id FROM folders)")
            what = f"the state has {table} of folders that there are not"
            report.add(Remedy.ORPHANS, "", what, [number for (number,) in lost], coming=False)
        if not is_right(db):
            report.findings.append(Finding(Remedy.USAGE, "", "the state does not know what all messages take"))
        check_shape(str(self._root), root_fd, self._layout, served_as(db))
        on_disk = {found.directory for found in list_folders(root_fd, self._layout)}
        known = rows.all_folders(db)
        report.coming += len(on_disk.symmetric_difference(row.directory for row in known))
        cached = self._cache(report)
        try:
            for row in known:
                if row.directory in on_disk:
                    self._folder(db, cached, root_fd, row, report, interrupted=interrupted)
        finally:
            if cached is not None:
                cached.close()

    def _folder(
        self,
        db: sqlite3.Connection,
        cached: sqlite3.Connection | None,
        root_fd: int,
        row: rows.FolderRow,
        report: Report,
        *,
        interrupted: bool,
    ) -> None:
        place = self._root / row.directory
        missing = [name for name in SUBDIRECTORIES if not (place / name).is_dir()]
        if missing:
            report.add(Remedy.RELIST, row.directory, "missing directories", missing, coming=True)
            return
        try:
            files = FolderFiles.open(root_fd, row.directory)
        except MailError as error:
            report.findings.append(Finding(Remedy.NOTHING, row.directory, f"cannot be opened: {error.text}"))
            return
        with closing(files):
            names = check_folder(db, files, row, report, alone=self.alone)
            self._leftovers(files, row.directory, report, coming=interrupted)
            if cached is not None:
                check_cache(cached, files, row, names, report, summarise=self._summarise, sample=self._sample)
        report.folders += 1
        report.messages += len(names)

    def _generation(self) -> bytes:
        with suppress(OSError):
            return Path(self._prefix + GENERATION_FILE).read_bytes()[:8]
        return b""

    @staticmethod
    def _unfinished(db: sqlite3.Connection, report: Report, *, coming: bool) -> None:
        intents = db.execute("SELECT operation, id FROM intents").fetchall()
        begun = [f"{operation} ({number})" for operation, number in intents]
        report.add(Remedy.OPENING, "", "begun and never finished", begun, coming=coming)

    @staticmethod
    def _leftovers(files: FolderFiles, folder: str, report: Report, *, coming: bool) -> None:
        oldest = time.time() - STALE_TMP_SECONDS
        left = []
        with scanned(files.tmp) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    old = entry.stat(follow_symlinks=False).st_ctime < oldest
                    if entry.is_file(follow_symlinks=False) and (old or unique_names.is_orphan(entry.name)):
                        left.append(entry.name)
        report.add(Remedy.LEFTOVERS, folder, "files in tmp that nobody is writing", sorted(left), coming=coming)

    def _cache(self, report: Report) -> sqlite3.Connection | None:
        """The cache, if it is one that can be compared."""
        path = Path(self._prefix + CACHE_FILE)
        if not path.exists():
            return None
        try:
            db = read_only(str(path))
            (sound,) = db.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            sound = str(error)
        if sound != "ok":
            report.findings.append(Finding(Remedy.CACHE_FILE, "", f"{path.name} is damaged ({sound})"))
            return None
        return db

    def _modes(self, report: Report) -> None:
        """Who may read what only its owner should."""
        root = os.stat(self._root)
        if root.st_mode & 0o007:
            report.findings.append(Finding(Remedy.MODES, "", "everybody may look into it", (str(self._root),)))
        files = [Path(self._prefix + name) for name in (STATE_FILE, CACHE_FILE)]
        for file in files:
            with suppress(FileNotFoundError):
                if file.stat().st_mode & 0o077:
                    report.findings.append(Finding(Remedy.MODES, "", "others may read it", (str(file),)))


def usage_of(root: Path, index: Path | None) -> Usage | None:
    """What an account's messages take, beside whoever has it open; None where no state of this version tells."""
    state = Path(index_prefix(root, index) + STATE_FILE)
    if not state.exists():
        return None
    try:
        with closing(read_only(str(state))) as db:
            return usage(db)
    except sqlite3.DatabaseError:
        return None


def read_only(path: str) -> sqlite3.Connection:
    """A connection that cannot write and makes no file."""
    return sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=10, isolation_level=None)
