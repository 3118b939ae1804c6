"""RFC: 8970 §5, 9394 §3, 3516 §4; 9051 §6.3, §6.4, §8: sessions in the newer IMAP"""

from __future__ import annotations

import re

import pytest

from tests.protocols.imap.harness import Client, Server, dialogue


def newer(messages: int = 0, *folders: str) -> Client:
    """A client that has enabled IMAP4rev2, of an account with so many messages in INBOX."""
    server = Server()
    server.deliver(messages)
    for name in folders:
        server.store.account("joe").create(name)
    client = server.logged_in()
    assert client.says(b"e ENABLE IMAP4rev2").endswith(b"e OK ENABLE completed\r\n")
    return client


def test_previews_of_what_a_search_found_before_it_is_answered() -> None:
    """RFC 8970, example 3: SAVE, and FETCH of $ sent with it; what was not at hand is asked for again."""
    client = Server().selected(4)
    client.says(b"x FETCH 2 PREVIEW")
    client.sends(b'a SEARCH RETURN (SAVE) OR SUBJECT "Number 2" SUBJECT "Number 4"\r\n')
    client.sends(b"b FETCH $ (UID PREVIEW (LAZY))\r\n")
    assert client.heard() == (
        b"a OK SEARCH completed\r\n"
        b'* 2 FETCH (UID 2 PREVIEW "Body of 2")\r\n'
        b"* 4 FETCH (UID 4 PREVIEW NIL)\r\n"
        b"b OK FETCH completed\r\n"
    )
    assert client.says(b"c UID FETCH 4 (PREVIEW)").startswith(b'* 4 FETCH (UID 4 PREVIEW "Body of 4")\r\n')


def test_pages_that_are_asked_for_at_once() -> None:
    """RFC 9394 §3.1: from the end, and three that follow each other, of which the last has nothing."""
    client = Server().selected(9)
    client.says(b"x STORE 5 +FLAGS.SILENT (\\Deleted)")
    client.sends(b"".join(b"a%d UID SEARCH RETURN (PARTIAL %b) UNDELETED\r\n" % each for each in enumerate(PAGES)))
    found = re.findall(rb'\* ESEARCH \(TAG "a(\d)"\) UID PARTIAL \((\S+) (\S+)\)', client.heard())
    assert found == [(b"0", b"-1:-3", b"7:9"), (b"1", b"1:4", b"1:4"), (b"2", b"5:8", b"6:9"), (b"3", b"9:12", b"NIL")]


PAGES = (b"-1:-3", b"1:4", b"5:8", b"9:12")


def test_the_last_of_what_has_changed() -> None:
    """RFC 9394 §3.4: pages are made before it is asked what has changed."""
    client = Server().selected(9)
    client.says(b"x ENABLE CONDSTORE")
    client.says(b"x STORE 2,7,9 +FLAGS.SILENT (\\Flagged)")
    for page in (b"PARTIAL -1:-3 CHANGEDSINCE 10", b"CHANGEDSINCE 10 PARTIAL -1:-3"):
        answer = client.says(b"a UID FETCH 1:* (UID FLAGS) (%b)" % page)
        assert re.findall(rb"^\* (\d+) FETCH", answer, re.MULTILINE) == [b"7", b"9"]


def test_a_mailbox_is_opened_and_another_after_it() -> None:
    """RFC 9051 §6.3.2, §6.3.3: LIST tells its name, CLOSED ends the one before, nothing is recent or first unseen."""
    dialogue(
        (client := newer(3, "Drafts")).server,
        """
        C: a SELECT INBOX
        S: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)
        S: * OK [PERMANENTFLAGS (...\\*)] ...
        S: * 3 EXISTS
        S: * OK [UIDVALIDITY ...
        S: * OK [UIDNEXT 4] ...
        S: * OK [MAILBOXID ...
        S: * OK [HIGHESTMODSEQ ...
        S: * LIST (...) "/" INBOX
        S: a OK [READ-WRITE] SELECT completed
        C: b EXAMINE Drafts
        S: * OK [CLOSED] ...
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ()] ...
        S: * 0 EXISTS
        S: * OK [UIDVALIDITY ...
        S: * OK [UIDNEXT 1] ...
        S: * OK [MAILBOXID ...
        S: * OK [HIGHESTMODSEQ ...
        S: * LIST (...) "/" Drafts
        S: b OK [READ-ONLY] EXAMINE completed
        C: c CLOSE
        S: c OK CLOSE completed
        C: d UNSELECT
        S: d BAD ...
        """,
        client=client,
    )


