"""Folders of an account: finding, making, removing and renaming them, and what a crash left. Jobs of the lane."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.foldertree import INBOX, LONGEST_NAME, above, canonical_name, known_name
from mailpost.storage.index import changes, messages
from mailpost.storage.index import folders as rows
from mailpost.storage.index.messages import MOST_KEYWORDS
from mailpost.storage.index.state import set_meta
from mailpost.storage.maildir import courier
from mailpost.storage.maildir.delivery import clean_tmp
from mailpost.storage.maildir.directories import (
    FolderDirectory,
    create_folder,
    remove_folder,
    remove_leavings,
    rename_folders,
)
from mailpost.storage.maildir.files import file_stamp, mail_errors
from mailpost.storage.maildir.keywords import KEYWORDS_FILE
from mailpost.storage.maildir.lane import Lane
from mailpost.storage.maildir.quota import measure
from mailpost.storage.maildir.scan import scan
from mailpost.storage.maildir.subscriptions import (
    SUBSCRIPTIONS_FILE,
    change_subscriptions,
)
from mailpost.storage.maildir.uidlist import UIDLIST_FILE, UidList, format_uidlist, new_guid, read_uidlist
from mailpost.storage.maildir.writing import APPENDING, COPYING, undo
from mailpost.storage.records import SpecialUse

RENAMING = "rename"
_MOST_EXPUNGES = 10_000
"""Spans of expunged UIDs that a folder remembers for clients that come back."""

_USUAL_NAMES = {
    "archive": SpecialUse.ARCHIVE,
    "drafts": SpecialUse.DRAFTS,
    "junk": SpecialUse.JUNK,
    "sent": SpecialUse.SENT,
    "spam": SpecialUse.JUNK,
    "trash": SpecialUse.TRASH,
}


def sync_tree(lane: Lane) -> None:
    """Bring the state in line with the directories there are, and tell the listener."""
    for intent in changes.intents(lane.db):
        if intent.operation == RENAMING:  # whoever began it has died, or finds it done
            with suppress(MailError):  # another program has taken one of the names meanwhile
                finish_rename(lane, intent.id, [(old, new) for old, new in intent.detail])
            changes.end_intent(lane.db, intent.id)
    found = lane.on_disk()
    on_disk = {each.directory: each.name for each in found}
    hidden = tuple(f"{each.directory}/" for each in found if each.shut)  # may still be there
    known = {row.directory: row for row in rows.all_folders(lane.db)}
    for directory, row in known.items():
        if directory not in on_disk and not directory.startswith(hidden):
            _forget(lane, row.id)
            remove_leavings(lane.root_fd, directory)
    uses = {row.special_use for row in known.values()}
    for directory, name in on_disk.items():
        if directory not in known:
            use = _USUAL_NAMES.get(name.lower())
            value = use.value if use is not None and use.value not in uses else None
            uses.add(value)
            _register(lane, directory, value)
        elif known[directory].id in lane.watched:
            _meet(lane, known[directory])
    lane.tell_tree()
    lane.tell_subscriptions()


def _meet(lane: Lane, row: rows.FolderRow) -> None:
    """If others have put another directory in the place of an open folder, have it looked at, and watched.

    No watch tells of that: as long as we hold a directory open it counts as not deleted.
    """
    with suppress(MailError):  # it has just gone: the next look tells
        lane.files_of(row)
        lane.files(row.id, row.directory)
    if row.id in lane.replaced:
        lane.news(lane.listener.behind, row.id)


def _register(lane: Lane, directory: str, special_use: str | None) -> rows.FolderRow:
    """A row for a folder that is on the disk, with the UIDVALIDITY that another server gave it, if any.

    What Courier knows of a folder is read only here, so its messages get their rows at once.
    """
    now = time.time()
    row = rows.add_folder(
        lane.db, directory, uidvalidity=0, modseq=changes.next_modseq(0, now), special_use=special_use
    )
    known = couriers = None
    try:
        held = lane.files_of(row)
        fd = held.directory
        known, couriers = read_uidlist(fd), courier.read_uids(fd)
    except (MailError, OSError):
        pass  # it cannot be opened: whoever does so is told
    first = known or couriers
    row.uidvalidity = first.uidvalidity if first is not None else rows.new_uidvalidity(lane.db, int(now))
    row.listed = known.uidnext - 1 if known is not None else 0
    rows.note_uidvalidity(lane.db, row.uidvalidity)
    rows.save_folder(lane.db, row)
    lane.folder(row.id).uidlist = known  # a large one takes long to be read
    if couriers is not None and couriers.uidvalidity == row.uidvalidity:
        _take_over(lane, row.id, couriers if known is None else known)
    lane.news(lane.listener.begun, row.id)
    return row


def _take_over(lane: Lane, number: int, uids: UidList) -> None:
    """Give the messages of a folder that Courier served their UIDs and keywords.

    Dovecot's table of keywords, where there is one, says that this was done before, by whomever.
    """
    folder = lane.folder(number)
    held = lane.own_files(folder)
    fd = held.directory
    with mail_errors():
        if file_stamp(KEYWORDS_FILE, fd) is not None:
            return
        keywords = courier.read_keywords(fd, MOST_KEYWORDS)
    folder.uidlist = uids
    scan(lane, folder, keywords)


def _forget(lane: Lane, number: int) -> None:
    rows.remove_folder(lane.db, number)
    lane.watched.discard(number)
    lane.forget(number)
    lane.news(lane.listener.vanished, number)


def _existing(lane: Lane) -> dict[str, FolderDirectory]:
    return {found.name: found for found in lane.on_disk()}


def create(lane: Lane, name: str, special_use: SpecialUse | None) -> None:
    """Make a folder and those above it."""
    separator = lane.layout.separator
    name = canonical_name(name, separator)
    existing = _existing(lane)
    if name in existing:
        raise MailError(ErrorKind.FOLDER_EXISTS, "There is a folder of this name already")
    directory = lane.layout.directory(name)
    for higher in above(name, separator):
        if higher not in existing:
            _make(lane, lane.layout.directory(higher), None)
    _make(lane, directory, special_use.value if special_use is not None else None)
    lane.batches.durable()
    lane.tell_tree()


def _make(lane: Lane, directory: str, special_use: str | None) -> None:
    """Make a folder that has its UIDVALIDITY from the first moment, so that no other server gives it one."""
    uids = UidList(rows.new_uidvalidity(lane.db, int(time.time())), 1, new_guid())
    create_folder(lane.root_fd, lane.layout, directory, {UIDLIST_FILE: format_uidlist(uids)})
    for row in rows.all_folders(lane.db):
        if row.directory == directory:
            _forget(lane, row.id)  # one that another program has removed
    _register(lane, directory, special_use)


def delete(lane: Lane, name: str) -> None:
    """Remove a folder, not those below it."""
    separator = lane.layout.separator
    name = known_name(name, separator)
    existing = _existing(lane)
    if name not in existing:
        if any(other.startswith(name + separator) for other in existing):
            raise MailError(ErrorKind.HAS_CHILDREN, "This name is kept by the folders below it")
        raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such folder")
    directory = existing[name].directory
    remove_folder(lane.root_fd, lane.layout, directory)
    for row in rows.all_folders(lane.db):
        if row.directory == directory:
            _forget(lane, row.id)
    lane.batches.durable()
    lane.tell_tree()


def forget_removed(lane: Lane) -> bool:
    """Free the rows of folders that were removed: some of them a call; False when nothing is left."""
    return rows.forget_removed(lane.db)


def rename(lane: Lane, old: str, new: str) -> None:
    """Rename a folder and all below it, wholly or not at all."""
    separator = lane.layout.separator
    old, new = known_name(old, separator), canonical_name(new, separator)
    existing = _existing(lane)
    if old not in existing and not any(name.startswith(old + separator) for name in existing):
        raise MailError(ErrorKind.NO_SUCH_FOLDER, "There is no such folder")
    others = [name for name in existing if not _inside(name, old, separator)]
    if new in existing or any(name.startswith(new + separator) for name in others):
        raise MailError(ErrorKind.FOLDER_EXISTS, "There is a folder of this name already")
    if _inside(new, old, separator):
        raise MailError(ErrorKind.CANNOT, "A folder cannot be moved below itself")
    directory = existing[old].directory if old in existing else lane.layout.directory(old)
    directories = [found.directory for found in existing.values()]
    moves = lane.layout.moves(directories, directory, lane.layout.directory(new))
    for _, wanted in moves:
        shown = lane.layout.name(wanted) or lane.layout.lenient_name(wanted)
        if shown is None or len(shown) > LONGEST_NAME:
            raise MailError(ErrorKind.BAD_FOLDER_NAME, "This cannot be the name of a folder")
    for higher in above(new, separator):
        if higher not in existing and not _inside(higher, old, separator):
            _make(lane, lane.layout.directory(higher), None)
    intent = changes.begin_intent(lane.db, RENAMING, moves)
    lane.batches.divide()
    lane.batches.undo(partial(changes.end_intent, lane.db, intent))
    finish_rename(lane, intent, moves)


def _inside(name: str, folder: str, separator: str) -> bool:
    return name == folder or name.startswith(folder + separator)


def finish_rename(lane: Lane, intent: int, moves: list[tuple[str, str]]) -> None:
    """Rename directories and rows. Asked again after a crash, it finishes what was begun."""
    rename_folders(lane.root_fd, lane.layout, moves)
    numbers = {row.directory: row.id for row in rows.all_folders(lane.db)}
    for old, new in moves:
        if old in numbers:
            rows.move_folder(lane.db, numbers[old], new)
            lane.renamed(numbers[old])
    changes.end_intent(lane.db, intent)
    lane.batches.durable()
    lane.tell_tree()


def subscribe(lane: Lane, name: str, subscribed: bool) -> None:
    """Put a name on the list of subscriptions or take it off."""
    name = known_name(name, lane.layout.separator)
    change_subscriptions(
        lane.root_fd,
        lane.layout,
        added=[name] if subscribed else [],
        removed=[] if subscribed else [name],
        existing=_existing(lane).keys(),
    )
    # Something is to be committed, so that other processes hear of it.
    set_meta(lane.db, SUBSCRIPTIONS_FILE, str(file_stamp(SUBSCRIPTIONS_FILE, lane.root_fd)))
    lane.tell_subscriptions()


def _take_over_subscriptions(lane: Lane) -> None:
    """Where there is no list of subscriptions, Courier's becomes it."""
    if file_stamp(SUBSCRIPTIONS_FILE, lane.root_fd) is None:
        existing = _existing(lane)
        directories = {found.directory: found.name for found in existing.values()}
        couriers = courier.read_subscriptions(lane.root_fd, lane.layout, directories)
        if couriers:
            change_subscriptions(lane.root_fd, lane.layout, added=couriers, existing=existing.keys())


