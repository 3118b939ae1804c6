"""Each extension while another session expunges.

The client's numbers keep their meaning until it is told, what is gone is neither found nor changed nor copied, and
what is told is told once.

RFC: 3501 §7.4.1, 2180 §4, 9051 §7.5.1, 5530 §3 (EXPUNGEISSUED), 7162 §3.2.10, 5182 §2.1, 9394 §3, 4469 §5, 8508 §3.4
"""

from __future__ import annotations

import re

import pytest

from mailpost.storage.memory import MemoryStore
from mailpost.storage.records import QuotaLimit, SpecialUse
from mailpost.wire.imap.structures import summarise
from tests.protocols.imap.commands.dialogue import MESSAGE, Client, account, add, numbers


def removed(made, uids: str, folder: str = "INBOX") -> None:
    """Another session removes these."""
    other = Client(made, folder)
    other.says(f"UID STORE {uids} +FLAGS.SILENT (\\Deleted)")
    other.says(f"UID EXPUNGE {uids}")
    other.deselect()


def unaware(messages: int, gone: str, *enabled: str):
    """An account, and a client that has not been told that some of its messages are gone."""
    made = account(messages)
    made.create("Other")
    client = Client(made)
    if enabled:
        client.says(f"ENABLE {' '.join(enabled)}")
    client.says("SELECT INBOX")
    removed(made, gone)
    return made, client


ITEMS = {
    "BINARY": ("BINARY.PEEK[1]", "BINARY.SIZE[1]"),
    "CONDSTORE": ("MODSEQ",),
    "OBJECTID": ("EMAILID", "THREADID"),
    "PREVIEW": ("PREVIEW", "PREVIEW (LAZY)"),
    "SAVEDATE": ("SAVEDATE",),
}
"""What extensions let a client fetch."""
FETCHED = [(extension, item) for extension, items in ITEMS.items() for item in items]


@pytest.mark.parametrize(("extension", "item"), FETCHED)
def test_items_of_messages_that_are_gone(extension: str, item: str) -> None:
    _made, client = unaware(4, "2:3")
    answer = client.says(f"FETCH 1:4 ({item})")
    assert numbers(answer, b"FETCH") == [1, 4]
    assert b"EXPUNGE\r\n" not in answer
    assert answer.endswith(b"a OK [EXPUNGEISSUED] Some of these messages no longer exist\r\n")
    assert client.says(f"FETCH 2:3 ({item})").startswith(b"a NO [EXPUNGEISSUED] ")
    answer = client.says(f"UID FETCH 1:4 ({item})")
    assert numbers(answer, b"FETCH") == [1, 4]
    assert answer.endswith(b"* 3 EXPUNGE\r\n* 2 EXPUNGE\r\na OK FETCH completed\r\n")
    assert numbers(client.says(f"FETCH 1:2 ({item})"), b"FETCH") == [1, 2]


@pytest.mark.parametrize(("extension", "item"), FETCHED)
def test_items_of_messages_that_are_gone_for_a_client_of_qresync(extension: str, item: str) -> None:
    _made, client = unaware(4, "2:3", "QRESYNC")
    assert b"VANISHED" not in client.says(f"FETCH 1:4 ({item})")
    assert client.says(f"UID FETCH 2:4 ({item})").endswith(b"* VANISHED 2:3\r\na OK FETCH completed\r\n")


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("EMAILID {email}", b""),
        ("THREADID {thread}", b""),
        ("NOT EMAILID {email}", b" 1 3"),
        ("SAVEDATESUPPORTED", b" 1 3"),
        ("SAVEDSINCE 1-Jan-2001", b" 1 3"),
        ("SAVEDBEFORE 1-Jan-2001", b""),
        ("LARGER 1", b" 1 3"),
    ],
)
def test_keys_of_extensions_find_nothing_that_is_gone(key: str, found: bytes) -> None:
    """OBJECTID, SAVEDATE"""
    made = account(3)
    client = Client(made, "INBOX")
    email = re.search(rb"EMAILID \(([^)]+)", client.says("FETCH 2 EMAILID"))
    thread = re.search(rb"THREADID \(([^)]+)", client.says("FETCH 2 THREADID"))
    assert email is not None
    assert thread is not None
    removed(made, "2")
    asked = key.format(email=email[1].decode(), thread=thread[1].decode())
    assert client.lines(f"SEARCH {asked}") == [b"* SEARCH" + found, b"a OK SEARCH completed"]
    assert client.lines(f"UID SEARCH {asked}") == [b"* SEARCH" + found, b"* 2 EXPUNGE", b"a OK SEARCH completed"]


