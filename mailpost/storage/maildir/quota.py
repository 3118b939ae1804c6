"""How much an account holds, and whether more may come in. Jobs of the lane.

RFC: 9208 §5.1 (STORAGE), §5.2 (MESSAGE)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.index import folders, usage
from mailpost.storage.maildir.filename import sizes_of
from mailpost.storage.maildir.files import mail_errors
from mailpost.storage.maildir.folder import FolderFiles
from mailpost.storage.maildir.lane import Lane
from mailpost.storage.records import QuotaLimit

_CHUNK = 500


def require_room(lane: Lane, limit: QuotaLimit, octets: int, messages: int) -> None:
    """Raise OVER_QUOTA unless so many more octets and messages fit in."""
    if limit and not limit.allows(usage.usage(lane.db), octets, messages):
        raise MailError(ErrorKind.OVER_QUOTA, "The account is full: this would exceed its quota")


def octets_of(files: FolderFiles, names: Sequence[str]) -> dict[str, int | None]:
    """The octets of files in cur: as their names tell or, where those do not, by looking; None for one not found."""
    told = {name: sizes_of(name)[0] for name in names}
    silent = [name for name, octets in told.items() if octets is None]
    for name, facts in zip(silent, files.facts(silent), strict=True):
        told[name] = facts.size if facts is not None else None
    return told


def measure(lane: Lane) -> None:
    """Find out how many octets the files have of which no release before took note.

    A file that cannot be found, or lies in a folder that cannot be opened, counts as empty until its row goes.
    """
    while some := usage.unmeasured(lane.db, _CHUNK):
        for number, group in groupby(some, lambda row: row[0]):
            uids = {name: uid for _, uid, name in group}
            row, found = folders.folder_row(lane.db, number), dict[str, int | None]()
            try:
                if row is not None:
                    with mail_errors():
                        found = octets_of(lane.files_of(row), list(uids))
            except MailError:
                pass  # whoever opens the folder is told
            usage.set_octets(lane.db, [(number, uid, found.get(name) or 0) for name, uid in uids.items()])
