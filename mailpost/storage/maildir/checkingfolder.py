"""One folder: its files, its rows and its UID list against each other. Reads only; blocking."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from mailpost.mail.flags import SYSTEM_FLAGS, Flags
from mailpost.storage.index import changes
from mailpost.storage.index.folders import FolderRow, folder_row
from mailpost.storage.index.messages import FlagBits
from mailpost.storage.maildir.filename import MOST_KEYWORDS, FlagLetters, base_of, letters_of
from mailpost.storage.maildir.files import mail_errors
from mailpost.storage.maildir.findings import Finding, Remedy, Report
from mailpost.storage.maildir.folder import FolderFiles
from mailpost.storage.maildir.keywords import read_keywords
from mailpost.storage.maildir.uidlist import read_uidlist, uidlist_stamp

_SYSTEM_BITS = (1 << len(SYSTEM_FLAGS)) - 1


@dataclass(slots=True)
class _Rows:
    """What the state says of a folder, at one time."""

    row: FolderRow
    names: dict[int, str]
    masks: dict[int, tuple[int, int]]
    """UID -> (flags, file_flags)"""
    highest_modseq: int
    bits: FlagBits
    known_bits: int
    passed_over: set[str]
    """Base names of files that are no messages: on their way out, or of an operation that was never finished."""

    @classmethod
    def read(cls, db: sqlite3.Connection, row: FolderRow) -> _Rows:
        number = row.id
        masks: dict[int, tuple[int, int]] = {}
        highest = 0
        for uid, flags, file_flags, modseq in db.execute(
            "SELECT uid, flags, file_flags, modseq FROM messages WHERE folder=?", (number,)
        ):
            masks[uid] = flags, file_flags
            highest = max(highest, modseq)
        keywords = db.execute("SELECT bit FROM keywords WHERE folder=?", (number,))
        return cls(
            row=row,
            names=dict(db.execute("SELECT uid, name FROM files WHERE folder=? ORDER BY uid", (number,))),
            masks=masks,
            highest_modseq=highest,
            bits=FlagBits(db, number),
            known_bits=_SYSTEM_BITS | sum(1 << bit for (bit,) in keywords),
            passed_over=changes.dead(db, number) | changes.unfinished(db, number),
        )


def check_folder(
    db: sqlite3.Connection, files: FolderFiles, row: FolderRow, report: Report, *, alone: bool
) -> dict[int, str]:
    """Compare a folder's files, rows and UID list.

    Args:
        db: the state.
        files: the folder.
        row: which one it is; read anew.
        report: what is found goes into it.
        alone: whether nobody has the account open: then whoever opens it next writes what is behind.

    Returns:
        UID -> name of the messages whose files are there, in order.
    """
    db.execute("BEGIN")
    try:
        found = folder_row(db, row.id)
        if found is None:
            return {}
        known = _Rows.read(db, found)
    finally:
        db.execute("COMMIT")
    _check_rows(known, report)
    with mail_errors():
        seen = _check_files(known, files, report)
        _check_list(known, files, seen, report)
        _check_names(known, files, seen, report, alone=alone)
    return {uid: seen[base_of(name)] for uid, name in known.names.items() if base_of(name) in seen}


def _check_rows(known: _Rows, report: Report) -> None:
    """The rows against each other."""
    row = known.row
    half = sorted(known.names.keys() ^ known.masks.keys())
    report.add(Remedy.PUT_BACK, row.directory, "UIDs that the state knows half of", half, coming=False)
    unnamed = [uid for uid, masks in known.masks.items() if (masks[0] | masks[1]) & ~known.known_bits]
    report.add(Remedy.ROWS, row.directory, "UIDs with a flag that has no name", unnamed, coming=False)
    above = [uid for uid in known.masks if uid >= row.uidnext]
    report.add(Remedy.ROWS, row.directory, f"UIDs that are not below the next UID {row.uidnext}", above, coming=False)
    if known.highest_modseq > row.highest_modseq:
        what = f"a mod-sequence {known.highest_modseq} above the folder's highest {row.highest_modseq}"
        report.findings.append(Finding(Remedy.ROWS, row.directory, what))


def _check_files(known: _Rows, files: FolderFiles, report: Report) -> dict[str, str]:
    """The files against the rows: base name -> file name in cur of all that are messages."""
    row, folder = known.row, known.row.directory
    listing, settled = files.settled_listing()
    coming = not settled or files.changed_at() != (row.cur_mtime, row.new_mtime)
    seen = {base: name for base, name in listing.cur.items() if base not in known.passed_over}
    bases = {base_of(name): uid for uid, name in known.names.items()}
    report.coming += len(listing.new)
    gone = [uid for base, uid in bases.items() if base not in seen and base not in listing.new]
    report.add(Remedy.RELIST, folder, "UIDs without a file", gone, coming=coming)
    strange = sorted(name for base, name in seen.items() if base not in bases)
    report.add(Remedy.RELIST, folder, "files without a UID", strange, coming=coming)
    renamed = [uid for base, uid in bases.items() if seen.get(base, known.names[uid]) != known.names[uid]]
    report.add(Remedy.RELIST, folder, "UIDs whose files have another name", renamed, coming=coming)
    report.add(Remedy.RELIST, folder, "files of one name", listing.repeated, coming=coming)
    return seen


def _check_list(known: _Rows, files: FolderFiles, seen: dict[str, str], report: Report) -> None:
    """`dovecot-uidlist` against the rows."""
    row, folder = known.row, known.row.directory
    theirs = read_uidlist(files.directory)
    if theirs is None:
        if uidlist_stamp(files.directory) is None:
            report.coming += 1  # written again by whoever opens the folder
        else:
            report.findings.append(Finding(Remedy.UID_LIST, folder, "dovecot-uidlist makes no sense"))
        return
    if theirs.uidvalidity != row.uidvalidity:
        what = f"dovecot-uidlist says UIDVALIDITY {theirs.uidvalidity}, the state {row.uidvalidity}"
        remedy = Remedy.RELIST if theirs.uidvalidity > row.uidvalidity else Remedy.UID_LIST
        report.findings.append(Finding(remedy, folder, what))
        return
    ours = {base_of(name): uid for uid, name in known.names.items()}
    entries = theirs.entries
    other = [uid for base, uid in ours.items() if base in entries and entries[base].uid != uid]
    other += [
        entry.uid
        for base, entry in entries.items()
        if base not in ours and entry.uid in known.names and base_of(known.names[entry.uid]) != base
    ]
    report.add(Remedy.UID_LIST, folder, "UIDs that are others in dovecot-uidlist", sorted(set(other)), coming=False)
    unlisted = [uid for base, uid in ours.items() if base not in entries]
    late = [uid for uid in unlisted if uid > row.listed]
    report.coming += len(late)
    lost = [uid for uid in unlisted if uid <= row.listed]
    report.add(Remedy.UID_LIST, folder, "UIDs that dovecot-uidlist lacks", lost, coming=False)
    if theirs.uidnext < row.uidnext:
        what = f"dovecot-uidlist has the next UID {theirs.uidnext}, the state {row.uidnext}"
        report.findings.append(Finding(Remedy.UID_LIST, folder, what))
    unknown = [base for base in seen if base not in ours and base in entries and entries[base].uid < row.uidnext]
    what = "files whose UID only dovecot-uidlist knows"
    report.add(Remedy.PUT_BACK, folder, what, sorted(unknown), coming=False)


def _check_names(known: _Rows, files: FolderFiles, seen: dict[str, str], report: Report, *, alone: bool) -> None:
    """Flags in file names against those in the state."""
    folder = known.row.directory
    letters = FlagLetters(read_keywords(files.directory)[0])
    full = len(letters.keywords) >= MOST_KEYWORDS
    verdicts: dict[tuple[str, int], bool] = {}
    late, wrong = [], []
    for uid, (flags, file_flags) in known.masks.items():
        name = known.names.get(uid, "")
        if seen.get(base_of(name)) != name:
            continue
        if flags != file_flags:
            late.append(uid)
            continue
        case = letters_of(name), flags
        if case not in verdicts:
            verdicts[case] = _says(letters, case[0], known.bits.flags(flags), full=full)
        if not verdicts[case]:
            wrong.append(uid)
    report.add(Remedy.NAMES, folder, "UIDs whose flags are not in their file names yet", late, coming=alone)
    report.add(Remedy.NAMES, folder, "UIDs whose file names say other flags", wrong, coming=False)


def _says(letters: FlagLetters, said: str, flags: Flags, *, full: bool) -> bool:
    """Whether these letters say these flags; keywords for which no letter is left live in the state alone."""
    unsaid = letters.unlettered(flags) if full else frozenset()
    return _folded(letters.flags(said)) == _folded(flags - unsaid)


def _folded(flags: Iterable[str]) -> set[str]:
    return {flag.lower() for flag in flags}
