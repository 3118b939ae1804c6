from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.storage.maildir.layout import Hierarchy, MaildirPlusPlus, Nested, layout_of

LAYOUT = MaildirPlusPlus()
NESTED = Nested()


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        ("INBOX", "."),
        ("inbox", "."),
        ("INBOX/Sub", ".INBOX.Sub"),
        ("inBox/Sub", ".INBOX.Sub"),
        ("A/B", ".A.B"),
        ("A.B", r".A\2eB"),
        ("Büch.er/&x", r".B&APw-ch\2eer.&-x"),
        (r"back\slash", r".back\5cslash"),
        ("A/~u", r".A.\7eu"),
        ("a~", ".a~"),
        ("x y", ".x y"),
        ("日本", ".&ZeVnLA-"),
    ],
)
def test_directories_are_named_as_dovecot_names_them(name: str, directory: str) -> None:
    assert LAYOUT.directory(name) == directory
    read = LAYOUT.name(directory)
    assert read is not None
    assert read.upper() == name.upper()


def test_other_separators_and_utf8() -> None:
    assert MaildirPlusPlus(".").directory("A.b/c") == r".A.b\2fc"
    assert MaildirPlusPlus(".").name(r".A.b\2fc") == "A.b/c"
    assert MaildirPlusPlus(utf8=True).directory("Bücher/日本") == ".Bücher.日本"
    assert MaildirPlusPlus(utf8=True).name(".Bücher.日本") == "Bücher/日本"


@pytest.mark.parametrize(
    "name",
    ["", "/", "/A", "A/", "A//B", "..", "A/..", "../A", ".", "A/./B", "A\x00B", "A\nB", "A\x7f", "\x85", "\ud800"],
)
def test_names_that_no_folder_may_have(name: str) -> None:
    with pytest.raises(MailError) as caught:
        LAYOUT.directory(name)
    assert caught.value.kind is ErrorKind.BAD_FOLDER_NAME


def test_a_name_is_measured_in_octets_on_the_disk() -> None:
    assert len(LAYOUT.directory("a" * 254)) == 255
    for name in ("a" * 255, "日本" * 60, "." + "." * 100):
        with pytest.raises(MailError) as caught:
            LAYOUT.directory(name)
        assert caught.value.kind is ErrorKind.BAD_FOLDER_NAME


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_a_name_never_leaves_the_root(name: str) -> None:
    try:
        directory = LAYOUT.directory(name)
    except MailError:
        return
    assert "/" not in directory
    assert directory.startswith(".")
    assert not directory.startswith("..")
    assert len(directory.encode()) <= 255


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_nor_where_folders_lie_in_each_other(name: str) -> None:
    try:
        directory = NESTED.directory(name)
    except MailError:
        return
    assert not directory.startswith(("/", "~"))
    assert {"", "..", "cur", "new", "tmp"}.isdisjoint(directory.split("/"))
    assert directory == "." or "." not in directory.split("/")


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        ("INBOX", "."),
        ("inbox/Sub", "INBOX/Sub"),
        ("A/B", "A/B"),
        ("A.B/.c", "A.B/.c"),
        ("Büch.er/&x", "B&APw-ch.er/&-x"),
        (r"back\2eslash", r"back\2eslash"),
        ("A/~u", "A/~u"),
        ("subscriptions-old", "subscriptions-old"),
        ("dovecot-news", "dovecot-news"),
        ("..x", "..x"),
    ],
)
def test_directories_that_lie_in_each_other_are_named_as_dovecot_names_them(name: str, directory: str) -> None:
    assert NESTED.directory(name) == directory
    read = NESTED.name(directory)
    assert read is not None
    assert read.upper() == name.upper()


@pytest.mark.parametrize(
    "name",
    [
        *("cur", "A/new", "tmp/A", "~A", "A//B", "A/..", "A\nB", "x" * 256, "日本" * 60),
        *("dovecot-uidlist", "A/dovecot-keywords", "subscriptions", "mailpost-state.sqlite3-wal", "dovecot.index.log"),
        *("..mailpost-trash.1", "..DOVECOT-TRASHED", "maildirfolder", "courierimapkeywords"),
    ],
)
def test_names_that_no_folder_in_another_may_have(name: str) -> None:
    with pytest.raises(MailError) as caught:
        NESTED.directory(name)
    assert caught.value.kind is ErrorKind.BAD_FOLDER_NAME


def test_a_slash_separates_directories_whatever_clients_see() -> None:
    assert Nested(".").directory("A.B") == "A/B"
    assert Nested(".").name("A/B") == "A.B"
    assert Nested(".").name("A.B") is None
    with pytest.raises(MailError) as caught:
        Nested(".").directory("A/B")
    assert caught.value.kind is ErrorKind.BAD_FOLDER_NAME
    assert Nested(utf8=True).directory("Bücher/日本") == "Bücher/日本"


@pytest.mark.parametrize(
    ("directory", "shown"),
    [
        ("dovecot.index", "dovecot.index"),
        ("~h", "~h"),
        ("bad&name", "bad&name"),
        ("inbox/x", "INBOX/x"),
        ("INBOX", None),
    ],
)
def test_what_another_server_has_named_is_shown_all_the_same(directory: str, shown: str | None) -> None:
    assert NESTED.name(directory) is None
    assert NESTED.lenient_name(directory) == shown


def test_a_folder_moves_with_those_below_it() -> None:
    assert LAYOUT.moves([".A", ".A.B", ".A.B.C", ".AB", ".Z"], ".A", ".N.M") == [
        (".A", ".N.M"),
        (".A.B", ".N.M.B"),
        (".A.B.C", ".N.M.B.C"),
    ]
    assert NESTED.moves(["A/B", "AB"], "A", "N/M") == [("A", "N/M"), ("A/B", "N/M/B")]


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8), min_size=1, max_size=3),
    st.sampled_from("/.|"),
    st.booleans(),
    st.sampled_from(Hierarchy),
)
def test_names_and_directories_are_one_to_one(
    levels: list[str], separator: str, utf8: bool, hierarchy: Hierarchy
) -> None:
    layout = layout_of(hierarchy, separator, utf8)
    name = separator.join(levels)
    try:
        directory = layout.directory(name)
    except MailError:
        return
    read = layout.name(directory)
    assert read is not None
    assert layout.directory(read) == directory
    assert read == name or name.upper().startswith("INBOX")


@given(st.text(st.sampled_from("aB.\\25ef&-~üIN"), max_size=12))
def test_a_directory_that_has_a_name_is_what_the_name_has(text: str) -> None:
    name = LAYOUT.name("." + text)
    if name is not None:
        assert LAYOUT.directory(name) == "." + text


@pytest.mark.parametrize("directory", ["", "A", "..", "..A", ".A..B", ".A.", ".INBOX", ".Inbox"])
def test_directories_that_are_no_folders(directory: str) -> None:
    assert LAYOUT.name(directory) is None
    assert LAYOUT.lenient_name(directory) is None
