"""RFC: 3501 §6"""

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.errors import MailError
from mailpost.wire.imap.commands import (
    Capability,
    Check,
    Close,
    Command,
    Fetch,
    Idle,
    Login,
    Logout,
    Namespace,
    Noop,
    ParseError,
    Request,
    StartTls,
    UnknownCommandError,
    Unselect,
    head,
    parse,
)
from mailpost.wire.imap.decoder import CommandLine
from tests.wire.imap.wireside import command_line, cut, events, parsed, written


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b"CAPABILITY", Capability()),
        (b"Check", Check()),
        (b"close", Close()),
        (b"IDLE", Idle()),
        (b"LOGOUT", Logout()),
        (b"NAMESPACE", Namespace()),
        (b"noop", Noop()),
        (b"NOOP  ", Noop()),
        (b"STARTTLS", StartTls()),
        (b"UNSELECT", Unselect()),
    ],
)
def test_commands_without_arguments(octets: bytes, value: Command) -> None:
    assert parsed(octets) == value
    with pytest.raises(ParseError, match="Expected the end of the command"):
        parsed(octets.strip() + b" x")


def test_a_request_has_tag_and_name() -> None:
    request = parse(CommandLine(b"A.1]x uid fetch 1 uid"))
    assert (request.tag, request.name) == (b"A.1]x", "FETCH")
    assert isinstance(request.command, Fetch)
    assert request.command.uid
    assert head(CommandLine(b"A.1]x uid fetch 1 uid")) == (b"A.1]x", "UID FETCH")
    assert parse(CommandLine(b"1 noop")) == Request(b"1", "NOOP", Noop())


@pytest.mark.parametrize(
    "text", [b"", b" a NOOP", b"+ NOOP", b"a+ NOOP", b"* NOOP", b"\xe9 NOOP", b'"a" NOOP', b"(a) X", b"\x7f X"]
)
def test_what_has_no_tag_is_bad_without_one(text: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        parse(CommandLine(text))
    assert caught.value.tag is None


@pytest.mark.parametrize("text", [b"a", b"a ", b"a  NOOP", b"a \xe9", b"a NOOP(", b"a (NOOP)", b"a NOOP\r"])
def test_what_has_no_command_is_bad_with_its_tag(text: bytes) -> None:
    with pytest.raises(ParseError, match="Expected a command") as caught:
        parse(CommandLine(text))
    assert caught.value.tag == b"a"


@pytest.mark.parametrize(("text", "name"), [(b"a XYZZY 1", "XYZZY"), (b"a uid noop", "UID NOOP"), (b"a UID", "UID")])
def test_unknown_commands_tell_their_name(text: bytes, name: str) -> None:
    with pytest.raises(UnknownCommandError) as caught:
        parse(CommandLine(text))
    assert (caught.value.tag, caught.value.name) == (b"a", name)


@given(st.binary(min_size=1, max_size=30), st.binary(max_size=30), st.data())
def test_strings_come_through_in_every_form_and_every_cut(user: bytes, password: bytes, data: st.DataObject) -> None:
    user, password = user.replace(b"\0", b"?"), password.replace(b"\0", b"?")
    octets = b"a LOGIN %b %b\r\n" % (data.draw(written(user)), data.draw(written(password)))
    places = data.draw(st.lists(st.integers(0, 200), max_size=10))
    (line,) = (event for event in events(cut(octets, places)) if isinstance(event, CommandLine))
    assert parse(line).command == Login(user, password)


NAMES = [
    b"APPEND",
    b"AUTHENTICATE",
    b"COPY",
    b"CREATE",
    b"ENABLE",
    b"FETCH",
    b"ID",
    b"LIST",
    b"LOGIN",
    b"LSUB",
    b"SEARCH",
]
NAMES += [b"SELECT", b"STATUS", b"STORE", b"UID EXPUNGE", b"UID FETCH", b"UID SEARCH", b"UID STORE", b"RENAME", b"NOOP"]
WORDS = [
    b" ",
    b" ",
    b" ",
    b"(",
    b")",
    b"[",
    b"]",
    b"<0.1>",
    b"1:*",
    b"1,2",
    b"0",
    b"99999999999",
    b'"',
    b"\\",
    b"\\Seen",
    b"BODY",
]
WORDS += [
    b"HEADER.FIELDS",
    b"x",
    b"NOT",
    b"OR",
    b"SUBJECT",
    b"RETURN",
    b"CHARSET",
    b"UTF-8",
    b"MODSEQ",
    b"CHANGEDSINCE",
]
WORDS += [
    b"FLAGS",
    b"+FLAGS",
    b"QRESYNC",
    b"USE",
    b"STATUS",
    b"MESSAGES",
    b"&-",
    b"&",
    b"%",
    b"*",
    b"=",
    b"AA==",
    b"1-Feb-1994",
]
WORDS += [
    b"{1+}\r\nx",
    b"{2}\r\n\xe9\0",
    b"~{1+}\r\nx",
    b"NIL",
    b"SINCE",
    b"UID",
    b"$",
    b"BINARY",
    b"1.2.MIME",
    b"\xc3\xa9",
    b"\x7f",
]


@given(
    st.sampled_from(NAMES),
    st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=4)), max_size=12),
    st.booleans(),
)
def test_whatever_comes_is_a_value_or_a_known_error(name: bytes, words: list[bytes], utf8: bool) -> None:
    for line in events([b"a " + name + b" " + b"".join(words) + b"\r\n"]):
        if isinstance(line, CommandLine):
            try:
                request = parse(line, utf8)
            except ParseError as error:
                assert error.text.isascii()
                assert error.text.isprintable()
            except MailError as error:
                assert error.text
            else:
                assert hash(request.command) == hash(parse(line, utf8).command)