def test_folders_come_and_go() -> None:
    """RFC 9051 §6.3.4 to §6.3.7: levels, a name that is not normal, deleting from below, renaming."""
    dialogue(
        (client := newer()).server,
        """
        C: a CREATE foo/
        S: a OK [MAILBOXID ...
        C: b CREATE foo/bar
        S: b OK [MAILBOXID ...
        C: c DELETE foo
        S: c OK ...
        C: d LIST "" foo*
        S: * LIST (\\Noselect \\HasChildren) "/" foo
        S: * LIST (\\HasNoChildren) "/" foo/bar
        S: d OK ...
        C: e DELETE foo
        S: e NO [HASCHILDREN] ...
        C: f DELETE foo/bar
        S: f OK ...
        C: g LIST "" foo*
        S: g OK ...
        C: h CREATE blurb
        S: h OK ...
        C: i RENAME blurb zowie
        S: * LIST (\\HasNoChildren) "/" zowie ("OLDNAME" (blurb))
        S: i OK RENAME completed
        C: j SUBSCRIBE zowie
        S: j OK ...
        C: k UNSUBSCRIBE blurb
        S: k OK ...
        C: l LIST (SUBSCRIBED) "" z*
        S: * LIST (\\HasNoChildren \\Subscribed) "/" zowie
        S: l OK ...
        """,
        client=client,
    )


def test_inbox_is_renamed_and_is_there_again() -> None:
    """RFC 9051 §6.3.6, last example: its messages go, what is below it stays."""
    client = newer(2, "INBOX/bar")
    client.says(b"x RENAME INBOX old-mail")
    names = re.findall(rb'\* LIST \(.*?\) "/" (\S+)', client.says(b'a LIST "" *'))
    assert names == [b"INBOX", b"INBOX/bar", b"old-mail"]
    assert b"MESSAGES 0" in client.says(b"b STATUS INBOX (MESSAGES)")
    assert b"MESSAGES 2" in client.says(b"c STATUS old-mail (MESSAGES)")


