"""FETCH. RFC: 3501 §6.4.5, 7162 §3.1.4, 5530 §3"""

import pytest
from twisted.internet.defer import Deferred

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.uidset import UidSet
from tests.protocols.imap.commands.dialogue import MESSAGE, Client, account, add, numbers

MULTIPART = (
    b"From: a@example.org\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nReceived: one\r\nReceived: two\r\n"
    b'Content-Type: multipart/mixed; boundary="xx"\r\n\r\npreamble\r\n'
    b"--xx\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n"
    b"--xx\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nTo: b@example.org\r\n\r\ninner body\r\n"
    b"--xx--\r\n"
)


def one(octets: bytes = MULTIPART) -> Client:
    made = account()
    add(made, [octets], "INBOX", "\\Seen")
    client = Client(made, "INBOX")
    client.selected.recent = UidSet()
    return client


def literal(label: bytes, octets: bytes) -> bytes:
    return b"* 1 FETCH (%b {%d}\r\n%b)\r\na OK FETCH completed\r\n" % (label, len(octets), octets)


def test_what_is_in_memory():
    client = Client(account(3, "INBOX", "\\Seen"), "INBOX")
    client.selected.recent = UidSet.of([3])
    assert client.lines("FETCH 1:* (UID FLAGS MODSEQ)") == [
        b"* OK [HIGHESTMODSEQ 2] The latest change",
        b"* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (2))",
        b"* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (2))",
        b"* 3 FETCH (UID 3 FLAGS (\\Seen \\Recent) MODSEQ (2))",
        b"a OK FETCH completed",
    ]
    assert "CONDSTORE" in client.enabled


def test_uid_fetch_always_tells_the_uid():
    client = Client(account(3), "INBOX")
    assert client.lines("UID FETCH 2:3 (RFC822.SIZE)") == [
        b"* 2 FETCH (UID 2 RFC822.SIZE 82)",
        b"* 3 FETCH (UID 3 RFC822.SIZE 82)",
        b"a OK FETCH completed",
    ]


def test_uids_that_do_not_exist_are_passed_over():
    client = Client(account(2), "INBOX")
    assert client.lines("UID FETCH 7 (FLAGS)") == [b"a OK FETCH completed"]
    assert client.lines("UID FETCH 7 (ENVELOPE)") == [b"a OK FETCH completed"]
    assert numbers(client.says("UID FETCH 2:* (UID)"), b"FETCH") == [2]
    assert numbers(client.says("UID FETCH 9:* (UID)"), b"FETCH") == [2]


@pytest.mark.parametrize("numbers", ["3", "1:3", "3:*"])
def test_sequence_numbers_beyond_the_mailbox_are_no_numbers(numbers):
    assert Client(account(2), "INBOX").says(f"FETCH {numbers} FLAGS").startswith(b"a BAD ")


def test_an_empty_mailbox_has_no_sequence_numbers():
    client = Client(account(), "INBOX")
    assert client.says("FETCH 1:* FLAGS").startswith(b"a BAD ")
    assert client.lines("UID FETCH 1:* FLAGS") == [b"a OK FETCH completed"]


def test_the_macros():
    client = one(MESSAGE % (7, 7))
    fast = b'FLAGS (\\Seen) INTERNALDATE "09-Sep-2001 01:46:40 +0000" RFC822.SIZE 82'
    assert client.lines("FETCH 1 FAST")[0] == b"* 1 FETCH (%b)" % fast
    ann = b'(("Ann" NIL "ann" "example.org"))'
    to = b'((NIL NIL "bob" "example.org"))'
    envelope = b'ENVELOPE (NIL "Number 7" %b %b %b %b NIL NIL NIL NIL)' % (ann, ann, ann, to)
    assert client.lines("FETCH 1 ALL")[0] == b"* 1 FETCH (%b %b)" % (fast, envelope)
    body = b'BODY ("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 11 1)'
    assert client.lines("FETCH 1 FULL")[0] == b"* 1 FETCH (%b %b %b)" % (fast, envelope, body)
    assert client.lines("FETCH 1 BODYSTRUCTURE")[0].startswith(b'* 1 FETCH (BODYSTRUCTURE ("TEXT" "PLAIN"')


