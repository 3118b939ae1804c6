"""The list of subscribed folders: `subscriptions` in the root, in either of Dovecot's formats.

Version 1 is one name a line, `A.B` (`A/B` where folders lie in each other); version 2 begins with "V\\t2" and an empty
line, and has tabs between the levels.
Levels are spelt as in the names of directories. A file is written in the format it has; lines that make no sense stay.

RFC: 3501 §6.3.6, §6.3.7
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mailpost.mail.foldertree import INBOX
from mailpost.storage.maildir.dotlock import locked
from mailpost.storage.maildir.files import mail_errors, read_file, replace_file
from mailpost.storage.maildir.layout import ROOT, Layout

SUBSCRIPTIONS_FILE = "subscriptions"
_VERSION_2 = "V\t2"


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """What the file says."""

    names: tuple[str, ...] = ()
    """Full names of folders in the order of the file, each once; some may not exist."""
    unknown: tuple[str, ...] = ()
    """Lines that name no folder; they are kept."""
    version: int = 2


def parse_subscriptions(data: bytes, layout: Layout, existing: Collection[str] = ()) -> Subscriptions:
    """Read the file's octets.

    Args:
        data: the octets; an empty file is one of version 1.
        layout: how names are spelt on the disk.
        existing: names of folders. `INBOX.A` in the file means A if there is such a folder and no INBOX/A.
    """
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    version = 2 if lines[:1] == [_VERSION_2] else 1
    names: dict[str, None] = {}
    unknown = []
    for line in lines[1:] if version == 2 else lines:
        if not line:
            continue
        name = _name_of(line.replace("\t", layout.between) if version == 2 else line, layout)
        if name is None:
            unknown.append(line)
        else:
            names[_without_prefix(name, layout.separator, existing)] = None
    return Subscriptions(tuple(names), tuple(unknown), version)


def format_subscriptions(subscriptions: Subscriptions, layout: Layout) -> bytes:
    """The file's octets, in the version that it has."""
    between = "\t" if subscriptions.version == 2 else layout.between
    lines = [_VERSION_2, ""] if subscriptions.version == 2 else []
    lines += [_line_of(name, layout).replace(layout.between, between) for name in subscriptions.names]
    lines += subscriptions.unknown
    return "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape")


def read_subscriptions(root_fd: int, layout: Layout, existing: Collection[str] = ()) -> Subscriptions:
    """The account's subscriptions; none where there is no file."""
    with mail_errors():
        found = read_file(SUBSCRIPTIONS_FILE, root_fd)
    return Subscriptions() if found is None else parse_subscriptions(found[0], layout, existing)


def change_subscriptions(
    root_fd: int,
    layout: Layout,
    added: Collection[str] = (),
    removed: Collection[str] = (),
    existing: Collection[str] = (),
) -> Subscriptions:
    """Put names on the list and take others off it, durable, under the file's own lock; what the list then is.

    Raises:
        MailError: BAD_FOLDER_NAME for a name to be added that no folder may have; IN_USE, DISK_FULL.
    """
    fresh = [_name_of(_line_of(name, layout), layout) or name for name in added]
    with mail_errors(), locked(SUBSCRIPTIONS_FILE, root_fd):
        before = read_subscriptions(root_fd, layout, existing)
        names = dict.fromkeys((*before.names, *fresh))
        for name in removed:
            names.pop(name, None)
        after = Subscriptions(tuple(names), before.unknown, before.version)
        if after != before:
            replace_file(SUBSCRIPTIONS_FILE, format_subscriptions(after, layout), root_fd)
    return after


def _line_of(name: str, layout: Layout) -> str:
    directory = layout.directory(name)
    return INBOX if directory == ROOT else directory.removeprefix(layout.prefix)


def _name_of(line: str, layout: Layout) -> str | None:
    return INBOX if line.upper() == INBOX else layout.name(layout.prefix + line)


def _without_prefix(name: str, separator: str, existing: Collection[str]) -> str:
    short = name.removeprefix(INBOX + separator)
    return short if short in existing and name not in existing else name
