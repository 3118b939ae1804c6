"""RFC: 3501 §6.3.11, 3502 (MULTIAPPEND)"""

import pytest

from mailpost.mail.errors import MailError
from mailpost.wire.imap.append import Append, AppendMessage
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
    with pytest.raises(ParseError, match="More than 1000"):
        parsed(b"APPEND x" + b" {0+}\r\n" * 1001)
