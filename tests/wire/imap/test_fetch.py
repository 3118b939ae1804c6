"""RFC: 3501 §6.4.5, 7162 §3.1.4, 3516 (BINARY)"""

import pytest

from mailpost.mail.sections import Section, SectionKind
from mailpost.mail.uidset import STAR, SequenceSet
from mailpost.wire.imap.commands import ParseError
from mailpost.wire.imap.fetch import BinarySection, BinarySize, BodySection, Fetch, FetchAttribute, FetchItem
from tests.wire.imap.wireside import parsed

FAST = (FetchAttribute.FLAGS, FetchAttribute.INTERNALDATE, FetchAttribute.SIZE)


def items(octets: bytes) -> tuple[FetchItem, ...]:
    command = parsed(b"FETCH 1 " + octets)
    assert isinstance(command, Fetch)
    return command.items


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"fast", FAST),
        (b"ALL", (*FAST, FetchAttribute.ENVELOPE)),
        (b"FULL", (*FAST, FetchAttribute.ENVELOPE, FetchAttribute.BODY)),
        (b"body", (FetchAttribute.BODY,)),
        (b"(BODYSTRUCTURE)", (FetchAttribute.BODYSTRUCTURE,)),
        (b"(UID FLAGS UID)", (FetchAttribute.UID, FetchAttribute.FLAGS)),
        (b"RFC822.HEADER", (FetchAttribute.RFC822_HEADER,)),
        (
            b"(RFC822 RFC822.TEXT modseq EMAILID)",
            tuple(map(FetchAttribute, (b"RFC822", b"RFC822.TEXT", b"MODSEQ", b"EMAILID"))),
        ),
    ],
)
def test_attributes_and_macros(octets: bytes, expected: tuple[FetchItem, ...]) -> None:
    assert items(octets) == expected


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"BODY[]", BodySection(Section(), False, None, b"BODY[]")),
        (b"BODY.PEEK[]<0.1024>", BodySection(Section(), True, (0, 1024), b"BODY[]<0>")),
        (b"body.peek[text]", BodySection(Section((), SectionKind.TEXT), True, None, b"BODY[TEXT]")),
        (b"BODY[1.2]<7.1>", BodySection(Section((1, 2)), False, (7, 1), b"BODY[1.2]<7>")),
        (b"BODY[1.mime]", BodySection(Section((1,), SectionKind.MIME), False, None, b"BODY[1.MIME]")),
        (b"BODY[3.HEADER]", BodySection(Section((3,), SectionKind.HEADER), False, None, b"BODY[3.HEADER]")),
        (
            b'BODY.PEEK[header.fields (Subject "X Y" {2+}\r\nto SUBJECT)]<5.6>',
            BodySection(
                Section((), SectionKind.HEADER_FIELDS, frozenset({b"subject", b"x y", b"to"})),
                True,
                (5, 6),
                b'BODY[HEADER.FIELDS (Subject "X Y" to SUBJECT)]<5>',
            ),
        ),
        (
            b"BODY[2.HEADER.FIELDS.NOT (a)]",
            BodySection(
                Section((2,), SectionKind.HEADER_FIELDS_NOT, frozenset({b"a"})),
                False,
                None,
                b"BODY[2.HEADER.FIELDS.NOT (a)]",
            ),
        ),
        (b"BINARY.PEEK[1]<0.9>", BinarySection((1,), True, (0, 9), b"BINARY[1]<0>")),
        (b"BINARY[]", BinarySection((), False, None, b"BINARY[]")),
        (b"BINARY.SIZE[2.1]", BinarySize((2, 1), b"BINARY.SIZE[2.1]")),
    ],
)
def test_sections(octets: bytes, expected: FetchItem) -> None:
    assert items(octets) == (expected,)
    assert items(b"(UID " + octets + b")") == (FetchAttribute.UID, expected)


def test_modifiers() -> None:
    numbers = SequenceSet(((1, STAR),))
    flags = (FetchAttribute.FLAGS,)
    assert parsed(b"FETCH 1:* FLAGS (CHANGEDSINCE 12)") == Fetch(numbers, flags, changed_since=12)
    assert parsed(b"UID FETCH 1:* (FLAGS) (changedsince 12 vanished)") == Fetch(numbers, flags, True, 12, True)
    assert parsed(b"UID FETCH 1:* FLAGS (VANISHED CHANGEDSINCE 12)") == Fetch(numbers, flags, True, 12, True)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"()",
        b"FOO",
        b"(ALL)",
        b"(FLAGS FOO)",
        b"FLAGS UID",
        b"(FLAGS",
        b"BODY[",
        b"BODY[0]",
        b"BODY[1",
        b"BODY[1.]",
        b"BODY[.1]",
        b"BODY[01]",
        b"BODY[MIME]",
        b"BODY[FOO]",
        b"BODY[HEADER.FIELDS]",
        b"BODY[HEADER.FIELDS ()]",
        b"BODY[HEADER.FIELDS (a]",
        b"BODY[HEADER (a)]",
        b"BODY[4294967296]",
        b"BODY[99999999999]",
        b"BODY[" + b".".join([b"1"] * 101) + b"]",
        b"BODY[]<0>",
        b"BODY[]<0.0>",
        b"BODY[]<-1.1>",
        b"BODY[]<9999999999999999999.1>",
        b"BODY.PEEK",
        b"BODYSTRUCTURE[]",
        b"ENVELOPE.PEEK[]",
        b"BINARY[1.MIME]",
        b"BINARY.SIZE[1]<0.1>",
        b"FLAGS (VANISHED)",
        b"FLAGS (CHANGEDSINCE 1 VANISHED)",
        b"FLAGS (CHANGEDSINCE)",
        b"FLAGS (FOO)",
        b"FLAGS (CHANGEDSINCE 1) x",
    ],
)
def test_errors(octets: bytes) -> None:
    with pytest.raises(ParseError):
        parsed(b"FETCH 1 " + octets)
