"""UIDs of one folder as other servers keep them: `dovecot-uidlist`, version 3 written, versions 1 and 3 read.

The first line is `3 V<uidvalidity> N<next uid> G<guid>`, every other one `<uid> <extensions> :<base>`, UIDs
ascending. Lines are appended; the next UID is the larger of the header's and the last line's plus one.
All writers hold `locked(UIDLIST_FILE, dir_fd)` of `dotlock`, which is Dovecot's own lock.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from mailpost.storage.failpoints import passed
from mailpost.storage.maildir.filename import base_of
from mailpost.storage.maildir.files import FileStamp, file_stamp, read_file, replace_file, write_all

UIDLIST_FILE = "dovecot-uidlist"
LARGEST_UID = 0xFFFF_FFFF
_LONGEST_HEADER = 4096

_LINE = re.compile(r"^([1-9][0-9]{0,9}) ([^:\n]*):([^:\n]+)", re.MULTILINE)
_LINE_1 = re.compile(r"^([1-9][0-9]{0,9})() ([^:\n]+)", re.MULTILINE)
_HEADER_1 = re.compile(r"1 ([0-9]{1,10}) ([0-9]{1,10})\s*\Z")


class UidEntry(NamedTuple):
    """One message of the list."""

    uid: int
    extensions: str = ""
    """The fields between UID and name as they stand, such as "W1234 P00a1"."""

    @property
    def uidl(self) -> str:
        """The `P` field: the UIDL that POP3 clients were told; "" where there is none."""
        return next((each[1:] for each in self.extensions.split(" ") if each.startswith("P")), "")


@dataclass(frozen=True, slots=True)
class UidList:
    """What one `dovecot-uidlist` says."""

    uidvalidity: int
    uidnext: int
    """No UID from here on has ever been given out."""
    guid: str = ""
    """32 hexadecimal digits that name the folder; "" where the file has none."""
    entries: dict[str, UidEntry] = field(default_factory=dict)
    """base name -> its entry, in ascending order of UIDs."""
    extensions: str = ""
    """Further header fields, kept as they stand."""
    stamp: FileStamp | None = None
    """The file that was read or written; None for a list that is in no file yet."""
    appendable: bool = False
    """True when lines may be put behind the file as it is: version 3, whole, in order."""


def new_guid() -> str:
    """A GUID for a folder that has none."""
    return secrets.token_hex(16)


def uidlist_stamp(dir_fd: int) -> FileStamp | None:
    """The stamp of the folder's list now; compare with `UidList.stamp` to see whether another server wrote."""
    return file_stamp(UIDLIST_FILE, dir_fd)


def is_listed(dir_fd: int) -> bool:
    """Whether the folder has a list whose first line makes sense; quicker than `read_uidlist`."""
    try:
        fd = os.open(UIDLIST_FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ELOOP}:
            return False
        raise
    try:
        line, end, _ = os.fsdecode(os.read(fd, _LONGEST_HEADER)).partition("\n")
    finally:
        os.close(fd)
    return bool(end) and _parse_header(line) is not None


def read_uidlist(dir_fd: int) -> UidList | None:
    """The folder's list; None when there is none or its first line makes no sense."""
    found = read_file(UIDLIST_FILE, dir_fd)
    return None if found is None else parse_uidlist(*found)


def parse_uidlist(data: bytes, stamp: FileStamp | None = None) -> UidList | None:
    """The list in these octets; None when the first line makes no sense.

    A line that makes no sense, or whose UID is not above all before it, is passed over, and the last one if its end
    is missing; then the list is not `appendable` and should be written anew.
    """
    whole = data[: data.rfind(b"\n") + 1]
    header, _, lines = os.fsdecode(whole).partition("\n")
    parsed = _parse_header(header)
    if parsed is None:
        return None
    version, head = parsed
    rows = (_LINE if version == 3 else _LINE_1).findall(lines)
    entries: dict[str, UidEntry] = {}
    last = 0
    make = partial(tuple.__new__, UidEntry)  # of a large folder there are many: twice as fast as a call of the class
    for uid_text, extensions, base in rows:
        uid = int(uid_text)
        if last < uid <= LARGEST_UID and base not in entries:
            entries[base] = make((uid, extensions.rstrip(" ")))
            last = uid
    sound = version == 3 and len(whole) == len(data) and len(entries) == len(rows) == lines.count("\n")
    return replace(head, uidnext=max(head.uidnext, last + 1), entries=entries, stamp=stamp, appendable=sound)


