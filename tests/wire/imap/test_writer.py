"""RFC: 3501 §4.3, §9"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.uidset import UidSet
from mailpost.wire.imap import writer
from mailpost.wire.imap.reader import Reader
from tests.wire.imap.wireside import command_line


def read(octets: bytes) -> Reader:
    return Reader(command_line(octets))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", b'""'),
        (b"a b", b'"a b"'),
        (b'a"\\', b'"a\\"\\\\"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"\xe9", b"{1}\r\n\xe9"),
        (b"\0", b"{1}\r\n\0"),
        (b"\x1b", b"{1}\r\n\x1b"),
        (b"x" * 1001, b"{1001}\r\n" + b"x" * 1001),
    ],
)
def test_strings(value: bytes, expected: bytes) -> None:
    assert writer.string(value) == expected
    assert writer.nstring(value) == expected


def test_nil_and_the_string_nil() -> None:
    assert writer.nstring(None) == b"NIL"
    assert writer.astring(b"nil") == b'"nil"'
    assert writer.astring(b"x]") == b"x]"


@given(st.binary().map(lambda value: value.replace(b"\0", b"")))
def test_what_is_written_can_be_read(value: bytes) -> None:
    assert read(writer.string(value)).string() == value
    assert read(writer.astring(value)).astring() == value


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_mailbox_names(name: str) -> None:
    expected = "INBOX" if name.upper() == "INBOX" and name.isascii() else name
    assert read(writer.mailbox(name)).mailbox() == expected
    assert Reader(command_line(writer.mailbox(name, utf8=True)), utf8=True).mailbox() == expected
    assert writer.mailbox(name).isascii()


def test_mailbox_names_in_utf8() -> None:
    assert writer.mailbox('é"', utf8=True) == '"é\\""'.encode()
    assert writer.mailbox("é\n", utf8=True) == "{3}\r\né\n".encode()


def test_flags_have_an_order() -> None:
    flags = ["b", "\\*", "\\Recent", "\\Seen", "a", "\\Answered"]
    assert writer.flag_list(flags) == b"(\\Answered \\Seen \\Recent a b \\*)"
    assert writer.flag_list(()) == b"()"


@given(st.sets(st.integers(1, 40)))
def test_number_sets(numbers: set[int]) -> None:
    assert writer.number_set(sorted(numbers)) == str(UidSet.of(numbers)).encode()
