"""APPEND and REPLACE. RFC: 3501 §6.3.11, 4315 §3, 7889, 3502 (MULTIAPPEND), 4469 (CATENATE), 6855 §4, 8508"""

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.uidset import UidSet
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.storage.memory import MemoryStore
from mailpost.storage.records import QuotaLimit
from mailpost.wire.imap.structures import summarise
from tests.protocols.imap.commands.dialogue import Client, account, add


def test_the_answer_says_where_the_message_went():
    made = account(1)
    client = Client(made)
    validity = made.open("INBOX").live.uidvalidity
    assert client.lines(b"APPEND INBOX {9+}\r\nA: b\r\n\r\nc") == [
        b"a OK [APPENDUID %d 2] APPEND completed" % validity,
    ]
    client.says("SELECT INBOX")
    assert b"{9}\r\nA: b\r\n\r\nc)" in client.says("FETCH 2 BODY.PEEK[]")


def test_flags_and_date():
    client = Client(account(), "INBOX")
    client.says(b'APPEND INBOX (\\seen $Work) "17-Jul-1996 02:44:25 -0700" {1}\r\nx')
    client.selected.recent = UidSet()
    answer = client.says("FETCH 1 (FLAGS INTERNALDATE)")
    assert b'* 1 FETCH (FLAGS (\\Seen $Work) INTERNALDATE "17-Jul-1996 09:44:25 +0000")\r\n' in answer
    assert answer.startswith(b"* FLAGS (")


def test_the_session_hears_of_it_where_it_is_the_selected_mailbox():
    made = account(1)
    made.create("Other")
    client, other = Client(made, "INBOX"), Client(made, "INBOX")
    assert client.lines(b"APPEND INBOX {1+}\r\nx")[:2] == [b"* 2 EXISTS", b"* 2 RECENT"]
    assert other.lines(b"APPEND Other {1+}\r\nx")[:2] == [b"* 2 EXISTS", b"* 0 RECENT"]
    assert len(client.lines(b"APPEND Other {1+}\r\nx")) == 1


def test_a_mailbox_that_is_not_there_is_refused_before_the_message_comes():
    client = Client(account())
    client.account.spool = None
    assert client.lines(b"APPEND Nowhere {1000000}") == [b"a NO [TRYCREATE] There is no such mailbox"]


def test_a_mailbox_that_goes_while_the_message_comes():
    made = account()
    made.create("Work")
    client = Client(made)
    client.begins(b"APPEND Work {10}\r\nhal")
    made.delete("Work")
    client._decoder.feed(b"f it\r\n")
    assert client.says(b"").startswith(b"a NO [TRYCREATE] ")


def test_a_message_that_is_too_big_or_empty_is_refused():
    client = Client(account(), settings=ImapSettings(message_size=10))
    assert client.says(b"APPEND INBOX {11}").startswith(b"a NO [TOOBIG] ")
    assert client.says(b"APPEND INBOX {0}").startswith(b"a NO [CANNOT] ")
    assert b"a OK" in client.says(b"APPEND INBOX {10+}\r\n0123456789")


def test_what_the_store_refuses_is_refused():
    client = Client(account())

    def append(*_, **__):
        raise MailError(ErrorKind.OVER_QUOTA, "full")

    client.account.append = append
    assert client.lines(b"APPEND INBOX {1+}\r\nx") == [b"a NO [OVERQUOTA] full"]


def test_several_messages_all_or_none():
    made = account()
    client = Client(made)
    validity = made.open("INBOX").live.uidvalidity
    answer = client.lines(b'APPEND INBOX {1+}\r\na (\\Seen) {1+}\r\nb "17-Jul-1996 02:44:25 -0700" {1+}\r\nc')
    assert answer == [b"a OK [APPENDUID %d 1:3] APPEND completed" % validity]
    client.says("SELECT INBOX")
    assert client.lines("FETCH 2 FLAGS")[0] == b"* 2 FETCH (FLAGS (\\Seen \\Recent))"
    assert client.says(b"APPEND INBOX {1+}\r\na {0+}\r\n").startswith(b"a NO ")
    assert made.status("INBOX").messages == 3


