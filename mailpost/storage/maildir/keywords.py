"""Keyword letters of one folder: `dovecot-keywords`, lines of "<number> <name>", number 0 for the letter "a".

A keyword never changes its letter: names are only added behind, and a hole stays a hole.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailpost.storage.maildir.dotlock import locked
from mailpost.storage.maildir.filename import MOST_KEYWORDS
from mailpost.storage.maildir.files import FileStamp, mail_errors, read_file, replace_file

KEYWORDS_FILE = "dovecot-keywords"


def parse_keywords(data: bytes) -> tuple[str, ...]:
    """The keywords in the order of their letters, "" for an unused number; lines that make no sense are passed over."""
    names: dict[int, str] = {}
    for line in data.split(b"\n"):
        number, space, name = line.rstrip(b"\r").partition(b" ")
        if space and name and number.isdigit() and len(number) <= 2 and int(number) < MOST_KEYWORDS:
            names.setdefault(int(number), name.decode("utf-8", "replace"))
    return tuple(names.get(number, "") for number in range(max(names, default=-1) + 1))


def format_keywords(names: Iterable[str]) -> bytes:
    """The file's octets for these keywords."""
    return "".join(f"{number} {name}\n" for number, name in enumerate(names) if name).encode()


def extend_keywords(names: tuple[str, ...], wanted: Iterable[str]) -> tuple[str, ...]:
    """The table with those of `wanted` behind that it does not have (in any case), as far as letters last."""
    have = {name.lower() for name in names}
    table = list(names)
    for keyword in wanted:
        if keyword.lower() not in have and len(table) < MOST_KEYWORDS and not keyword.startswith("\\"):
            have.add(keyword.lower())
            table.append(keyword)
    return tuple(table)


def read_keywords(dir_fd: int) -> tuple[tuple[str, ...], FileStamp | None]:
    """The folder's keyword table and the stamp of its file; ((), None) where there is none."""
    found = read_file(KEYWORDS_FILE, dir_fd)
    if found is None:
        return (), None
    return parse_keywords(found[0]), found[1]


def add_keywords(dir_fd: int, wanted: Iterable[str]) -> tuple[tuple[str, ...], FileStamp | None]:
    """Give keywords letters in the folder's table, durable, under the table's own lock.

    Args:
        dir_fd: the folder.
        wanted: keywords; those that have a letter already, in any case, cost nothing.

    Returns:
        The table as it now is and the stamp of its file; keywords beyond the letters are not in it.

    Raises:
        MailError: IN_USE when another program keeps the table locked; DISK_FULL.
    """
    wanted = tuple(wanted)
    names, stamp = read_keywords(dir_fd)
    if extend_keywords(names, wanted) == names:
        return names, stamp
    with mail_errors(), locked(KEYWORDS_FILE, dir_fd):
        names, stamp = read_keywords(dir_fd)
        table = extend_keywords(names, wanted)
        if table != names:
            stamp = replace_file(KEYWORDS_FILE, format_keywords(table), dir_fd)
    return table, stamp