INNER = b"Subject: inner\r\nTo: b@example.org\r\n\r\ninner body"


@pytest.mark.parametrize(
    ("section", "octets"),
    [
        (b"", MULTIPART),
        (b"HEADER", MULTIPART[: MULTIPART.index(b"preamble")]),
        (b"TEXT", MULTIPART[MULTIPART.index(b"preamble") :]),
        (b"1", b"hello"),
        (b"1.MIME", b"Content-Type: text/plain; charset=utf-8\r\n\r\n"),
        (b"2", INNER),
        (b"2.HEADER", b"Subject: inner\r\nTo: b@example.org\r\n\r\n"),
        (b"2.TEXT", b"inner body"),
        (b"2.1", b"inner body"),
        (b"2.HEADER.FIELDS (To)", b"To: b@example.org\r\n\r\n"),
        (b"2.HEADER.FIELDS.NOT (To)", b"Subject: inner\r\n\r\n"),
        (b"HEADER.FIELDS (Received FROM)", b"From: a@example.org\r\nReceived: one\r\nReceived: two\r\n\r\n"),
        (b"HEADER.FIELDS (X-None)", b"\r\n"),
        (
            b"HEADER.FIELDS.NOT (Received Content-Type)",
            b"From: a@example.org\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\n",
        ),
    ],
)
def test_sections(section, octets):
    client = one()
    label = b"BODY[%b]" % section
    assert client.says(b"FETCH 1 BODY.PEEK[%b]" % section) == literal(label, octets)
    partial = client.says(b"FETCH 1 BODY.PEEK[%b]<3.6>" % section)
    assert partial == literal(label + b"<3>", octets[3:9])


@pytest.mark.parametrize("octets", [b"To: ann\r\nSubject: all of it\r\n", b"Subject: all of it"])
def test_a_message_without_an_empty_line_is_given_none(octets):
    """RFC: 9051 §6.4.5: the blank line is included in all header fetches, but for a message that has none"""
    for section, expected in (
        ("HEADER.FIELDS (Subject)", octets[octets.index(b"Subject") :]),
        ("HEADER.FIELDS (X-None)", b""),
        ("HEADER.FIELDS.NOT (To)", octets[octets.index(b"Subject") :]),
        ("HEADER", octets),
        ("TEXT", b""),
    ):
        label = f"BODY[{section}]".encode()
        assert one(octets).says(f"FETCH 1 BODY.PEEK[{section}]") == literal(label, expected)


def test_sections_that_are_not_there_are_nil():
    client = one()
    for section in ("9", "1.1.1", "1.HEADER", "2.9"):
        assert client.lines(f"FETCH 1 BODY[{section}]")[0] == f"* 1 FETCH (BODY[{section}] NIL)".encode()


def test_a_partial_beyond_the_end_is_empty():
    assert one(b"A: b\r\n\r\nc").says("FETCH 1 BODY.PEEK[]<99.5>") == literal(b"BODY[]<99>", b"")


def test_the_items_of_rfc_1730():
    client = one(b"A: b\r\n\r\nc\r\n")
    assert client.says("FETCH 1 RFC822") == literal(b"RFC822", b"A: b\r\n\r\nc\r\n")
    assert client.says("FETCH 1 RFC822.HEADER") == literal(b"RFC822.HEADER", b"A: b\r\n\r\n")
    assert client.says("FETCH 1 RFC822.TEXT") == literal(b"RFC822.TEXT", b"c\r\n")


def test_a_percent_in_a_field_name_is_no_format():
    fields = b'BODY[HEADER.FIELDS ("X-%d")]'
    assert one(b"X-%d: 5\r\n\r\n").says(b"FETCH 1 " + fields) == literal(fields, b"X-%d: 5\r\n\r\n")


@pytest.mark.parametrize("item", ["BODY[]", "BODY[TEXT]", "BODY[1]", "RFC822", "RFC822.TEXT", "BODY[]<0.5>"])
def test_reading_a_body_sets_seen_and_tells_so(item):
    made = account(2)
    client, other = Client(made, "INBOX"), Client(made, "INBOX")
    assert b"FLAGS (\\Seen \\Recent)" in client.says(f"FETCH 1 {item}")
    assert b"FLAGS" not in client.says(f"FETCH 1 {item}")
    assert other.lines("UID FETCH 1 (UID)") == [
        b"* 1 FETCH (UID 1)",
        b"* 1 FETCH (UID 1 FLAGS (\\Seen))",
        b"a OK FETCH completed",
    ]