def test_all_messages_together_are_bounded():
    client = Client(account(), settings=ImapSettings(message_size=10))
    assert client.lines(b"APPEND INBOX {6+}\r\n123456 {4+}\r\n1234")[-1].startswith(b"a OK")
    assert client.lines(b"APPEND INBOX {6+}\r\n123456 {5+}\r\n12345")[-1].startswith(b"a NO [TOOBIG]")
    assert client.account.status("INBOX").messages == 2


DRAFT = b"Subject: draft\r\n\r\nold text\r\n"


def drafts():
    made = account()
    made.create("Drafts")
    add(made, [DRAFT], "Drafts")
    return made


def octets_of(made, name: str) -> list[bytes]:
    client = Client(made)
    client.says(f"EXAMINE {name}")
    return [
        client.says(f"FETCH {n} BODY[]").split(b"}\r\n", 1)[1][: -len(b")\r\na OK FETCH completed\r\n")]
        for n in range(1, made.status(name).messages + 1)
    ]


def test_a_message_is_put_together_from_what_is_here():
    made = drafts()
    client = Client(made)
    validity = made.open("Drafts").live.uidvalidity
    answer = client.lines(
        b'APPEND INBOX (\\Draft) CATENATE (URL "/Drafts;UIDVALIDITY=%d/;UID=1/;SECTION=HEADER"'
        b" TEXT {10+}\r\nnew text\r\n"
        b" URL /Drafts/;UID=1/;SECTION=TEXT/;PARTIAL=0.3 TEXT {2+}\r\n\r\n URL /Drafts/;UID=1/;SECTION=TEXT)" % validity
    )
    assert answer[-1].startswith(b"a OK [APPENDUID ")
    assert octets_of(made, "INBOX") == [b"Subject: draft\r\n\r\nnew text\r\nold\r\nold text\r\n"]
    assert Client(made, "Drafts").lines("FETCH 1 FLAGS")[0] == b"* 1 FETCH (FLAGS (\\Recent))", "still unseen"


def test_urls_alone_and_beside_whole_messages():
    made = drafts()
    client = Client(made, "Drafts")
    answer = client.lines(b"APPEND INBOX CATENATE (URL ;UID=1) {1+}\r\nx CATENATE (TEXT {2+}\r\nab TEXT {1+}\r\nc)")
    assert answer[-1].startswith(b"a OK [APPENDUID ")
    assert octets_of(made, "INBOX") == [DRAFT, b"x", b"abc"]


@pytest.mark.parametrize(
    "url",
    [
        b"/Drafts/;UID=2",
        b"/Nowhere/;UID=1",
        b"/Drafts;UIDVALIDITY=1/;UID=1",
        b"/Drafts/;UID=1/;SECTION=7",
        b";UID=1",
        b"imap://example.org/Drafts/;UID=1",
    ],
)
@pytest.mark.parametrize("before", [False, True])
def test_a_url_that_names_nothing(url, before):
    made = drafts()
    client = Client(made)
    text = b"TEXT {1+}\r\nx"
    parts = b"URL %b %b" % (url, text) if before else b"%b URL %b" % (text, url)
    answer = client.lines(b"APPEND INBOX CATENATE (%b)" % parts)
    assert answer[0].startswith(b"a NO [BADURL %b] " % url)
    assert made.status("INBOX").messages == 0


def test_what_urls_bring_counts():
    made = drafts()
    client = Client(made, settings=ImapSettings(message_size=len(DRAFT) + 1))
    assert client.lines(b"APPEND INBOX CATENATE (URL /Drafts/;UID=1 TEXT {2+}\r\nxx)")[0].startswith(b"a NO [TOOBIG]")
    assert client.lines(b"APPEND INBOX CATENATE (TEXT {2+}\r\nxx URL /Drafts/;UID=1)")[0].startswith(b"a NO [TOOBIG]")
    assert client.lines(b"APPEND INBOX CATENATE (TEXT {1+}\r\nx URL /Drafts/;UID=1)")[-1].startswith(b"a OK")


def test_parts_without_an_end():
    assert Client(account()).says(b"APPEND INBOX CATENATE (TEXT {1+}\r\nx").startswith(b"a BAD ")