def test_an_identifier_stays_where_a_copy_was_made_before() -> None:
    """OBJECTID"""
    made = account(1)
    made.create("Other")
    client = Client(made, "INBOX")
    identity = client.lines("FETCH 1 EMAILID")[0]
    client.says("COPY 1 Other")
    removed(made, "1")
    client.says("SELECT Other")
    assert client.lines("FETCH 1 EMAILID")[0] == identity


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ("MIN", b"MIN 2"),
        ("MAX", b"MAX 5"),
        ("COUNT", b"COUNT 3"),
        ("ALL", b"ALL 2,4:5"),
        ("PARTIAL 1:2", b"PARTIAL (1:2 2,4)"),
    ],
)
def test_results_count_only_what_is_there(options: str, answer: bytes) -> None:
    """ESEARCH and PARTIAL"""
    _made, client = unaware(6, "1,3,6")
    assert client.lines(f"SEARCH RETURN ({options}) ALL") == [
        b'* ESEARCH (TAG "a") ' + answer,
        b"a OK SEARCH completed",
    ]


def test_what_is_saved_loses_what_goes() -> None:
    """SEARCHRES. RFC: 5182 §2.1: messages that are expunged are no longer in it"""
    made = account(4)
    made.create("Other")
    client = Client(made, "INBOX")
    client.says("SEARCH RETURN (SAVE) 2:4")
    removed(made, "3")
    assert numbers(client.says("FETCH $ FLAGS"), b"FETCH") == [2, 4]
    client.says("NOOP")
    assert numbers(client.says("FETCH $ FLAGS"), b"FETCH") == [2, 3]
    assert b"[COPYUID %d 2,4 1:2]" % made.open("Other").live.uidvalidity in client.says("UID COPY $ Other")
    removed(made, "2,4")
    assert client.lines("UID FETCH $ FLAGS")[-1] == b"a OK FETCH completed"
    assert made.status("Other").messages == 2


def test_a_page_is_a_page_of_what_is_there() -> None:
    """PARTIAL"""
    _made, client = unaware(6, "2,5")
    lines = client.lines("UID FETCH 1:* (UID) (PARTIAL 2:3)")
    assert lines == [
        b"* 3 FETCH (UID 3)",
        b"* 4 FETCH (UID 4)",
        b"* 5 EXPUNGE",
        b"* 2 EXPUNGE",
        b"a OK FETCH completed",
    ]


def test_a_condition_on_what_is_gone_changes_nothing_of_it() -> None:
    """CONDSTORE. RFC: 7162 §3.1.3: what is gone is no message that was modified"""
    made, client = unaware(3, "2", "CONDSTORE")
    modseq = made.open("INBOX").live.highest_modseq
    lines = client.lines(f"STORE 1:3 (UNCHANGEDSINCE {modseq}) +FLAGS (\\Flagged)")
    assert numbers(b"\r\n".join(lines), b"FETCH") == [1, 3]
    assert lines[-1].startswith(b"a NO [EXPUNGEISSUED] ")
    assert client.says(f"STORE 2 (UNCHANGEDSINCE {modseq}) +FLAGS (\\Seen)").startswith(b"a NO [EXPUNGEISSUED] ")
    assert numbers(client.says("FETCH 1:3 (FLAGS) (CHANGEDSINCE 1)"), b"FETCH") == [1, 3]
    assert client.says("UID STORE 2 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)").endswith(
        b"* 2 EXPUNGE\r\na OK STORE completed\r\n"
    )


def test_the_highest_mod_sequence_covers_the_expunge() -> None:
    """CONDSTORE, QRESYNC: a client that remembers it misses nothing."""
    made, client = unaware(3, "2", "QRESYNC")
    latest = made.open("INBOX").live.highest_modseq
    validity = made.open("INBOX").live.uidvalidity
    assert b"HIGHESTMODSEQ %d)" % latest in client.says("STATUS INBOX (HIGHESTMODSEQ)")
    client.says("UNSELECT")
    lines = client.lines(f"SELECT INBOX (QRESYNC ({validity} {latest}))")
    assert not [line for line in lines if b"VANISHED" in line]
    lines = client.lines(f"SELECT INBOX (QRESYNC ({validity} {latest - 1}))")
    assert [line for line in lines if b"VANISHED" in line] == [b"* VANISHED (EARLIER) 2"]


