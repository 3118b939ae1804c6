"""RFC: 3502 §6.3.11, 4469 appendix A, 8508 §3.3, §3.4, §4, 7889 §2, §3"""

from __future__ import annotations

import pytest

from mailpost.protocols.imap.settings import ImapSettings
from mailpost.storage.memory.store import MemoryStore
from mailpost.storage.records import NewMessage, QuotaLimit
from mailpost.wire.imap.structures import summarise
from tests.protocols.imap.harness import Server, dialogue

DRAFT = (
    b"Subject: picnic\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n"
    b"--b1\r\nContent-Type: text/plain\r\n\r\nBring a blanket.\r\n"
    b"--b1\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\n\r\nR0lGODlh\r\n--b1--\r\n"
)


def with_folders(*names: str, **settings: int) -> Server:
    server = Server(ImapSettings(**settings))
    for name in names:
        server.store.account("joe").create(name)
    return server


def file(server: Server, folder: str, octets: bytes) -> int:
    """Deliver a message: the folder's UIDVALIDITY."""
    account = server.store.account("joe")
    account.append(folder, [NewMessage(octets)])
    validity: int = account.open(folder).live.uidvalidity
    return validity


def test_two_messages_whose_octets_are_asked_for() -> None:
    """RFC 3502, first example: flags on both, a date on the second."""
    dialogue(
        with_folders("kept"),
        """
        C: a LOGIN joe secret
        S: a OK ...
        C: b APPEND kept (\\Seen) {13}
        S: + OK
        C: A: 1
        C:
        C: one
        C:  (\\Seen \\Answered) " 7-Feb-1994 22:43:04 -0800" {13}
        S: + OK
        C: A: 2
        C:
        C: two
        C:
        S: b OK [APPENDUID ... 1:2] APPEND completed
        C: c EXAMINE kept
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ...
        S: * 2 EXISTS
        S: * 2 RECENT
        S: * OK [UIDVALIDITY ...
        S: * OK [UIDNEXT 3] ...
        S: * OK [MAILBOXID ...
        S: * OK [HIGHESTMODSEQ ...
        S: c OK [READ-ONLY] ...
        C: d FETCH 1:2 (FLAGS RFC822.SIZE)
        S: * 1 FETCH (FLAGS (\\Seen \\Recent) RFC822.SIZE 13)
        S: * 2 FETCH (FLAGS (\\Answered \\Seen \\Recent) RFC822.SIZE 13)
        S: d OK ...
        C: e FETCH 2 INTERNALDATE
        S: * 2 FETCH (INTERNALDATE "08-Feb-1994 06:43:04 +0000")
        S: e OK ...
        """,
    )


def test_a_second_message_that_has_no_room() -> None:
    """RFC 3502, third example: refused before it is sent, and the first, which has come, is not kept."""
    server = with_folders()
    server.store = server.realm.store = MemoryStore(summarise, {}, quota=lambda _: QuotaLimit(10_000, 10))
    server.store.account("joe").create("kept")
    dialogue(
        server,
        """
        C: a LOGIN joe secret
        S: a OK ...
        C: b APPEND kept (\\Flagged) {13}
        S: + OK
        C: A: 1
        C:
        C: one
        C:  {35403}
        S: b NO [OVERQUOTA] ...
        C: c STATUS kept (MESSAGES UIDNEXT)
        S: * STATUS kept (MESSAGES 0 UIDNEXT 1)
        S: c OK ...
        """,
    )


def test_parts_of_a_draft_and_a_whole_message_become_one() -> None:
    """RFC 4469, examples 1 and 3: headers and bodies of parts by URL, a whole message, and text between."""
    server = with_folders("Drafts")
    validity = file(server, "Drafts", DRAFT)
    file(server, "Drafts", b"Subject: the plan\r\n\r\nMeet at noon.\r\n")
    base = f"/Drafts;UIDVALIDITY={validity}/;UID="
    client = server.logged_in()
    dialogue(
        server,
        f"""
        C: a APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE (URL "{base}1/;section=HEADER" TEXT {{6}}
        S: + OK
        C: --b1
        C:  URL "{base}1/;Section=1.MIME" URL "{base}1/;SECTION=1" TEXT {{40}}
        S: + OK
        C:
        C: --b1
        C: Content-Type: message/rfc822
        C:
        C:  URL "{base}2" TEXT {{10}}
        S: + OK
        C:
        C: --b1--
        C: )
        S: a OK [APPENDUID {validity} 3] APPEND completed
        C: b UID STORE 1 +FLAGS.SILENT (\\Deleted)
        S: b BAD ...
        """,
        client=client,
    )
    client.says(b"c SELECT Drafts")
    answer = client.says(b"d FETCH 3 (FLAGS BODY.PEEK[])")
    assert b"FLAGS (\\Seen \\Draft \\Recent $MDNSent)" in answer
    assert (
        b"boundary=b1\r\n\r\n--b1\r\nContent-Type: text/plain\r\n\r\nBring a blanket.\r\n--b1\r\n"
        b"Content-Type: message/rfc822\r\n\r\nSubject: the plan\r\n\r\nMeet at noon.\r\n\r\n--b1--\r\n)"
    ) in answer
    assert b'("TEXT" "PLAIN"' in client.says(b"e FETCH 3 BODYSTRUCTURE")


