"""Untagged responses and response codes about folders, searches and copies. Lines include their CRLF.

What responses tell is taken as it comes from any store: the protocols here name what is read of it. FETCH lines are
made by whoever answers FETCH, from templates: their strings come from `writer` and `structures`.

RFC: 3501 §7, 9051 §7
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from mailpost.mail.uidset import UidSet
from mailpost.wire.imap.listing import StatusItem
from mailpost.wire.imap.writer import flag_list, mailbox, number_set, string

__all__ = [
    "Appended",
    "Copied",
    "Counts",
    "appenduid",
    "copyuid",
    "esearch_line",
    "flag_list",
    "list_line",
    "namespace_line",
    "search_line",
    "status",
]


class Counts(Protocol):
    """Counts of a folder; see `storage.records.Status`."""

    @property
    def messages(self) -> int:
        """Messages."""

    @property
    def recent(self) -> int:
        """Of them, recent ones."""

    @property
    def unseen(self) -> int:
        """Of them, without \\Seen."""

    @property
    def deleted(self) -> int:
        """Of them, with \\Deleted."""

    @property
    def size(self) -> int:
        """Octets of all."""

    @property
    def uidnext(self) -> int:
        """The next UID."""

    @property
    def uidvalidity(self) -> int:
        """UIDVALIDITY."""

    @property
    def deleted_size(self) -> int:
        """Octets of the messages with \\Deleted."""

    @property
    def highest_modseq(self) -> int:
        """The highest mod-sequence."""

    @property
    def mailbox_id(self) -> str:
        """RFC 8474's MAILBOXID."""


class Appended(Protocol):
    """Where messages went; see `storage.records.Appended`."""

    @property
    def uidvalidity(self) -> int:
        """Of the folder."""

    @property
    def uids(self) -> Sequence[int]:
        """Of the messages, ascending."""


class Copied(Protocol):
    """Where copies went; see `storage.records.Copied`."""

    @property
    def uidvalidity(self) -> int:
        """Of the target folder."""

    @property
    def source_uids(self) -> Sequence[int]:
        """Ascending."""

    @property
    def target_uids(self) -> Sequence[int]:
        """Ascending, each the copy of the source at its place."""


_COLUMNS = {
    StatusItem.MESSAGES: "messages",
    StatusItem.RECENT: "recent",
    StatusItem.UIDNEXT: "uidnext",
    StatusItem.UIDVALIDITY: "uidvalidity",
    StatusItem.UNSEEN: "unseen",
    StatusItem.DELETED: "deleted",
    StatusItem.DELETED_STORAGE: "deleted_size",
    StatusItem.SIZE: "size",
    StatusItem.HIGHESTMODSEQ: "highest_modseq",
}


def status(
    name: str, counts: Counts, items: Iterable[StatusItem], *, append_limit: int = 0, utf8: bool = False
) -> bytes:
    """`* STATUS name (MESSAGES 3 ...)`, items in the order asked for.

    RFC: 3501 §7.2.4, 8474 §4.3 (MAILBOXID), 7889 §3.1 (APPENDLIMIT)
    """
    pieces = []
    for item in items:
        if item is StatusItem.MAILBOXID:
            pieces.append(b"MAILBOXID (%b)" % counts.mailbox_id.encode("ascii"))
        elif item is StatusItem.APPENDLIMIT:
            pieces.append(b"APPENDLIMIT %d" % append_limit)
        else:
            pieces.append(b"%b %d" % (item.value, getattr(counts, _COLUMNS[item])))
    return b"* STATUS %b (%b)\r\n" % (mailbox(name, utf8), b" ".join(pieces))