def nothing(lane: Lane) -> None:
    """A job that waits for those before it."""


def open_account(
    lane: Lane, defaults: Mapping[str, SpecialUse | None] | None, continues: bool, is_clean: bool
) -> list[int]:
    """The first job: finish or undo what was interrupted, find the folders; make those that a new account gets.

    Args:
        lane: the account.
        defaults: what a new account gets; None for one that is not new.
        continues: whether the state is known to be the last one. One that may be an older copy is compared with the UID
            lists.
        is_clean: whether it was closed well the last time. After a crash all is listed again, since two changes may
            have left a directory with one mtime, and files that nobody finishes are removed.

    Returns:
        Numbers of folders in which something was left to be written behind.
    """
    if not continues:
        rows.doubt_uidlists(lane.db)
    for intent in changes.intents(lane.db):
        if intent.operation in {APPENDING, COPYING}:
            undo(lane, intent.detail["folder"], intent.detail["bases"])
            changes.end_intent(lane.db, intent.id)
    sync_tree(lane)
    measure(lane)
    changes.forget_old_expunges(lane.db, _MOST_EXPUNGES)
    if not is_clean:
        rows.list_again(lane.db)
        _clean(lane)
    if defaults is not None:
        existing = _existing(lane)
        for name, use in defaults.items():
            if name not in existing:  # another process may open the new account at the same time
                create(lane, name, use)
        change_subscriptions(lane.root_fd, lane.layout, added=[INBOX, *defaults], existing=list(defaults))
    _take_over_subscriptions(lane)
    lane.tell_subscriptions()
    left = {folder for (folder,) in lane.db.execute("SELECT DISTINCT folder FROM dead")}
    return sorted(left.union(messages.folders_unwritten(lane.db), rows.unlisted(lane.db)))


def _clean(lane: Lane) -> None:
    """Remove what was being written when a process died."""
    for row in rows.all_folders(lane.db):
        with suppress(MailError):  # a folder that cannot be opened keeps what it has
            held = lane.files_of(row)
            clean_tmp(held.tmp)
