"""Rows of messages: UID, flags as a bit mask, MODSEQ, dates, file name; inside the caller's transaction.

`flags` is what clients see, `file_flags` what the file name says: where they differ a rename is still to be done.
Sets of UIDs are given as spans (first, last), inclusive, ascending; a span may cover UIDs that are not there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import DELETED, SYSTEM_FLAGS, FlagChange, Flags, intern_flags

Spans = Sequence[tuple[int, int]]

MOST_KEYWORDS = 57
"""Keywords that one folder can have, beside the system flags, in a signed 64-bit mask."""

_DELETED_BIT = 1 << SYSTEM_FLAGS.index(DELETED)
_EVERYTHING = (1, 0xFFFF_FFFF)


class FlagBits:
    """Flags <-> bit mask of one folder. Keywords compare without case and keep the spelling they came with first."""

    def __init__(self, db: sqlite3.Connection, folder: int) -> None:
        self._folder = folder
        self._bit = {flag: 1 << number for number, flag in enumerate(SYSTEM_FLAGS)}
        self._flag = dict(enumerate(SYSTEM_FLAGS))
        self._sets: dict[int, Flags] = {}
        for bit, name in db.execute("SELECT bit, name FROM keywords WHERE folder=?", (folder,)):
            self._know(bit, name)

    def _know(self, bit: int, name: str) -> None:
        self._bit[name.lower()] = 1 << bit
        self._flag[bit] = name

    @property
    def keywords(self) -> tuple[str, ...]:
        """All keywords of the folder, in the order in which they came."""
        return tuple(self._flag[bit] for bit in sorted(self._flag) if bit >= len(SYSTEM_FLAGS))

    def flags(self, bits: int) -> Flags:
        """The flags that a mask stands for."""
        known = self._sets.get(bits)
        if known is None:
            known = intern_flags(flag for bit, flag in list(self._flag.items()) if bits >> bit & 1)
            self._sets[bits] = known
        return known

    def known(self, flags: Iterable[str]) -> int:
        """The mask of those of these flags that the folder has."""
        bits = 0
        for flag in flags:
            bits |= self._bit.get(flag if flag.startswith("\\") else flag.lower(), 0)
        return bits

    def bits(self, db: sqlite3.Connection, flags: Iterable[str]) -> int:
        """The mask of these flags; keywords that are new here are added.

        Raises:
            MailError: LIMIT when the folder cannot have another keyword.
        """
        mask = 0
        for flag in flags:
            one = self._bit.get(flag if flag.startswith("\\") else flag.lower())
            mask |= self._added(db, flag) if one is None else one
        return mask

    def _added(self, db: sqlite3.Connection, flag: str) -> int:
        bit = len(self._flag)
        if flag.startswith("\\"):
            return 0  # \Recent and what no RFC knows
        if bit >= len(SYSTEM_FLAGS) + MOST_KEYWORDS:
            raise MailError(ErrorKind.LIMIT, "This folder has too many different keywords")
        db.execute("INSERT INTO keywords VALUES(?, ?, ?)", (self._folder, bit, flag))
        self._know(bit, flag)
        return 1 << bit


class MessageRow(NamedTuple):
    """A message to be inserted."""

    uid: int
    flags: int
    file_flags: int
    internaldate: int
    name: str
    octets: int | None
    """Of the file; None where nobody has looked yet."""


def columns(db: sqlite3.Connection, folder: int) -> tuple[list[int], list[int], list[int]]:
    """UIDs, flag masks and mod-sequences of all messages, by UID."""
    rows = db.execute("SELECT uid, flags, modseq FROM messages WHERE folder=? ORDER BY uid", (folder,)).fetchall()
    if not rows:
        return [], [], []
    uids, flags, modseqs = zip(*rows, strict=True)
    return list(uids), list(flags), list(modseqs)


def count(db: sqlite3.Connection, folder: int) -> int:
    """How many messages there are."""
    row: tuple[int] = db.execute("SELECT count(*) FROM files WHERE folder=?", (folder,)).fetchone()
    return row[0]


def counts(db: sqlite3.Connection, folder: int, seen: int, recent_from: int) -> tuple[int, int, int, int]:
    """Messages, recent, unseen and deleted ones. `seen`: the mask of \\Seen."""
    row = db.execute(
        "SELECT count(*), total(uid >= ?), total(flags & ? = 0), total(flags & ? != 0) FROM messages WHERE folder=?",
        (recent_from, seen, _DELETED_BIT, folder),
    ).fetchone()
    return row[0], int(row[1]), int(row[2]), int(row[3])


def census(db: sqlite3.Connection, folder: int) -> tuple[int, int]:
    """How many messages there are, and the sum of their UIDs: hardly ever the same for others."""
    count, uids = db.execute("SELECT count(*), total(uid) FROM messages WHERE folder=?", (folder,)).fetchone()
    return count, int(uids)


def insert(db: sqlite3.Connection, folder: int, rows: Sequence[MessageRow], modseq: int, saved: int) -> None:
    """Add messages. `saved`: seconds since the epoch when they came here (RFC 8514 SAVEDATE)."""
    db.executemany(
        "INSERT INTO messages VALUES(?, ?, ?, ?, ?, ?, ?)",
        [(folder, row.uid, row.flags, row.file_flags, modseq, row.internaldate, saved) for row in rows],
    )
    db.executemany("INSERT INTO files VALUES(?, ?, ?, ?)", [(folder, row.uid, row.name, row.octets) for row in rows])


def names(db: sqlite3.Connection, folder: int, span: tuple[int, int] = _EVERYTHING) -> list[tuple[int, str]]:
    """(UID, file name) of the messages in a span, ascending."""
    return db.execute(
        "SELECT uid, name FROM files WHERE folder=? AND uid BETWEEN ? AND ? ORDER BY uid", (folder, *span)
    ).fetchall()


class NamedRow(NamedTuple):
    """What a file name is compared with."""

    flags: int
    file_flags: int
    name: str


def named(db: sqlite3.Connection, folder: int, uid: int) -> NamedRow | None:
    """One message with its flags and file name; None when it is gone."""
    row = db.execute(
        "SELECT flags, file_flags, name FROM messages JOIN files USING(folder, uid) WHERE folder=? AND uid=?",
        (folder, uid),
    ).fetchone()
    return NamedRow(*row) if row else None


def dates(db: sqlite3.Connection, folder: int, column: str, span: tuple[int, int]) -> dict[int, int]:
    """UID -> INTERNALDATE (column "internaldate") or SAVEDATE ("saved"), seconds since the epoch."""
    return dict(
        db.execute(f"SELECT uid, {column} FROM messages WHERE folder=? AND uid BETWEEN ? AND ?", (folder, *span))
    )


def rename(db: sqlite3.Connection, folder: int, renamed: Iterable[tuple[int, str]]) -> None:
    """Messages have other file names now: (UID, name) each."""
    db.executemany("UPDATE files SET name=? WHERE folder=? AND uid=?", [(name, folder, uid) for uid, name in renamed])


_CHANGES = {
    FlagChange.ADD: ("flags | :bits", "flags & :bits != :bits"),
    FlagChange.REMOVE: ("flags & ~:bits", "flags & :bits != 0"),
    FlagChange.REPLACE: (":bits", "flags != :bits"),
}


def change_flags(
    db: sqlite3.Connection,
    folder: int,
    spans: Spans,
    *,
    change: FlagChange,
    bits: int,
    modseq: int,
    limit: int | None,
) -> list[tuple[int, int]]:
    """Change flags of messages whose MODSEQ is not above `limit`: (UID, mask) of those that are other than before."""
    value, differs = _CHANGES[change]
    unchanged = "" if limit is None else " AND modseq <= :limit"
    statement = (
        f"UPDATE messages SET flags = {value}, modseq = :modseq WHERE folder = :folder"
        f" AND uid BETWEEN :first AND :last AND {differs}{unchanged} RETURNING uid, flags"
    )
    changed: list[tuple[int, int]] = []
    values = {"folder": folder, "bits": bits, "modseq": modseq, "limit": limit}
    for first, last in spans:
        changed += db.execute(statement, {**values, "first": first, "last": last}).fetchall()
    changed.sort()
    return changed


def above(db: sqlite3.Connection, folder: int, spans: Spans, limit: int) -> list[int]:
    """Which messages have a MODSEQ above this, ascending."""
    found: list[int] = []
    for span in spans:
        found += [
            uid
            for (uid,) in db.execute(
                "SELECT uid FROM messages WHERE folder=? AND uid BETWEEN ? AND ? AND modseq > ? ORDER BY uid",
                (folder, *span, limit),
            )
        ]
    return found


def set_flags(db: sqlite3.Connection, folder: int, rows: Iterable[tuple[int, int, int]], modseq: int) -> None:
    """Set what another program's rename leads to: (UID, flags, file_flags) each."""
    db.executemany(
        "UPDATE messages SET flags=?, file_flags=?, modseq=? WHERE folder=? AND uid=?",
        [(flags, file_flags, modseq, folder, uid) for uid, flags, file_flags in rows],
    )


