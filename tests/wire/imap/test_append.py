"""RFC: 3501 §6.3.11, 3502 (MULTIAPPEND), 4469 §5 (CATENATE), 6855 §4 (UTF8), 8508 (REPLACE)"""

import pytest

from mailpost.mail.errors import MailError
from mailpost.mail.uidset import STAR, SequenceSet
from mailpost.wire.imap.append import Append, AppendMessage, Replace, TextPart, UrlPart
from mailpost.wire.imap.commands import ParseError, parse
from mailpost.wire.imap.decoder import CommandLine, Literal, LiteralOffered
from tests.wire.imap.wireside import events, parsed

SEEN = frozenset({"\\Seen"})


def test_flags_and_date_may_be_there() -> None:
    assert parsed(b"APPEND x {1+}\r\n1") == Append("x", (AppendMessage(1),))
    assert parsed(b"APPEND x (\\seen) {1}\r\n1") == Append("x", (AppendMessage(1, SEEN),))
    whole = b'APPEND {5}\r\ninbox (\\Seen) "17-Jul-1996 02:44:25 -0700" ~{2+}\r\n\0\0'
    assert parsed(whole) == Append("INBOX", (AppendMessage(2, SEEN, 837596665, binary=True),))
    assert parsed(b'APPEND x " 1-Jan-1970 00:00:01 +0000" {1}\r\n1') == Append("x", (AppendMessage(1, internaldate=1),))


def test_several_messages() -> None:
    assert parsed(b"APPEND x {1+}\r\n1 (\\Seen) {2}\r\n22") == Append("x", (AppendMessage(1), AppendMessage(2, SEEN)))


def test_what_is_offered_can_be_parsed() -> None:
    offers = [
        event for event in events([b"a APPEND x {1+}\r\n1 (\\Seen) {2}\r\n22"]) if isinstance(event, LiteralOffered)
    ]
    assert [parse(offer.so_far).command for offer in offers] == [
        Append("x", (AppendMessage(1),)),
        Append("x", (AppendMessage(1), AppendMessage(2, SEEN))),
    ]


@pytest.mark.parametrize(
    "octets",
    [
        b"APPEND",
        b"APPEND x",
        b"APPEND x y",
        b'APPEND x "y"',
        b"APPEND x {1}\r\n1)",
        b"APPEND x (\\Seen) (\\Seen) {1}\r\n1",
        b'APPEND x "" {1}\r\n1',
        b'APPEND x "31-Feb-1996 02:44:25 -0700" {1}\r\n1',
        b'APPEND x "17-Jul-1996 02:44:25" {1}\r\n1',
        b'APPEND x "17-Jul-1996 02:44:25 -0700 {1}\r\n1',
        b"APPEND x (\\Recent) {1}\r\n1",
        b"APPEND {1+}\r\nx{1}\r\n1",
    ],
)
def test_errors(octets: bytes) -> None:
    with pytest.raises(ParseError):
        parsed(octets)


def test_a_name_that_cannot_be() -> None:
    with pytest.raises(MailError):
        parsed(b"APPEND &bad {1}\r\n1")


def test_a_message_that_did_not_go_by_is_no_message() -> None:
    with pytest.raises(ParseError, match="as a literal"):
        parse(CommandLine(b"a APPEND x {1}", (Literal(14, 1, b"1"),)))


def test_messages_are_bounded() -> None:
    with pytest.raises(ParseError, match="More than 256"):
        parsed(b"APPEND x" + b" {0+}\r\n" * 257)


def test_a_message_of_parts() -> None:
    octets = b'APPEND x (\\Seen) CATENATE (URL "/a/;UID=1" TEXT {2+}\r\nab URL /b/;UID=2 utf8 (~{1+}\r\nc))'
    parts = (UrlPart(b"/a/;UID=1"), TextPart(2), UrlPart(b"/b/;UID=2"), TextPart(1, utf8=True))
    assert parsed(octets) == Append("x", (AppendMessage(3, SEEN, utf8=True, parts=parts),))
    only = parsed(b"APPEND x CATENATE (URL /a/;UID=1) {1+}\r\nx")
    assert only == Append("x", (AppendMessage(0, parts=(UrlPart(b"/a/;UID=1"),)), AppendMessage(1)))


def test_a_message_in_utf8() -> None:
    assert parsed(b"APPEND x UTF8 (~{1+}\r\nc)") == Append("x", (AppendMessage(1, binary=True, utf8=True),))


def test_parts_on_offer() -> None:
    octets = b"a APPEND x CATENATE (URL /a/;UID=1 TEXT {2+}\r\nab TEXT {1+}\r\nc)"
    offers = [event for event in events([octets + b"\r\n"]) if isinstance(event, LiteralOffered)]
    first, second = (parse(offer.so_far).command.messages[-1] for offer in offers)  # type: ignore[union-attr]
    assert (first.parts, first.open) == ((UrlPart(b"/a/;UID=1"), TextPart(2)), True)
    assert (second.parts, second.open) == ((UrlPart(b"/a/;UID=1"), TextPart(2), TextPart(1)), True)


@pytest.mark.parametrize(
    "octets",
    [
        b"APPEND x CATENATE",
        b"APPEND x CATENATE ()",
        b"APPEND x CATENATE (TEXT x)",
        b"APPEND x CATENATE (URL)",
        b"APPEND x CATENATE (PART {1+}\r\nx)",
        b"APPEND x CATENATE (URL a URL b",
        b"APPEND x UTF8 ({1+}\r\nx)",
        b"APPEND x UTF8 (~{1+}\r\nx",
        b"APPEND x UTF8 ~{1+}\r\nx",
        b"REPLACE 1 x",
        b"REPLACE 1:2 x {1+}\r\nx",
        b"REPLACE 1,3 x {1+}\r\nx",
        b"REPLACE x {1+}\r\nx",
        b"REPLACE 1 x {1+}\r\nx {1+}\r\ny",
    ],
)
def test_what_is_no_message(octets: bytes) -> None:
    try:
        command = parsed(octets)
    except ParseError:
        return
    assert any(message.open for message in command.messages)  # type: ignore[union-attr]


def test_replace() -> None:
    assert parsed(b"REPLACE 4 Drafts (\\Seen) {1+}\r\nx") == Replace(
        SequenceSet(((4, 4),)), "Drafts", (AppendMessage(1, SEEN),)
    )
    assert parsed(b"UID REPLACE * x {1+}\r\nx") == Replace(
        SequenceSet(((STAR, STAR),)), "x", (AppendMessage(1),), uid=True
    )


def test_a_replacement_is_offered_too_and_its_mailbox_is_not() -> None:
    octets = b"a UID REPLACE 12 {5+}\r\nINBOX {3+}\r\nabc\r\n"
    offers = [event for event in events([octets]) if isinstance(event, LiteralOffered)]
    assert [(offer.size, parse(offer.so_far).command) for offer in offers] == [
        (3, Replace(SequenceSet(((12, 12),)), "INBOX", (AppendMessage(3),), uid=True))
    ]
