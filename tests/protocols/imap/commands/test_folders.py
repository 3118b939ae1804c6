"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS. RFC: 3501 §6.3.3 to §6.3.7, §6.3.10, 6154 §3, 8438"""

import re

import pytest

from mailpost.storage.records import SpecialUse
from tests.protocols.imap.commands.dialogue import MESSAGE, Client, account, add


def names(made) -> list[str]:
    return [folder.name for folder in made.folders()]


def created(client: Client, command: str) -> bool:
    """Whether all that was said is OK, with the folder's identifier."""
    (line,) = client.lines(command)
    return bool(re.fullmatch(rb"a OK \[MAILBOXID \(F[0-9a-f]+\)\] CREATE completed", line))


def test_create():
    made = account()
    client = Client(made)
    assert created(client, "CREATE A/B")
    assert created(client, "CREATE C/")
    assert created(client, "CREATE &AOk-t&AOk-")
    assert names(made) == ["INBOX", "A", "A/B", "C", "été"]
    assert client.says("CREATE A/B").startswith(b"a NO [ALREADYEXISTS] ")
    assert client.says("CREATE inbox").startswith(b"a NO [ALREADYEXISTS] ")
    assert client.says("CREATE ../x").startswith(b"a NO [CANNOT] ")


def test_create_with_a_special_use():
    made = account()
    client = Client(made)
    assert created(client, "CREATE Bin (USE (\\trash))")
    assert made.folders()[1].special_use is SpecialUse.TRASH
    assert client.says("CREATE X (USE (\\Sent \\Drafts))").startswith(b"a NO [USEATTR] ")
    assert client.says("CREATE X (USE (\\Unheard))").startswith(b"a NO [USEATTR] ")
    assert names(made) == ["INBOX", "Bin"]


def test_delete():
    made = account()
    client = Client(made)
    client.says("CREATE A/B")
    assert client.lines("DELETE A") == [b"a OK DELETE completed"]
    assert client.says("DELETE A").startswith(b"a NO [HASCHILDREN] ")
    assert client.says("DELETE Nowhere").startswith(b"a NO [NONEXISTENT] ")
    assert client.says("DELETE inbox").startswith(b"a NO [CANNOT] ")


def test_deleting_the_selected_mailbox_leaves_it():
    made = account()
    made.create("Work")
    client, other = Client(made, "Work"), Client(made, "Work")
    assert client.lines("DELETE Work") == [
        b"* OK [CLOSED] The selected mailbox was deleted",
        b"a OK DELETE completed",
    ]
    assert client.selected is None
    assert client.goodbye == b""
    other.says("NAMESPACE")
    assert other.goodbye == b"gone"


def test_deleting_another_mailbox_leaves_the_selected_one():
    made = account(1)
    made.create("Work")
    client = Client(made, "INBOX")
    client.says("DELETE Work")
    assert client.selected is not None


def test_rename_moves_all_below_and_open_sessions_go_on():
    made = account()
    client = Client(made)
    client.says("CREATE A/B/C")
    add(made, [MESSAGE % (1, 1)], "A/B/C")
    other = Client(made, "A/B/C")
    assert client.lines("RENAME A/B X/") == [b"a OK RENAME completed"]
    assert names(made) == ["INBOX", "A", "X", "X/C"]
    assert other.lines("FETCH 1 UID") == [b"* 1 FETCH (UID 1)", b"a OK FETCH completed"]
    assert client.says("RENAME Nowhere Y").startswith(b"a NO [NONEXISTENT] ")
    assert client.says("RENAME X A").startswith(b"a NO [ALREADYEXISTS] ")


def test_renaming_inbox_moves_its_messages():
    made = account(2)
    client = Client(made, "INBOX")
    answer = client.lines("RENAME INBOX Old")
    assert sorted(answer[:2]) == [b"* 1 EXPUNGE", b"* 2 EXPUNGE"]
    assert made.open("Old").live.uids == [1, 2]


def test_subscriptions():
    made = account()
    made.create("A")
    client = Client(made)
    assert client.lines("SUBSCRIBE A") == [b"a OK SUBSCRIBE completed"]
    assert made.subscriptions() == {"INBOX", "A"}
    assert client.says("SUBSCRIBE Nowhere").startswith(b"a NO [NONEXISTENT] ")
    assert client.lines("UNSUBSCRIBE A") == [b"a OK UNSUBSCRIBE completed"]
    assert client.lines("UNSUBSCRIBE Nowhere") == [b"a OK UNSUBSCRIBE completed"]
    assert made.subscriptions() == {"INBOX"}


def test_status_of_everything():
    made = account(2, "INBOX", "\\Seen")
    add(made, [MESSAGE % (3, 3)], "INBOX", "\\Deleted")
    client = Client(made)
    items = "MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE"
    assert client.lines(f"STATUS inbox ({items})") == [
        b"* STATUS INBOX (MESSAGES 3 RECENT 3 UIDNEXT 4 UIDVALIDITY 1000000000 UNSEEN 1 DELETED 1 SIZE 246)",
        b"a OK STATUS completed",
    ]
    assert client.enabled == set()
    assert client.lines("STATUS INBOX (HIGHESTMODSEQ)")[0] == b"* STATUS INBOX (HIGHESTMODSEQ 3)"
    assert client.enabled == {"CONDSTORE"}


def test_status_of_the_selected_mailbox_and_of_one_with_a_difficult_name():
    made = account(1)
    made.create('a "b" é')
    client = Client(made, "INBOX")
    assert client.lines("STATUS INBOX (MESSAGES)")[0] == b"* STATUS INBOX (MESSAGES 1)"
    assert client.lines(b'STATUS "a \\"b\\" &AOk-" (MESSAGES)')[0] == b'* STATUS "a \\"b\\" &AOk-" (MESSAGES 0)'


@pytest.mark.parametrize("name", ["Nowhere", "A"])
def test_status_of_what_cannot_be_selected(name):
    made = account()
    made.create("A/B")
    made.delete("A")
    assert Client(made).says(f"STATUS {name} (MESSAGES)").startswith(b"a NO [NONEXISTENT] ")
