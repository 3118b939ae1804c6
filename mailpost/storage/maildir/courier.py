"""What a Courier server left in a tree: UIDs, keywords, subscriptions; read once, when a folder is first seen.

`courierimapuiddb` is like `dovecot-uidlist` version 1. Keywords are in `courierimapkeywords`: the file `:list` has a
line for each keyword, an empty line, and lines `<base>:<numbers of keywords>`. What changed since lies beside it, one
file a message with a line for each keyword: `<base>` is newer than `.<number>.<base>`, a higher number than a lower.
`courierimapsubscribed` in the root has a line `INBOX.A.B` for each folder. Nothing is ever written to any of them.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping

from mailpost.mail.flags import Flags, intern_flags
from mailpost.mail.foldertree import INBOX
from mailpost.storage.maildir.files import open_directory, read_file
from mailpost.storage.maildir.layout import Layout
from mailpost.storage.maildir.uidlist import UidList, parse_uidlist

UIDS_FILE = "courierimapuiddb"
KEYWORDS_DIRECTORY = "courierimapkeywords"
SUBSCRIPTIONS_FILE = "courierimapsubscribed"
_LIST = ":list"
_NEWEST = 1 << 64
_UPDATE = re.compile(r"\.([0-9]{1,19})\.(.+)", re.DOTALL)
_KEYWORD = re.compile(r"[^\x00-\x20\x7f-\U0010ffff(){%*\"\\\]]+")


def read_uids(dir_fd: int) -> UidList | None:
    """UIDVALIDITY and UIDs of a folder, as a list that is in no `dovecot-uidlist` yet; None where there are none."""
    found = read_file(UIDS_FILE, dir_fd)
    if found is None:
        return None
    header, _, lines = found[0].partition(b"\n")
    # Courier sorts by UID; a line too early in a file that somebody merged would cost its message the UID.
    ordered = sorted((line for line in lines.split(b"\n") if line[:1].isdigit()), key=_leading_number)
    return parse_uidlist(b"\n".join([header, *ordered, b""]))


def _leading_number(line: bytes) -> int:
    digits = line.partition(b" ")[0]
    return int(digits) if digits.isdigit() and len(digits) <= 10 else 0


def read_keywords(dir_fd: int, most: int) -> Mapping[str, Flags]:
    """Keywords of a folder's messages.

    Args:
        dir_fd: the folder.
        most: so many different keywords are taken; what more there are is left out.

    Returns:
        base name -> keywords, of messages that have any.
    """
    try:
        fd = open_directory(KEYWORDS_DIRECTORY, dir_fd)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            return {}
        raise
    try:
        found = _listed(fd)
        found.update(_updates(fd))
    finally:
        os.close(fd)
    known: dict[str, str] = {}
    for names in found.values():
        for name in names:
            if _KEYWORD.fullmatch(name) and len(known) < most:
                known.setdefault(name.lower(), name)
    kept = {base: [known[name.lower()] for name in names if name.lower() in known] for base, names in found.items()}
    return {base: intern_flags(names) for base, names in kept.items() if names}


def _lines(name: str, fd: int) -> list[str]:
    found = read_file(name, fd)
    return [] if found is None else os.fsdecode(found[0]).split("\n")


def _listed(fd: int) -> dict[str, list[str]]:
    lines = _lines(_LIST, fd)
    if "" not in lines:
        return {}
    end = lines.index("")
    table = lines[:end]
    listed = {}
    for line in lines[end + 1 :]:
        base, colon, numbers = line.rpartition(":")
        if colon:
            chosen = [int(number) for number in numbers.split() if number.isdecimal() and len(number) < 10]
            listed[base] = [table[number] for number in chosen if number < len(table)]
    return listed


def _updates(fd: int) -> dict[str, list[str]]:
    newest: dict[str, tuple[int, str]] = {}
    for name in os.listdir(fd):
        numbered = _UPDATE.fullmatch(name)
        if numbered is not None:
            one = (int(numbered[1]), name)
            newest[numbered[2]] = max(newest.get(numbered[2], one), one)
        elif not name.startswith((".", ":")):
            newest[name] = (_NEWEST, name)
    return {base: [line for line in _lines(name, fd) if line] for base, (_, name) in newest.items()}


def read_subscriptions(root_fd: int, layout: Layout, folders: Mapping[str, str]) -> list[str]:
    """Names of the folders that are subscribed, in the order of the file.

    Args:
        root_fd: the account.
        layout: how names are spelt on the disk.
        folders: directory -> name, of those that there are.
    """
    names: list[str] = []
    if layout.nested:
        return names  # Courier knows no such hierarchy: it is not its tree
    for line in _lines(SUBSCRIPTIONS_FILE, root_fd):
        first, dot, rest = line.rstrip("\r").partition(".")
        if first.upper() != INBOX:
            continue  # Courier's own are all below INBOX; others are folders that somebody else shares
        name = folders.get(f".{rest}") or layout.name(f".{rest}") if dot else INBOX
        if name is not None:
            names.append(name)
    return names
