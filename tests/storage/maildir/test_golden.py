"""Accounts as earlier releases left them look the same to clients; those of later releases are not touched."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.index.cache import CACHE_FORMAT
from mailpost.storage.index.state import SCHEMA_VERSION
from mailpost.storage.maildir import checking
from mailpost.storage.maildir.layout import MaildirPlusPlus
from mailpost.wire.imap.structures import summarise
from tests.golden import GOLDEN, SEEN_IN_IT, Account, unpacked

RELEASES = sorted(each for each in GOLDEN.iterdir() if each.is_dir())


def pragma(root: Path, file: str, statement: str) -> int:
    with closing(sqlite3.connect(root / f"mailpost-{file}.sqlite3")) as db:
        found = db.execute(f"PRAGMA {statement}").fetchone()
    return int(found[0]) if found else 0


@pytest.fixture(params=RELEASES, ids=lambda release: release.name)
def release(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_a_golden_tree_is_as_it_was(release: Path, tmp_path: Path) -> None:
    root = unpacked(release, tmp_path)
    for _ in range(2):
        with Account(root) as account:
            assert account.seen() == json.loads((release / SEEN_IN_IT).read_text())
    assert pragma(root, "state", "user_version") == SCHEMA_VERSION
    assert pragma(root, "cache", "user_version") == CACHE_FORMAT
    assert checking.check(root, None, MaildirPlusPlus(), summarise, sample=None).findings == []


def test_a_newer_state_is_refused_and_stays(release: Path, tmp_path: Path) -> None:
    root = unpacked(release, tmp_path)
    pragma(root, "state", f"user_version={SCHEMA_VERSION + 1}")
    before = (root / "mailpost-state.sqlite3").read_bytes()
    with pytest.raises(MailError, match="newer version of the server") as refused, Account(root):
        pass
    assert refused.value.kind is ErrorKind.UNAVAILABLE
    assert (root / "mailpost-state.sqlite3").read_bytes() == before


def test_a_newer_cache_is_thrown_away(release: Path, tmp_path: Path) -> None:
    root = unpacked(release, tmp_path)
    pragma(root, "cache", f"user_version={CACHE_FORMAT + 1}")
    with Account(root) as account:
        assert account.seen() == json.loads((release / SEEN_IN_IT).read_text())
    assert pragma(root, "cache", "user_version") == CACHE_FORMAT


def test_without_its_state_an_old_tree_keeps_its_uids(release: Path, tmp_path: Path) -> None:
    root = unpacked(release, tmp_path)
    for file in root.glob("mailpost-*"):
        file.unlink()
    then = json.loads((release / SEEN_IN_IT).read_text())["folders"]
    with Account(root) as account:
        now = account.seen()["folders"]
    assert now.keys() == then.keys()
    for name, folder in then.items():
        assert now[name]["uidvalidity"] == folder["uidvalidity"], name
        assert [(one[0], *one[4:]) for one in now[name]["messages"]] == [
            (one[0], *one[4:]) for one in folder["messages"]
        ]