def _parse_header(line: str) -> tuple[int, UidList] | None:
    old = _HEADER_1.match(line)
    if old is not None:
        values = int(old[1]), int(old[2])
        return (1, UidList(*values)) if _sound(*values) else None
    version, *fields = line.split(" ")
    if version != "3":
        return None
    known: dict[str, str] = {}
    others = []
    for item in fields:
        if item[:1] in {"V", "N", "G"} and item[0] not in known:
            known[item[0]] = item[1:].strip()
        elif item:
            others.append(item)
    uidvalidity, uidnext = known.get("V", ""), known.get("N", "")
    if not (uidvalidity.isdecimal() and uidnext.isdecimal() and _sound(int(uidvalidity), int(uidnext))):
        return None
    return 3, UidList(int(uidvalidity), int(uidnext), known.get("G", ""), extensions=" ".join(others))


def _sound(uidvalidity: int, uidnext: int) -> bool:
    return 0 < uidvalidity <= LARGEST_UID and 0 < uidnext <= LARGEST_UID + 1


def format_uidlist(uidlist: UidList) -> bytes:
    """The whole file, entries in ascending order of UIDs."""
    guid = f" G{uidlist.guid}" if uidlist.guid else ""
    extensions = f" {uidlist.extensions}" if uidlist.extensions else ""
    header = f"3 V{uidlist.uidvalidity} N{uidlist.uidnext}{guid}{extensions}\n"
    ordered = sorted((entry.uid, entry.extensions, base) for base, entry in uidlist.entries.items())
    return os.fsencode(header + _format_lines(ordered))


def _format_lines(ordered: Iterable[tuple[int, str, str]]) -> str:
    return "".join(
        [f"{uid} {extensions} :{base}\n" if extensions else f"{uid} :{base}\n" for uid, extensions, base in ordered]
    )


def write_uidlist(dir_fd: int, uidlist: UidList) -> UidList:
    """Replace the folder's list, durable; the caller holds the lock. Returns the list with its new stamp."""
    stamp = replace_file(UIDLIST_FILE, format_uidlist(uidlist), dir_fd, temporary="dovecot-uidlist.tmp")
    return replace(uidlist, stamp=stamp, appendable=True)


def flush_uidlist(dir_fd: int) -> None:
    """Make the lines that were put behind the list durable."""
    with suppress(FileNotFoundError):
        fd = os.open(UIDLIST_FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=dir_fd)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def append_uids(dir_fd: int, uidlist: UidList, added: Iterable[tuple[str, UidEntry]]) -> UidList | None:
    """Put lines behind the list without rewriting it, not fsynced; the caller holds the lock.

    Args:
        dir_fd: the folder.
        uidlist: the list as it was last read or written here.
        added: (base or file name, entry), ascending UIDs above all that are in the list.

    Returns:
        The list with the new entries (the same dict, grown) and the new stamp; None, with nothing written, when the
        file is no longer the one that `uidlist` says or cannot be appended to: then read it and write it anew.
    """
    fresh = [(entry.uid, entry.extensions, base_of(name)) for name, entry in added]
    if not uidlist.appendable or uidlist.stamp is None:
        return None
    if not fresh:
        return uidlist
    try:
        fd = os.open(UIDLIST_FILE, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=dir_fd)
    except FileNotFoundError:
        return None
    try:
        if FileStamp.of(os.fstat(fd)) != uidlist.stamp:
            return None
        data = os.fsencode(_format_lines(fresh))
        try:
            write_all(fd, data)
            passed("uidlist.appended")
        except OSError:
            os.ftruncate(fd, uidlist.stamp.size)
            raise
        stamp = FileStamp.of(os.fstat(fd))
    finally:
        os.close(fd)
    entries = uidlist.entries
    entries.update((base, UidEntry(uid, extensions)) for uid, extensions, base in fresh)
    return replace(uidlist, uidnext=max(uidlist.uidnext, fresh[-1][0] + 1), stamp=stamp)