def unwritten(db: sqlite3.Connection, folder: int, after: int, most: int) -> list[tuple[int, int, str]]:
    """(UID, flags, file name) of messages above UID `after` whose file name does not say their flags yet."""
    rows: list[tuple[int, int, str]] = db.execute(
        "SELECT uid, flags, name FROM messages JOIN files USING(folder, uid)"
        " WHERE folder=? AND uid>? AND flags != file_flags ORDER BY uid LIMIT ?",
        (folder, after, most),
    ).fetchall()
    return rows


def written(db: sqlite3.Connection, folder: int, rows: Iterable[tuple[int, int]]) -> None:
    """The file names now say these flags: (UID, mask) each."""
    db.executemany("UPDATE messages SET file_flags=? WHERE folder=? AND uid=?", [(f, folder, u) for u, f in rows])


def folders_unwritten(db: sqlite3.Connection) -> list[int]:
    """Folders in which file names are behind."""
    return [folder for (folder,) in db.execute("SELECT DISTINCT folder FROM messages WHERE flags != file_flags")]


def deleted(db: sqlite3.Connection, folder: int, spans: Spans | None, most: int = 0xFFFF_FFFF) -> list[tuple[int, str]]:
    """(UID, file name) of the first messages with \\Deleted, in these spans or anywhere, ascending."""
    found: list[tuple[int, str]] = []
    for span in [_EVERYTHING] if spans is None else spans:
        found += db.execute(
            "SELECT uid, name FROM messages JOIN files USING(folder, uid)"
            " WHERE folder=? AND uid BETWEEN ? AND ? AND flags & ? ORDER BY uid LIMIT ?",
            (folder, *span, _DELETED_BIT, most - len(found)),
        ).fetchall()
    return found


def remove(db: sqlite3.Connection, folder: int, uids: Sequence[int]) -> None:
    """Remove the rows of messages."""
    rows = [(folder, uid) for uid in uids]
    db.executemany("DELETE FROM messages WHERE folder=? AND uid=?", rows)
    db.executemany("DELETE FROM files WHERE folder=? AND uid=?", rows)


class Source(NamedTuple):
    """A message that is to be copied."""

    uid: int
    flags: int
    internaldate: int
    name: str
    octets: int | None


def sources(db: sqlite3.Connection, folder: int, spans: Spans) -> list[Source]:
    """The messages in these spans, ascending."""
    found: list[Source] = []
    for span in spans:
        found += [
            Source(*row)
            for row in db.execute(
                "SELECT uid, flags, internaldate, name, octets FROM messages JOIN files USING(folder, uid)"
                " WHERE folder=? AND uid BETWEEN ? AND ? ORDER BY uid",
                (folder, *span),
            )
        ]
    return found
