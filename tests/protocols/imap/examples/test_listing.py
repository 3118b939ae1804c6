"""RFC: 5258 §5, 5819 §3, 6154 §5, 8438 §3; 9051 §6.3.9.8 has most of them again"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from mailpost.storage.records import NewMessage, SpecialUse
from tests.protocols.imap.harness import Client, Server, dialogue

GARDEN = ("Herb", "Herb/Mint", "Herb/Sage", "Moss", "Tree", "Tree/Alder", "Tree/Birch")


def with_folders(names: Iterable[str], subscribed: Iterable[str] = ()) -> Client:
    """A client that has logged in; INBOX is not subscribed."""
    server = Server()
    account = server.store.account("joe")
    for name in names:
        account.create(name)
    there = {folder.name for folder in account.folders()}
    for name in subscribed:
        if name not in there:
            account.create(name)
        account.subscribe(name, True)
    for folder in reversed(account.folders()):
        if folder.name not in there:
            account.delete(folder.name)
    account.subscribe("INBOX", False)
    return server.logged_in()


def garden() -> Client:
    """INBOX too; one subscribed name has no folder."""
    client = with_folders(GARDEN, ("INBOX", "Herb/Mint", "Herb/Thyme", "Tree", "Tree/Alder"))
    client.server.store.account("joe").subscribe("INBOX", True)
    return client


def listed(client: Client, command: str) -> dict[str, str]:
    """Name -> attributes but for those of children; CHILDINFO behind them."""
    lines = client.says(b"a " + command.encode()).decode().split("\r\n")
    assert lines[-2].startswith("a OK"), lines
    found = {}
    for line in lines[:-2]:
        match = re.fullmatch(r'\* LIST \((.*?)\) "/" (\S+)( \(.*\))?', line)
        assert match is not None, line
        kept = [word for word in match[1].split() if not word.endswith("Children")]
        found[match[2]] = " ".join(kept) + (match[3] or "")
    return found


def children(client: Client, command: str) -> dict[str, bool]:
    """Name -> whether it has children."""
    answer = client.says(b"a " + command.encode()).decode()
    return {name: "\\HasChildren" in words for words, name in re.findall(r'\* LIST \((.*?)\) "/" (\S+)', answer)}


def test_all_of_a_hierarchy() -> None:
    """Example 1."""
    assert listed(garden(), 'LIST "" "*"') == dict.fromkeys(("INBOX", *GARDEN), "")


def test_subscribed_names_and_one_whose_folder_is_gone() -> None:
    """Examples 2 and 5: REMOTE adds nothing where nothing is remote."""
    expected = {
        "INBOX": "\\Subscribed",
        "Herb/Mint": "\\Subscribed",
        "Herb/Thyme": "\\NonExistent \\Subscribed",
        "Tree": "\\Subscribed",
        "Tree/Alder": "\\Subscribed",
    }
    assert listed(garden(), 'LIST (SUBSCRIBED) "" "*"') == expected
    assert listed(garden(), 'LIST (REMOTE SUBSCRIBED) "" "*"') == expected


def test_children_of_a_level() -> None:
    """Examples 3 and 4."""
    expected = {"INBOX": False, "Herb": True, "Moss": False, "Tree": True}
    assert children(garden(), 'LIST () "" "%" RETURN (CHILDREN)') == expected
    assert children(garden(), 'LIST (REMOTE) "" "%" RETURN (CHILDREN)') == expected


def test_what_is_subscribed_among_all() -> None:
    """Example 6: a subscribed name without a folder is not among them."""
    subscribed = {"INBOX", "Herb/Mint", "Tree", "Tree/Alder"}
    assert listed(garden(), 'LIST (REMOTE) "" "*" RETURN (SUBSCRIBED)') == {
        name: "\\Subscribed" * (name in subscribed) for name in ("INBOX", *GARDEN)
    }


def test_several_patterns() -> None:
    """Example 7: no folder comes twice, though two patterns fit it."""
    client = with_folders(("Drafts", "Other", "Sent", "Sent/may", "Sent/may/one", "Sent/june"))
    assert set(listed(client, 'LIST "" ("INBOX" "Drafts" "Sent/%" "Sent/m*")')) == {
        *("INBOX", "Drafts", "Sent/may", "Sent/june", "Sent/may/one")
    }
    assert client.says(b'a LIST "" (INBOX "IN*")').count(b"* LIST") == 1


FOO = ("Foo", "Foo/Bar", "Foo/Baz", "Moo")


@pytest.mark.parametrize(
    ("subscribed", "gone", "expected"),
    [
        (("Foo/Baz",), (), {"Foo": ' ("CHILDINFO" ("SUBSCRIBED"))'}),
        (("Foo/Baz", "Foo"), (), {"Foo": '\\Subscribed ("CHILDINFO" ("SUBSCRIBED"))'}),
        (("Foo/Baz",), ("Foo",), {"Foo": '\\NonExistent ("CHILDINFO" ("SUBSCRIBED"))'}),
        (("Foo/Baz",), ("Foo/Bar", "Foo/Baz", "Foo"), {"Foo": '\\NonExistent ("CHILDINFO" ("SUBSCRIBED"))'}),
        (("Foo", "Moo"), (), {"Foo": "\\Subscribed", "Moo": "\\Subscribed"}),
    ],
)
def test_a_level_above_what_is_subscribed(
    subscribed: tuple[str, ...], gone: tuple[str, ...], expected: dict[str, str]
) -> None:
    """Example 8: CHILDREN tells of folders, RECURSIVEMATCH of subscriptions."""
    client = with_folders((name for name in FOO if name not in gone), subscribed)
    if gone == ("Foo",):
        client.server.store.account("joe").delete("Foo")
    assert listed(client, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"') == expected
    if not gone:
        assert children(client, 'LIST "" "%" RETURN (CHILDREN)') == {"INBOX": False, "Foo": True, "Moo": False}
        assert children(client, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%" RETURN (CHILDREN)') == {
            name: name == "Foo" for name in expected
        }


def test_what_matches_hides_what_is_above_it_only_where_it_is_shown() -> None:
    """Example 9: names that end in 2 are shown themselves, others by the names above them."""
    leaves = ("foo2/bar1", "foo2/bar2", "baz2/bar2", "baz2/bar22", "baz2/bar222", "eps2", "eps2/mamba", "qux2/bar2")
    client = with_folders(("foo2", "foo2/bar1", "foo2/bar2", "baz2", *leaves[2:7], "qux2/bar2"), leaves)
    shown = listed(client, 'LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"')
    info = ' ("CHILDINFO" ("SUBSCRIBED"))'
    required = {
        "foo2": info,
        "foo2/bar2": "\\Subscribed",
        "baz2/bar2": "\\Subscribed",
        "baz2/bar22": "\\Subscribed",
        "baz2/bar222": "\\Subscribed",
        "eps2": "\\Subscribed" + info,
        "qux2/bar2": "\\Subscribed",
    }
    assert {name: shown.get(name) for name in required} == required
    # A name above others that are all shown may be told of, too; nothing else may.
    assert all(shown[name].endswith(info) for name in shown.keys() - required.keys() & {"baz2", "qux2"})
    assert shown.keys() <= {*required, "baz2", "qux2"}
    everything = listed(client, 'LIST (RECURSIVEMATCH SUBSCRIBED) "" "*"')
    assert {name for name in leaves if "\\Subscribed" in everything[name]} == set(leaves)


def test_a_subscribed_name_below_a_folder_without_children() -> None:
    """Example 10."""
    client = with_folders(("foo",), ("foo/bar",))
    assert listed(client, 'LIST "" ("foo" "foo/*")') == {"foo": ""}
    assert listed(client, 'LIST (SUBSCRIBED) "" "foo/*"') == {"foo/bar": "\\NonExistent \\Subscribed"}
    line = client.says(b'a LIST (SUBSCRIBED RECURSIVEMATCH) "" foo RETURN (CHILDREN)').split(b"\r\n")[0]
    assert line == b'* LIST (\\HasNoChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))'


def test_a_level_that_is_no_folder() -> None:
    """Example 11: above a folder there is none, and one can list it."""
    client = with_folders(("music/rock",))
    account = client.server.store.account("joe")
    account.delete("music")
    assert listed(client, 'LIST () "" %') == {"INBOX": "", "music": "\\NonExistent"}
    assert children(client, 'LIST () "" %')["music"]
    assert listed(client, 'LIST "" (% music/rock)') == {"INBOX": "", "music": "\\NonExistent", "music/rock": ""}


def test_counts_of_what_can_be_selected_and_was_asked_for() -> None:
    """RFC 5819 §3: no counts of a name that is no folder, and none of one that is shown for what lies below it."""
    client = with_folders(("foo", "foo/in", "bar/in"), ("INBOX", "foo/in"))
    client.server.store.account("joe").subscribe("INBOX", True)
    client.server.store.account("joe").delete("bar")
    client.server.deliver(2, "foo")
    dialogue(
        client.server,
        """
        C: a LIST "" % RETURN (STATUS (MESSAGES UNSEEN))
        S: * LIST (\\HasNoChildren) "/" INBOX
        S: * STATUS INBOX (MESSAGES 0 UNSEEN 0)
        S: * LIST (\\NonExistent \\HasChildren) "/" bar
        S: * LIST (\\HasChildren) "/" foo
        S: * STATUS foo (MESSAGES 2 UNSEEN 2)
        S: a OK ...
        C: b LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (STATUS (MESSAGES))
        S: * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
        S: * STATUS INBOX (MESSAGES 0)
        S: * LIST (\\HasChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))
        S: b OK ...
        """,
        client=client,
    )


def test_sizes_are_those_of_all_messages() -> None:
    """RFC 8438 §3.1, §3.2: what FETCH tells of each, together."""
    server = Server()
    account = server.store.account("joe")
    account.append("INBOX", [NewMessage(b"A: b\r\n\r\n" + b"x" * size) for size in (0, 10, 500)])
    dialogue(
        server,
        """
        C: a LOGIN joe secret
        S: a OK ...
        C: b STATUS INBOX (MESSAGES SIZE UIDNEXT)
        S: * STATUS INBOX (MESSAGES 3 SIZE 534 UIDNEXT 4)
        S: b OK ...
        C: c LIST "" % RETURN (STATUS (MESSAGES SIZE))
        S: * LIST (...) "/" INBOX
        S: * STATUS INBOX (MESSAGES 3 SIZE 534)
        S: c OK ...
        """,
    )
    client = server.logged_in()
    client.says(b"d SELECT INBOX")
    sizes = re.findall(rb"RFC822\.SIZE (\d+)", client.says(b"e FETCH 1:* (RFC822.SIZE)"))
    assert sum(map(int, sizes)) == 534


def test_special_uses() -> None:
    """RFC 6154 §5.1 to §5.3: told without asking, chosen by, given to a new folder, and refused."""
    server = Server()
    account = server.store.account("joe")
    account.create("Projects/one")
    for name, use in (("SentMail", SpecialUse.SENT), ("MyDrafts", SpecialUse.DRAFTS), ("Bin", SpecialUse.TRASH)):
        account.create(name, use)
    uses = {"SentMail": "\\Sent", "MyDrafts": "\\Drafts", "Bin": "\\Trash"}
    client = server.logged_in()
    for command in ('LIST "" "%"', 'LIST "" "%" RETURN (SPECIAL-USE)'):
        assert listed(client, command) == {**uses, "INBOX": "", "Projects": ""}
    assert listed(client, 'LIST (SPECIAL-USE) "" "*"') == uses
    assert listed(client, 'LIST (SPECIAL-USE SUBSCRIBED) "" "*"') == {}
    dialogue(
        server,
        """
        C: a CREATE Everything (USE (\\All))
        S: a NO [USEATTR] ...
        C: a CREATE Starred (USE (\\Flagged))
        S: a NO [USEATTR] ...
        C: b CREATE MySpecial (USE (\\Drafts \\Sent))
        S: b NO [USEATTR] ...
        C: c CREATE Old (USE (\\Archive))
        S: c OK ...
        C: d LIST (SPECIAL-USE) "" O*
        S: * LIST (\\HasNoChildren \\Archive) "/" Old
        S: d OK ...
        """,
        client=client,
    )
