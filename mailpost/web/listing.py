"""A folder's messages as rows of a list, newest first, a window of them at a time."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from mailpost.mail import headers
from mailpost.mail.address import addresses
from mailpost.mail.encodings import decode_header
from mailpost.mail.errors import IncompleteError
from mailpost.mail.flags import ANSWERED, FLAGGED, SEEN
from mailpost.mail.searchkeys import And, Text
from mailpost.storage.interfaces import IMailpostMailbox
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute, HeaderFields
from mailpost.web.people import people

MOST_ROWS = 200
"""Rows of one window."""
_REMEMBERED = 16
"""Searches whose result is kept, so that a list can be scrolled."""
_LONGEST_SUBJECT = 300
_FIELDS = HeaderFields((b"content-type", b"from", b"subject", b"to"))
_QUOTED = re.compile(rb'\\(["\\])')
_WORDS = re.compile(r'"([^"]+)"?|([^\s"]+)')

Json = dict[str, Any]


class Searches:
    """The latest searches and what they found."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[object, ...], Sequence[int]] = OrderedDict()

    async def uids(self, user: str, box: IMailpostMailbox, query: str) -> Sequence[int]:
        """UIDs of the messages that hold all words of a query, ascending; those of all messages if it is empty.

        What is between quotation marks is one word. Messages that cannot be read are passed over.
        """
        words = tuple(quoted or word for quoted, word in _WORDS.findall(query))
        live = box.live
        if not words:
            return list(live.uids)
        key = user, live.mailbox_id, live.uidvalidity, live.highest_modseq, words
        if key in self._found:
            self._found.move_to_end(key)
        else:
            try:
                found = await settled(box.search(And(tuple(map(Text, words)))))
            except IncompleteError as error:
                found = error.found
            self._found[key] = found
            while len(self._found) > _REMEMBERED:
                self._found.popitem(last=False)
        return self._found[key]


async def window(box: IMailpostMailbox, uids: Sequence[int], start: int, count: int, places_of: Sequence[int]) -> Json:
    """Some rows of a list.

    Args:
        box: the folder.
        uids: all that the list holds, ascending.
        start: how many newer ones are before the first row.
        count: rows, up to `MOST_ROWS`.
        places_of: UIDs whose places are asked for.

    Returns:
        `total`, `unseen`, `start`, `rows`; `mailbox` says which folder it is, should one of this name be made again;
        `places`: UID -> how many newer ones are before it, -1 where it is not in the list.
    """
    end = len(uids) - max(0, start)
    wanted = uids[max(0, end - min(max(0, count), MOST_ROWS)) : max(0, end)]
    rows: dict[int, Json] = {}
    async for batch in box.fetch(wanted, (_FIELDS, Attribute.SIZE, Attribute.INTERNALDATE, Attribute.PREVIEW)):
        for uid, header, size, arrived, preview in batch:
            rows[uid] = _row(header) | {"uid": uid, "size": size, "arrived": arrived, "preview": unwired(preview)}
    live = box.live
    for uid, row in rows.items():
        at = live.position(uid)
        flags = live.flags[at] if at >= 0 else frozenset()
        row |= {"seen": SEEN in flags, "flagged": FLAGGED in flags, "answered": ANSWERED in flags}
    return {
        "total": len(uids),
        "unseen": live.unseen,
        "start": start,
        # One that has gone meanwhile keeps its place: the list hears of it in a moment.
        "rows": [rows.get(uid, {"uid": uid, "gone": True}) for uid in reversed(wanted)],
        "mailbox": f"{live.mailbox_id}.{live.uidvalidity}",
        "places": {uid: _place(uids, uid) for uid in places_of},
    }


def _place(uids: Sequence[int], uid: int) -> int:
    at = bisect_left(uids, uid)
    return len(uids) - 1 - at if at < len(uids) and uids[at] == uid else -1


def _row(header: bytes) -> Json:
    found: dict[bytes, bytes] = {}
    for name, value in headers.values(header):
        found.setdefault(name, headers.unfolded(value))
    kind = found.get(b"content-type", b"").lower()
    return {
        "subject": decode_header(found.get(b"subject", b"")).strip()[:_LONGEST_SUBJECT],
        "from": people(addresses(found.get(b"from", b""))[:3]),
        "to": people(addresses(found.get(b"to", b""))[:3]),
        "attached": kind.startswith((b"multipart/mixed", b"multipart/report")),
    }


def unwired(string: bytes) -> str:
    """The text of a string that is ready for the wire of IMAP: quoted, a literal, or NIL. RFC: 3501 §4.3"""
    if string.startswith(b'"'):
        return _QUOTED.sub(rb"\1", string[1:-1]).decode("utf-8", "replace")
    if string.startswith((b"{", b"~{")):
        return string.partition(b"\n")[2].decode("utf-8", "replace")
    return ""
