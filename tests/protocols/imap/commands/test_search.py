"""SEARCH. RFC: 3501 §6.4.4, 4731, 5182 (SAVE), 7162 §3.1.5, §3.1.6, 9394 §3.1 (PARTIAL)"""

import pytest
from twisted.internet.defer import Deferred

from mailpost.mail.errors import ErrorKind, IncompleteError, MailError
from mailpost.mail.uidset import UidSet
from tests.protocols.imap.commands.dialogue import MESSAGE, Client, account, add, numbers


def setting() -> Client:
    """Five messages: 2 and 3 are \\Seen, 4 is \\Flagged; the UIDs are 2 to 6; 1 to 3 are recent."""
    made = account(6)
    first = Client(made, "INBOX")
    first.says("STORE 1 +FLAGS.SILENT (\\Deleted)")
    first.says("EXPUNGE")
    first.says("STORE 2:3 +FLAGS.SILENT (\\Seen)")
    first.says("STORE 4 +FLAGS.SILENT (\\Flagged)")
    client = Client(made, "INBOX")
    client.selected.recent = UidSet.of([2, 3, 4])
    return client


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("ALL", b" 1 2 3 4 5"),
        ("SEEN", b" 2 3"),
        ("UNSEEN FLAGGED", b" 4"),
        ("2:3", b" 2 3"),
        ("4:*", b" 4 5"),
        ("*", b" 5"),
        ("7:9", b""),
        ("UID 2:3", b" 1 2"),
        ("UID 99", b""),
        ("UID *", b" 5"),
        ("NOT 2:3", b" 1 4 5"),
        ("OR 1 UID 6", b" 1 5"),
        ("RECENT", b" 1 2 3"),
        ("OLD", b" 4 5"),
        ("NEW", b" 1"),
        ("NOT (OR SEEN (FLAGGED UID 5))", b" 1 5"),
        ("DELETED", b""),
    ],
)
def test_keys_that_only_the_session_can_resolve(key, found):
    assert setting().lines(f"SEARCH {key}") == [b"* SEARCH" + found, b"a OK SEARCH completed"]


def test_uid_search_answers_uids():
    assert setting().lines("UID SEARCH SEEN")[0] == b"* SEARCH 3 4"


def test_an_empty_mailbox():
    client = Client(account(), "INBOX")
    for key in ("ALL", "1:*", "UID 1:*", "RECENT"):
        assert client.lines(f"SEARCH {key}") == [b"* SEARCH", b"a OK SEARCH completed"]
    assert client.lines("SEARCH RETURN (MIN MAX COUNT ALL) ALL")[0] == b'* ESEARCH (TAG "a") COUNT 0'


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ("MIN", b"MIN 1"),
        ("MAX", b"MAX 5"),
        ("COUNT", b"COUNT 3"),
        ("ALL", b"ALL 1,4:5"),
        ("", b"ALL 1,4:5"),
        ("MIN MAX COUNT ALL", b"MIN 1 MAX 5 COUNT 3 ALL 1,4:5"),
    ],
)
def test_esearch(options, answer):
    client = setting()
    assert client.lines(f"SEARCH RETURN ({options}) UNSEEN")[0] == b'* ESEARCH (TAG "a") ' + answer
    assert client.lines("UID SEARCH RETURN (MIN) UNSEEN")[0] == b'* ESEARCH (TAG "a") UID MIN 2'


def test_a_result_is_saved_and_used():
    client = setting()
    assert client.lines("SEARCH $") == [b"* SEARCH", b"a OK SEARCH completed"]
    assert client.lines("SEARCH RETURN (SAVE) UNSEEN") == [b"a OK SEARCH completed"]
    found = numbers(client.says("UID FETCH $ FLAGS"), b"FETCH")
    assert found == numbers(client.says("FETCH $ UID"), b"FETCH") == [1, 4, 5]
    assert client.lines("SEARCH RETURN (COUNT) $")[0] == b'* ESEARCH (TAG "a") COUNT 3'
    assert client.lines("UID SEARCH RETURN (ALL) UID $ NOT 1")[0] == b'* ESEARCH (TAG "a") UID ALL 5:6'
    client.says("UID STORE $ +FLAGS (\\Flagged)")
    assert client.lines("SEARCH FLAGGED")[0] == b"* SEARCH 1 4 5"
    client.says("SELECT INBOX")
    assert client.lines("SEARCH $")[0] == b"* SEARCH"


