"""Limits in the users file, as Dovecot writes them."""

from __future__ import annotations

import pytest

from mailpost.accounts.quotarules import quota_of
from mailpost.accounts.usersfile import parse
from mailpost.storage.records import QuotaLimit

GIB = 1 << 30


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ("", None),
        ("nologin userdb_mail=maildir:~/Maildir", None),
        ("userdb_quota_rule=*:storage=2G", QuotaLimit(2 * GIB)),
        ("userdb_quota_rule=*:storage=2GB", QuotaLimit(2 * GIB)),
        ("userdb_quota_rule=*:storage=1024", QuotaLimit(1 << 20)),
        ("userdb_quota_rule=*:bytes=1024", QuotaLimit(1024)),
        ("userdb_quota_rule=*:storage=10M:messages=1000", QuotaLimit(10 << 20, 1000)),
        ("userdb_quota_rule=*:storage=10M userdb_quota_rule2=*:messages=5", QuotaLimit(10 << 20, 5)),
        ("userdb_quota_rule=*:storage=0", QuotaLimit()),
        ("userdb_quota_rule=*:ignore", QuotaLimit()),
        ("userdb_quota_storage_size=1T userdb_quota_message_count=7", QuotaLimit(1 << 40, 7)),
    ],
)
def test_rules(fields: str, limit: QuotaLimit | None) -> None:
    assert quota_of(fields.split()) == limit


@pytest.mark.parametrize(
    "rule", ["Trash:storage=+10%", "*", "*:storage=-1", "*:storage=50%", "*:room=2G", "*:storage=", "*:storage=2X"]
)
def test_rules_that_cannot_be_kept(rule: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        quota_of([f"userdb_quota_rule={rule}"])


def test_in_the_file() -> None:
    listing = parse(
        "ann:{PLAIN}x::::::userdb_quota_rule=*:storage=2G\n"
        "bob:{PLAIN}x::::::\n"
        "cleo:{PLAIN}x::::::nologin userdb_quota_rule=*:messages=3\n"
        "dan:{PLAIN}x::::::userdb_quota_rule=Trash:storage=1G\n"
    )
    assert {user.name: user.quota for user in listing.users.values()} == {
        "ann": QuotaLimit(2 * GIB), "bob": None, "cleo": QuotaLimit(None, 3), "dan": None,
    }  # fmt: skip
    assert [warning.partition(":")[0] for warning in listing.warnings] == ["line 4"]
    assert listing.users["cleo"].password == ""
