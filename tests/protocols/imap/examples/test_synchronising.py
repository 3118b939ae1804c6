"""RFC: 7162 §3.1.2 to §3.1.8, §3.1.10, §3.2.5 to §3.2.11, 8474 §4, §5.3"""

from __future__ import annotations

import re

from tests.protocols.imap.harness import Client, Server, dialogue


def reading(messages: int, clients: int = 1, *enabled: str) -> list[Client]:
    """Clients that have INBOX open, where nothing is recent any more."""
    server = Server()
    server.selected(messages)
    opened = []
    for _ in range(clients):
        client = server.logged_in()
        if enabled:
            client.says(f"e ENABLE {' '.join(enabled)}".encode())
        client.says(b"s SELECT INBOX")
        opened.append(client)
    return opened


def modseq(client: Client) -> int:
    """The highest of INBOX."""
    live = client.server.store.account("joe").open("INBOX").live
    return int(live.highest_modseq)


def test_condstore_is_asked_for_with_select() -> None:
    """RFC 7162, examples 1 and 18: the highest mod-sequence is told in any case, of each change then."""
    (client, other) = reading(2, 2)
    dialogue(
        client.server,
        """
        C: a SELECT INBOX (CONDSTORE)
        S: * OK [CLOSED] ...
        S: * FLAGS ...
        S: * OK [PERMANENTFLAGS ...
        S: * 2 EXISTS
        S: * 0 RECENT
        S: * OK [UNSEEN 1] ...
        S: * OK [UIDVALIDITY ...
        S: * OK [UIDNEXT 3] ...
        S: * OK [MAILBOXID ...
        S: * OK [HIGHESTMODSEQ 3] ...
        S: a OK [READ-WRITE] ...
        C2: b STORE 2 +FLAGS.SILENT (\\Answered)
        S2: b OK ...
        C: c NOOP
        S: * 2 FETCH (UID 2 FLAGS (\\Answered) MODSEQ (4))
        S: c OK ...
        """,
        client=client,
        client2=other,
    )


def test_the_first_conditional_store_tells_where_the_client_is() -> None:
    """RFC 7162, examples 3, 4 and 5: sets in any order, `*`, and the first command that speaks of mod-sequences."""
    (client,) = reading(8)
    dialogue(
        client.server,
        """
        C: a UID STORE 6,4,8 (UNCHANGEDSINCE 9) +FLAGS.SILENT (\\Deleted)
        S: * OK [HIGHESTMODSEQ 9] ...
        S: * 4 FETCH (UID 4 MODSEQ (10))
        S: * 6 FETCH (UID 6 MODSEQ (10))
        S: * 8 FETCH (UID 8 MODSEQ (10))
        S: a OK ...
        C: b STORE * (UNCHANGEDSINCE 10) +FLAGS.SILENT (\\Deleted $Processed)
        S: * 8 FETCH (UID 8 MODSEQ (11))
        S: b OK ...
        """,
        client=client,
    )


def test_what_failed_is_done_again_with_what_is_known_now() -> None:
    """RFC 7162, examples 6 to 10: one of several was changed by another; its flags and mod-sequence come at once."""
    client, other = reading(9, 2, "CONDSTORE")
    dialogue(
        client.server,
        """
        C2: a STORE 7 +FLAGS.SILENT (\\Seen \\Deleted)
        S2: * 7 FETCH (UID 7 MODSEQ (11))
        S2: a OK ...
        C: b STORE 7,5,9 (UNCHANGEDSINCE 10) +FLAGS.SILENT (\\Flagged)
        S: * 5 FETCH (UID 5 MODSEQ (12))
        S: * 9 FETCH (UID 9 MODSEQ (12))
        S: * 7 FETCH (UID 7 FLAGS (\\Deleted \\Seen) MODSEQ (11))
        S: b OK [MODIFIED 7] ...
        C: c NOOP
        S: c OK ...
        C: d STORE 7 (UNCHANGEDSINCE 11) +FLAGS.SILENT (\\Flagged)
        S: * 7 FETCH (UID 7 MODSEQ (13))
        S: d OK STORE completed
        C: e UID STORE 7 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)
        S: * 7 FETCH (UID 7 FLAGS (\\Flagged \\Deleted \\Seen) MODSEQ (13))
        S: e OK [MODIFIED 7] ...
        """,
        client=client,
        client2=other,
    )


