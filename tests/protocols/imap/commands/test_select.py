"""SELECT, EXAMINE, CLOSE, UNSELECT. RFC: 3501 §6.3.1, §6.3.2, §6.4.2, 3691, 7162 §3.1.2"""

import pytest
from twisted.internet.defer import Deferred

from tests.protocols.imap.commands.dialogue import MESSAGE, Client, account, add


def test_select_tells_all_of_a_mailbox():
    made = account(2, "INBOX", "\\Seen", "$Work")
    add(made, [MESSAGE % (3, 3)])
    assert Client(made).lines("SELECT INBOX") == [
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work)",
        b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work \\*)] These are kept",
        b"* 3 EXISTS",
        b"* 3 RECENT",
        b"* OK [UNSEEN 3] The first unseen message",
        b"* OK [UIDVALIDITY 1000000000] UIDs are valid",
        b"* OK [UIDNEXT 4] The next UID",
        b"* OK [MAILBOXID (%b)] It stays through renames" % made.open("INBOX").live.mailbox_id.encode(),
        b"* OK [HIGHESTMODSEQ 3] The latest change",
        b"a OK [READ-WRITE] SELECT completed",
    ]


def test_an_empty_mailbox_has_no_first_unseen():
    answer = Client(account()).says("SELECT inbox")
    assert b"* 0 EXISTS\r\n" in answer
    assert b"UNSEEN" not in answer


def test_the_first_unseen_follows_changes():
    made = account(3)
    one = Client(made, "INBOX")
    one.says("STORE 1:2 +FLAGS.SILENT (\\Seen)")
    assert b"[UNSEEN 3]" in one.says("SELECT INBOX")
    one.says("STORE 3 +FLAGS.SILENT (\\Seen)")
    assert b"UNSEEN" not in one.says("SELECT INBOX")
    one.says("STORE 1 -FLAGS.SILENT (\\Seen)")
    assert b"[UNSEEN 1]" in one.says("SELECT INBOX")


def test_keywords_are_not_open_where_the_mailbox_takes_no_new_ones():
    made = account(1, "INBOX", "$Old")
    made.open("INBOX").keywords_allowed = False
    client = Client(made)
    assert b"[PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Old)]" in client.says("SELECT INBOX")
    client.says("STORE 1 +FLAGS ($New \\Flagged)")
    assert client.lines("FETCH 1 FLAGS")[0] == b"* 1 FETCH (FLAGS (\\Flagged \\Recent $Old))"


def test_examine_is_read_only_and_leaves_recent_messages_recent():
    made = account(2)
    reader = Client(made)
    answer = reader.lines("EXAMINE INBOX")
    assert b"* OK [PERMANENTFLAGS ()] Read-only" in answer
    assert b"* 2 RECENT" in answer
    assert answer[-1].startswith(b"a OK [READ-ONLY] ")
    assert b"* 2 RECENT\r\n" in Client(made).says("SELECT INBOX")
    assert b"* 0 RECENT\r\n" in Client(made).says("SELECT INBOX")


def test_a_mailbox_that_is_read_only_is_selected_so():
    made = account(1)
    made.open("INBOX").read_only = True
    client = Client(made)
    assert b"a OK [READ-ONLY]" in client.says("SELECT INBOX")
    assert b"a NO [NOPERM]" in client.says("STORE 1 +FLAGS (\\Seen)")


def test_a_mailbox_without_mod_sequences_says_so():
    made = account(1)
    made.open("INBOX").live.highest_modseq = 0
    client = Client(made)
    assert b"* OK [NOMODSEQ] " in client.says("SELECT INBOX (CONDSTORE)")
    for command in (
        "FETCH 1 MODSEQ",
        "FETCH 1 FLAGS (CHANGEDSINCE 1)",
        "STORE 1 (UNCHANGEDSINCE 1) FLAGS ()",
        "SEARCH MODSEQ 1",
    ):
        assert client.says(command).startswith(b"a BAD ")
    assert client.lines("STORE 1 FLAGS ()")[0] == b"* 1 FETCH (FLAGS (\\Recent))"


def test_another_select_closes_the_first_mailbox():
    made = account(1)
    made.create("Other")
    client = Client(made, "INBOX")
    answer = client.lines("SELECT Other")
    assert answer[0].startswith(b"* OK [CLOSED] ")
    assert b"* 0 EXISTS" in answer
    assert made.open("INBOX").live._cursors == {}


def test_a_failed_select_leaves_nothing_selected():
    client = Client(account(1), "INBOX")
    assert b"a NO [NONEXISTENT] " in client.says("SELECT Nowhere")
    assert client.selected is None


def test_the_mailbox_is_given_back_when_it_cannot_be_read():
    made = account()
    mailbox = made.open("INBOX")
    released = []
    mailbox.release = lambda: released.append(True)

    def refresh():
        raise OSError("no disk")

    mailbox.refresh = refresh
    with pytest.raises(OSError, match="no disk"):
        Client(made).says("SELECT INBOX")
    assert released == [True]


def test_a_store_may_take_its_time_to_open():
    made = account(1)
    opening: Deferred[object] = Deferred()
    mailbox = made.open("INBOX")
    made.open = lambda name: opening
    client = Client(made)
    answered = client.begins("SELECT INBOX")
    assert not answered.called
    opening.callback(mailbox)
    assert answered.called
    assert client.heard().endswith(b"a OK [READ-WRITE] SELECT completed\r\n")


def test_condstore_is_enabled_by_select_and_qresync_is_not():
    client = Client(account())
    assert b"a OK" in client.says("SELECT INBOX (CONDSTORE)")
    assert "CONDSTORE" in client.enabled
    assert client.says("SELECT INBOX (QRESYNC (1 2))").startswith(b"a BAD")


def test_close_removes_what_is_deleted_without_a_word():
    made = account(3)
    client, other = Client(made, "INBOX"), Client(made, "INBOX")
    client.says("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert client.lines("CLOSE") == [b"a OK CLOSE completed"]
    assert client.selected is None
    assert other.says("FETCH 1:* UID").count(b"FETCH (UID") == 2
    assert made.open("INBOX").live.uids == [1, 3]


def test_close_of_an_examined_mailbox_and_unselect_remove_nothing():
    made = account(2, "INBOX", "\\Deleted")
    client = Client(made)
    client.says("EXAMINE INBOX")
    assert client.lines("CLOSE") == [b"a OK CLOSE completed"]
    client.says("SELECT INBOX")
    assert client.lines("UNSELECT") == [b"a OK UNSELECT completed"]
    assert client.selected is None
    assert made.open("INBOX").live.uids == [1, 2]