def test_idle_between_two_clients() -> None:
    """RFC 9051 §6.3.13: mail comes, another expunges, before the continuation and after it."""
    client = newer(3)
    server = client.server
    other = server.logged_in()
    for each in (client, other):
        each.says(b"x SELECT INBOX")
    assert client.says(b"a IDLE") == b"+ idling\r\n"
    server.deliver(1)
    server.clock.advance(0)
    assert client.heard() == b"* 4 EXISTS\r\n"
    client.sends(b"DONE\r\n")
    server.clock.advance(0)
    assert client.heard() == b"a OK IDLE completed\r\n"
    other.says(b"x STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.says(b"x EXPUNGE")
    assert client.says(b"b FETCH 4 UID") == b"* 4 FETCH (UID 4)\r\nb OK FETCH completed\r\n"
    begun = client.says(b"c IDLE")
    server.clock.advance(0)
    assert sorted((begun + client.heard()).splitlines()) == [b"* 2 EXPUNGE", b"+ idling"]
    other.says(b"x STORE 3 +FLAGS.SILENT (\\Deleted)")
    other.says(b"x EXPUNGE")
    server.deliver(1)
    server.clock.advance(0)
    answer = client.heard()
    assert answer.endswith(b"* 3 EXPUNGE\r\n* 3 EXISTS\r\n"), answer
    client.sends(b"DONE\r\n")
    server.clock.advance(0)
    assert client.heard() == b"c OK IDLE completed\r\n"
    assert client.says(b"d FETCH 3 UID").startswith(b"* 3 FETCH (UID 5)\r\n")


def test_searches_and_their_answers() -> None:
    """RFC 9051 §6.4.4: MIN, COUNT, nothing found, text that is not ASCII."""
    client = newer(5)
    client.says(b"x SELECT INBOX")
    client.says(b"x STORE 2:3,5 +FLAGS.SILENT (\\Flagged)")
    client.says("x APPEND INBOX {29+}\r\nSubject: отпуск\r\n\r\n\r\n\r\n".encode())
    dialogue(
        client.server,
        """
        C: a SEARCH RETURN (MIN COUNT) FLAGGED
        S: * ESEARCH (TAG "a") MIN 2 COUNT 3
        S: a OK ...
        C: b SEARCH RETURN () FLAGGED
        S: * ESEARCH (TAG "b") ALL 2:3,5
        S: b OK ...
        C: c SEARCH TEXT "string not in mailbox"
        S: * ESEARCH (TAG "c")
        S: c OK ...
        C: d UID SEARCH RETURN (MIN MAX) 1:5
        S: * ESEARCH (TAG "d") UID MIN 1 MAX 5
        S: d OK ...
        C: e SEARCH RETURN (COUNT) DELETED
        S: * ESEARCH (TAG "e") COUNT 0
        S: e OK ...
        """,
        client=client,
    )
    client.sends(b"f SEARCH CHARSET UTF-8 TEXT {12}\r\n")
    assert client.heard() == b"+ OK\r\n"
    assert client.says("отпуск".encode()).startswith(b'* ESEARCH (TAG "f") ALL 6\r\nf OK')


def test_a_saved_result_and_what_becomes_of_it() -> None:
    """RFC 9051 §6.4.4.4, examples 3 to 7 and 9: used in a search, lost by a failure, empty, and overwritten."""
    client = newer(5, "Junk")
    client.says(b"x SELECT INBOX")
    client.says(b"x STORE 4:5 +FLAGS.SILENT ($Junk)")
    dialogue(
        client.server,
        """
        C: a SEARCH RETURN (SAVE) 2:4
        S: a OK ...
        C: b UID SEARCH UID $ LARGER 10
        S: * ESEARCH (TAG "b") UID ALL 2:4
        S: b OK ...
        C: c SEARCH CHARSET UTF-8 (OR $ 1,3) TEXT {4+}
        C: Body
        S: * ESEARCH (TAG "c") ALL 1:4
        S: c OK ...
        C: d SEARCH RETURN (SAVE) CHARSET KOI8-Q (OR $ 1,3) TEXT {4+}
        C: Body
        S: d NO [BADCHARSET ...
        C: e SEARCH RETURN (COUNT) $
        S: * ESEARCH (TAG "e") COUNT 0
        S: e OK ...
        C: f COPY $ Junk
        S: f OK COPY completed
        C: g SEARCH RETURN (SAVE) 1
        S: g OK ...
        C: h SEARCH RETURN (SAVE) 2:3
        S: h OK ...
        C: i SEARCH RETURN (ALL) $
        S: * ESEARCH (TAG "i") ALL 2:3
        S: i OK ...
        """,
        client=client,
    )
    client.sends(b"j SEARCH RETURN (SAVE) KEYWORD $Junk\r\nk COPY $ Junk\r\nl STORE $ +FLAGS.Silent (\\Deleted)\r\n")
    lines = client.heard().split(b"\r\n")
    assert [line.split(b" ")[0] for line in lines if re.match(rb"[jkl] OK", line)] == [b"j", b"k", b"l"]
    assert b"MESSAGES 2" in client.says(b"m STATUS Junk (MESSAGES)")
    assert client.says(b"n SEARCH DELETED").startswith(b'* ESEARCH (TAG "n") ALL 4:5\r\n')


def test_messages_go_elsewhere_and_are_not_told_to_be_recent() -> None:
    """RFC 9051 §6.4.7 to §6.4.9: COPY with its UIDs, to a folder that is not there, MOVE, UID EXPUNGE."""
    client = newer(4, "meeting")
    client.says(b"x SELECT INBOX")
    dialogue(
        client.server,
        """
        C: a COPY 2:4 meeting
        S: a OK [COPYUID ... 2:4 1:3] COPY completed
        C: b UID COPY 305:310 meeting
        S: b OK COPY completed
        C: c COPY 2 funny
        S: c NO [TRYCREATE] ...
        C: d UID MOVE 2,42:69 meeting
        S: * OK [COPYUID ... 2 4] ...
        S: * 2 EXPUNGE
        S: d OK MOVE completed
        C: e STORE 2:3 +FLAGS (\\Deleted)
        S: * 2 FETCH (UID 3 FLAGS (\\Deleted))
        S: * 3 FETCH (UID 4 FLAGS (\\Deleted))
        S: e OK STORE completed
        C: f UID EXPUNGE 4:9
        S: * 3 EXPUNGE
        S: f OK EXPUNGE completed
        C: g UID FETCH 3:9 FLAGS
        S: * 2 FETCH (UID 3 FLAGS (\\Deleted))
        S: g OK FETCH completed
        C: h EXPUNGE
        S: * 2 EXPUNGE
        S: h OK EXPUNGE completed
        """,
        client=client,
    )


def test_a_short_session() -> None:
    """RFC 9051 §8: one message is looked at, its header is read, it is marked, and the client leaves."""
    client = newer(2)
    client.says(b"x SELECT INBOX")
    answer = client.says(b"a FETCH 2 FULL")
    assert answer.startswith(b'* 2 FETCH (FLAGS () INTERNALDATE "09-Sep-2001 01:46:40 +0000" RFC822.SIZE ')
    assert b' ENVELOPE (NIL "Number 2" (("Ann" NIL "ann" "example.org")) ' in answer
    assert b' BODY ("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" ' in answer
    header = client.says(b"b FETCH 2 BODY[HEADER]")
    assert header.startswith(b"* 2 FETCH (BODY[HEADER] {")
    assert b"Subject: Number 2\r\n\r\n FLAGS (\\Seen) UID 2)\r\n" in header
    assert client.says(b"c STORE 2 +FLAGS \\Deleted") == (
        b"* 2 FETCH (UID 2 FLAGS (\\Deleted \\Seen))\r\nc OK STORE completed\r\n"
    )
    assert client.says(b"d LOGOUT") == b"* BYE Logging out\r\nd OK LOGOUT completed\r\n"


@pytest.mark.parametrize("command", [b"XPIG-LATIN", b"", b"BLURDYBLOOP {3+}\r\nabc", b"x" * 60_000])
def test_what_is_no_command(command: bytes) -> None:
    """RFC 9051 §6.5, §7.1.3, §7.6: BAD, and the session goes on."""
    client = newer(1)
    assert re.match(rb"(a|\*) BAD ", client.says(b"a " + command))
    assert client.says(b"b NOOP") == b"b OK NOOP completed\r\n"