def test_some_are_gone_and_some_were_changed() -> None:
    """RFC 7162, example 11: both are told, and the client goes on from there."""
    client, other = reading(7, 2, "CONDSTORE")
    dialogue(
        client.server,
        """
        C2: a STORE 4:7 +FLAGS.SILENT (\\Deleted)
        S2: * 4 FETCH (UID 4 MODSEQ (9))
        S2: * 5 FETCH (UID 5 MODSEQ (9))
        S2: * 6 FETCH (UID 6 MODSEQ (9))
        S2: * 7 FETCH (UID 7 MODSEQ (9))
        S2: a OK ...
        C2: b EXPUNGE
        S2: * 7 EXPUNGE
        S2: * 6 EXPUNGE
        S2: * 5 EXPUNGE
        S2: * 4 EXPUNGE
        S2: b OK ...
        C2: c STORE 2 +FLAGS.SILENT (\\Answered)
        S2: * 2 FETCH (UID 2 MODSEQ (11))
        S2: c OK ...
        C: d STORE 1:7 (UNCHANGEDSINCE 8) +FLAGS (\\Seen)
        S: * 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (12))
        S: * 3 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (12))
        S: * 2 FETCH (UID 2 FLAGS (\\Answered) MODSEQ (11))
        S: d NO [MODIFIED 2] ...
        C: e NOOP
        S: * 7 EXPUNGE
        S: * 6 EXPUNGE
        S: * 5 EXPUNGE
        S: * 4 EXPUNGE
        S: e OK ...
        C: f STORE 2 (UNCHANGEDSINCE 11) +FLAGS (\\Seen)
        S: * 2 FETCH (UID 2 FLAGS (\\Answered \\Seen) MODSEQ (13))
        S: f OK STORE completed
        """,
        client=client,
        client2=other,
    )


def test_three_clients_of_which_one_knows_no_mod_sequences() -> None:
    """RFC 7162, example 14: silent changes are told to the others, and a change of nothing to nobody."""
    (knows, other, plain) = reading(7, 3)
    for client in (knows, other):
        client.says(b"e ENABLE CONDSTORE")
    dialogue(
        knows.server,
        """
        C: a STORE 7 +FLAGS.SILENT (\\Deleted)
        S: * 7 FETCH (UID 7 MODSEQ (9))
        S: a OK ...
        C2: b NOOP
        S2: * 7 FETCH (UID 7 FLAGS (\\Deleted) MODSEQ (9))
        S2: b OK ...
        C3: c NOOP
        S3: * 7 FETCH (UID 7 FLAGS (\\Deleted))
        S3: c OK ...
        C: d STORE 7 +FLAGS.SILENT (\\Seen)
        S: * 7 FETCH (UID 7 MODSEQ (10))
        S: d OK ...
        C: e STORE 7 -FLAGS.SILENT (\\Answered \\Seen)
        S: * 7 FETCH (UID 7 MODSEQ (11))
        S: e OK ...
        C: f STORE 7 -FLAGS.SILENT (\\Answered)
        S: f OK ...
        C2: g NOOP
        S2: * 7 FETCH (UID 7 FLAGS (\\Deleted) MODSEQ (11))
        S2: g OK ...
        C3: h NOOP
        S3: * 7 FETCH (UID 7 FLAGS (\\Deleted))
        S3: h OK ...
        C2: i NOOP
        S2: i OK ...
        """,
        client=knows,
        client2=other,
        client3=plain,
    )