def test_a_message_with_nul_octets_is_a_literal8_both_ways():
    """RFC: 3516 §4.4, §4.3"""
    client = Client(account(), "INBOX")
    assert client.lines(b"APPEND INBOX (\\Seen) ~{8+}\r\nA: b\r\n\r\n")[-1].startswith(b"a OK [APPENDUID ")
    assert client.lines(b"APPEND INBOX ~{12+}\r\nA: b\r\n\r\n\0\xff\r\n")[-1].startswith(b"a OK [APPENDUID ")
    answer = client.says("FETCH 2 (BINARY.SIZE[1] BINARY.PEEK[1] BINARY.PEEK[])")
    assert b"BINARY.SIZE[1] 4 BINARY[1] ~{4}\r\n\0\xff\r\n BINARY[] ~{12}\r\nA: b\r\n\r\n\0\xff\r\n)" in answer
    assert b"BINARY[1] {0}" in client.says("FETCH 1 BINARY.PEEK[1]")


@pytest.mark.parametrize("how", ["UTF8 (~{2+}\r\n\u00fc)", "CATENATE (TEXT {1+}\r\nx UTF8 (~{2+}\r\n\u00fc))"])
def test_utf8_must_be_enabled(how):
    """RFC: 6855 §4"""
    client = Client(account())
    assert client.says(f"APPEND INBOX {how}").startswith(b"a BAD ")
    client.says("ENABLE UTF8=ACCEPT")
    assert client.lines(f"APPEND INBOX {how}")[-1].startswith(b"a OK")


# -- REPLACE


def test_a_message_takes_the_place_of_another():
    made = account(3)
    client, other = Client(made, "INBOX"), Client(made, "INBOX")
    validity = made.open("INBOX").live.uidvalidity
    assert client.lines(b"REPLACE 2 INBOX (\\Draft) {3+}\r\nnew") == [
        b"* OK [APPENDUID %d 4] The replacement is there" % validity,
        b"* 2 EXPUNGE",
        b"* 3 EXISTS",
        b"* 3 RECENT",
        b"a OK REPLACE completed",
    ]
    assert other.lines("NOOP")[:2] == [b"* 2 EXPUNGE", b"* 3 EXISTS"]
    assert b"{3}\r\nnew" in client.says("FETCH 3 BODY.PEEK[]")


def test_by_uid_into_another_folder():
    made = account(3)
    made.create("Sent")
    client = Client(made)
    client.says("ENABLE QRESYNC")
    client.says("SELECT INBOX")
    lines = client.lines(b"UID REPLACE 3 Sent {3+}\r\nnew")
    assert lines[1:] == [
        b"* VANISHED 3",
        b"a OK [HIGHESTMODSEQ %d] REPLACE completed" % made.open("INBOX").live.highest_modseq,
    ]
    assert (made.status("INBOX").messages, made.status("Sent").messages) == (2, 1)


@pytest.mark.parametrize("command", [b"UID REPLACE 9 INBOX", b"UID REPLACE 1 Nowhere"])
def test_what_cannot_be_replaced_stays(command):
    made = account(1)
    client = Client(made, "INBOX")
    assert client.lines(command + b" {1+}\r\nx")[-1].startswith(b"a NO ")
    assert made.status("INBOX").messages == 1


def test_a_message_that_another_session_has_expunged_is_not_replaced():
    made = account(2)
    client, other = Client(made, "INBOX"), Client(made, "INBOX")
    other.says("STORE 1 +FLAGS.SILENT (\\Deleted)")
    other.says("EXPUNGE")
    assert client.lines(b"REPLACE 1 INBOX {1+}\r\nx")[-1].startswith(b"a NO [EXPUNGEISSUED] ")
    assert made.status("INBOX").messages == 1


def test_nothing_is_replaced_in_a_mailbox_open_for_reading():
    client = Client(account(1))
    client.says("EXAMINE INBOX")
    assert client.lines(b"REPLACE 1 INBOX {1+}\r\nx")[-1].startswith(b"a NO [NOPERM] ")


def test_only_the_difference_needs_room():
    made = MemoryStore(summarise, {}, quota=lambda _: QuotaLimit(100, 1)).account("ann")
    add(made, [b"x" * 90])
    client = Client(made, "INBOX")
    assert client.lines(b"REPLACE 1 INBOX {95+}\r\n" + b"y" * 95)[-1].startswith(b"a OK")
    assert client.lines(b"REPLACE 1 INBOX {101+}\r\n" + b"y" * 101)[-1].startswith(b"a NO [OVERQUOTA]")
