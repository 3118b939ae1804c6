"""EXPUNGE and UID EXPUNGE. RFC: 3501 §6.4.3, §7.4.1, 4315 §2.1"""

from tests.protocols.imap.commands.dialogue import MESSAGE, Client, account, add, numbers


def test_expunge_tells_each_number_as_it_is_then():
    made = account(5)
    client = Client(made, "INBOX")
    client.says("STORE 1,3:4 +FLAGS.SILENT (\\Deleted)")
    answer = client.says("EXPUNGE")
    left = [1, 2, 3, 4, 5]
    for number in numbers(answer, b"EXPUNGE"):
        del left[number - 1]
    assert left == [2, 5]
    assert answer.endswith(b"EXPUNGE\r\na OK EXPUNGE completed\r\n")
    assert made.open("INBOX").live.uids == [2, 5]
    assert client.lines("EXPUNGE") == [b"a OK EXPUNGE completed"]


def test_uid_expunge_removes_only_what_is_named():
    client = Client(account(3, "INBOX", "\\Deleted"), "INBOX")
    assert client.lines("UID EXPUNGE 2,77") == [b"* 2 EXPUNGE", b"a OK EXPUNGE completed"]
    assert client.lines("UID EXPUNGE 2") == [b"a OK EXPUNGE completed"]
    assert client.lines("UID EXPUNGE 3:*") == [b"* 2 EXPUNGE", b"a OK EXPUNGE completed"]


def test_only_messages_with_the_flag_are_removed():
    client = Client(account(2), "INBOX")
    assert client.lines("UID EXPUNGE 1:2") == [b"a OK EXPUNGE completed"]


def test_an_examined_mailbox_is_not_expunged():
    client = Client(account(1, "INBOX", "\\Deleted"))
    client.says("EXAMINE INBOX")
    assert client.says("EXPUNGE").startswith(b"a NO [NOPERM] ")
    assert client.says("UID EXPUNGE 1").startswith(b"a NO [NOPERM] ")


def test_expunges_of_others_arrivals_and_flags_are_told_in_one_answer_in_their_order():
    made = account(3)
    client, other = Client(made, "INBOX"), Client(made, "INBOX")
    client.says("STORE 1 +FLAGS.SILENT (\\Deleted)")
    other.says("STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.says("UID EXPUNGE 2")
    add(made, [MESSAGE % (4, 4)])
    other.says("STORE 2 +FLAGS.SILENT (\\Seen)")
    assert client.lines("EXPUNGE") == [
        b"* 2 EXPUNGE",
        b"* 1 EXPUNGE",
        b"* 2 EXISTS",
        b"* 1 RECENT",
        b"* 1 FETCH (UID 3 FLAGS (\\Seen \\Recent))",
        b"a OK EXPUNGE completed",
    ]


def test_a_message_that_came_and_went_unannounced_is_never_spoken_of():
    made = account(1)
    client, other = Client(made, "INBOX"), Client(made, "INBOX")
    add(made, [MESSAGE % (2, 2)], "INBOX", "\\Deleted")
    other.says("EXPUNGE")
    assert client.lines("EXPUNGE") == [b"a OK EXPUNGE completed"]
    add(made, [MESSAGE % (3, 3)])
    assert b"* 2 EXISTS" in client.lines("EXPUNGE")


def test_the_largest_numbers_go_on_being_right():
    made = account(100)
    clients = [Client(made, "INBOX") for _ in range(3)]
    clients[0].says("STORE 1:100 +FLAGS.SILENT (\\Deleted)")
    clients[0].says("STORE 7,70 -FLAGS.SILENT (\\Deleted)")
    clients[0].says("EXPUNGE")
    assert set(numbers(clients[1].says("FETCH 1:* (UID)"), b"FETCH")) == {7, 70}
    assert len(numbers(clients[2].says("UID FETCH 1:* (UID)"), b"EXPUNGE")) == 98
    for client in clients[1:]:
        client.says("EXPUNGE")
        assert client.lines("FETCH * (UID)")[0] == b"* 2 FETCH (UID 70)"
