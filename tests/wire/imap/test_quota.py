"""RFC: 9208 §7"""

from __future__ import annotations

import pytest

from mailpost.wire.imap import quota
from mailpost.wire.imap.commands import GetQuota, GetQuotaRoot, ParseError
from tests.wire.imap.wireside import parsed


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b'GETQUOTA ""', GetQuota(b"")),
        (b"getquota root", GetQuota(b"root")),
        (b"GETQUOTAROOT inbox", GetQuotaRoot("INBOX")),
        (b"GETQUOTAROOT &AOk-", GetQuotaRoot("é")),
    ],
)
def test_commands(line: bytes, command: object) -> None:
    assert parsed(line) == command


@pytest.mark.parametrize("line", [b"GETQUOTA", b'GETQUOTA "" x', b"GETQUOTAROOT", b"GETQUOTAROOT a b"])
def test_what_is_neither(line: bytes) -> None:
    with pytest.raises(ParseError):
        parsed(line)


def test_responses() -> None:
    line = quota.quota_line(b"", [(b"STORAGE", 10, 512), (b"MESSAGE", 3, 100)])
    assert line == b'* QUOTA "" (STORAGE 10 512 MESSAGE 3 100)\r\n'
    assert quota.quota_line(b"a b", []) == b'* QUOTA "a b" ()\r\n'
    assert quota.quotaroot_line("é", [b""]) == b'* QUOTAROOT &AOk- ""\r\n'
    assert quota.quotaroot_line("INBOX", []) == b"* QUOTAROOT INBOX\r\n"
