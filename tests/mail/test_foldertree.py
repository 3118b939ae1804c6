"""Names of folders: which may be, and how they lie above and below each other."""

from __future__ import annotations

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.foldertree import above, below, canonical_name, known_name, moved, tree


@pytest.mark.parametrize(
    ("name", "kept"),
    [("inbox", "INBOX"), ("Inbox/x", "INBOX/x"), ("x/inbox", "x/inbox"), ("inboxes", "inboxes"), ("ä&~", "ä&~")],
)
def test_inbox_has_one_spelling(name: str, kept: str) -> None:
    assert canonical_name(name, "/") == kept
    assert known_name(name, "/") == kept


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/.",
        "a\0b",
        "a\nb",
        "a\x7f",
        "a\x85",
        "a*",
        "%",
        "\ud800",
        "x" * 256,
    ],
)
def test_names_that_no_folder_may_have(name: str) -> None:
    with pytest.raises(MailError) as caught:
        canonical_name(name, "/")
    assert caught.value.kind is ErrorKind.BAD_FOLDER_NAME


def test_what_lies_above_and_below() -> None:
    assert list(above("a/b/c", "/")) == ["a", "a/b"]
    assert list(above("a", "/")) == []
    assert below("a", ["a", "a/b", "ab", "a/b/c", "b"], "/") == ["a/b", "a/b/c"]


def test_a_tree_has_inbox_first_and_all_names_above() -> None:
    assert tree(["b.c.d", "A"], ".") == ["INBOX", "A", "b", "b.c", "b.c.d"]


def test_a_rename_moves_all_below() -> None:
    names = ["a", "a/b", "ab", "INBOX", "INBOX/x"]
    assert moved("a", "n/m", names, "/") == {"a": "n/m", "a/b": "n/m/b"}
    assert moved("INBOX", "n", names, "/") == {"INBOX": "n"}
