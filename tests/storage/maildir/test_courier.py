"""A tree that Courier served keeps UIDVALIDITY, UIDs, keywords and subscriptions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailpost.mail.flags import FLAGGED, NO_FLAGS, SEEN
from mailpost.storage.maildir import behind, courier
from mailpost.storage.maildir.layout import MaildirPlusPlus, Nested
from mailpost.storage.maildir.uidlist import read_uidlist
from tests.storage.maildir.lanes import MESSAGE, Bench

UIDS = """\
1 290811123 17
3 1091500000.M1P2V0I0_0.mail.example.org,S=48
7 1091500001.M1P2V0I0_0.mail.example.org,S=48
12 1091500002.M1P2V0I0_0.mail.example.org,S=48
15 1091500003.M1P2V0I0_0.mail.example.org,S=48
"""
LIST = """\
$Label1
Work
NonJunk

1091500000.M1P2V0I0_0.mail.example.org,S=48:0 2
1091500001.M1P2V0I0_0.mail.example.org,S=48:1
1091500002.M1P2V0I0_0.mail.example.org,S=48:2 9
a line that makes no sense
"""
SUBSCRIBED = "INBOX\nINBOX.Sent\nINBOX.Lists.Entw&APw-rfe\nINBOX.Gone\n#shared.bob.Papers\n"


def name(number: int, info: str = ":2,") -> str:
    return f"109150000{number}.M1P2V0I0_0.mail.example.org,S=48{info}"


def folder(place: Path, *files: str) -> None:
    for part in ("cur", "new", "tmp", "courierimapkeywords"):
        (place / part).mkdir(parents=True)
    for number, file in enumerate(files):
        (place / "cur" / file).write_bytes(MESSAGE)
        os.utime(place / "cur" / file, (2_000_000_000 - number, 2_000_000_000 - number))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """INBOX with three messages in the list and one that came since; two folders; no keyword has changed lately."""
    root = tmp_path / "ann"
    folder(root, name(0, ":2,S"), name(1), name(2, ":2,F"), name(4))
    (root / "courierimapuiddb").write_text(UIDS)
    (root / "courierimapkeywords" / ":list").write_text(LIST)
    (root / "courierimapsubscribed").write_text(SUBSCRIBED)
    for below in (".Sent", ".Lists.Entw&APw-rfe"):
        folder(root / below)
        (root / below / "courierimapuiddb").write_text("1 290811999 5\n")
    return root


@pytest.fixture
def descriptor(root: Path) -> Iterator[int]:
    fd = os.open(root, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_uids(descriptor: int) -> None:
    read = courier.read_uids(descriptor)
    assert read is not None
    assert (read.uidvalidity, read.uidnext) == (290811123, 17)
    assert {base: entry.uid for base, entry in read.entries.items()} == {
        name(number, ""): uid for number, uid in enumerate((3, 7, 12, 15))
    }
    assert read.stamp is None


def test_uids_out_of_order_are_kept(root: Path, descriptor: int) -> None:
    (root / "courierimapuiddb").write_text("1 9 5\n4 d\nnonsense\n2 b\n99999999999 x\n3 c:2,S\n")
    read = courier.read_uids(descriptor)
    assert read is not None
    assert [(base, entry.uid) for base, entry in read.entries.items()] == [("b", 2), ("c", 3), ("d", 4)]


@pytest.mark.parametrize("text", ["", "nonsense\n1 a\n", "1 0 0\n"])
def test_a_damaged_list_is_none(root: Path, descriptor: int, text: str) -> None:
    (root / "courierimapuiddb").write_text(text)
    assert courier.read_uids(descriptor) is None


def test_keywords(descriptor: int) -> None:
    assert courier.read_keywords(descriptor, 57) == {
        name(0, ""): {"$Label1", "NonJunk"},
        name(1, ""): {"Work"},
        name(2, ""): {"NonJunk"},
    }


def test_a_newer_file_of_keywords_wins(root: Path, descriptor: int) -> None:
    place = root / "courierimapkeywords"
    (place / f".5512000.{name(0, '')}").write_text("Old\n")
    (place / f".5512001.{name(0, '')}").write_text("Newer\nwork\n")
    (place / f".5512009.{name(1, '')}").write_text("Old\n")
    (place / name(1, "")).write_text("")
    (place / name(4, "")).write_text("$Label1\nnot (a) keyword\n")
    (place / ".tmp.1091500009.host").write_text("Work\n")
    assert courier.read_keywords(descriptor, 57) == {
        name(0, ""): {"Newer", "work"},
        name(2, ""): {"NonJunk"},
        name(4, ""): {"$Label1"},
    }


def test_no_more_keywords_than_a_folder_may_have(root: Path, descriptor: int) -> None:
    (root / "courierimapkeywords" / ":list").write_text("a\nb\nA\nc\n\nx:0 1\ny:2 3\nz:3\n")
    assert courier.read_keywords(descriptor, 2) == {"x": {"a", "b"}, "y": {"a"}}


def test_no_keywords_at_all(root: Path, descriptor: int) -> None:
    (root / "courierimapkeywords" / ":list").write_text("cut\nshort\n")
    assert courier.read_keywords(descriptor, 57) == {}
    (root / "courierimapkeywords" / ":list").unlink()
    (root / "courierimapkeywords").rmdir()
    assert courier.read_keywords(descriptor, 57) == {}
    (root / "courierimapkeywords").symlink_to("cur")
    assert courier.read_keywords(descriptor, 57) == {}


def test_subscriptions(descriptor: int) -> None:
    assert courier.read_subscriptions(descriptor, MaildirPlusPlus(), {".Sent": "Sent"}) == [
        "INBOX",
        "Sent",
        "Lists/Entwürfe",
        "Gone",
    ]


def taken(bench: Bench) -> tuple[int, dict[int, str], dict[int, frozenset[str]]]:
    row = bench.lane.folder(bench.number()).row
    bases = {uid: each.partition(":")[0] for uid, each in bench.names().items()}
    return row.uidvalidity, bases, dict(bench.flags())


def test_a_tree_is_taken_over(root: Path) -> None:
    bench = Bench(root)
    bench.look()
    expected = (
        290811123,
        {3: name(0, ""), 7: name(1, ""), 12: name(2, ""), 17: name(4, "")},
        {3: {SEEN, "$Label1", "NonJunk"}, 7: {"Work"}, 12: {FLAGGED, "NonJunk"}, 17: NO_FLAGS},
    )
    assert taken(bench) == expected
    assert bench.ears.subscriptions == {"INBOX", "Sent", "Lists/Entwürfe", "Gone"}
    sent = bench.lane.folder(bench.number("Sent")).row
    assert (sent.uidvalidity, sent.uidnext) == (290811999, 5)
    for place in ("INBOX", "Sent"):
        while bench.do(behind.write_flags, bench.number(place)):
            pass
        bench.do(behind.finish, bench.number(place), 0)
    known = read_uidlist(bench.lane.root_fd)
    assert known is not None
    assert known.uidvalidity == expected[0]
    assert {entry.uid: base for base, entry in known.entries.items()}.items() >= expected[1].items()
    assert (root / ".Sent" / "dovecot-uidlist").read_text().startswith("3 V290811999 N5 ")
    assert (root / "dovecot-keywords").read_text().split() == ["0", "$Label1", "1", "NonJunk", "2", "Work"]
    assert name(0, ":2,Sab") in bench.cur()
    assert bench.append(MESSAGE) == [18]
    bench.close()
    for lost in root.glob("mailpost-*"):
        lost.unlink()
    again = Bench(root)
    again.look()
    assert taken(again)[0] == expected[0]
    assert taken(again)[2].items() >= expected[2].items()
    again.close()


def test_a_take_over_that_was_interrupted_is_done_again(root: Path) -> None:
    bench = Bench(root)
    bench.close()
    assert (root / "dovecot-uidlist").exists()  # the message that Courier did not know had to have a UID
    for lost in root.glob("mailpost-*"):
        lost.unlink()
    again = Bench(root)
    assert again.flags()[7] == {"Work"}
    assert sorted(again.names()) == [3, 7, 12, 17]
    again.close()


def test_dovecots_files_come_before_couriers(root: Path) -> None:
    (root / "dovecot-uidlist").write_text(f"3 V290811124 N3\n1 :{name(1, '')}\n")
    (root / "subscriptions").write_text("Sent\n")
    bench = Bench(root)
    bench.look()
    uidvalidity, bases, flags = taken(bench)
    assert uidvalidity == 290811124
    assert bases[1] == name(1, "")
    assert flags[1] == NO_FLAGS
    assert bench.ears.subscriptions == {"Sent"}
    bench.close()


def test_a_tree_whose_folders_lie_in_each_other_is_not_couriers(tmp_path: Path) -> None:
    (tmp_path / "courierimapsubscribed").write_text("INBOX.Sent\n")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        assert courier.read_subscriptions(descriptor, Nested(), {}) == []
    finally:
        os.close(descriptor)