def list_line(
    name: str,
    separator: str,
    attributes: Iterable[bytes],
    *,
    child_info: Sequence[bytes] = (),
    old_name: str | None = None,
    lsub: bool = False,
    utf8: bool = False,
) -> bytes:
    """`* LIST (attributes) "/" name`, or LSUB.

    Args:
        name: decoded; "" where LIST asks for the separator alone.
        separator: one character, or "" for NIL (a flat name).
        attributes: as b"\\\\Noselect".
        child_info: selection options that folders below meet and the patterns do not show. RFC: 5258 §3.5
        old_name: what the folder was called before. RFC: 9051 §6.3.9.7
        lsub: an LSUB response.
        utf8: the name goes in UTF-8.

    RFC: 3501 §7.2.2, §7.2.3, 9051 §7.3.1
    """
    extended = b""
    if child_info:
        extended = b' ("CHILDINFO" (%b))' % b" ".join(b'"%b"' % option for option in child_info)
    if old_name is not None:
        extended = b' ("OLDNAME" (%b))' % mailbox(old_name, utf8)
    return b"* %b (%b) %b %b%b\r\n" % (
        b"LSUB" if lsub else b"LIST",
        b" ".join(attributes),
        _separator(separator),
        mailbox(name, utf8) if name else b'""',
        extended,
    )


def _separator(separator: str) -> bytes:
    return string(separator.encode("ascii")) if separator else b"NIL"


def namespace_line(separator: str) -> bytes:
    """`* NAMESPACE`: all folders are personal, below no prefix. RFC: 2342 §5"""
    return b'* NAMESPACE (("" %b)) NIL NIL\r\n' % _separator(separator)


def vanished_line(uids: Iterable[int] | UidSet, earlier: bool = False) -> bytes:
    """`* VANISHED 3:5,9`: at least one UID, ascending; `earlier` for what went before SELECT. RFC: 7162 §3.2.10"""
    named = str(uids).encode() if isinstance(uids, UidSet) else number_set(uids)
    return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " if earlier else b"", named)


def search_line(numbers: Iterable[int], modseq: int | None = None) -> bytes:
    """`* SEARCH 2 3 6`, with `(MODSEQ n)` where the search was for it. RFC: 3501 §7.2.5, 7162 §3.1.5"""
    found = " ".join(map(str, numbers)).encode("ascii")
    return b"* SEARCH%b%b%b\r\n" % (b" " if found else b"", found, b" (MODSEQ %d)" % modseq if modseq else b"")


def esearch_line(
    tag: bytes,
    *,
    uid: bool = False,
    least: int | None = None,
    greatest: int | None = None,
    count: int | None = None,
    numbers: Iterable[int] | None = None,
    modseq: int | None = None,
    page: tuple[bytes, Iterable[int]] | None = None,
) -> bytes:
    """`* ESEARCH (TAG "a1") UID MIN 2 MAX 9 COUNT 3 ALL 2:3,9 MODSEQ 7`: what is None or nothing is not told.

    Args:
        tag: of the command.
        uid: the numbers are UIDs.
        least: for MIN.
        greatest: for MAX.
        count: for COUNT.
        numbers: for ALL, ascending.
        modseq: highest of what was found, where the search was for MODSEQ.
        page: for PARTIAL, the range that was asked for and the numbers in it, ascending.

    RFC: 4466 §2.6.2, 4731 §3.1, §3.2, 9394 §3.1
    """
    pieces = [b"* ESEARCH (TAG %b)" % string(tag)]
    if uid:
        pieces.append(b"UID")
    for name, number in ((b"MIN", least), (b"MAX", greatest), (b"COUNT", count)):
        if number is not None:
            pieces.append(b"%b %d" % (name, number))
    found = number_set(numbers) if numbers is not None else b""
    if found:
        pieces.append(b"ALL " + found)
    if page is not None:
        pieces.append(b"PARTIAL (%b %b)" % (page[0], number_set(page[1]) or b"NIL"))
    if modseq:
        pieces.append(b"MODSEQ %d" % modseq)
    return b" ".join(pieces) + b"\r\n"


def appenduid(appended: Appended) -> bytes:
    """The code `APPENDUID uidvalidity uids`. RFC: 4315 §3, 9051 §7.1"""
    return b"APPENDUID %d %b" % (appended.uidvalidity, number_set(appended.uids))


def copyuid(copied: Copied) -> bytes:
    """The code `COPYUID uidvalidity source-uids target-uids`; at least one message. RFC: 4315 §3, 9051 §7.1"""
    return b"COPYUID %d %b %b" % (copied.uidvalidity, number_set(copied.source_uids), number_set(copied.target_uids))
