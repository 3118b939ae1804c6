"""STORE. RFC: 3501 §6.4.6, 7162 §3.1.3, 2180 §4.2"""

import pytest

from mailpost.mail.uidset import UidSet
from tests.protocols.imap.commands.dialogue import Client, account, numbers


def pair(messages: int = 3, *flags: str) -> tuple[Client, Client]:
    """Two clients on the same mailbox; nothing is recent for either."""
    made = account(messages, "INBOX", *flags)
    clients = Client(made, "INBOX"), Client(made, "INBOX")
    clients[0].selected.recent = UidSet()
    return clients


@pytest.mark.parametrize(
    ("change", "flags"),
    [
        ("FLAGS (\\Flagged)", b"\\Flagged"),
        ("+FLAGS \\flagged", b"\\Flagged \\Seen"),
        ("+FLAGS (\\Answered $Work)", b"\\Answered \\Seen $Work"),
        ("-FLAGS (\\Seen \\Draft)", b""),
        ("FLAGS ()", b""),
    ],
)
def test_flags_are_replaced_added_and_removed_and_told(change, flags):
    client, _ = pair(1, "\\Seen")
    assert client.lines(f"STORE 1 {change}")[-2:] == [
        b"* 1 FETCH (FLAGS (%b))" % flags,
        b"a OK STORE completed",
    ]


def test_another_session_is_told_once():
    client, other = pair()
    client.says("STORE 1:2 +FLAGS (\\Seen)")
    assert other.lines("STORE 3 +FLAGS.SILENT (\\Draft)") == [
        b"* 1 FETCH (UID 1 FLAGS (\\Seen))",
        b"* 2 FETCH (UID 2 FLAGS (\\Seen))",
        b"a OK STORE completed",
    ]
    assert other.lines("SEARCH UID 9") == [b"* SEARCH", b"a OK SEARCH completed"]


def test_silent_hides_ones_own_changes_only():
    client, other = pair()
    other.says("STORE 1 +FLAGS.SILENT (\\Answered)")
    assert client.lines("STORE 1:2 +FLAGS.SILENT (\\Seen)") == [
        b"* 1 FETCH (UID 1 FLAGS (\\Answered \\Seen))",
        b"a OK STORE completed",
    ]
    assert client.lines("STORE 2 -FLAGS.SILENT (\\Seen)") == [b"a OK STORE completed"]


def test_the_answer_has_what_others_did_too():
    client, other = pair(1)
    other.says("STORE 1 +FLAGS.SILENT (\\Answered)")
    assert client.lines("STORE 1 +FLAGS (\\Seen)") == [
        b"* 1 FETCH (FLAGS (\\Answered \\Seen))",
        b"a OK STORE completed",
    ]


def test_uid_store_tells_the_uid():
    client, _ = pair()
    assert client.lines("UID STORE 2:9 +FLAGS (\\Seen)") == [
        b"* 2 FETCH (UID 2 FLAGS (\\Seen))",
        b"* 3 FETCH (UID 3 FLAGS (\\Seen))",
        b"a OK STORE completed",
    ]
    assert client.lines("UID STORE 77 +FLAGS (\\Seen)") == [b"a OK STORE completed"]


def test_recent_cannot_be_stored():
    client, _ = pair()
    assert client.says("STORE 1 +FLAGS (\\Recent)").startswith(b"a BAD ")
    assert client.says("STORE 1 FOO (\\Seen)").startswith(b"a BAD ")
    assert client.says("STORE 4 +FLAGS (\\Seen)").startswith(b"a BAD ")


def test_an_examined_mailbox_is_not_changed():
    client = Client(account(1))
    client.says("EXAMINE INBOX")
    assert client.lines("STORE 1 +FLAGS (\\Seen)") == [b"a NO [NOPERM] The mailbox is open read-only"]


def test_twenty_thousand_are_one_call_and_few_pieces():
    made = account(20_000)
    mailbox = made.open("INBOX")
    calls = []
    store = mailbox.store

    def counted(uids, *rest, **named):
        calls.append(len(uids))
        return store(uids, *rest, **named)

    mailbox.store = counted
    client = Client(made, "INBOX")
    assert client.lines("STORE 1:* +FLAGS.SILENT (\\Seen)") == [b"a OK STORE completed"]
    answer = client.lines("STORE 1:* FLAGS (\\Draft)")
    assert answer[-2] == b"* 20000 FETCH (FLAGS (\\Draft \\Recent))"
    assert len(answer) == 20_001
    assert calls == [20_000, 20_000]
    assert client.drains == 4


