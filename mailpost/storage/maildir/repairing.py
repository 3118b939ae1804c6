"""Putting right what a check has found, through the account's lanes like everything else; beside a server too."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import SYSTEM_FLAGS
from mailpost.mail.summary import Summary
from mailpost.storage.index import changes, messages
from mailpost.storage.index.cache import CACHE_FILE
from mailpost.storage.index.folders import all_folders
from mailpost.storage.index.messages import MessageRow
from mailpost.storage.index.state import STATE_FILE
from mailpost.storage.index.usage import recount
from mailpost.storage.maildir.account import MaildirAccount
from mailpost.storage.maildir.behind import write_flags
from mailpost.storage.maildir.checking import nobody_else
from mailpost.storage.maildir.delivery import clean_tmp
from mailpost.storage.maildir.dotlock import locked
from mailpost.storage.maildir.filename import base_of, letters_of
from mailpost.storage.maildir.files import mail_errors
from mailpost.storage.maildir.findings import Finding, Remedy
from mailpost.storage.maildir.lane import FolderInfo, Lane, LaneFolder
from mailpost.storage.maildir.opening import index_prefix
from mailpost.storage.maildir.scan import look, scan
from mailpost.storage.maildir.uidlist import UIDLIST_FILE, UidEntry, UidList, new_guid, read_uidlist, write_uidlist

_TABLES = ("messages", "files", "keywords", "expunged", "dead")
_SUFFIXES = ("", "-wal", "-shm")
_GROUP = 500
"""Messages that are summarised before what was made is kept."""


def repair_closed(root: Path, index: Path | None, findings: Sequence[Finding]) -> None:
    """Repair what must be done before the account is opened. Blocking.

    Raises:
        MailError: IN_USE when a database is to be replaced and somebody has the account open.
    """
    for finding in findings:
        match finding.remedy:
            case Remedy.MODES:
                for item in (item + suffix for item in finding.items for suffix in _SUFFIXES):
                    with suppress(FileNotFoundError):
                        _forbid(Path(item), 0o007 if Path(item) == root else 0o077)
            case Remedy.STATE_FILE:
                set_state_aside(root, index)
            case Remedy.CACHE_FILE:
                if not discard_cache(root, index):
                    raise MailError(ErrorKind.IN_USE, "A server has this account open; stop it first")


def _forbid(path: Path, bits: int) -> None:
    path.chmod(path.stat().st_mode & 0o7777 & ~bits)


def set_state_aside(root: Path, index: Path | None) -> str:
    """Give the state another name, so that it is built anew: that name. Blocking.

    Raises:
        MailError: IN_USE when somebody has the account open.
    """
    path = index_prefix(root, index) + STATE_FILE
    aside = f"{path}.aside-{time.strftime('%Y%m%dT%H%M%S')}"
    with nobody_else(root, index) as alone:
        if not alone:
            raise MailError(ErrorKind.IN_USE, "A server has this account open; stop it first")
        for suffix in _SUFFIXES:
            with suppress(FileNotFoundError):
                Path(path + suffix).rename(aside + suffix)
    return aside


def discard_cache(root: Path, index: Path | None) -> bool:
    """Remove the cache unless somebody has the account open; whether it is gone. Blocking."""
    path = index_prefix(root, index) + CACHE_FILE
    with nobody_else(root, index) as alone:
        for suffix in _SUFFIXES if alone else ():
            with suppress(FileNotFoundError):
                Path(path + suffix).unlink()
    return alone


async def repair(account: MaildirAccount, findings: Sequence[Finding], *, alone: bool) -> None:
    """Repair what is done while the account is open; what is left, another check tells.

    Args:
        account: whose.
        findings: what a check has found.
        alone: whether nobody else has the account open. Others could not be told of a message that comes among old
            ones, so that it gets its UID back only then.
    """
    if not alone:
        left = {one.folder for one in findings if one.remedy is Remedy.PUT_BACK}
        findings = [one for one in findings if one.folder not in left]
    await account.sync()
    infos = [account.registry.of(number) for number in account.registry.numbers()]
    numbers = {info.directory: info for info in infos if info is not None}
    for remedy, job in _JOBS.items():
        for finding in findings:
            info = numbers.get(finding.folder)
            if finding.remedy is remedy and info is not None:
                await account.workers.write(job, info.number, finding.items)
    for finding in findings:
        info = numbers.get(finding.folder)
        if finding.remedy is Remedy.CACHED and info is not None:
            account.workers.drop(info, sorted(map(int, finding.items)))
        elif finding.remedy is Remedy.ORPHANS:
            await account.workers.write(_remove_orphans)
        elif finding.remedy is Remedy.USAGE:
            await account.workers.write(_count_anew)
    await account.workers.kept()


async def settle(account: MaildirAccount) -> None:
    """Look at every folder, and write behind what is to be written: the tree says all that it can."""
    await account.sync()
    for folder in account.folders():
        if folder.selectable:
            (await account.open(folder.name)).release()


async def reindex(account: MaildirAccount) -> int:
    """Work out again all that the cache may know: how many messages. Beside a server that has the account open too."""
    workers, total = account.workers, 0
    for folder in account.folders():
        if not folder.selectable:
            continue
        mailbox = await account.open(folder.name)
        try:
            uids = list(mailbox.live.uids)
            workers.drop(mailbox.folder, uids)
            for start in range(0, len(uids), _GROUP):
                made = await workers.sliced(_summaries(account, mailbox.folder, uids[start : start + _GROUP]))
                workers.keep(mailbox.folder, made)
                await workers.kept()
                total += len(made)
        finally:
            mailbox.release()
    return total


def _summaries(
    account: MaildirAccount, folder: FolderInfo, uids: Sequence[int]
) -> Generator[None, None, list[tuple[int, Summary]]]:
    made: list[tuple[int, Summary]] = []
    for some in account.workers.reading.summaries(folder, uids, {}):
        made += some or ()
        yield
    return made


# -- jobs of the lane


def _mend_rows(lane: Lane, number: int, _: Sequence[str]) -> None:
    """Rows that have no other half go; bits without a name go; what is given out next is above all that was."""
    folder, db = lane.folder(number), lane.db
    names = {uid for uid, _ in messages.names(db, number)}
    columns = messages.columns(db, number)
    uids, modseqs = set(columns[0]), columns[2]
    half = sorted(names ^ uids)
    row = folder.row
    row.uidnext = max([row.uidnext, *(uid + 1 for uid in names | uids)])
    row.highest_modseq = max([row.highest_modseq, *modseqs])
    modseq = lane.modseq(folder)
    if half:
        messages.remove(db, number, half)
        listed = _listed_files(lane, folder)
        changes.note_expunged(db, number, [uid for uid in half if uid not in listed], modseq)
        lane.news(lane.listener.expunged, number, half, modseq, None)
    named = sum(1 << bit for (bit,) in db.execute("SELECT bit FROM keywords WHERE folder=?", (number,)))
    named |= (1 << len(SYSTEM_FLAGS)) - 1
    db.execute(
        "UPDATE messages SET flags = flags & :named, file_flags = file_flags & :named, modseq = :modseq"
        " WHERE folder = :folder AND (flags | file_flags) & ~:named != 0",
        {"named": named, "modseq": modseq, "folder": number},
    )
    row.cur_mtime = row.new_mtime = 0
    lane.save(folder)


def _put_back(lane: Lane, number: int, items: Sequence[str]) -> None:
    """Give files the UIDs that `dovecot-uidlist` says, unless clients were told that those vanished."""
    _mend_rows(lane, number, items)
    folder = lane.folder(number)
    files = lane.own_files(folder)
    gone = changes.expunged_since(lane.db, number, 0)
    known = {base_of(name): uid for uid, name in messages.names(lane.db, number)}
    taken = set(known.values())
    listed = sorted(_listed_files(lane, folder).items())
    free = [(uid, name) for uid, name in listed if not (uid in gone or uid in taken or base_of(name) in known)]
    with mail_errors():
        dates = files.facts([name for _, name in free])
    letters = lane.letters(folder)
    rows = []
    for (uid, name), facts in zip(free, dates, strict=True):
        if facts is not None:
            mask = folder.bits.bits(lane.db, letters.flags(letters_of(name)))
            rows.append(MessageRow(uid, mask, mask, max(facts.mtime, 0), name, facts.size))
    if rows:
        messages.insert(lane.db, number, rows, lane.modseq(folder), int(time.time()))
        folder.row.uidnext = max(folder.row.uidnext, rows[-1].uid + 1)
        lane.save(folder)


def _listed_files(lane: Lane, folder: LaneFolder) -> dict[int, str]:
    """UID -> file name of the files that have lines in `dovecot-uidlist`."""
    files = lane.own_files(folder)
    with mail_errors():
        known = lane.current_uidlist(folder, files.directory)
        seen = files.settled_listing()[0].cur
    entries = known.entries if known is not None and known.uidvalidity == folder.row.uidvalidity else {}
    return {entry.uid: seen[base] for base, entry in entries.items() if base in seen}


def _relist(lane: Lane, number: int, _: Sequence[str]) -> None:
    folder = lane.folder(number)
    folder.newcomers = None
    scan(lane, folder)
    while look(lane, number):
        pass


def _say_again(lane: Lane, number: int, uids: Sequence[str]) -> None:
    """File names are to say the flags that the state has, whatever they say now."""
    folder = lane.folder(number)
    letters = lane.letters(folder)
    names = dict(messages.names(lane.db, number))
    wanted = [int(uid) for uid in uids if int(uid) in names]
    said = [(uid, folder.bits.bits(lane.db, letters.flags(letters_of(names[uid])))) for uid in wanted]
    rows = dict(zip(*messages.columns(lane.db, number)[:2], strict=True))
    messages.written(lane.db, number, [(uid, mask) for uid, mask in said if rows.get(uid) != mask])
    while write_flags(lane, number):
        pass


def _rewrite_list(lane: Lane, number: int, _: Sequence[str]) -> None:
    """`dovecot-uidlist` as the state has it; UIDs that another server gave meanwhile stay."""
    folder = lane.folder(number)
    row, fd = folder.row, lane.own_files(folder).directory
    ours = messages.names(lane.db, number)
    bases = {base_of(name) for _, name in ours}
    with mail_errors(), locked(UIDLIST_FILE, fd):
        theirs = read_uidlist(fd)
        entries = {}
        if theirs is not None and theirs.uidvalidity == row.uidvalidity:
            entries = {b: one for b, one in theirs.entries.items() if b not in bases and one.uid >= row.uidnext}
            uidnext = max(row.uidnext, row.reserved, theirs.uidnext)
        else:
            uidnext = max(row.uidnext, row.reserved)
        kept = {base: one.extensions for base, one in theirs.entries.items()} if theirs is not None else {}
        for uid, name in ours:
            entries[base_of(name)] = UidEntry(uid, kept.get(base_of(name), ""))
        guid = theirs.guid if theirs is not None and theirs.guid else new_guid()
        extensions = theirs.extensions if theirs is not None else ""
        folder.uidlist = write_uidlist(fd, UidList(row.uidvalidity, uidnext, guid, entries, extensions))
    row.reserved = uidnext if not any(one.uid >= row.uidnext for one in entries.values()) else 0
    row.listed = row.uidnext - 1
    lane.save(folder)


def _clean_tmp(lane: Lane, number: int, _: Sequence[str]) -> None:
    with mail_errors():
        clean_tmp(lane.own_files(lane.folder(number)).tmp)


def _remove_orphans(lane: Lane) -> None:
    known = {row.id for row in all_folders(lane.db)}
    for table in _TABLES:
        for (number,) in lane.db.execute(f"SELECT DISTINCT folder FROM {table}").fetchall():
            if number not in known:
                lane.db.execute(f"DELETE FROM {table} WHERE folder=?", (number,))


def _count_anew(lane: Lane) -> None:
    recount(lane.db)


_JOBS: Mapping[Remedy, Callable[[Lane, int, Sequence[str]], None]] = MappingProxyType(
    {
        Remedy.ROWS: _mend_rows,
        Remedy.PUT_BACK: _put_back,
        Remedy.RELIST: _relist,
        Remedy.NAMES: _say_again,
        Remedy.UID_LIST: _rewrite_list,
        Remedy.LEFTOVERS: _clean_tmp,
    }
)
"""In the order in which they are done: what is listed afterwards finds the rows in order."""
