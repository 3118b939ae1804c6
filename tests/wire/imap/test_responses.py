"""RFC: 3501 §7, 4315 §3, 4731 §3.1, 7162 §3.1.5, 8474"""

from dataclasses import dataclass, field

from mailpost.wire.imap import responses
from mailpost.wire.imap.listing import StatusItem


@dataclass
class Counts:
    messages: int = 3
    recent: int = 1
    unseen: int = 2
    deleted: int = 0
    deleted_size: int = 30
    size: int = 5_000_000_000
    uidnext: int = 9
    uidvalidity: int = 7
    highest_modseq: int = 11
    mailbox_id: str = "F1"


@dataclass
class Copies:
    uidvalidity: int = 7
    source_uids: list[int] = field(default_factory=lambda: [1, 2, 3, 9])
    target_uids: list[int] = field(default_factory=lambda: [5, 6, 7, 8])
    uids: list[int] = field(default_factory=lambda: [4])


def test_status_names_the_items_in_the_order_asked_for() -> None:
    line = responses.status("a b", Counts(), (StatusItem.SIZE, StatusItem.MAILBOXID, StatusItem.MESSAGES))
    assert line == b'* STATUS "a b" (SIZE 5000000000 MAILBOXID (F1) MESSAGES 3)\r\n'
    everything = responses.status("é", Counts(), StatusItem, append_limit=99)
    assert everything == (
        b"* STATUS &AOk- (MESSAGES 3 RECENT 1 UIDNEXT 9 UIDVALIDITY 7 UNSEEN 2 DELETED 0 DELETED-STORAGE 30"
        b" SIZE 5000000000 HIGHESTMODSEQ 11 MAILBOXID (F1) APPENDLIMIT 99)\r\n"
    )


def test_list() -> None:
    assert responses.list_line("", "/", (b"\\Noselect",)) == b'* LIST (\\Noselect) "/" ""\r\n'
    assert responses.list_line("é", "\\", ()) == b'* LIST () "\\\\" &AOk-\r\n'
    assert responses.list_line("x", "", (b"\\A", b"\\B"), lsub=True) == b"* LSUB (\\A \\B) NIL x\r\n"
    line = responses.list_line("é", "/", (), child_info=[b"SUBSCRIBED"], utf8=True)
    assert line == '* LIST () "/" "é" ("CHILDINFO" ("SUBSCRIBED"))\r\n'.encode()


def test_namespace() -> None:
    assert responses.namespace_line(".") == b'* NAMESPACE (("" ".")) NIL NIL\r\n'


def test_search() -> None:
    assert responses.search_line([]) == b"* SEARCH\r\n"
    assert responses.search_line([2, 84]) == b"* SEARCH 2 84\r\n"
    assert responses.search_line([2], modseq=9) == b"* SEARCH 2 (MODSEQ 9)\r\n"


def test_esearch() -> None:
    assert responses.esearch_line(b'a"') == b'* ESEARCH (TAG "a\\"")\r\n'
    assert responses.esearch_line(b"a", numbers=[], count=0) == b'* ESEARCH (TAG "a") COUNT 0\r\n'
    line = responses.esearch_line(b"a", uid=True, least=2, greatest=9, count=3, numbers=[2, 3, 9], modseq=7)
    assert line == b'* ESEARCH (TAG "a") UID MIN 2 MAX 9 COUNT 3 ALL 2:3,9 MODSEQ 7\r\n'


def test_uidplus() -> None:
    assert responses.appenduid(Copies()) == b"APPENDUID 7 4"
    assert responses.copyuid(Copies()) == b"COPYUID 7 1:3,9 5:8"