def test_unchanged_since_changes_what_is_as_the_client_knew_it():
    client, other = pair()
    other.says("STORE 2 +FLAGS.SILENT (\\Answered)")
    assert client.lines("STORE 1:3 (UNCHANGEDSINCE 2) +FLAGS (\\Seen)") == [
        b"* OK [HIGHESTMODSEQ 3] The latest change",
        b"* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (4))",
        b"* 3 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (4))",
        b"* 2 FETCH (UID 2 FLAGS (\\Answered) MODSEQ (3))",
        b"a OK [MODIFIED 2] Some messages had changed",
    ]
    assert client.lines("UID STORE 1:3 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\\Deleted)") == [
        b"* 2 FETCH (UID 2 MODSEQ (5))",
        b"* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (4))",
        b"* 3 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (4))",
        b"a OK [MODIFIED 1,3] Some messages had changed",
    ]


@pytest.mark.parametrize(
    "command", ["FETCH 9 MODSEQ", "STORE 9 (UNCHANGEDSINCE 1) FLAGS ()", "FETCH 9 FLAGS (CHANGEDSINCE 1)"]
)
def test_what_is_bad_enables_nothing(command):
    client, _ = pair(1)
    assert client.says(command).startswith(b"a BAD ")
    assert client.enabled == set()


@pytest.mark.parametrize(
    "command",
    [
        *("FETCH 1 MODSEQ", "UID FETCH 1 FLAGS (CHANGEDSINCE 7)", "SEARCH MODSEQ 7", "STATUS INBOX (HIGHESTMODSEQ)"),
        *("STORE 1 (UNCHANGEDSINCE 0) FLAGS ()", "ENABLE CONDSTORE", "ENABLE QRESYNC"),
    ],
)
def test_the_first_command_that_speaks_of_mod_sequences_is_told_the_highest(command):
    """RFC: 7162 §3.1"""
    client, _ = pair(1)
    told = b"* OK [HIGHESTMODSEQ 2] The latest change"
    assert told in client.lines(command)
    assert "CONDSTORE" in client.enabled
    assert told not in client.lines(command)


def test_unchanged_since_nothing_always_fails():
    client, _ = pair(1)
    answer = client.lines("STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Seen)")
    assert answer[-1] == b"a OK [MODIFIED 1] Some messages had changed"


def test_a_client_that_knows_mod_sequences_is_told_them_of_silent_changes():
    client, other = pair()
    client.says("FETCH 1 MODSEQ")
    assert client.lines("STORE 1:2 +FLAGS.SILENT (\\Seen)") == [
        b"* 1 FETCH (UID 1 MODSEQ (3))",
        b"* 2 FETCH (UID 2 MODSEQ (3))",
        b"a OK STORE completed",
    ]
    assert client.lines("STORE 1:2 +FLAGS.SILENT (\\Seen)") == [b"a OK STORE completed"]
    other.says("STORE 3 +FLAGS.SILENT (\\Seen)")
    assert b"* 3 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (4))" in client.lines("FETCH 1 UID")


def test_messages_that_are_gone():
    client, other = pair(4)
    other.says("STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.says("EXPUNGE")
    assert client.lines("STORE 2 +FLAGS (\\Seen)") == [b"a NO [EXPUNGEISSUED] These messages no longer exist"]
    assert client.lines("STORE 1:2 +FLAGS.SILENT (\\Seen)") == [
        b"a OK [EXPUNGEISSUED] Some of these messages no longer exist"
    ]
    assert client.lines("STORE 2:3 +FLAGS (\\Seen)") == [
        b"* 3 FETCH (FLAGS (\\Seen))",
        b"a NO [EXPUNGEISSUED] Some of these messages no longer exist",
    ]
    assert client.lines("STORE 2:4 (UNCHANGEDSINCE 2) +FLAGS (\\Seen)")[-1].startswith(b"a NO [MODIFIED 3] ")
    assert numbers(client.says("UID STORE 1:4 +FLAGS (\\Seen)"), b"EXPUNGE") == [2]