def test_one_url_of_several_is_wrong() -> None:
    """RFC 4469, example 4: the answer names it, and nothing is kept."""
    server = with_folders("Sent")
    validity = file(server, "INBOX", b"Subject: 1\r\n\r\nmail\r\n")
    base = f"/INBOX;UIDVALIDITY={validity}/;UID="
    dialogue(
        server,
        f"""
        C: a LOGIN joe secret
        S: a OK ...
        C: b APPEND Sent (\\Seen) CATENATE (TEXT {{11}}
        S: + OK
        C: A: digest
        C:  URL "{base}1" TEXT {{6}}
        S: + OK
        C: --b2
        C:  URL "{base}1/;section=1.5.9" TEXT {{6}}
        S: b NO [BADURL {base}1/;section=1.5.9] ...
        C: c STATUS Sent (MESSAGES)
        S: * STATUS Sent (MESSAGES 0)
        S: c OK ...
        """,
    )


def test_more_than_a_server_takes_is_put_together() -> None:
    """RFC 4469 §4.2: the literals are small, what the URLs bring is not."""
    server = with_folders(message_size=3_000)
    validity = file(server, "INBOX", b"Subject: 1\r\n\r\n" + b"x" * 2_000)
    url = f'URL "/INBOX;UIDVALIDITY={validity}/;UID=1"'
    dialogue(
        server,
        f"""
        C: a LOGIN joe secret
        S: a OK ...
        C: b APPEND INBOX CATENATE ({url} {url})
        S: b NO [TOOBIG] ...
        C: c STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 1)
        S: c OK ...
        """,
    )


@pytest.mark.parametrize("uid", ["", "UID "])
def test_a_draft_is_written_anew(uid: str) -> None:
    """RFC 8508 §3.3, §3.4: in its own folder, by number and by UID."""
    server = with_folders()
    dialogue(
        server,
        f"""
        C: b {uid}REPLACE 2 INBOX (\\Seen \\Draft) {{15}}
        S: + OK
        C: A: b
        C:
        C: later
        C:
        S: * OK [APPENDUID ... 4] ...
        S: * 2 EXPUNGE
        S: * 3 EXISTS
        S: * 3 RECENT
        S: b OK REPLACE completed
        C: c UID FETCH 1:* (FLAGS)
        S: * 1 FETCH (UID 1 FLAGS (\\Recent))
        S: * 2 FETCH (UID 3 FLAGS (\\Recent))
        S: * 3 FETCH (UID 4 FLAGS (\\Seen \\Draft \\Recent))
        S: c OK ...
        """,
        client=server.selected(3),
    )


def test_a_large_draft_gets_another_header_and_its_body_is_not_sent_again() -> None:
    """RFC 8508 §4: REPLACE with CATENATE, of the very message that goes."""
    server = with_folders("Drafts")
    validity = file(server, "Drafts", DRAFT)
    client = server.logged_in()
    client.says(b"s SELECT Drafts")
    dialogue(
        server,
        f"""
        C: a UID REPLACE 1 Drafts CATENATE (TEXT {{16}}
        S: + OK
        C: To: ann@x.test
        C:  URL "/Drafts/;UID=1")
        S: * OK [APPENDUID {validity} 2] ...
        S: * 1 EXPUNGE
        S: * 1 EXISTS
        S: * 1 RECENT
        S: a OK REPLACE completed
        """,
        client=client,
    )
    assert (
        b"\r\nTo: ann@x.test\r\n" + DRAFT + b")"
        in b"\r\n" + client.says(b"b FETCH 1 BODY.PEEK[]").partition(b"\r\n")[2]
    )


def test_the_limit_is_told_of_each_folder_too() -> None:
    """RFC 7889 §2, §3.1, §3.2"""
    dialogue(
        with_folders("Work", message_size=257890),
        """
        C: a LOGIN joe secret
        S: a OK [CAPABILITY ...APPENDLIMIT=257890...] ...
        C: b STATUS INBOX (APPENDLIMIT)
        S: * STATUS INBOX (APPENDLIMIT 257890)
        S: b OK ...
        C: c LIST "" % RETURN (STATUS (APPENDLIMIT MESSAGES))
        S: * LIST (...) "/" INBOX
        S: * STATUS INBOX (APPENDLIMIT 257890 MESSAGES 0)
        S: * LIST (...) "/" Work
        S: * STATUS Work (APPENDLIMIT 257890 MESSAGES 0)
        S: c OK ...
        C: d APPEND Work {257891}
        S: d NO [TOOBIG] ...
        """,
    )