def test_searches_for_mod_sequences() -> None:
    """RFC 7162, examples 12, 13, 15, 16, 17 and 19: the entry of a flag, alternatives, nothing found."""
    (client,) = reading(3)
    dialogue(
        client.server,
        """
        C: a STORE 2 +FLAGS.SILENT (\\Draft)
        S: a OK ...
        C: b FETCH 1:3 (MODSEQ)
        S: * OK [HIGHESTMODSEQ 5] ...
        S: * 1 FETCH (MODSEQ (2))
        S: * 2 FETCH (MODSEQ (5))
        S: * 3 FETCH (MODSEQ (4))
        S: b OK ...
        C: c SEARCH MODSEQ "/flags/\\\\draft" all 4
        S: * SEARCH 2 3 (MODSEQ 5)
        S: c OK ...
        C: d SEARCH OR NOT MODSEQ 4 LARGER 50000
        S: * SEARCH 1 (MODSEQ 2)
        S: d OK ...
        C: e SEARCH OR MODSEQ 720162338 LARGER 50000
        S: * SEARCH
        S: e OK ...
        C: f SEARCH RETURN (ALL) MODSEQ 4
        S: * ESEARCH (TAG "f") ALL 2:3 MODSEQ 5
        S: f OK ...
        C: g UID FETCH 1:* (FLAGS) (CHANGEDSINCE 4)
        S: * 2 FETCH (UID 2 FLAGS (\\Draft) MODSEQ (5))
        S: g OK ...
        C: h STATUS INBOX (UIDNEXT MESSAGES HIGHESTMODSEQ)
        S: * STATUS INBOX (UIDNEXT 4 MESSAGES 3 HIGHESTMODSEQ 5)
        S: h OK ...
        """,
        client=client,
    )


def test_coming_back_to_a_mailbox_while_another_is_open() -> None:
    """RFC 7162 §3.2.5: CLOSED comes first, then all of the mailbox, what vanished, and what changed."""
    (client, other) = reading(6, 2, "QRESYNC")
    client.server.store.account("joe").create("Other")
    live = client.server.store.account("joe").open("INBOX").live
    client.says(b"x SELECT Other")
    for line in (b"STORE 2,4 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE", b"STORE 4 +FLAGS.SILENT (\\Answered)"):
        other.says(b"x " + line)
    since = f"{live.uidvalidity} 7"
    for known, vanished in ((" 1:6", "2,4"), (" 3:6", "4"), (" 1:6 (1,3 1,3)", "2,4"), ("", "2,4")):
        dialogue(
            client.server,
            f"""
            C: a SELECT INBOX (QRESYNC ({since}{known}))
            S: * OK [CLOSED] ...
            S: * FLAGS ...
            S: * OK [PERMANENTFLAGS ...
            S: * 4 EXISTS
            S: * 0 RECENT
            S: * OK [UNSEEN 1] ...
            S: * OK [UIDVALIDITY {live.uidvalidity}] ...
            S: * OK [UIDNEXT 7] ...
            S: * OK [MAILBOXID ...
            S: * OK [HIGHESTMODSEQ 10] ...
            S: * VANISHED (EARLIER) {vanished}
            S: * 4 FETCH (UID 6 FLAGS (\\Answered) MODSEQ (10))
            S: a OK [READ-WRITE] ...
            """,
            client=client,
        )


def test_another_uidvalidity_is_no_reason_to_fail() -> None:
    """RFC 7162 §3.2.5, first example: the mailbox is opened as if nothing had been said."""
    (client,) = reading(2, 1, "QRESYNC")
    answer = client.says(b"a SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))")
    assert b"* 2 EXISTS\r\n" in answer
    assert b"VANISHED" not in answer
    assert b"FETCH" not in answer
    assert answer.endswith(b"a OK [READ-WRITE] SELECT completed\r\n")


def test_what_is_gone_is_told_by_fetch_or_found_by_search() -> None:
    """RFC 7162 §3.2.6, both examples: with VANISHED, and without it by a second command."""
    (client, other) = reading(12, 2, "QRESYNC")
    for line in (b"STORE 2:4,9 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE", b"UID STORE 6,10 +FLAGS.SILENT (\\Seen)"):
        other.says(b"x " + line)
    client.says(b"x NOOP")
    dialogue(
        client.server,
        """
        C: a UID FETCH 3:10 (FLAGS) (CHANGEDSINCE 13)
        S: * 3 FETCH (UID 6 FLAGS (\\Seen) MODSEQ (16))
        S: * 6 FETCH (UID 10 FLAGS (\\Seen) MODSEQ (16))
        S: a OK ...
        C: b UID SEARCH UID 3:10
        S: * SEARCH 5 6 7 8 10
        S: b OK ...
        C: c UID FETCH 3:10 (FLAGS) (CHANGEDSINCE 13 VANISHED)
        S: * VANISHED (EARLIER) 3:4,9
        S: * 3 FETCH (UID 6 FLAGS (\\Seen) MODSEQ (16))
        S: * 6 FETCH (UID 10 FLAGS (\\Seen) MODSEQ (16))
        S: c OK ...
        """,
        client=client,
    )