@pytest.mark.parametrize("item", ["BODY.PEEK[]", "RFC822.HEADER", "BODY.PEEK[1]", "ENVELOPE", "BODY"])
def test_peeking_sets_nothing(item):
    client = Client(account(1), "INBOX")
    assert b"FLAGS" not in client.says(f"FETCH 1 {item}")
    assert b"Seen" not in client.says("FETCH 1 FLAGS")


def test_seen_is_told_with_the_mod_sequence_to_whom_that_matters():
    client = Client(account(1), "INBOX")
    client.says("FETCH 1 MODSEQ")
    assert b" FLAGS (\\Seen \\Recent) MODSEQ (3) UID 1)" in client.says("FETCH 1 BODY[1]")


def test_reading_in_an_examined_mailbox_sets_nothing():
    client = Client(account(1))
    client.says("EXAMINE INBOX")
    assert b"FLAGS" not in client.says("FETCH 1 BODY[]")


def test_a_message_can_be_read_though_it_cannot_be_marked():
    made = account(1)

    def store(*_, **__):
        raise MailError(ErrorKind.DISK_FULL, "full")

    made.open("INBOX").store = store
    answer = Client(made, "INBOX").says("FETCH 1 BODY[TEXT]")
    assert b"Body of 1" in answer
    assert b"a OK" in answer


def test_messages_that_can_be_read_come_before_the_refusal_of_others():
    made = account(3)
    mailbox = made.open("INBOX")
    fetch = mailbox.fetch

    async def refusing(uids, attributes):
        async for batch in fetch([uid for uid in uids if uid != 2], attributes):
            yield batch
        raise MailError(ErrorKind.NO_PERMISSION, "no")

    mailbox.fetch = refusing
    answer = Client(made, "INBOX").says("FETCH 1:3 (RFC822.SIZE BODY.PEEK[])")
    assert numbers(answer, b"FETCH") == [1, 3]
    assert answer.endswith(b"\r\na NO [NOPERM] no\r\n")


def test_changed_since():
    client = Client(account(3), "INBOX")
    client.says("STORE 2 +FLAGS.SILENT (\\Flagged)")
    assert client.lines("FETCH 1:* (FLAGS) (CHANGEDSINCE 2)") == [
        b"* OK [HIGHESTMODSEQ 3] The latest change",
        b"* 2 FETCH (FLAGS (\\Flagged \\Recent) MODSEQ (3))",
        b"a OK FETCH completed",
    ]
    assert client.lines("UID FETCH 1:* (RFC822.SIZE) (CHANGEDSINCE 3)") == [b"a OK FETCH completed"]
    assert client.says("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 2 VANISHED)").startswith(b"a BAD ")


def test_new_keywords_are_announced_before_they_are_used():
    made = account(1)
    client, other = Client(made, "INBOX"), Client(made, "INBOX")
    other.says("STORE 1 +FLAGS.SILENT ($Work)")
    assert client.lines("FETCH 1 FLAGS") == [
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work)",
        b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work \\*)] These are kept",
        b"* 1 FETCH (FLAGS (\\Recent $Work))",
        b"a OK FETCH completed",
    ]
    assert client.lines("FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS (\\Recent $Work))", b"a OK FETCH completed"]


def test_a_message_may_arrive_while_others_are_fetched():
    made = account(2)
    client = Client(made, "INBOX")
    add(made, [MESSAGE % (3, 3)])
    assert client.lines("FETCH 1:* (UID)") == [
        b"* 1 FETCH (UID 1)",
        b"* 2 FETCH (UID 2)",
        b"* 3 EXISTS",
        b"* 3 RECENT",
        b"a OK FETCH completed",
    ]


