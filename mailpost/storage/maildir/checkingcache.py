"""What the cache says of a folder's messages against their files. Reads only; blocking."""

from __future__ import annotations

import sqlite3

from mailpost.mail.summary import Summariser, Summary
from mailpost.storage.index.cache import CACHE_FORMAT, TEXT_COLUMNS, folder_number, values
from mailpost.storage.index.folders import FolderRow
from mailpost.storage.maildir.findings import Remedy, Report
from mailpost.storage.maildir.folder import FolderFiles
from mailpost.storage.maildir.lane import cache_key

_EVERYTHING = (1, 0xFFFF_FFFF)
_COLUMNS = (
    ("facts", "sent", "sent"),
    ("facts", "sent_day", "sent_day"),
    ("envelopes", "octets", "envelope"),
    ("structures", "octets", "bodystructure"),
    ("headers", "octets", "header"),
    ("identities", "email", "email_id"),
    ("identities", "thread", "thread_id"),
    ("previews", "octets", "preview"),
    *(("texts", column, column if column != "to_" else "to") for column in TEXT_COLUMNS),
)
"""(table, column, attribute of a Summary)"""


def check_cache(
    db: sqlite3.Connection,
    files: FolderFiles,
    row: FolderRow,
    names: dict[int, str],
    report: Report,
    *,
    summarise: Summariser,
    sample: int | None,
) -> None:
    """Compare what is cached of a folder with its files.

    Args:
        db: the cache.
        files: the folder.
        row: its row.
        names: UID -> file name of the messages there are.
        report: what is found goes into it.
        summarise: octets -> summary.
        sample: so many messages are read; None: all. Of the others only the size is compared, roughly.
    """
    if db.execute("PRAGMA user_version").fetchone() != (CACHE_FORMAT,):
        return  # thrown away by whoever opens it
    number = folder_number(db, cache_key(row))
    sizes = {uid: size for uid, size in values(db, number, "facts", "size", _EVERYTHING).items() if uid in names}
    uids = sorted(sizes)
    stored = files.facts([names[uid] for uid in uids])
    wrong = {
        uid for uid, facts in zip(uids, stored, strict=True) if facts is not None and not _fits(sizes[uid], facts.size)
    }
    step = 1 if sample is None else max(1, len(uids) // max(sample, 1))
    for uid in uids[::step]:
        (octets,) = files.read([(names[uid], 0)])
        if isinstance(octets, bytes) and not _same(db, number, uid, sizes[uid], summarise(octets)):
            wrong.add(uid)
    report.add(Remedy.CACHED, row.directory, "UIDs of which the cache says what is not so", sorted(wrong), coming=False)


def _fits(size: object, stored: int) -> bool:
    """Whether a message of this size may be stored in so many octets: line ends are one octet or two."""
    return isinstance(size, int) and stored <= size <= 2 * stored


def _same(db: sqlite3.Connection, number: int, uid: int, size: object, summary: Summary) -> bool:
    if size != summary.size:
        return False
    for table, column, attribute in _COLUMNS:
        cached = values(db, number, table, column, (uid, uid))
        if uid in cached and cached[uid] != getattr(summary, attribute):
            return False
    return True
