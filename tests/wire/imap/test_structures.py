"""RFC: 3501 §7.4.2"""

from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.encodings import casemapped
from mailpost.mail.envelope import envelope
from mailpost.mail.mime import parse
from mailpost.wire.imap.reader import Reader
from mailpost.wire.imap.structures import bodystructure_octets, envelope_octets, summarise
from tests.corpus import messages
from tests.wire.imap.wireside import command_line

Value = bytes | None | list["Value"]


def value(octets: bytes) -> Value:
    """A parenthesised value as a client reads it: lists, strings (numbers too), None for NIL."""
    reader = Reader(command_line(octets))
    found = _value(reader)
    reader.end()
    return found


def _value(reader: Reader) -> Value:
    if reader.accept(b"("):
        found = []
        while not reader.accept(b")"):
            found.append(_value(reader))
            reader.accept(b" ")
        return found
    if reader.accept_word(b"NIL"):
        return None
    start = reader.peek()
    return str(reader.number64()).encode() if start.isdigit() else reader.string()


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def body(text: str, extensions: bool = True) -> Value:
    octets = crlf(text)
    return value(bodystructure_octets(parse(octets), octets, extensions))


def test_envelope() -> None:
    octets = crlf(
        """\
Date: Wed, 17 Jul 1996 02:23:25 -0700
From: "Terry \\"T\\" Gray" <gray@cac.washington.edu>
Reply-To: list: a@example.org, b@example.org;
Subject: IMAP4rev1 WG mtg
 summary é
To: imap@cac.washington.edu, Fred <fred@example.org>
In-Reply-To: <1@x>
Message-Id: <B27397@cac.washington.edu>

"""
    )
    gray = [b'Terry "T" Gray', None, b"gray", b"cac.washington.edu"]
    assert value(envelope_octets(envelope(octets))) == [
        b"Wed, 17 Jul 1996 02:23:25 -0700",
        "IMAP4rev1 WG mtg summary é".encode(),
        [gray],
        [gray],
        [
            [None, None, b"list", None],
            [None, None, b"a", b"example.org"],
            [None, None, b"b", b"example.org"],
            [None, None, None, None],
        ],
        [[None, None, b"imap", b"cac.washington.edu"], [b"Fred", None, b"fred", b"example.org"]],
        None,
        None,
        b"<1@x>",
        b"<B27397@cac.washington.edu>",
    ]
    assert envelope_octets(envelope(b"\r\n")) == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


def test_text_has_lines() -> None:
    text = "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\na\nb\n"
    plain = [b"TEXT", b"HTML", [b"CHARSET", b"utf-8"], None, None, b"BASE64", b"6", b"2"]
    assert body(text, extensions=False) == plain
    assert body(text) == [*plain, None, None, None, None]


def test_extension_data() -> None:
    text = """\
Content-Type: application/x-thing
Content-Id: <1@x>
Content-Description: Größe
Content-MD5: Q2hlY2s=
Content-Disposition: attachment; filename="a b.txt"
Content-Language: de, en
Content-Location: http://example.org/

x"""
    assert body(text) == [
        *[b"APPLICATION", b"X-THING", None, b"<1@x>", "Größe".encode(), b"7BIT", b"1", b"Q2hlY2s="],
        *[[b"ATTACHMENT", [b"FILENAME", b"a b.txt"]], [b"de", b"en"], b"http://example.org/"],
    ]


def test_multiparts_and_messages() -> None:
    text = """\
Content-Type: multipart/mixed; boundary=x

--x

hello
--x
Content-Type: message/rfc822
Content-Disposition: inline

Subject: inner

text
--x--
"""
    plain = [b"TEXT", b"PLAIN", [b"CHARSET", b"us-ascii"], None, None, b"7BIT"]
    inner = [None, b"inner", None, None, None, None, None, None, None, None]
    found = body(text)
    assert found == [
        [*plain, b"5", b"0", None, None, None, None],
        [
            *[b"MESSAGE", b"RFC822", None, None, None, b"7BIT", b"22", inner],
            [*plain, b"4", b"0", None, None, None, None],
            *[b"2", None, [b"INLINE", None], None, None],
        ],
        *[b"MIXED", [b"BOUNDARY", b"x"], None, None, None],
    ]
    short = body(text, extensions=False)
    assert isinstance(short, list)
    assert short[-1] == b"MIXED"
    assert short[0] == [*plain, b"5", b"0"]


def test_a_global_message_is_like_any_part() -> None:
    assert body("Content-Type: message/global\n\nSubject: x\n\n", False) == [
        *[b"MESSAGE", b"GLOBAL", None, None, None, b"7BIT", b"14"]
    ]


def test_summary() -> None:
    octets = crlf(
        """\
Received: by x
Date: Wed, 17 Jul 1996 23:23:25 -0700
Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=
From: Ann <ann@example.org>
To: one@example.org
To: two@example.org

text
"""
    )
    summary = summarise(octets)
    assert summary.size == len(octets)
    assert summary.envelope == envelope_octets(envelope(octets))
    assert summary.bodystructure == bodystructure_octets(parse(octets), octets)
    assert summary.header == octets[octets.index(b"Date") : octets.index(b"\r\n\r\n") + 4]
    assert (summary.sent, summary.sent_day) == (837671005, 728857)
    assert summary.subject == casemapped("Größe")
    assert summary.from_ == "ann <ann@example.org>"
    assert summary.to == "one@example.org\ntwo@example.org"
    assert summary.cc == summary.bcc == ""
    assert summarise(b"").sent is None


def test_summaries_of_all_messages_can_be_read() -> None:
    for octets in messages():
        summary = summarise(octets)
        found = value(b"(%b %b)" % (summary.envelope, summary.bodystructure))
        assert isinstance(found, list)
        assert [len(part) for part in found if isinstance(part, list)][:1] == [10]


LINES = [
    b"From: a <a@b>, =?x?q?y?=",
    b"To: x:;",
    b'Subject: \xff\0 "\\',
    b"Date: x",
    b"Content-Type: multipart/mixed; boundary=b",
]
LINES += [
    b"Content-Type: message/rfc822",
    b"Content-Type: text/plain; charset",
    b'Content-Disposition: a; b="c\\"\xe9',
    b"--b",
]
LINES += [
    b"--b--",
    b"",
    b"",
    b"\t folded",
    b"Content-Language: a, b",
    b"Content-Transfer-Encoding: 8bit",
    b"Content-Location: \r",
]


@given(st.lists(st.one_of(st.sampled_from(LINES), st.binary(max_size=8)), max_size=20).map(b"\r\n".join))
def test_every_message_has_readable_structures(octets: bytes) -> None:
    summary = summarise(octets)
    found = value(summary.envelope)
    assert isinstance(found, list)
    assert len(found) == 10
    assert isinstance(value(summary.bodystructure), list)
    assert value(bodystructure_octets(parse(octets), octets, extensions=False))