@pytest.mark.parametrize(
    ("options", "answer", "saved"),
    [
        ("SAVE MIN", b"MIN 1", b"1"),
        ("SAVE MAX", b"MAX 5", b"5"),
        ("SAVE MIN MAX", b"MIN 1 MAX 5", b"1,5"),
        ("SAVE MIN COUNT", b"MIN 1 COUNT 3", b"1,4:5"),
        ("SAVE ALL", b"ALL 1,4:5", b"1,4:5"),
        ("SAVE PARTIAL 1:2", b"PARTIAL (1:2 1,4)", b"1,4"),
        ("SAVE PARTIAL -1:-1 MIN", b"MIN 1 PARTIAL (-1:-1 5)", b"1,5"),
        ("SAVE PARTIAL 1:1 COUNT", b"COUNT 3 PARTIAL (1:1 1)", b"1,4:5"),
    ],
)
def test_what_is_saved_with_which_options(options, answer, saved):
    client = setting()
    assert client.lines(f"SEARCH RETURN ({options}) UNSEEN")[0] == b'* ESEARCH (TAG "a") ' + answer
    assert client.lines("SEARCH RETURN (ALL) $")[0] == b'* ESEARCH (TAG "a") ALL ' + saved


def test_a_search_that_fails_saves_nothing_and_one_that_is_not_understood_changes_nothing():
    client = setting()
    client.says("SEARCH RETURN (SAVE) UNSEEN")
    assert client.says("SEARCH RETURN (SAVE) NONSENSE").startswith(b"a BAD ")
    assert client.lines("SEARCH RETURN (COUNT) $")[0].endswith(b" COUNT 3")

    async def broken(key):
        raise MailError(ErrorKind.UNAVAILABLE, "The disk is asleep")

    client.selected.mailbox.search = broken
    assert client.says("SEARCH RETURN (SAVE) ALL").startswith(b"a NO ")
    del client.selected.mailbox.search
    assert client.lines("SEARCH RETURN (COUNT) $")[0].endswith(b" COUNT 0")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("1:2", b"2,5"),
        ("2:1", b"2,5"),
        ("3:9", b"6"),
        ("4:5", b"NIL"),
        ("-1:-2", b"5:6"),
        ("-9:-3", b"2"),
        ("-4:-9", b"NIL"),
    ],
)
def test_a_page_of_the_result(asked, answer):
    line = setting().lines(f"UID SEARCH RETURN (PARTIAL {asked}) UNSEEN")[0]
    assert line == b'* ESEARCH (TAG "a") UID PARTIAL (%b %b)' % (asked.encode(), answer)


@pytest.mark.parametrize(
    "options", ["PARTIAL", "PARTIAL 0:1", "PARTIAL 1:-1", "PARTIAL 1:*", "PARTIAL 1:2 ALL", "PARTIAL 1:2 PARTIAL 3:4"]
)
def test_pages_that_are_none(options):
    assert setting().says(f"SEARCH RETURN ({options}) ALL").startswith(b"a BAD ")