def test_without_numbers_what_goes_is_told_at_any_time() -> None:
    """UIDONLY. RFC: 9586 §3.5: there are no numbers that could shift"""
    made, client = unaware(4, "2", "UIDONLY")
    assert client.lines("UID FETCH 1:3 (FLAGS)") == [
        b"* 1 UIDFETCH (FLAGS (\\Recent))",
        b"* 3 UIDFETCH (FLAGS (\\Recent))",
        b"* VANISHED 2",
        b"a OK FETCH completed",
    ]
    removed(made, "3")
    assert client.lines("UID STORE 3 +FLAGS (\\Seen)") == [b"* VANISHED 3", b"a OK STORE completed"]
    removed(made, "4")
    assert client.lines("UID SEARCH RETURN (COUNT) ALL") == [
        b'* ESEARCH (TAG "a") UID COUNT 1',
        b"* VANISHED 4",
        b"a OK SEARCH completed",
    ]
    removed(made, "1")
    assert client.lines("UID MOVE 1 Other") == [b"* VANISHED 1", b"a OK MOVE completed"]


def test_rev2_is_told_by_number_and_searches_by_what_is_there() -> None:
    """IMAP4rev2"""
    made, client = unaware(3, "2", "IMAP4rev2")
    assert client.lines("SEARCH ALL") == [b'* ESEARCH (TAG "a") ALL 1,3', b"a OK SEARCH completed"]
    assert b"DELETED 0" in client.says("STATUS INBOX (DELETED)")
    removed(made, "3")
    assert client.lines("UID SEARCH ALL")[0] == b'* ESEARCH (TAG "a") UID ALL 1'


@pytest.mark.parametrize("selected", ["Other", "INBOX"])
def test_a_part_that_another_session_has_expunged(selected: str) -> None:
    """CATENATE. RFC: 4469 §5: nothing is appended"""
    made = account(2)
    made.create("Other")
    client = Client(made, selected)
    removed(made, "2")
    before = made.status("Other").messages
    answer = client.lines(b"APPEND Other CATENATE (URL /INBOX/;UID=1 URL /INBOX/;UID=2 TEXT {1+}\r\nx)")
    assert next(line for line in answer if line.startswith(b"a ")).startswith(b"a NO [BADURL /INBOX/;UID=2] ")
    if selected == "INBOX":
        answer = client.lines(b"APPEND Other CATENATE (URL ;UID=2)")
        assert answer[-1].startswith(b"a NO [BADURL ;UID=2] ")
    assert made.status("Other").messages == before


def test_messages_that_come_while_others_go() -> None:
    """MULTIAPPEND, and APPEND of 8-bit text after ENABLE UTF8=ACCEPT"""
    _made, client = unaware(3, "2", "UTF8=ACCEPT")
    assert client.lines(b"APPEND INBOX {1+}\r\na UTF8 (~{2+}\r\n\xc3\xbc)")[:-1] == [
        b"* 2 EXPUNGE",
        b"* 4 EXISTS",
        b"* 4 RECENT",
    ]
    assert numbers(client.says("FETCH 1:* UID"), b"FETCH") == [1, 2, 3, 4]


@pytest.mark.parametrize("command", [b"REPLACE 2", b"UID REPLACE 2"])
def test_what_is_gone_is_not_replaced(command: bytes) -> None:
    """REPLACE. RFC: 8508 §3.4: nor is its successor appended"""
    made, client = unaware(3, "2")
    answer = client.lines(command + b" Other {1+}\r\nx")
    assert answer[-1].startswith(b"a NO ")
    assert made.status("Other").messages == 0
    assert made.open("INBOX").live.uids == [1, 3]


def test_a_message_that_goes_while_its_successor_comes() -> None:
    """REPLACE"""
    made = account(2)
    client = Client(made, "INBOX")
    client.begins(b"REPLACE 1 INBOX {9}\r\nhal")
    removed(made, "1")
    client._decoder.feed(b"f it\r\n")
    answer = client.says(b"")
    assert b"a NO [EXPUNGEISSUED] " in answer
    assert made.open("INBOX").live.uids == [2]


