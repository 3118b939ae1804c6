"""RFC: 3501 §9"""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail import foldernames
from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.uidset import STAR, SequenceSet
from mailpost.wire.imap.decoder import CommandLine, Literal
from mailpost.wire.imap.grammar import ParseError
from mailpost.wire.imap.reader import Reader
from tests.wire.imap.wireside import cut, events, written

ENDS = st.integers(STAR, 0xFFFF_FFFF)


def reader(text: bytes, *literals: Literal) -> Reader:
    return Reader(CommandLine(text, literals))


@given(st.lists(st.tuples(ENDS, ENDS), min_size=1))
def test_sequence_sets(parts: list[tuple[int, int]]) -> None:
    def shown(pair: tuple[int, int]) -> str:
        low, high = ("*" if end == STAR else str(end) for end in pair)
        return low if low == high else f"{low}:{high}"

    found = reader(",".join(map(shown, parts)).encode()).sequence_set()
    assert found == SequenceSet(tuple(parts))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x",
        b"0",
        b"0:1",
        b"1:0",
        b"4294967296",
        b"1:99999999999",
        b",",
        b"1,",
        b",1",
        b"1,,2",
        b":",
        b"1:",
        b":1",
        b"1:2:3",
        b"-1",
        b"+1",
        b"1_0",
        b"**",
        b"1*",
        b"\xb2",
        b"1" * 5000,
    ],
)
def test_what_is_no_sequence_set(text: bytes) -> None:
    with pytest.raises(ParseError, match="Expected"):
        found = reader(text)
        found.sequence_set()
        found.end()


def test_ranges_are_bounded() -> None:
    assert len(reader(b"1," * 99_999 + b"1").sequence_set().parts) == 100_000
    with pytest.raises(ParseError):
        reader(b"1," * 100_000 + b"1").sequence_set()


def test_a_star_can_be_out_of_place() -> None:
    with pytest.raises(ParseError, match="Expected a set of UIDs at octet 1, found 1:\\*"):
        reader(b"1:*").sequence_set("a set of UIDs", star=False)


@given(st.binary(max_size=40), st.data())
def test_strings_in_every_form(value: bytes, data: st.DataObject) -> None:
    value = value.replace(b"\0", b"")
    octets = b"a X " + data.draw(written(value)) + b" tail\r\n"
    (line,) = (event for event in events(cut(octets, [3, 7])) if isinstance(event, CommandLine))
    found = Reader(line, 4)
    assert found.astring() == value
    found.space()
    assert found.atom() == b"tail"
    found.end()


@pytest.mark.parametrize(
    "text", [b"", b'"', b'"x', b'"\\x"', b'"\\', b'"\r"', b"(", b"{1}", b"{1} ", b"%", b"\x80", b" x"]
)
def test_what_is_no_string(text: bytes) -> None:
    with pytest.raises(ParseError, match="Expected a"):
        reader(text).astring()


def test_a_literal_counts_only_where_it_was_announced() -> None:
    literal = Literal(3, 1, b"x")
    assert reader(b"{1}", literal).string() == b"x"
    with pytest.raises(ParseError):
        reader(b" {1}", literal).string()
    with pytest.raises(ParseError):
        reader(b"{1} {1}", Literal(7, 1, b"x")).string()
    with pytest.raises(ParseError, match="NUL"):
        reader(b"{1}", Literal(3, 1, b"\0")).string()
    with pytest.raises(ParseError):
        reader(b"{1}", Literal(3, 1, None)).string()
    with pytest.raises(ParseError):
        reader(b"~{1}", Literal(4, 1, b"x")).string()


def test_nstrings() -> None:
    assert reader(b"nil").nstring() is None
    assert reader(b'"NIL"').nstring() == b"NIL"
    with pytest.raises(ParseError):
        reader(b"NILS").nstring()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_mailbox_names_are_decoded(name: str) -> None:
    octets = foldernames.encode(name)
    quoted = b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    expected = "INBOX" if name.upper() == "INBOX" and name.isascii() else name
    assert reader(quoted).mailbox() == expected
    assert reader(quoted).list_mailbox() == expected