def test_modseq():
    client = setting()
    assert client.lines("SEARCH MODSEQ 4")[:2] == [
        b"* OK [HIGHESTMODSEQ 6] The latest change",
        b"* SEARCH 2 3 4 (MODSEQ 6)",
    ]
    assert "CONDSTORE" in client.enabled
    assert client.lines("UID SEARCH MODSEQ 6")[0] == b"* SEARCH 5 (MODSEQ 6)"
    assert client.lines("SEARCH MODSEQ 77")[0] == b"* SEARCH"


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ("MIN", b"MIN 2 MODSEQ 5"),
        ("MAX", b"MAX 4 MODSEQ 6"),
        ("MIN MAX", b"MIN 2 MAX 4 MODSEQ 6"),
        ("MIN COUNT", b"MIN 2 COUNT 3 MODSEQ 6"),
        ("ALL", b"ALL 2:4 MODSEQ 6"),
        ("", b"ALL 2:4 MODSEQ 6"),
    ],
)
def test_modseq_with_return_options(options, answer):
    assert setting().lines(f"SEARCH RETURN ({options}) MODSEQ 4")[1] == b'* ESEARCH (TAG "a") ' + answer


def test_an_unknown_charset_is_refused_with_those_that_are_known():
    answer = setting().says("SEARCH CHARSET KLINGON ALL")
    assert answer.startswith(b"a NO [BADCHARSET (")
    assert setting().says("SEARCH CHARSET UTF-8 ALL").endswith(b"a OK SEARCH completed\r\n")


@pytest.mark.parametrize(("options", "left"), [("SAVE", b"COUNT 0"), ("ALL", b"COUNT 3")])
def test_a_charset_that_is_not_known_leaves_nothing_saved(options, left):
    """RFC: 5182 §2.1, 9051 §6.4.4.1"""
    client = setting()
    client.says("SEARCH RETURN (SAVE) UNSEEN")
    assert client.says(f"SEARCH RETURN ({options}) CHARSET KLINGON (OR $ 1) TEXT x").startswith(b"a NO [BADCHARSET (")
    assert client.lines("SEARCH RETURN (COUNT) $")[0].endswith(left)


def test_text_is_found():
    client = setting()
    assert client.lines('SEARCH SUBJECT "number 4"')[0] == b"* SEARCH 3"
    assert client.lines(b"SEARCH BODY {9+}\r\nBody of 6")[0] == b"* SEARCH 5"


def test_numbers_in_a_search_are_the_clients_though_messages_are_gone():
    made = account(4)
    client, other = Client(made, "INBOX"), Client(made, "INBOX")
    other.says("STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.says("EXPUNGE")
    assert client.lines("SEARCH ALL")[0] == b"* SEARCH 1 3 4"
    assert client.lines("SEARCH 2:3")[0] == b"* SEARCH 3"
    assert client.lines("SEARCH RETURN (ALL) ALL")[0] == b'* ESEARCH (TAG "a") ALL 1,3:4'
    assert client.lines("UID SEARCH ALL") == [b"* SEARCH 1 3 4", b"* 2 EXPUNGE", b"a OK SEARCH completed"]
    assert client.lines("SEARCH ALL")[0] == b"* SEARCH 1 2 3"


def test_what_comes_and_goes_while_the_store_searches():
    made = account(3)
    mailbox = made.open("INBOX")
    client, other = Client(made, "INBOX"), Client(made, "INBOX")
    searching: Deferred[list[int]] = Deferred()
    mailbox.search = lambda key: searching
    answered = client.begins("SEARCH ALL")
    other.says("STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.says("EXPUNGE")
    add(made, [MESSAGE % (4, 4)])
    searching.callback([1, 2, 3, 4])
    assert answered.called
    assert client.heard().split(b"\r\n")[:3] == [b"* SEARCH 1 3", b"* 4 EXISTS", b"* 3 RECENT"]


def test_what_was_found_among_readable_messages_is_told_before_the_refusal():
    made = account(3)

    def search(key):
        raise IncompleteError(MailError(ErrorKind.NO_PERMISSION, "no"), [1, 3])

    made.open("INBOX").search = search
    client = Client(made, "INBOX")
    assert client.lines("SEARCH BODY x") == [b"* SEARCH 1 3", b"a NO [NOPERM] no"]
