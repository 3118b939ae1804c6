"""IMAP: the decoder, the grammar of commands, and whole sessions."""

from __future__ import annotations

import re

from mailpost.mail.errors import MailError
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.storage.records import NewMessage
from mailpost.wire.imap.commands import ParseError, parse
from mailpost.wire.imap.decoder import CommandLine, Decoder, Event, Limits, LiteralOffered, RawLine, TooLong
from mailpost.wire.imap.url import parse_url
from tests.fuzz.target import Target
from tests.protocols.imap.harness import Server
from tests.protocols.imap.test_any_octets import COMMANDS
from tests.protocols.smtp.harness import Log
from tests.wire.imap.wireside import events

LONG = 255
"""An octet that asks for an input so long that what takes more than linear time is seen."""
SMALL = Limits(line=60, literal=20, command=100)
WORDS = (
    *(b"\r\n", b"{3+}\r\n", b"{2}\r\n", b"~{4+}\r\n", b"{99999999999999999999+}\r\n", b"NIL", b"INBOX", b"*", b"$"),
    *(
        b"UID ",
        b"FETCH ",
        b"STORE ",
        b"SEARCH ",
        b"COPY ",
        b"MOVE ",
        b"EXPUNGE ",
        b"APPEND ",
        b"REPLACE ",
        b"CATENATE ",
    ),
    *(b"SELECT ", b"EXAMINE ", b"CREATE ", b"RENAME ", b"DELETE ", b"LIST ", b"LSUB ", b"STATUS ", b"ENABLE ", b"ID "),
    *(b"LOGIN ", b"AUTHENTICATE ", b"IDLE\r\nDONE\r\n", b"CLOSE", b"UNSELECT", b"LOGOUT", b"UNAUTHENTICATE"),
    *(b"QRESYNC (", b"CONDSTORE", b"UIDONLY", b"IMAP4rev2", b"UTF8=ACCEPT", b"CHANGEDSINCE ", b"VANISHED"),
    *(b"UNCHANGEDSINCE ", b"BODY.PEEK[", b"HEADER.FIELDS (", b"BINARY.SIZE[", b"]<0.5>", b"PARTIAL 1:2", b"PREVIEW"),
    *(b"RETURN (", b"SAVE", b"COUNT", b"CHARSET utf-8 ", b"OR ", b"NOT ", b"MODSEQ ", b"SENTSINCE 1-Feb-1994"),
    *(
        b"CATENATE (",
        b"FLAGS.SILENT (",
        b"\\Deleted",
        b"\\Seen",
        b"$Junk",
        b"URL ",
        b"/INBOX;UIDVALIDITY=1/;UID=1/;SECTION=1",
    ),
    *(b"SPECIAL-USE", b"(USE (\\Sent))", b"RECURSIVEMATCH", b"&AOQ-", b"1:*", b"4294967295", b"9223372036854775807"),
)
NAMES = """
APPEND,AUTHENTICATE,COMPRESS,COPY,CREATE,DELETE,ENABLE,EXAMINE,EXPUNGE,FETCH,GETQUOTA,GETQUOTAROOT,ID,IDLE,LIST,LOGIN,
LSUB,MOVE,NOOP,RENAME,REPLACE,SEARCH,SELECT,STARTTLS,STATUS,STORE,SUBSCRIBE,UNSUBSCRIBE,UID COPY,UID EXPUNGE,UID FETCH,
UID MOVE,UID REPLACE,UID SEARCH,UID STORE
""".replace("\n", "").split(",")
"""The commands of whose arguments the grammar's inputs are made."""


