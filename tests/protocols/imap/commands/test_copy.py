"""COPY and MOVE. RFC: 3501 §6.4.7, 4315 §3, 6851"""

import pytest

from tests.protocols.imap.commands.dialogue import Client, account


def setting(messages: int = 4, *flags: str):
    made = account(messages, "INBOX", *flags)
    made.create("Archive")
    archive = made.open("Archive").live
    return made, archive, Client(made, "INBOX")


def test_copy_names_the_copies():
    made, archive, client = setting(4, "\\Flagged", "$Work")
    assert client.lines("COPY 2:3 Archive") == [
        b"a OK [COPYUID %d 2:3 1:2] COPY completed" % archive.uidvalidity,
    ]
    assert client.lines("UID COPY 4,1 Archive")[0].startswith(b"a OK [COPYUID %d 1,4 3:4] " % archive.uidvalidity)
    assert archive.flags[0] == {"\\Flagged", "$Work"}
    assert made.open("INBOX").live.uids == [1, 2, 3, 4]


@pytest.mark.parametrize("command", ["COPY 1", "MOVE 1", "UID COPY 1", "UID MOVE 1"])
def test_a_target_that_is_not_there_may_be_created(command):
    made, _, client = setting(1)
    assert client.lines(f"{command} Nowhere")[0].startswith(b"a NO [TRYCREATE] ")
    assert made.open("INBOX").live.uids == [1]


@pytest.mark.parametrize("command", ["UID COPY 9", "UID MOVE 9"])
def test_uids_that_do_not_exist_are_passed_over(command):
    assert setting()[2].says(f"{command} Archive").startswith(b"a OK ")


def test_move_tells_the_copies_first_and_then_the_expunges():
    _, archive, client = setting()
    assert client.lines("MOVE 2:3 Archive") == [
        b"* OK [COPYUID %d 2:3 1:2] Moved" % archive.uidvalidity,
        b"* 3 EXPUNGE",
        b"* 2 EXPUNGE",
        b"a OK MOVE completed",
    ]
    assert client.lines("UID MOVE 1:* Archive")[0] == b"* OK [COPYUID %d 1,4 3:4] Moved" % archive.uidvalidity
    assert archive.uids == [1, 2, 3, 4]


def test_move_from_an_examined_mailbox_is_refused_and_copy_is_not():
    made, archive, _ = setting()
    client = Client(made)
    client.says("EXAMINE INBOX")
    assert client.says("MOVE 1 Archive").startswith(b"a NO [NOPERM] ")
    assert client.says("COPY 1 Archive").startswith(b"a OK [COPYUID ")
    assert archive.uids == [1]


def test_copy_into_the_same_mailbox_is_an_arrival():
    made, _, client = setting(2)
    validity = made.open("INBOX").live.uidvalidity
    assert client.lines("COPY 1:2 INBOX") == [
        b"* 4 EXISTS",
        b"* 4 RECENT",
        b"a OK [COPYUID %d 1:2 3:4] COPY completed" % validity,
    ]


@pytest.mark.parametrize("command", ["COPY", "MOVE"])
def test_half_a_copy_is_not_made(command):
    made, archive, client = setting()
    other = Client(made, "INBOX")
    other.says("STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.says("EXPUNGE")
    answer = client.lines(f"{command} 1:3 Archive")
    assert answer[-1] == b"a NO [EXPUNGEISSUED] Some of these messages no longer exist"
    assert archive.uids == []
    assert client.says(f"{command} 3 Archive").startswith((b"* OK [COPYUID", b"a OK [COPYUID", b"* 2 EXPUNGE"))
    assert archive.uids == [1]


def test_messages_that_go_while_the_store_copies_leave_no_code():
    made, _, client = setting(1)
    mailbox = made.open("INBOX")
    copy = mailbox.copy
    mailbox.copy = lambda uids, *rest, **named: copy([], *rest, **named)
    assert client.lines("UID COPY 1 Archive") == [b"a OK COPY completed"]


def test_both_ends_of_a_move_hear_of_it():
    made, _, client = setting(2)
    there, here = Client(made, "Archive"), Client(made, "INBOX")
    client.says("MOVE 1 Archive")
    assert there.lines("EXPUNGE")[:2] == [b"* 1 EXISTS", b"* 1 RECENT"]
    assert here.lines("EXPUNGE")[0] == b"* 1 EXPUNGE"