def test_messages_that_another_session_removed_keep_their_numbers_until_it_is_told():
    made = account(4)
    client, other = Client(made, "INBOX"), Client(made, "INBOX")
    other.says("STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.says("EXPUNGE")
    assert client.lines("FETCH 1:4 (UID)") == [
        b"* 1 FETCH (UID 1)",
        b"* 3 FETCH (UID 3)",
        b"* 4 FETCH (UID 4)",
        b"a OK [EXPUNGEISSUED] Some of these messages no longer exist",
    ]
    assert client.lines("FETCH 2 (UID)") == [b"a NO [EXPUNGEISSUED] These messages no longer exist"]
    assert numbers(client.says("FETCH 3:4 (RFC822.SIZE)"), b"FETCH") == [3, 4]
    # A UID command may tell of it, and does at its end.
    assert client.lines("UID FETCH 2:3 (UID)") == [
        b"* 3 FETCH (UID 3)",
        b"* 2 EXPUNGE",
        b"a OK FETCH completed",
    ]
    assert client.lines("FETCH 1:* (UID)")[:3] == [
        b"* 1 FETCH (UID 1)",
        b"* 2 FETCH (UID 3)",
        b"* 3 FETCH (UID 4)",
    ]


class Gate:
    """Makes a mailbox give its rows one by one, each when it is let through."""

    def __init__(self, mailbox):
        self.waiting = []
        self.closed = False
        self._fetch = mailbox.fetch
        mailbox.fetch = self.fetch

    async def fetch(self, uids, attributes):
        try:
            for uid in uids:
                passing: Deferred[None] = Deferred()
                self.waiting.append(passing)
                await passing
                async for batch in self._fetch([uid], attributes):
                    yield batch
        finally:
            self.closed = True

    def open(self):
        self.waiting.pop(0).callback(None)


def test_an_expunge_in_the_middle_of_a_fetch_shifts_no_number():
    made = account(4)
    gate = Gate(made.open("INBOX"))
    client, other = Client(made, "INBOX"), Client(made, "INBOX")
    answered = client.begins("FETCH 1:4 (UID BODY.PEEK[TEXT])")
    gate.open()
    other.says("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    assert other.says("EXPUNGE").count(b"EXPUNGE\r\n") == 2
    for _ in range(3):
        gate.open()
    assert answered.called
    answer = client.heard()
    assert numbers(answer, b"FETCH") == [1, 2, 4]
    assert b"* 4 FETCH (UID 4 BODY[TEXT] {11}\r\nBody of 4\r\n)" in answer
    assert b"EXPUNGE\r\n" not in answer
    assert answer.endswith(b"a OK [EXPUNGEISSUED] Some of these messages no longer exist\r\n")
    assert gate.closed


def test_a_batch_that_is_gone_when_it_comes_has_no_lines():
    made = account(2)
    mailbox = made.open("INBOX")
    client, other = Client(made, "INBOX"), Client(made, "INBOX")
    store = mailbox.store

    def store_late(uids, change, flags, unchanged_since=None, origin=None):
        # While the first client's \Seen is on its way, the second removes the message.
        mailbox.store = store
        other.says("STORE 1 +FLAGS.SILENT (\\Deleted)")
        other.says("EXPUNGE")
        return store(uids, change, flags, unchanged_since, origin)

    mailbox.store = store_late
    assert client.lines("FETCH 1 BODY[]") == [b"a OK [EXPUNGEISSUED] Some of these messages no longer exist"]


def test_the_next_batch_is_read_while_one_is_written_and_all_is_given_back_at_the_end():
    made = account(3)
    gate = Gate(made.open("INBOX"))
    client = Client(made, "INBOX")
    held: Deferred[None] = Deferred()

    async def drained():
        await held

    client.drained = drained
    answered = client.begins("FETCH 1:3 (BODY.PEEK[])")
    gate.open()
    assert numbers(client.heard(), b"FETCH") == [1]
    assert len(gate.waiting) == 1, "the second message is being read"
    answered.cancel()
    assert gate.closed
    answered.addErrback(lambda failure: None)


def test_a_big_message_is_read_once_however_many_parts_are_asked_for():
    made = account()
    big = b"Subject: big\r\n\r\n" + b"0123456789" * 1000
    add(made, [big, b"Subject: small\r\n\r\n"])
    mailbox = made.open("INBOX")
    reads = []
    fetch = mailbox.fetch

    def counted(uids, attributes):
        reads.append(tuple(attributes))
        return fetch(uids, attributes)

    mailbox.fetch = counted
    client = Client(made, "INBOX")
    for start in range(0, 10_000, 1_000):
        octets = big[start : start + 1_000]
        assert octets in client.says(f"UID FETCH 1 (UID RFC822.SIZE BODY.PEEK[]<{start}.1000>)")
    assert sum(len(needs) == 2 for needs in reads) == 1
    assert b"0123456789" in client.says("UID FETCH 1 BODY.PEEK[TEXT]<0.10>")
    assert len(reads) == 10, "nothing is read for what is held"
    assert big in client.says("UID FETCH 1 (BODY.PEEK[] BODY.PEEK[]<0.10>)")
    assert len(reads) == 10
    assert b"Subject: small" in client.says("UID FETCH 2 BODY.PEEK[]<0.99>")
    assert len(reads) == 11


def test_a_large_answer_goes_out_in_pieces():
    client = Client(account(9_000), "INBOX")
    answer = client.lines("FETCH 1:* (UID FLAGS)")
    assert len(answer) == 9_001
    assert answer[8_999] == b"* 9000 FETCH (UID 9000 FLAGS (\\Recent))"
    assert client.drains == 2


def test_messages_that_go_between_two_pieces():
    made = account(5_000)
    client, other = Client(made, "INBOX"), Client(made, "INBOX")
    other.says("STORE 4500 +FLAGS.SILENT (\\Deleted)")

    async def drained():
        other.says("EXPUNGE")

    client.drained = drained
    answer = client.lines("FETCH 1:* (UID)")
    assert len(answer) == 5_000
    assert b"* 4500 FETCH" not in b"".join(answer)
    assert answer[-2] == b"* 5000 FETCH (UID 5000)"
    assert answer[-1].startswith(b"a OK [EXPUNGEISSUED] ")


ENCODED = (
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Transfer-Encoding: base64\r\n\r\nAGFiYw==\r\n"
    b"--x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC ber\r\n"
    b"--x\r\nContent-Type: message/rfc822\r\n\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n"
    b"--x\r\nContent-Transfer-Encoding: x-secret\r\n\r\nabc\r\n--x--\r\n"
)


@pytest.mark.parametrize(
    ("item", "answer"),
    [
        ("BINARY.PEEK[1]", b"BINARY[1] ~{4}\r\n\0abc"),
        ("BINARY.PEEK[1]<1.2>", b"BINARY[1]<1> {2}\r\nab"),
        ("BINARY.PEEK[1]<9.2>", b"BINARY[1]<9> {0}\r\n"),
        ("BINARY.PEEK[2]", b"BINARY[2] {6}\r\n\xc3\xbc ber"),
        ("BINARY.PEEK[3]", b"BINARY[3] {41}\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj"),
        ("BINARY.PEEK[3.1]", b"BINARY[3.1] {3}\r\nabc"),
        ("BINARY.PEEK[9]", b"BINARY[9] NIL"),
        ("BINARY.SIZE[1]", b"BINARY.SIZE[1] 4"),
        ("BINARY.SIZE[9]", b"BINARY.SIZE[9] 0"),
        ("(BINARY.SIZE[2] BINARY.PEEK[3.1])", b"BINARY.SIZE[2] 6 BINARY[3.1] {3}\r\nabc"),
        ("BINARY.PEEK[]<0.4>", b"BINARY[]<0> {4}\r\nMIME"),
    ],
)
def test_parts_with_their_encoding_undone(item, answer):
    made = account()
    add(made, [ENCODED])
    client = Client(made, "INBOX")
    assert client.says(f"FETCH 1 {item}") == b"* 1 FETCH (%b)\r\na OK FETCH completed\r\n" % answer


def test_an_encoding_that_nobody_knows():
    made = account()
    add(made, [ENCODED])
    client = Client(made, "INBOX")
    assert client.says("FETCH 1 BINARY.PEEK[4]").startswith(b"a NO [UNKNOWN-CTE] ")
    assert client.says("FETCH 1 BINARY.SIZE[4]").startswith(b"a NO [UNKNOWN-CTE] ")


def test_binary_without_peek_marks_as_seen():
    made = account(1)
    client = Client(made, "INBOX")
    assert b"FLAGS (\\Seen" in client.says("FETCH 1 BINARY[1]")
