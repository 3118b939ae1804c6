"""What ENABLE IMAP4rev2, UTF8=ACCEPT and UIDONLY change. RFC: 9051 appendix A, E, 6855 §3, 9586 §3, 5161"""

from __future__ import annotations

import pytest

from tests.protocols.imap.commands.dialogue import Client, account


def enabled(made, *names: str) -> Client:
    client = Client(made)
    assert client.lines(f"ENABLE {' '.join(names)}")[0] == f"* ENABLED {' '.join(names)}".encode()
    return client


# -- IMAP4rev2


def test_select_tells_the_folder_and_nothing_of_recent_or_unseen():
    made = account(2)
    made.subscribe("INBOX", True)
    lines = enabled(made, "IMAP4rev2").lines("SELECT inbox")
    assert b'* LIST (\\HasNoChildren \\Subscribed) "/" INBOX' in lines
    assert b"* 2 EXISTS" in lines
    assert not [line for line in lines if b"RECENT" in line or b"UNSEEN" in line]
    assert [line for line in Client(made).lines("SELECT inbox") if b"UNSEEN 1" in line]


def test_searches_are_answered_with_esearch():
    client = enabled(account(3), "IMAP4rev2")
    client.says("SELECT INBOX")
    assert client.lines("SEARCH 2:3")[0] == b'* ESEARCH (TAG "a") ALL 2:3'
    assert client.lines("UID SEARCH DELETED")[0] == b'* ESEARCH (TAG "a") UID'


def test_no_message_is_recent():
    client = enabled(account(1), "IMAP4rev2")
    client.says("SELECT INBOX")
    assert client.lines("FETCH 1 FLAGS")[0] == b"* 1 FETCH (FLAGS ())"
    Client(client.account, "INBOX").says("STORE 1 +FLAGS (\\Seen)")
    assert client.lines("NOOP")[0] == b"* 1 FETCH (UID 1 FLAGS (\\Seen))"
    client.says("APPEND INBOX {1+}\r\nx")
    assert client.lines("FETCH 2 BODY[]")[-2].endswith(b"x FLAGS (\\Seen) UID 2)")


@pytest.mark.parametrize("extension", ["IMAP4rev2", "UTF8=ACCEPT"])
def test_names_are_utf8(extension):
    made = account()
    client = enabled(made, extension)
    client.says('CREATE "Entw\u00fcrfe & mehr"')
    assert made.folders()[-1].name == "Entw\u00fcrfe & mehr"
    assert client.lines('LIST "" "E*"')[0] == '* LIST (\\HasNoChildren) "/" "Entw\u00fcrfe & mehr"'.encode()
    assert client.lines('STATUS "Entw\u00fcrfe & mehr" (MESSAGES)')[0] == (
        '* STATUS "Entw\u00fcrfe & mehr" (MESSAGES 0)'.encode()
    )
    client.says('SUBSCRIBE "Entw\u00fcrfe & mehr"')
    assert '"Entw\u00fcrfe & mehr"'.encode() in client.says('LSUB "" "E*"')
    assert b'"Entw&APw-rfe &- mehr"' in Client(made).says('LIST "" "E*"')
    assert client.says(b'CREATE "\xff"').startswith(b"a BAD ")
    assert client.says(b"CREATE {1+}\r\n\xff").startswith(b"a NO [CANNOT]")


def test_names_are_composed_and_that_is_told():
    client = enabled(account(), "IMAP4rev2")
    lines = client.lines('CREATE "u\u0308ber"')
    assert lines[0] == '* LIST (\\HasNoChildren) "/" "\u00fcber" ("OLDNAME" ("u\u0308ber"))'.encode()
    assert client.lines('RENAME "\u00fcber" unter')[0] == (
        '* LIST (\\HasNoChildren) "/" unter ("OLDNAME" ("\u00fcber"))'.encode()
    )
    assert len(client.lines("CREATE plain/")) == 1
    assert client.lines("RENAME INBOX all") == [b"a OK RENAME completed"]


def test_the_mailbox_before_is_closed():
    made = account(1)
    made.create("Other")
    client = enabled(made, "IMAP4rev2")
    client.says("SELECT INBOX")
    assert client.lines("SELECT Other")[0] == b"* OK [CLOSED] The previous mailbox is closed"


def test_a_charset_has_no_place_beside_utf8():
    client = enabled(account(1), "UTF8=ACCEPT")
    client.says("SELECT INBOX")
    assert client.says("SEARCH CHARSET UTF-8 TEXT x").startswith(b"a BAD ")
    assert client.lines('SEARCH TEXT "Bod\u00fd"') == [b"* SEARCH", b"a OK SEARCH completed"]


# -- UIDONLY


@pytest.mark.parametrize(
    "command",
    ["FETCH 1 FLAGS", "STORE 1 +FLAGS (\\Seen)", "SEARCH ALL", "COPY 1 INBOX", "MOVE 1 INBOX", "UID SEARCH 1:2"],
)
def test_sequence_numbers_are_refused(command):
    client = enabled(account(3), "UIDONLY")
    client.says("SELECT INBOX")
    assert client.lines(command)[-1].startswith(b"a BAD [UIDREQUIRED] ")


def test_numbers_that_only_prove_what_is_known_are_refused_too():
    made = account(3)
    client = enabled(made, "UIDONLY", "QRESYNC")
    validity = made.open("INBOX").live.uidvalidity
    line = client.lines(f"SELECT INBOX (QRESYNC ({validity} 1 1:3 (1 1)))")[-1]
    assert line.startswith(b"a BAD [UIDREQUIRED] ")


def test_answers_are_about_uids():
    made = account(4)
    client, other = enabled(made, "UIDONLY"), Client(made, "INBOX")
    lines = client.lines("SELECT INBOX")
    assert b"* 4 EXISTS" in lines
    assert not [line for line in lines if b"UNSEEN" in line]
    other.says("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.says("EXPUNGE")
    other.says("UID STORE 3 +FLAGS.SILENT (\\Flagged)")
    assert client.lines("NOOP") == [b"* VANISHED 2", b"* 3 UIDFETCH (FLAGS (\\Flagged))", b"a OK NOOP completed"]
    assert client.lines("UID FETCH 3:4 (FLAGS)")[:-1] == [
        b"* 3 UIDFETCH (FLAGS (\\Flagged))",
        b"* 4 UIDFETCH (FLAGS ())",
    ]
    assert client.lines("UID FETCH 4 (UID)")[0] == b"* 4 UIDFETCH (UID 4)"
    assert client.lines("UID STORE 4 +FLAGS (\\Seen)")[0] == b"* 4 UIDFETCH (FLAGS (\\Seen))"
    assert client.lines("UID FETCH 3 BODY[TEXT]<0.4>")[-2] == b"Body FLAGS (\\Flagged \\Seen))"
    assert client.lines("UID SEARCH RETURN (ALL) SEEN")[0] == b'* ESEARCH (TAG "a") UID ALL 3:4'
