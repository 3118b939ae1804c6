"""Limits on a user's mail as Dovecot's users file has them.

Understood are `userdb_quota_rule=*:storage=2G:messages=1000` (Dovecot 2.3) and `userdb_quota_storage_size=2G` with
`userdb_quota_message_count=1000` (Dovecot 2.4). Rules for single folders, and percentages, are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailpost.storage.records import QuotaLimit

_SIZE = re.compile(r"(\d{1,15})\s*([BKMGT]?)I?B?", re.IGNORECASE)
_UNITS = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_RULE = re.compile(r"userdb_quota_rule\d*")


def quota_of(fields: Iterable[str]) -> QuotaLimit | None:
    """The limit that the extra fields of a user set, None where they set none; 0 stands for no limit.

    Raises:
        ValueError: a rule that cannot be kept.
    """
    found: dict[str, int | None] = {}
    for field in fields:
        key, _, value = field.partition("=")
        if _RULE.fullmatch(key):
            found.update(_rule(value))
        elif key == "userdb_quota_storage_size":
            found["octets"] = _number(value, "B")
        elif key == "userdb_quota_message_count":
            found["messages"] = _number(value, "B")
    return QuotaLimit(**found) if found else None


def _rule(text: str) -> dict[str, int | None]:
    folder, *limits = text.split(":")
    if folder != "*" or not limits:
        raise ValueError(f'the quota rule "{text}" is not for all folders together: only "*:..." can be kept')
    found: dict[str, int | None] = {}
    for limit in limits:
        name, _, value = limit.partition("=")
        match name:
            case "storage":
                found["octets"] = _number(value, "K")
            case "bytes":
                found["octets"] = _number(value, "B")
            case "messages":
                found["messages"] = _number(value, "B")
            case "ignore":
                found.update(octets=None, messages=None)
            case _:
                raise ValueError(f'a quota rule has "storage", "bytes" or "messages", not "{name}"')
    return found


def _number(text: str, unit: str) -> int | None:
    """Octets or messages; `unit` is that of a bare number. None for 0, which is no limit."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is no size such as 500M or 2G')
    return int(match[1]) * _UNITS[(match[2] or unit).upper()] or None