def test_inbox_in_any_case() -> None:
    assert reader(b"iNbOx").mailbox() == "INBOX"
    assert reader(b"inbox/x").mailbox() == "inbox/x"


def test_mailbox_names_in_utf8() -> None:
    assert Reader(CommandLine('"Entwürfe &-"'.encode()), utf8=True).mailbox() == "Entwürfe &-"
    for octets in (b'"\xff"', b'"\xc3"', b'"\xc0\xaf"', b'"\xed\xa0\x80"'):
        with pytest.raises(ParseError, match="UTF-8"):
            Reader(CommandLine(octets), utf8=True).mailbox()
        with pytest.raises(ParseError, match="UTF-8"):
            Reader(CommandLine(octets), utf8=True).string()
        assert Reader(CommandLine(octets)).string() == octets[1:-1]


@pytest.mark.parametrize("text", [b"&", b"&AGE-", b"&Jjo", b'"\xc3\xa9"', b"&2AA-"])
def test_names_in_broken_utf7_cannot_be(text: bytes) -> None:
    with pytest.raises(MailError) as caught:
        reader(text).mailbox()
    assert caught.value.kind is ErrorKind.BAD_FOLDER_NAME


def test_patterns() -> None:
    assert reader(b"a/%*]").list_mailbox() == "a/%*]"
    assert reader(b'"a %"').list_mailbox() == "a %"
    with pytest.raises(ParseError):
        reader(b"a\\").list_mailbox()
        reader(b"(").list_mailbox()


def test_flags() -> None:
    assert reader(b"(\\seen $Forwarded)").flag_list() == {"\\Seen", "$Forwarded"}
    assert reader(b"()").flag_list() == frozenset()
    assert reader(b"x" * 255).flag() == "x" * 255


@pytest.mark.parametrize("text", [b"\\Recent", b"\\recent", b"\\Foo", b"\\", b"\\*", b"]", b"x" * 256, b"\xe9", b""])
def test_flags_that_cannot_be_set(text: bytes) -> None:
    with pytest.raises(ParseError):
        reader(text).flag()


@given(st.dates(date(1900, 1, 1)))
def test_dates(day: date) -> None:
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * day.month - 3 : 3 * day.month]
    assert reader(f"{day.day}-{month}-{day.year}".encode()).day() == day
    assert reader(f'"{day.day:02}-{month.upper()}-{day.year}"'.encode()).day() == day


@pytest.mark.parametrize(
    "text", [b"31-Feb-1994", b"1-Foo-1994", b"1-1-1994", b'"1-Feb-1994', b"1-Feb-94", b"0-Feb-1994", b"1-Feb-0000"]
)
def test_what_is_no_date(text: bytes) -> None:
    with pytest.raises(ParseError, match="Expected a date like 1-Feb-1994"):
        reader(text).day()


def test_numbers() -> None:
    assert reader(b"4294967295").number() == 4_294_967_295
    assert reader(b"9223372036854775807").number64() == (1 << 63) - 1
    for text in (b"4294967296", b"-1", b"x", b"", b"1" * 5000):
        with pytest.raises(ParseError, match="Expected a number"):
            reader(text).number()
    with pytest.raises(ParseError, match="from 1 to"):
        reader(b"0").number(least=1)
    with pytest.raises(ParseError):
        reader(b"9223372036854775808").number64()


def test_errors_show_where_and_what() -> None:
    found = reader(b"x \r\xe9%")
    assert found.accept(b"x ")
    assert found.error("bread").text == "Expected bread at octet 3, found ??%"
    assert reader(b"").error("bread").text == "Expected bread where the command ends"


def test_lists_are_bounded() -> None:
    found = reader(b"(" + b"x " * 1000 + b"x)")
    with pytest.raises(ParseError, match="More than 1000"):
        found.items(found.atom)
    for text in (b"x", b"(", b"()", b"(x", b"(x  x)", b"(x)"):
        found = reader(text)
        if text == b"(x)":
            assert found.items(found.atom) == [b"x"]
        else:
            with pytest.raises(ParseError):
                found.items(found.atom)