@given(st.binary(max_size=100))
def test_any_octets_are_a_value_or_a_known_error(octets: bytes) -> None:
    try:
        assert parse(CommandLine(octets)).tag
    except (ParseError, MailError) as error:
        assert str(error)


SPARSE = b",".join(b"%d" % (3 * number) for number in range(1, 10_000))


@pytest.mark.parametrize(
    "octets",
    [
        b"FETCH " + SPARSE + b" FLAGS",
        b"FETCH " + SPARSE[:-1] + b"x FLAGS",
        b"FETCH " + b"1," * 30_000 + b" FLAGS",
        b"SEARCH " + b"(" * 60_000,
        b"SEARCH " + b"NOT " * 15_000 + b"ALL",
        b"SEARCH " + b"OR " * 20_000 + b"ALL",
        b"SEARCH " + b"ALL " * 15_000 + b"ALL",
        b"SEARCH SUBJECT " + b'"' + b"\\" * 60_000,
        b"SEARCH SUBJECT " + b'"' + b'\\"' * 30_000,
        b"FETCH 1 (" + b"FLAGS " * 10_000 + b")",
        b"FETCH 1 BODY[" + b"1." * 30_000 + b"MIME]",
        b"FETCH 1 BODY[" + b"1" * 60_000 + b"]",
        b"FETCH 1 BODY[HEADER.FIELDS (" + b"x " * 30_000 + b")]",
        b"STORE 1 FLAGS (" + b"x " * 30_000 + b")",
        b"STORE 1 FLAGS " + b"x " * 30_000,
        b"ENABLE " + b"x " * 30_000,
        b"ID (" + b'"a" "b" ' * 8_000 + b")",
        b'LIST "" (' + b"* " * 30_000 + b")",
        b"LIST () " + b"&" * 60_000 + b" *",
        b"CREATE " + b"&AGE-" * 12_000,
        b"LOGIN" + b" " * 60_000 + b"x",
        b"NOOP" + b" " * 60_000,
        b"AUTHENTICATE PLAIN " + b"A" * 60_001,
        b"FETCH 1 FLAGS" + b" " * 60_000 + b"x",
        b"UID SEARCH RETURN (" + b"MIN " * 15_000 + b")",
    ],
    ids=lambda octets: octets[:16].decode(),
)
def test_no_line_takes_long(octets: bytes) -> None:
    line = command_line(b"a " + octets)
    start = perf_counter()
    try:
        assert parse(line).command
    except (ParseError, MailError) as error:
        assert str(error)
    assert perf_counter() - start < 0.5
