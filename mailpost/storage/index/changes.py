"""Mod-sequences, what was expunged when, files that are to vanish, and operations that were begun.

A mod-sequence is the larger of the last one plus one and the time in milliseconds: so none is used twice, even when
an older copy of the state is put back. RFC: 7162 §3.1
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mailpost.mail.uidset import UidSet


def next_modseq(highest: int, now: float) -> int:
    """The mod-sequence of a change made now (seconds since the epoch) in a folder whose highest one is this."""
    return max(highest + 1, int(now * 1000))


def note_expunged(db: sqlite3.Connection, folder: int, uids: Sequence[int], modseq: int) -> None:
    """Remember that these messages vanished."""
    db.executemany(
        "INSERT INTO expunged VALUES(?, ?, ?, ?)",
        [(folder, modseq, first, last) for first, last in UidSet.of(uids).ranges],
    )


def expunged_since(db: sqlite3.Connection, folder: int, modseq: int) -> UidSet:
    """UIDs that vanished at mod-sequences above this one."""
    rows = db.execute("SELECT first, last FROM expunged WHERE folder=? AND modseq>?", (folder, modseq))
    return UidSet.of_ranges(rows)


def forget_old_expunges(db: sqlite3.Connection, most: int) -> None:
    """Keep the newest spans of what was expunged in each folder, about this many, and note how far back they go."""
    crowded = db.execute("SELECT folder FROM expunged GROUP BY folder HAVING count(*) > ?", (2 * most,)).fetchall()
    for (folder,) in crowded:
        row = db.execute(
            "SELECT modseq FROM expunged WHERE folder=? ORDER BY modseq DESC LIMIT 1 OFFSET ?", (folder, most)
        ).fetchone()
        db.execute("DELETE FROM expunged WHERE folder=? AND modseq<=?", (folder, *row))
        db.execute("UPDATE folders SET remembered=max(remembered, ?) WHERE id=?", (*row, folder))


def vanished(db: sqlite3.Connection, folder: int, modseq: int) -> UidSet | None:
    """UIDs that vanished at mod-sequences above this one; None where not all of them are remembered."""
    row = db.execute("SELECT remembered FROM folders WHERE id=?", (folder,)).fetchone()
    return expunged_since(db, folder, modseq) if row is not None and row[0] <= modseq else None


def add_dead(db: sqlite3.Connection, folder: int, bases: Iterable[str]) -> None:
    """The files with these base names are to be removed, and never taken for messages again."""
    db.executemany("INSERT OR IGNORE INTO dead VALUES(?, ?)", [(folder, base) for base in bases])


def dead(db: sqlite3.Connection, folder: int) -> set[str]:
    """Base names of files that are to be removed."""
    return {base for (base,) in db.execute("SELECT base FROM dead WHERE folder=?", (folder,))}


def any_dead(db: sqlite3.Connection, folder: int) -> bool:
    """Whether any files of the folder are to be removed."""
    return db.execute("SELECT 1 FROM dead WHERE folder=? LIMIT 1", (folder,)).fetchone() is not None


def bury(db: sqlite3.Connection, folder: int, bases: Iterable[str]) -> None:
    """These files are no more."""
    db.executemany("DELETE FROM dead WHERE folder=? AND base=?", [(folder, base) for base in bases])


@dataclass(frozen=True, slots=True)
class Intent:
    """An operation of several steps that was begun: undone or finished when the account is opened next."""

    id: int
    operation: str
    detail: Any
    """What `begin_intent` was given, as JSON has it."""


def begin_intent(db: sqlite3.Connection, operation: str, detail: object) -> int:
    """Note that an operation is about to begin: the intent's number, for `end_intent`."""
    number = time.time_ns()  # never used again, whatever other processes end meanwhile
    db.execute("INSERT INTO intents VALUES(?, ?, ?)", (number, operation, json.dumps(detail)))
    return number


def end_intent(db: sqlite3.Connection, intent: int) -> None:
    """The operation is finished, by the commit of this transaction, or was undone."""
    db.execute("DELETE FROM intents WHERE id=?", (intent,))


def is_pending(db: sqlite3.Connection, intent: int) -> bool:
    """Whether the operation is still noted as begun."""
    return db.execute("SELECT 1 FROM intents WHERE id=?", (intent,)).fetchone() is not None


def intents(db: sqlite3.Connection) -> list[Intent]:
    """Operations that were begun and not finished, oldest first."""
    rows = db.execute("SELECT id, operation, detail FROM intents ORDER BY id")
    return [Intent(number, operation, json.loads(detail)) for number, operation, detail in rows]


def unfinished(db: sqlite3.Connection, folder: int) -> set[str]:
    """Base names of files in this folder that are not to be taken for messages: another process died making them.

    (One that lives holds the transaction while such files are there and have no rows.)
    """
    found: set[str] = set()
    for intent in intents(db):
        if isinstance(intent.detail, dict) and intent.detail["folder"] == folder:
            found.update(intent.detail["bases"])
    return found
