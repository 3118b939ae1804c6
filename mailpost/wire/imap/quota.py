"""GETQUOTA and GETQUOTAROOT: how much an account may hold, and holds.

RFC: 9208 §4, §7
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mailpost.wire.imap.reader import Reader
from mailpost.wire.imap.writer import astring
from mailpost.wire.imap.writer import mailbox as mailbox_name


@dataclass(frozen=True, slots=True)
class GetQuota:
    """GETQUOTA."""

    root: bytes


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    """GETQUOTAROOT."""

    mailbox: str


def parse_getquota(reader: Reader) -> GetQuota:
    """GETQUOTA SP quota-root-name"""
    reader.space()
    root = reader.astring("a quota root")
    reader.end()
    return GetQuota(root)


def parse_getquotaroot(reader: Reader) -> GetQuotaRoot:
    """GETQUOTAROOT SP mailbox"""
    reader.space()
    mailbox = reader.mailbox()
    reader.end()
    return GetQuotaRoot(mailbox)


def quota_line(root: bytes, resources: Iterable[tuple[bytes, int, int]]) -> bytes:
    """`* QUOTA "" (STORAGE 10 512)`: name, usage and limit of each resource; STORAGE in KiB. RFC: 9208 §4.2.1"""
    return b"* QUOTA %b (%b)\r\n" % (astring(root), b" ".join(b"%b %d %d" % each for each in resources))


def quotaroot_line(mailbox: str, roots: Iterable[bytes], utf8: bool = False) -> bytes:
    """`* QUOTAROOT INBOX ""`. RFC: 9208 §4.2.2"""
    return b"* QUOTAROOT %b\r\n" % b" ".join([mailbox_name(mailbox, utf8), *map(astring, roots)])
