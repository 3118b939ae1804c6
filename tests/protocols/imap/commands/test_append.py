"""APPEND. RFC: 3501 §6.3.11, 4315 §3, 7889"""

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.uidset import UidSet
from mailpost.protocols.imap.settings import ImapSettings
from tests.protocols.imap.commands.dialogue import Client, account


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