def test_what_another_has_expunged_already() -> None:
    """UIDPLUS"""
    made = account(4)
    client = Client(made, "INBOX")
    client.says("STORE 2:3 +FLAGS.SILENT (\\Deleted)")
    removed(made, "2")
    assert client.lines("UID EXPUNGE 2:3") == [b"* 3 EXPUNGE", b"* 2 EXPUNGE", b"a OK EXPUNGE completed"]


def test_half_of_what_is_to_move_is_gone() -> None:
    """MOVE, UIDPLUS: COPYUID names what was there"""
    made, client = unaware(4, "2")
    validity = made.open("Other").live.uidvalidity
    assert client.lines("UID MOVE 1:3 Other") == [
        b"* OK [COPYUID %d 1,3 1:2] Moved" % validity,
        b"* 3 EXPUNGE",
        b"* 2 EXPUNGE",
        b"* 1 EXPUNGE",
        b"a OK MOVE completed",
    ]


def test_counts_are_of_what_is_there_and_the_expunge_is_told_with_them() -> None:
    """LIST-STATUS, LIST-EXTENDED, SPECIAL-USE, STATUS=SIZE. RFC: 5819 §2"""
    made = account(3)
    made.create("Sent", SpecialUse.SENT)
    client = Client(made, "INBOX")
    removed(made, "2:3")
    size = len(MESSAGE % (1, 1))
    assert client.lines('LIST (SUBSCRIBED) "" (INBOX Sent) RETURN (STATUS (MESSAGES SIZE))') == [
        b'* LIST (\\HasNoChildren \\Subscribed) "/" INBOX',
        b"* STATUS INBOX (MESSAGES 1 SIZE %d)" % size,
        b"* 3 EXPUNGE",
        b"* 2 EXPUNGE",
        b"a OK LIST completed",
    ]
    removed(made, "1")
    assert client.lines("STATUS INBOX (SIZE)")[:2] == [b"* STATUS INBOX (SIZE 0)", b"* 1 EXPUNGE"]
    assert client.lines('LIST (SPECIAL-USE) "" * RETURN (STATUS (SIZE))')[1] == b"* STATUS Sent (SIZE 0)"


@pytest.mark.parametrize(
    "line",
    [
        "ENABLE CONDSTORE",
        "ID NIL",
        "NAMESPACE",
        "CREATE New (USE (\\Sent))",
        'GETQUOTA ""',
        "GETQUOTAROOT INBOX",
        "CHECK",
        "SUBSCRIBE INBOX",
    ],
)
def test_commands_that_use_no_numbers_tell_it(line: str) -> None:
    """ENABLE, ID, NAMESPACE, CREATE-SPECIAL-USE, QUOTA. RFC: 3501 §7.4.1: any command but FETCH, STORE and SEARCH"""
    made = MemoryStore(summarise, {}, quota=lambda _: QuotaLimit(1 << 20, 10)).account("ann")
    add(made, [MESSAGE % (n, n) for n in (1, 2)])
    client = Client(made, "INBOX")
    removed(made, "1")
    lines = client.lines(line)
    assert b"* 1 EXPUNGE" in lines
    assert lines[-1].startswith(b"a OK ")


def test_what_goes_makes_room() -> None:
    """QUOTA"""
    made = MemoryStore(summarise, {}, quota=lambda _: QuotaLimit(None, 2)).account("ann")
    add(made, [b"one", b"two"])
    client = Client(made, "INBOX")
    assert client.lines(b"APPEND INBOX {1+}\r\nx")[-1].startswith(b"a NO [OVERQUOTA]")
    removed(made, "1")
    assert client.lines('GETQUOTA ""')[0] == b'* QUOTA "" (MESSAGE 1 2)'
    assert client.lines(b"APPEND INBOX {1+}\r\nx")[-1].startswith(b"a OK")


def test_leaving_says_nothing_of_it() -> None:
    """UNSELECT; UNAUTHENTICATE is in `test_unauthenticate`. RFC: 3691 §2"""
    _made, client = unaware(3, "2")
    assert client.lines("UNSELECT") == [b"a OK UNSELECT completed"]
    assert b"* 2 EXISTS" in client.lines("SELECT INBOX")
