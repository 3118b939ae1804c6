"""QRESYNC: what a client is told that comes back, and VANISHED in place of EXPUNGE. RFC: 7162 §3.2"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.selected import SequenceView
from mailpost.mail.uidset import UidSet
from mailpost.protocols.imap.commands.vanished import known_up_to
from tests.protocols.imap.commands.dialogue import Client, account


def returning(made, *enabled: str) -> Client:
    client = Client(made)
    client.says(f"ENABLE {' '.join(enabled or ('QRESYNC',))}")
    return client


def expunge(made, uids: str) -> None:
    other = Client(made, "INBOX")
    other.says(f"UID STORE {uids} +FLAGS.SILENT (\\Deleted)")
    other.says("EXPUNGE")
    other.deselect()


def known(made) -> tuple[int, int]:
    live = made.open("INBOX").live
    return live.uidvalidity, live.highest_modseq


def test_enable_brings_condstore_along():
    client = Client(account(1), "INBOX")
    modseq = client.selected.live.highest_modseq
    assert client.lines("ENABLE QRESYNC X-NONE") == [
        b"* ENABLED QRESYNC",
        b"* OK [HIGHESTMODSEQ %d] The latest change" % modseq,
        b"a OK ENABLE completed",
    ]
    assert client.enabled == {"QRESYNC", "CONDSTORE"}
    assert client.lines("ENABLE QRESYNC CONDSTORE") == [b"* ENABLED", b"a OK ENABLE completed"]


@pytest.mark.parametrize("command", ["SELECT INBOX (QRESYNC (1 1))", "UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)"])
def test_nothing_of_it_without_enable(command):
    client = Client(account(1), "INBOX")
    assert client.says(command).startswith(b"a BAD ")


@pytest.mark.parametrize(
    "command",
    [
        "FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
        "UID FETCH 1 FLAGS (VANISHED)",
        "SELECT INBOX (QRESYNC (1))",
        "SELECT INBOX (QRESYNC (0 1))",
        "SELECT INBOX (QRESYNC (1 1 1:*))",
        "SELECT INBOX (QRESYNC (1 1 1:5 (1:2)))",
    ],
)
def test_arguments_that_are_none(command):
    client = returning(account(1))
    client.says("SELECT INBOX")
    assert client.says(command).startswith(b"a BAD ")


def test_what_went_and_what_changed():
    made = account(6)
    validity, modseq = known(made)
    expunge(made, "2,4:5")
    Client(made, "INBOX").says("UID STORE 3 +FLAGS.SILENT (\\Flagged)")
    latest = made.open("INBOX").live.highest_modseq
    lines = returning(made).lines(f"SELECT INBOX (QRESYNC ({validity} {modseq}))")
    assert lines[-3:] == [
        b"* VANISHED (EARLIER) 2,4:5",
        b"* 2 FETCH (UID 3 FLAGS (\\Flagged) MODSEQ (%d))" % latest,
        b"a OK [READ-WRITE] SELECT completed",
    ]
    assert b"* OK [HIGHESTMODSEQ %d] The latest change" % latest in lines[:-3]
    again = returning(made).lines(f"SELECT INBOX (QRESYNC ({validity} {latest}))")
    assert not [line for line in again if b"VANISHED" in line or b"FETCH" in line]


def test_only_of_the_uids_that_the_client_knows():
    made = account(6)
    validity, modseq = known(made)
    expunge(made, "2,4")
    Client(made, "INBOX").says("UID STORE 1,3 +FLAGS.SILENT (\\Flagged)")
    lines = returning(made).lines(f"EXAMINE INBOX (QRESYNC ({validity} {modseq} 3:9))")
    assert [line.split(b" FLAGS")[0] for line in lines[-3:-1]] == [b"* VANISHED (EARLIER) 4", b"* 2 FETCH (UID 3"]


def test_pairs_without_end_cost_nothing(monkeypatch):
    made = account(50)
    validity, modseq = known(made)
    expunge(made, "20,40")
    made.open("INBOX").vanished = lambda since: None
    looks = []
    uid = SequenceView.uid
    monkeypatch.setattr(SequenceView, "uid", lambda view, number: looks.append(number) or uid(view, number))
    pairs = "(1:4294967295 1:4294967295)"
    lines = returning(made).lines(f"SELECT INBOX (QRESYNC ({validity} {modseq} 1:4294967295 {pairs}))")
    assert b"* VANISHED (EARLIER) 20,40" in lines
    assert len(looks) < 50


@given(st.sets(st.integers(1, 30)), st.data())
def test_pairs_that_a_client_holds_tell_how_much_it_knows(gone, data):
    made = account(30)
    if gone:
        expunge(made, ",".join(map(str, sorted(gone))))
    pairs = sorted(data.draw(st.sets(st.integers(1, 30), min_size=1)))
    selected = Client(made, "INBOX").selected
    left = [uid for uid in range(1, 31) if uid not in gone]
    fitting = [uid for uid in pairs if uid <= len(left) and left[uid - 1] == uid]
    assert known_up_to(selected, (UidSet.of(pairs), UidSet.of(pairs))) == max(fitting, default=0)


def test_another_uidvalidity_is_another_mailbox():
    made = account(3)
    validity, _ = known(made)
    expunge(made, "2")
    lines = returning(made).lines(f"SELECT INBOX (QRESYNC ({validity - 1} 1))")
    assert not [line for line in lines if b"VANISHED" in line or b"FETCH" in line]


def test_where_expunges_are_forgotten_all_that_is_missing_is_told():
    made = account(9)
    validity, _ = known(made)
    expunge(made, "1,3,5,7")
    client = returning(made)
    made.open("INBOX").vanished = lambda since: None
    lines = client.lines(f"SELECT INBOX (QRESYNC ({validity} 1))")
    assert b"* VANISHED (EARLIER) 1,3,5,7" in lines
    # Messages 1 and 2 have UIDs 2 and 4 here and there, message 3 not UID 5: all up to 4 is known.
    lines = client.lines(f"SELECT INBOX (QRESYNC ({validity} 1 1:9 (1,2,3,99 2,4,5,6)))")
    assert b"* VANISHED (EARLIER) 5,7" in lines
    lines = client.lines(f"SELECT INBOX (QRESYNC ({validity} 1 1:6 (1 1)))")
    assert b"* VANISHED (EARLIER) 1,3,5" in lines
    lines = client.lines(f"SELECT INBOX (QRESYNC ({validity} 1 1:9 (5 9)))")
    assert not [line for line in lines if b"VANISHED" in line]


def test_what_has_never_been_has_not_vanished():
    made = account(5)
    _, modseq = known(made)
    expunge(made, "2")
    client = returning(made)
    client.says("SELECT INBOX")
    client.selected.mailbox.vanished = lambda since: None
    assert client.lines(f"UID FETCH 1:100 (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")[0] == b"* VANISHED (EARLIER) 2"
    assert client.lines(f"UID FETCH 6:100 (FLAGS) (CHANGEDSINCE {modseq} VANISHED)") == [b"a OK FETCH completed"]


def test_fetch_tells_what_vanished_first():
    made = account(5)
    _, modseq = known(made)
    expunge(made, "1,4")
    client = returning(made)
    client.says("SELECT INBOX")
    Client(made, "INBOX").says("UID STORE 5 +FLAGS.SILENT (\\Seen)")
    lines = client.lines(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")
    assert lines[0] == b"* VANISHED (EARLIER) 1,4"
    assert lines[1].startswith(b"* 3 FETCH (UID 5 FLAGS (\\Seen")
    assert len(lines) == 3


def test_what_this_client_still_counts_is_told_once_and_not_as_earlier():
    made = account(4)
    _, modseq = known(made)
    client = returning(made)
    client.says("SELECT INBOX")
    expunge(made, "2")
    lines = client.lines(f"UID FETCH 1:4 (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")
    assert lines == [b"* VANISHED 2", b"a OK FETCH completed"]


def test_expunges_are_told_by_uid_and_the_answer_names_the_latest_change():
    made = account(5)
    client, other = returning(made), returning(made)
    client.says("SELECT INBOX")
    other.says("SELECT INBOX")
    client.says("UID STORE 2,5 +FLAGS.SILENT (\\Deleted)")
    lines = client.lines("EXPUNGE")
    modseq = made.open("INBOX").live.highest_modseq
    assert lines == [b"* VANISHED 2,5", b"a OK [HIGHESTMODSEQ %d] EXPUNGE completed" % modseq]
    assert b"VANISHED" not in other.says("FETCH 1 UID")
    assert other.lines("NOOP")[0] == b"* VANISHED 2,5"
    assert client.lines("EXPUNGE") == [b"a OK EXPUNGE completed"]
    assert other.says("FETCH 3 UID").startswith(b"* 3 FETCH (UID 4)")


def test_moves_too_and_close_says_nothing():
    made = account(3)
    made.create("Other")
    client = returning(made)
    client.says("SELECT INBOX")
    lines = client.lines("UID MOVE 2 Other")
    modseq = made.open("INBOX").live.highest_modseq
    assert lines[1:] == [b"* VANISHED 2", b"a OK [HIGHESTMODSEQ %d] MOVE completed" % modseq]
    client.says("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert client.lines("CLOSE") == [b"a OK CLOSE completed"]


def test_without_enable_expunges_are_told_by_number():
    made = account(2)
    client = Client(made, "INBOX")
    client.says("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert client.lines("EXPUNGE") == [b"* 1 EXPUNGE", b"a OK EXPUNGE completed"]


def test_a_page_of_a_fetch():
    client = Client(account(9), "INBOX")
    lines = client.lines("UID FETCH 3:8 FLAGS (PARTIAL -1:-2)")
    assert [line.split(b" FLAGS")[0] for line in lines[:-1]] == [b"* 7 FETCH (UID 7", b"* 8 FETCH (UID 8"]
    lines = client.lines("UID FETCH 3:8 FLAGS (PARTIAL 2:3 CHANGEDSINCE 0)")
    assert lines.pop(0).startswith(b"* OK [HIGHESTMODSEQ ")
    assert [line.split(b" FLAGS")[0] for line in lines[:-1]] == [b"* 4 FETCH (UID 4", b"* 5 FETCH (UID 5"]
    assert client.lines("UID FETCH 3:8 FLAGS (PARTIAL 7:9)") == [b"a OK FETCH completed"]
    assert client.says("FETCH 3:8 FLAGS (PARTIAL 1:2)").startswith(b"a BAD ")