def test_each_client_hears_of_an_expunge_in_its_own_way_and_once() -> None:
    """RFC 7162 §3.2.7 to §3.2.10: EXPUNGE, UID EXPUNGE and CLOSE; numbers for one, UIDs for the other."""
    (plain, resync) = reading(11, 2)
    resync.says(b"e ENABLE QRESYNC")
    plain.says(b"x STORE 3:4,7,11 +FLAGS.SILENT (\\Deleted)")
    resync.says(b"x NOOP")
    dialogue(
        plain.server,
        """
        C: a EXPUNGE
        S: * 11 EXPUNGE
        S: * 7 EXPUNGE
        S: * 4 EXPUNGE
        S: * 3 EXPUNGE
        S: a OK EXPUNGE completed
        C2: b EXPUNGE
        S2: * VANISHED 3:4,7,11
        S2: b OK ...
        C2: c UID STORE 2,5 +FLAGS.SILENT (\\Deleted)
        S2: * 2 FETCH (UID 2 MODSEQ (15))
        S2: * 3 FETCH (UID 5 MODSEQ (15))
        S2: c OK ...
        C2: d UID EXPUNGE 3:9
        S2: * VANISHED 5
        S2: d OK [HIGHESTMODSEQ 16] EXPUNGE completed
        C2: e CLOSE
        S2: e OK CLOSE completed
        C: f NOOP
        S: * 3 EXPUNGE
        S: * 2 EXPUNGE
        S: f OK ...
        """,
        client=plain,
        client2=resync,
    )
    assert modseq(plain) == 17


def test_a_vanished_message_is_not_told_while_numbers_are_used() -> None:
    """RFC 7162 §4, last example: STORE delays it; what is answered meanwhile names no later mod-sequence."""
    (client, other) = reading(4, 2, "QRESYNC")
    other.says(b"x UID STORE 4 +FLAGS.SILENT (\\Deleted)")
    client.says(b"x NOOP")
    other.says(b"x UID EXPUNGE 4")
    answer = client.says(b"a STORE 1:2 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Seen)")
    assert b"VANISHED" not in answer
    assert re.findall(rb"\* (\d+) FETCH \(UID (\d+) MODSEQ", answer) == [(b"1", b"1"), (b"2", b"2")]
    told = re.findall(rb"HIGHESTMODSEQ (\d+)", answer)
    expunged = modseq(client) - 1
    assert all(int(each) < expunged for each in told)
    assert client.says(b"b NOOP").startswith(b"* VANISHED 4\r\n")


def test_identifiers_of_two_folders_and_a_name_that_is_taken() -> None:
    """RFC 8474 §4.1, §4.3 and the example of LIST: a failed CREATE and a RENAME change no identifier."""
    client = Server().logged_in()

    def ids(command: bytes) -> list[bytes]:
        return re.findall(rb"MAILBOXID \((F[^)]+)\)", client.says(command))

    (foo,), (bar,) = ids(b"a CREATE foo"), ids(b"b CREATE bar")
    assert foo != bar
    assert client.says(b"c CREATE foo").startswith(b"c NO [ALREADYEXISTS] ")
    assert (ids(b"d STATUS foo (MAILBOXID)"), ids(b"e STATUS bar (MAILBOXID)")) == ([foo], [bar])
    client.says(b"f RENAME foo renamed")
    inbox, *others = ids(b'g LIST "" "*" RETURN (STATUS (MAILBOXID))')
    assert others == [bar, foo]
    assert inbox not in others
    assert ids(b"h SELECT renamed") == [foo]
