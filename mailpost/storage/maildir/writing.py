"""Appending, copying, flagging and expunging. Jobs of the lane.

What takes several files is announced by an intent in a commit of its own before the first file shows, and the intent
ends in the commit that gives the files their UIDs; `recover` undoes what a crash left.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import FlagChange, Flags
from mailpost.storage.failpoints import passed
from mailpost.storage.index import changes, messages
from mailpost.storage.index.messages import MessageRow, Source, Spans
from mailpost.storage.maildir.delivery import Spool, TmpFile, copied_base, copy_messages, write_message
from mailpost.storage.maildir.filename import INFO, base_of
from mailpost.storage.maildir.files import names_in
from mailpost.storage.maildir.lane import HeldFiles, Lane, LaneFolder
from mailpost.storage.maildir.numbering import assign
from mailpost.storage.maildir.quota import require_room
from mailpost.storage.maildir.scan import numbering
from mailpost.storage.records import NO_LIMIT, Appended, Copied, QuotaLimit, Stored

MOST_AT_ONCE = 500
"""Messages that one job expunges, so that others who want the lane have their turn."""
_FEW = 32
"""Files that are removed before the answer; more are removed behind it."""
APPENDING = "append"
COPYING = "copy"


@dataclass(slots=True)
class Incoming:
    """A message that is to be appended; its file once it has one."""

    octets: bytes | Spool
    flags: Flags
    internaldate: int
    file: TmpFile | None = None

    @property
    def size(self) -> int:
        """Octets as they came in; stored, they may be a little less."""
        return len(self.octets) if isinstance(self.octets, bytes) else self.octets.size

    def abort(self) -> None:
        """Leave no file behind; harmless when it has become a message."""
        if self.file is not None:
            self.file.abort()


def append(
    lane: Lane,
    number: int,
    incoming: Sequence[Incoming],
    origin: object,
    limit: QuotaLimit = NO_LIMIT,
    *,
    replaced: tuple[int, int] | None = None,
) -> Appended:
    """Make messages of these, all or none, durable, and remove another (its folder and UID) in the same step.

    Raises OVER_QUOTA where they do not fit, EXPUNGED where what was to be replaced is gone.
    """
    for one in incoming:
        lane.batches.undo(one.abort)
    old = _replaced(lane, replaced)
    freed = old.octets or 0 if old is not None else 0
    require_room(lane, limit, sum(one.size for one in incoming) - freed, len(incoming) - (old is not None))
    folder = lane.folder(number)
    files = lane.own_files(folder)
    intent = None
    if len(incoming) > 1 or old is not None or _unsaid(lane, folder, [one.flags for one in incoming]):
        intent = _announce(lane, APPENDING, number, [_write(files, one).base for one in incoming])
        for one in incoming:
            lane.batches.undo(one.abort)
    written = [one.file or _write(files, one) for one in incoming]
    folder = lane.folder(number)
    said: list[tuple[str, str]] = []
    with numbering(lane, folder):
        old = _replaced(lane, replaced)
        letters = lane.letters(folder)
        with lane.own_change(folder) as files:
            lane.batches.durable(files.cur, files)
            for file, one in zip(written, incoming, strict=True):
                wanted = letters.letters(one.flags)
                lane.expect(folder, came=[file.base + INFO + wanted])
                name = file.publish(files, wanted)
                lane.batches.undo(partial(_unlink, files, [name]))
                said.append((name, wanted))
        uids = assign(lane, folder, [name for name, _ in said])
    rows = []
    for uid, one, file, (name, wanted) in zip(uids, incoming, written, said, strict=True):
        mask, known = folder.bits.bits(lane.db, one.flags), folder.bits.known(letters.flags(wanted))
        rows.append(MessageRow(uid, mask, known, one.internaldate, name, file.stored))
    if intent is not None:
        changes.end_intent(lane.db, intent)
    modseq = lane.modseq(folder)
    messages.insert(lane.db, number, rows, modseq, int(time.time()))
    lane.save(folder)
    flags = [folder.bits.flags(row.flags) for row in rows]
    lane.news(lane.listener.arrived, number, uids, flags, modseq, origin)
    if old is not None and replaced is not None:
        _take_out(lane, lane.folder(replaced[0]), [(old.uid, old.name)], origin)
    return Appended(folder.row.uidvalidity, uids)


def _replaced(lane: Lane, replaced: tuple[int, int] | None) -> Source | None:
    """The message that is to go, as it is now."""
    if replaced is None:
        return None
    number, uid = replaced
    found = messages.sources(lane.db, number, [(uid, uid)])
    if not found:
        raise MailError(ErrorKind.EXPUNGED, "The message that was to be replaced no longer exists")
    return found[0]


def _unsaid(lane: Lane, folder: LaneFolder, flags: Iterable[Flags]) -> bool:
    """Whether the name of one file would not say all: then a single message is not whole by itself after a crash."""
    letters = lane.letters(folder)
    return any(letters.unlettered(each) for each in flags)


def _announce(lane: Lane, operation: str, number: int, bases: Sequence[str]) -> int:
    """Commit the intent to make these files: its number, for `end_intent` when they have their UIDs."""
    while True:
        intent = changes.begin_intent(lane.db, operation, {"folder": number, "bases": bases})
        lane.batches.divide()
        if changes.is_pending(lane.db, intent):  # not so when another process opened the account in between
            lane.batches.undo(partial(changes.end_intent, lane.db, intent))
            return intent


def _write(files: HeldFiles, one: Incoming) -> TmpFile:
    """The message as a flushed file in tmp."""
    if isinstance(one.octets, Spool):
        one.file = one.octets.finish()
        one.file.date(one.internaldate)
    else:
        one.file = write_message(files.tmp, one.octets, one.internaldate)
    one.file.sync()
    return one.file


def _unlink(files: HeldFiles, names: Iterable[str]) -> list[str]:
    """Remove files: the names of those that were there."""
    removed = []
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=files.cur)
            passed("message.removed")
            removed.append(name)
    return removed


def copy(
    lane: Lane, number: int, to: int, spans: Spans, *, move: bool, origin: object, limit: QuotaLimit = NO_LIMIT
) -> Copied:
    """Link the messages into the target, give them UIDs there, and take them out of the source if they move.

    Raises OVER_QUOTA where copies do not fit; what moves takes no more than before.
    """
    found = messages.sources(lane.db, number, spans)
    if not move:
        require_room(lane, limit, sum(one.octets or 0 for one in found), len(found))
    bases = {one.uid: copied_base(one.name) for one in found}
    intent = None
    source, target = lane.folder(number), lane.folder(to)
    if len(bases) > 1 or (move and bases) or _unsaid(lane, target, [source.bits.flags(one.flags) for one in found]):
        intent = _announce(lane, COPYING, to, list(bases.values()))
        found = [one for one in messages.sources(lane.db, number, spans) if one.uid in bases]
    source, target = lane.folder(number), lane.folder(to)
    with numbering(lane, target):
        made = _link(lane, source, target, found, bases)
        uids = assign(lane, target, [row.name for _, row in made])
    if intent is not None:
        changes.end_intent(lane.db, intent)
    if not made:
        return Copied(target.row.uidvalidity)
    modseq = lane.modseq(target)
    rows = [row._replace(uid=uid) for (_, row), uid in zip(made, uids, strict=True)]
    messages.insert(lane.db, to, rows, modseq, int(time.time()))
    lane.save(target)
    flags = [target.bits.flags(row.flags) for row in rows]
    lane.news(lane.listener.arrived, to, uids, flags, modseq, origin)
    copied = [one for one, _ in made]
    if move:
        _take_out(lane, source, [(one.uid, one.name) for one in copied], origin)
    return Copied(target.row.uidvalidity, [one.uid for one in copied], uids)


def _link(
    lane: Lane, source: LaneFolder, target: LaneFolder, found: Sequence[Source], bases: dict[int, str]
) -> list[tuple[Source, MessageRow]]:
    """Copy the files: what was copied, with its row in the target but for the UID."""
    letters = lane.letters(target)
    known: dict[int, tuple[int, int, str]] = {}
    for mask in {one.flags for one in found}:
        flags = source.bits.flags(mask)
        said = letters.letters(flags)
        known[mask] = target.bits.bits(lane.db, flags), target.bits.known(letters.flags(said)), said
    wanted = [(one.name, bases[one.uid] + INFO + known[one.flags][2]) for one in found]
    origin = lane.own_files(source)
    lane.expect(target, came=[name for _, name in wanted])
    with lane.own_change(target) as files:
        names = copy_messages(origin, files, wanted)
        lane.batches.durable(files.cur, files)
    lane.batches.undo(partial(_unlink, files, [name for name in names if name is not None]))
    made = []
    for one, name in zip(found, names, strict=True):
        if name is not None:
            mask, file_flags, _ = known[one.flags]
            made.append((one, MessageRow(0, mask, file_flags, one.internaldate, name, one.octets)))
    return made


def store(
    lane: Lane, number: int, spans: Spans, *, change: FlagChange, named: Flags, limit: int | None, origin: object
) -> Stored:
    """Change flags in the state; the file names follow."""
    folder = lane.folder(number)
    removing = change is FlagChange.REMOVE
    bits = folder.bits.known(named) if removing else folder.bits.bits(lane.db, named)
    refused = [] if limit is None else messages.above(lane.db, number, spans, limit)
    modseq = changes.next_modseq(folder.row.highest_modseq, time.time())
    changed = messages.change_flags(lane.db, number, spans, change=change, bits=bits, modseq=modseq, limit=limit)
    if not changed:
        return Stored((), refused)
    folder.row.highest_modseq = modseq
    lane.save(folder)
    flags_of = {mask: folder.bits.flags(mask) for mask in {mask for _, mask in changed}}
    uids = [uid for uid, _ in changed]
    lane.news(lane.listener.flagged, number, uids, [flags_of[mask] for _, mask in changed], modseq, origin)
    return Stored(uids, refused)


def expunge(lane: Lane, number: int, spans: Spans | None, origin: object) -> list[int]:
    """Remove messages with \\Deleted: from the state first, their files once that is committed.

    Returns:
        The UIDs; when they are `MOST_AT_ONCE` there may be more, for another job.
    """
    folder = lane.folder(number)
    doomed = messages.deleted(lane.db, number, spans, MOST_AT_ONCE)
    if doomed:
        _take_out(lane, folder, doomed, origin)
    return [uid for uid, _ in doomed]


def remove(lane: Lane, number: int, spans: Spans, origin: object) -> list[int]:
    """Remove all messages of these spans, in one commit: their UIDs."""
    folder = lane.folder(number)
    doomed = [row for span in spans for row in messages.names(lane.db, number, span)]
    if doomed:
        _take_out(lane, folder, doomed, origin)
    return [uid for uid, _ in doomed]


def _take_out(lane: Lane, folder: LaneFolder, doomed: Sequence[tuple[int, str]], origin: object) -> None:
    uids = [uid for uid, _ in doomed]
    modseq = lane.modseq(folder)
    messages.remove(lane.db, folder.row.id, uids)
    folder.spare = max(folder.spare - len(uids), -1)
    changes.note_expunged(lane.db, folder.row.id, uids, modseq)
    changes.add_dead(lane.db, folder.row.id, [base_of(name) for _, name in doomed])
    lane.save(folder)
    lane.news(lane.listener.expunged, folder.row.id, uids, modseq, origin)
    names = [name for _, name in doomed]
    if len(names) <= _FEW and not folder.doomed:
        lane.batches.afterwards(partial(_remove_files, lane, folder, names))
    else:
        lane.batches.afterwards(partial(folder.doomed.extend, names))


def _remove_files(lane: Lane, folder: LaneFolder, names: list[str]) -> None:
    """After the commit: what cannot be removed now is removed by `bury`, since the state calls it dead."""
    lane.expect(folder, went=names)
    with suppress(OSError, MailError), lane.own_change(folder) as files:
        folder.removed += map(base_of, _unlink(files, names))


def bury(lane: Lane, number: int, seconds: float) -> bool:
    """Remove files of expunged messages for a slice of time; False when they all are gone, and forgotten."""
    folder = lane.folder(number)
    if folder.removed:
        changes.bury(lane.db, number, folder.removed)
        folder.removed = []
    if not folder.doomed and changes.any_dead(lane.db, number):  # expunged before a crash, or renamed since
        dead = changes.dead(lane.db, number)
        left = {base_of(name): name for name in names_in(lane.own_files(folder).cur)}
        folder.doomed = [left[base] for base in dead & left.keys()]
        if not folder.doomed:
            changes.bury(lane.db, number, dead)
    until = time.monotonic() + seconds
    while folder.doomed and time.monotonic() < until:
        some, folder.doomed[-_FEW:] = folder.doomed[-_FEW:], []
        with lane.own_change(folder) as files:
            removed = _unlink(files, some)
        changes.bury(lane.db, number, map(base_of, removed))  # one that has another name stays dead, to be looked for
    lane.save(folder)  # its mtime of cur is that after the removal
    return bool(folder.doomed) or changes.any_dead(lane.db, number)


def undo(lane: Lane, number: int, bases: Sequence[str]) -> None:
    """Remove the files of an append or copy that was interrupted."""
    try:
        files = lane.own_files(lane.folder(number))
    except MailError as error:
        if error.kind is not ErrorKind.NO_SUCH_FOLDER:
            raise
        return  # the folder went with the files
    wanted = set(bases)
    _unlink(files, [name for name in names_in(files.cur) if base_of(name) in wanted])
    passed("intent.undone")
    lane.batches.durable(files.cur, files)