def decoder(octets: bytes) -> None:
    """The first octet says under which limits, and whether messages and raw lines are taken; the second cuts."""
    if len(octets) < 3:
        return
    how, size, octets = octets[0], octets[1], octets[2:]
    limits = SMALL if how & 1 else Limits()
    accept = bool(how & 2)
    if how == LONG:  # a stream of the same
        octets *= 20_000 // len(octets) + 1
    size = max(size, len(octets) // 100, 1)
    whole = told(events([octets], limits, accept))
    assert told(events([octets[at : at + size] for at in range(0, len(octets), size)], limits, accept)) == whole
    for event in whole:
        if isinstance(event, CommandLine):
            assert len(event.text) <= limits.line
            kept = [each for each in event.literals if each.octets is not None]
            assert sum(each.size for each in kept) + len(event.text) <= limits.command + limits.line
            assert all(len(each.octets or b"") == each.size <= limits.literal for each in kept)
    one = Decoder(limits)
    for at in range(0, len(octets), size):
        one.raw_lines = bool(how & 4)
        one.feed(octets[at : at + size])
        while (event := one.next_event()) is not None:
            if isinstance(event, LiteralOffered):
                (one.accept if accept else one.refuse)()
            if isinstance(event, RawLine):
                assert len(event.octets) <= limits.line
        assert one.buffered <= limits.line + 1, "what waits for its end is bounded"


def told(found: list[Event]) -> list[object]:
    """Events without what may differ with the pieces: how an over-long line is found out."""
    return [(event.tag, event.fatal) if isinstance(event, TooLong) else event for event in found]


def grammar(octets: bytes) -> None:
    """The first octet says which command, the second how names are encoded and what is repeated."""
    if len(octets) < 3:
        return
    which, how, arguments = octets[0], octets[1], octets[2:]
    if how == LONG:  # the same again and again, as long as a line may be
        arguments *= 60_000 // len(arguments)
    name = NAMES[which % len(NAMES)].encode() if which < 255 else b""
    limits = Limits(line=1 << 17, literal=1 << 17, command=1 << 18)
    for event in events([b"a " + name + b" " + arguments + b"\r\n"], limits, accept=True):
        if isinstance(event, CommandLine):
            parsed(event, utf8=bool(how & 1))
        elif isinstance(event, LiteralOffered):
            parsed(event.so_far, utf8=bool(how & 1))
    if how & 2:
        try:
            parse_url(arguments)
        except ParseError as error:
            check_text(error.text)


def parsed(line: CommandLine, utf8: bool) -> None:
    """Parse a command, and see that what is said of a bad one is fit for a reply."""
    try:
        request = parse(line, utf8)
    except ParseError as error:
        check_text(error.text)
    except MailError as error:
        check_text(error.text)
    else:
        assert line.text.startswith(request.tag + b" ")
        hash(request)


def check_text(text: str) -> None:
    assert text
    assert len(text) < 400
    assert text.isascii()
    assert text.isprintable()


LETTER = (
    b"From: ann@example.org\r\nSubject: %d\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\n\r\none\r\n--x--\r\n"
)
ANSWER = re.compile(rb"\* |\+ |[^\x00-\x20(){%*\"\\+\x7f-\xff]+ (?:OK|NO|BAD)[ \r]")
CLOSING = (b"EXPUNGE", b"CLOSE", b"MOVE", b"REPLACE", b"DELETE", b"RENAME")


def session(octets: bytes) -> None:
    """The first octet says in which state the client begins, the second in what pieces it sends."""
    if len(octets) < 3:
        return
    how, step, octets = octets[0], octets[1] or len(octets), octets[2:]
    server = Server(ImapSettings(bad_commands=50, failed_logins=50, message_size=4000))
    account = server.store.account("joe")
    account.append("INBOX", [NewMessage(LETTER % n, internaldate=1_000_000_000) for n in range(3)])
    with Log() as log:
        client = server.logged_in() if how & 1 else server.connect()
        for bit, line in ((2, b"e ENABLE QRESYNC"), (4, b"e ENABLE IMAP4rev2 UTF8=ACCEPT"), (8, b"s SELECT INBOX")):
            if how & 1 and how & bit:
                client.says(line)
        other = server.logged_in()
        other.says(b"s SELECT INBOX")
        for at in range(0, len(octets), step):
            client.sends(octets[at : at + step])
        server.clock.advance(1)
        if how & 16:
            other.says(b"f UID FETCH 1:* FLAGS\r\nn NOOP")
            client.sends(b"\r\nz NOOP\r\n")
        server.clock.advance(1)
        heard = client.heard()
        client.leaves()
        kept = exists(other.says(b"r SELECT INBOX"))
        other.leaves()
    assert not log.failures, log.failures
    assert server.realm.inside == 0
    if b"COMPRESS" not in octets.upper():
        check_answers(heard)
    if not any(word in octets.upper() for word in CLOSING):
        assert kept >= 3, "nothing goes that was not asked for"


def exists(greeting: bytes) -> int:
    found = re.search(rb"^\* (\d+) EXISTS\r$", greeting, re.MULTILINE)
    assert found is not None, greeting
    return int(found[1])


def check_answers(heard: bytes) -> None:
    """Each answer begins as answers do, and each literal is as long as it says."""
    at = 0
    while at < len(heard):
        assert ANSWER.match(heard, at), heard[at : at + 100]
        end = heard.index(b"\r\n", at)
        while size := re.compile(rb"\{(\d+)\}\Z").search(heard, at, end):
            at = end + 2 + int(size[1])
            end = heard.index(b"\r\n", at)
        at = end + 2


SESSIONS = [
    b"a LOGIN {3+}\r\njoe {6+}\r\nsecret\r\nb SELECT INBOX\r\nc FETCH 1:* (UID BODY[1] ENVELOPE PREVIEW)\r\n",
    b"a STORE 1:2 +FLAGS (\\Deleted $x)\r\nb EXPUNGE\r\nc UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)\r\n",
    b"a CREATE A/B\r\nb RENAME A C\r\nc MOVE 1 C/B\r\n"
    b'd LIST (RECURSIVEMATCH SUBSCRIBED) "" (*) RETURN (STATUS (SIZE))\r\n',
    b"a APPEND INBOX {9+}\r\nx: y\r\n\r\nz {9+}\r\nx: y\r\n\r\nz\r\n"
    b"b APPEND INBOX CATENATE (URL /INBOX/;UID=1)\r\nc IDLE\r\nDONE\r\n",
    b"a SELECT INBOX (QRESYNC (1 1 1:5 (1:2 1:2)))\r\nb ENABLE UIDONLY\r\nc UID REPLACE 1 INBOX {3+}\r\nabc\r\n",
    b"s SEARCH OR NOT SEEN (TEXT x) UID 1:2\r\nt UID SEARCH RETURN (SAVE COUNT) ALL\r\nu FETCH $ (FLAGS)\r\n",
]
ARGUMENTS = {
    "FETCH": b"1:* (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (To)]<0.5> BINARY[1]) (CHANGEDSINCE 5)",
    "UID FETCH": b"1,3:* (PREVIEW (LAZY) EMAILID) (PARTIAL 1:2 CHANGEDSINCE 5 VANISHED)",
    "SEARCH": b'RETURN (ALL SAVE PARTIAL 1:5) CHARSET utf-8 OR (NOT BODY {1+}\r\nx) SENTON "1-Feb-1994" MODSEQ 5',
    "STORE": b"1 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\\Seen $a)",
    "APPEND": b'INBOX (\\Seen) "17-Jul-1996 02:44:25 -0700" CATENATE (URL "/INBOX/;UID=1" TEXT {1+}\r\nx)',
    "SELECT": b"INBOX (CONDSTORE QRESYNC (1 5 1:9 (1,2 3,4)))",
    "LIST": b'(SUBSCRIBED RECURSIVEMATCH) "" (INBOX %/*) RETURN (CHILDREN STATUS (MESSAGES SIZE))',
    "STATUS": b"&AOQ- (MESSAGES UIDNEXT HIGHESTMODSEQ)",
    "CREATE": b"a (USE (\\Sent \\Drafts))",
    "ID": b'("name" "x" "version" NIL)',
    "AUTHENTICATE": b"PLAIN AGpvZQBzZWNyZXQ=",
    "REPLACE": b"1 INBOX (\\Seen) {1+}\r\nx",
}
STREAM = b"a LOGIN {3+}\r\njoe x\r\nb APPEND x {3+}\r\nabc\r\nc x\r\n"
DECODER = Target(decoder, [bytes((how, size)) + STREAM for how in range(8) for size in (1, 9)], WORDS)
GRAMMAR = Target(
    grammar,
    [bytes((NAMES.index(name), how)) + octets for name, octets in ARGUMENTS.items() for how in (0, 1)]
    + [b"\0\2/INBOX;UIDVALIDITY=1/;UID=1/;SECTION=1.MIME/;PARTIAL=0.5"],
    WORDS,
)
SESSION = Target(session, [bytes((how, 0)) + each for each in SESSIONS for how in (1, 15, 29)], (*WORDS, *COMMANDS))
