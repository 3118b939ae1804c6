"""Counts of a folder that is not open, and the sum of its sizes."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from mailpost.mail.flags import SEEN
from mailpost.mail.summary import Summary
from mailpost.storage.index import cache, messages, usage
from mailpost.storage.maildir.filename import sizes_of
from mailpost.storage.maildir.lane import FolderInfo, Lane
from mailpost.storage.maildir.reading import Reading, Refused
from mailpost.storage.records import Status

_MOST_READ = 1000
"""So many messages of unknown size are read for the sum; of more, those that name their size are believed."""


def count(lane: Lane, number: int) -> Status:
    """All but the size. A job of the lane."""
    folder = lane.folder(number)
    row = folder.row
    total, recent, unseen, deleted = messages.counts(lane.db, number, folder.bits.known([SEEN]), row.first_recent)
    return Status(
        messages=total,
        recent=recent,
        unseen=unseen,
        deleted=deleted,
        size=0,
        deleted_size=usage.deleted_octets(lane.db, number) if deleted else 0,
        uidnext=row.uidnext,
        uidvalidity=row.uidvalidity,
        highest_modseq=row.highest_modseq,
        mailbox_id=row.mailbox_id,
    )


def with_size(status: Status, size: int) -> Status:
    """The counts with the size."""
    return replace(status, size=size)


def total_size(reading: Reading, folder: FolderInfo) -> Generator[None, None, tuple[int, list[tuple[int, Summary]]]]:
    """The sum of RFC822.SIZE, and what was summarised for it. For a reader lane.

    RFC: 8438 §4: the sum may be above the true one, so that a name that tells the size is good enough where reading
    all messages would take long (the background puts that right), or where a message cannot be read.
    """
    with reading.cached.reading() as db:
        known, total = cache.total_size(db, cache.folder_number(db, folder.cache_key))
    with reading.state.reading() as db:
        if known == messages.census(db, folder.number):  # the cache may lag: others gone, others come
            return total, []
    yield
    with reading.state.reading() as db:
        names = dict(messages.names(db, folder.number))
    with reading.cached.reading() as db:
        sizes = cache.values(db, cache.folder_number(db, folder.cache_key), "facts", "size", (1, 0xFFFF_FFFF))
    lacking = [uid for uid in names if uid not in sizes]
    total = sum(size for uid, size in sizes.items() if uid in names and isinstance(size, int))
    if len(lacking) > _MOST_READ:
        told = {uid: max(size or 0 for size in sizes_of(names[uid])) for uid in lacking}
        total += sum(told.values())
        lacking = [uid for uid, size in told.items() if not size]
    made: list[tuple[int, Summary]] = []
    refused: Refused = {}
    for group in reading.summaries(folder, lacking, refused):
        made += group or ()
        yield
    unread = [names[uid] for uid in refused]
    stored = [facts.size if facts else 0 for facts in reading.facts(folder, unread)]
    total += sum(max(*(told or 0 for told in sizes_of(name)), size) for name, size in zip(unread, stored, strict=True))
    return total + sum(summary.size for _, summary in made), made
