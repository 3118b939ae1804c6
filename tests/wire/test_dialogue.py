"""Dialogues: whatever is said, in whatever pieces, all of it is handed out, in its order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mailpost.wire.dialogue import LONGEST_LINE, WHOLE, Command, Content, Dialogue, Response
from mailpost.wire.imap.dialogue import ImapDialogue
from mailpost.wire.pop3.dialogue import Pop3Dialogue
from mailpost.wire.smtp.dialogue import SmtpDialogue

DIALOGUES = [ImapDialogue, Pop3Dialogue, SmtpDialogue]
KINDS = some.sampled_from(DIALOGUES)
CLIENT = some.sampled_from(
    [
        *(b"a NOOP\r\n", b"a LOGIN {3+}\r\nabc {2}\r\n", b"de\r\n", b"a IDLE\r\n", b"DONE\r\n", b"a UID FETCH 1 UID\n"),
        *(b"RETR 1\r\n", b"AUTH PLAIN\r\n", b"=\r\n", b"EHLO x\r\n", b"DATA\r\n", b"x\r\n.\r\n", b"BDAT 3 LAST\r\nabc"),
    ]
)  # fmt: skip
SERVER = some.sampled_from(
    [
        *(b"* OK hello\r\n", b"a OK done\r\n", b"+ go on\r\n", b"* 1 FETCH (BODY[] {5}\r\nab\r\nc FLAGS ())\r\n"),
        *(b"+OK\r\n", b"+OK\r\nx\r\n.\r\n", b"-ERR no\r\n", b"250-x\r\n250 y\r\n", b"354 go\r\n", b"334 \r\n"),
    ]
)  # fmt: skip
SAID = some.lists(some.tuples(some.booleans(), some.one_of(CLIENT, SERVER, some.binary(max_size=30))), max_size=30)


def drain(dialogue: Dialogue) -> tuple[bytes, bytes]:
    client, server = b"", b""
    while True:
        response = dialogue.next_response()
        request = dialogue.next_request()
        if response is None and request is None:
            return client, server
        client += request.octets if request else b""
        server += response.octets if response else b""


@given(KINDS, SAID)
def test_all_octets_are_handed_out_in_their_order(kind: type[Dialogue], said: list[tuple[bool, bytes]]) -> None:
    dialogue = kind()
    client, server = b"", b""
    for by_client, octets in said:
        (dialogue.client if by_client else dialogue.server)(octets)
        more = drain(dialogue)
        client, server = client + more[0], server + more[1]
    assert b"".join(octets for by_client, octets in said if by_client).startswith(client)
    assert server + dialogue.rest() == b"".join(octets for by_client, octets in said if not by_client)


@given(SAID, KINDS, some.integers(1, 7))
def test_pieces_of_the_server_make_no_difference(
    said: list[tuple[bool, bytes]], kind: type[Dialogue], size: int
) -> None:
    octets = b"".join(octets for by_client, octets in said if not by_client)
    whole, cut = kind(), kind()
    whole.server(octets)
    expected = _responses(whole)
    found = []
    for at in range(0, len(octets), size):
        cut.server(octets[at : at + size])
        found += _responses(cut)
    assert found == expected


def _responses(dialogue: Dialogue) -> list[Response]:
    found = []
    while (response := dialogue.next_response()) is not None:
        found.append(response)
    return found


def greeted(kind: type[Dialogue]) -> Dialogue:
    dialogue = kind()
    dialogue.server({ImapDialogue: b"* OK\r\n", Pop3Dialogue: b"+OK\r\n", SmtpDialogue: b"220 x\r\n"}[kind])
    (greeting,) = _responses(dialogue)
    assert greeting.final
    assert greeting.command is not None
    assert greeting.command.verb == "GREETING"
    return dialogue


def test_verbs_and_tags() -> None:
    dialogue = greeted(ImapDialogue)
    for line, verb, tag in (
        (b"a1 noop\r\n", "NOOP", b"a1"),
        (b"a UID  fetch 1 FLAGS\r\n", "UID FETCH", b"a"),
        (b"* LOGIN x y\r\n", "", b""),
        (b"NOOP\r\n", "", b"NOOP"),
    ):
        dialogue.client(line)
        command = dialogue.next_request()
        assert isinstance(command, Command)
        assert (command.verb, command.tag) == (verb, tag)
        assert "x y" not in repr(command), "a password may be in it"
        dialogue.server((tag or b"*") + b" BAD x\r\n")
        assert dialogue.next_response() == Response((tag or b"*") + b" BAD x\r\n", command, True, True, True)


def test_a_command_waits_for_the_one_before() -> None:
    for kind, answer in ((ImapDialogue, b"a OK\r\n"), (Pop3Dialogue, b"+OK\r\n"), (SmtpDialogue, b"250 ok\r\n")):
        dialogue = greeted(kind)
        dialogue.client(b"a NOOP\r\nb NOOP\r\n")
        assert dialogue.next_request() is not None
        assert dialogue.next_request() is None
        dialogue.server(answer)
        assert dialogue.next_response() is not None
        assert isinstance(dialogue.next_request(), Command)


def test_a_line_that_never_ends_is_handed_out_as_it_comes() -> None:
    dialogue = greeted(ImapDialogue)
    dialogue.client(b"a NOOP " + b"x" * LONGEST_LINE)
    first = dialogue.next_request()
    assert isinstance(first, Command)
    assert first.verb == "NOOP"
    dialogue.client(b"y" * (LONGEST_LINE + 1))
    assert isinstance(dialogue.next_request(), Content)
    dialogue.client(b"{3")
    assert dialogue.next_request() is None
    dialogue.client(b"+}\r\nabc\r\n")
    assert [dialogue.next_request() for _ in range(3)] == [Content(b"{3+}\r\n"), Content(b"abc"), Content(b"\r\n")]
    assert dialogue.next_request() is None


def test_a_long_response_is_in_parts() -> None:
    dialogue = greeted(Pop3Dialogue)
    dialogue.client(b"RETR 1\r\n")
    command = dialogue.next_request()
    dialogue.server(b"+OK\r\n" + b"x" * (2 * WHOLE) + b"\r\n.\r\n")
    parts = _responses(dialogue)
    assert [part.first for part in parts] == [True, *([False] * (len(parts) - 1))]
    assert [part.last for part in parts] == [*([False] * (len(parts) - 1)), True]
    assert parts[-1].final
    assert {part.command for part in parts} == {command}


@pytest.mark.parametrize(
    ("kind", "command", "response", "names", "expected"),
    [
        (ImapDialogue, b"", b"* CAPABILITY IMAP4rev1 IDLE AUTH=PLAIN AUTH=LOGIN\r\n", {"IDLE", "AUTH=PLAIN"},
         b"* CAPABILITY IMAP4rev1 AUTH=LOGIN\r\n"),
        (ImapDialogue, b"", b"* OK [CAPABILITY IMAP4rev1 IDLE AUTH=PLAIN] IDLE is here\r\n", {"IDLE", "AUTH"},
         b"* OK [CAPABILITY IMAP4rev1] IDLE is here\r\n"),
        (ImapDialogue, b"", b"* 1 FETCH (BODY[] {24}\r\n* CAPABILITY IDLE MOVE\r\n)\r\n", {"IDLE"},
         b"* 1 FETCH (BODY[] {24}\r\n* CAPABILITY IDLE MOVE\r\n)\r\n"),
        (SmtpDialogue, b"EHLO x\r\n", b"250-x\r\n250-SIZE 100\r\n250-AUTH PLAIN LOGIN\r\n250 DSN\r\n",
         {"DSN", "AUTH=PLAIN"}, b"250-x\r\n250-SIZE 100\r\n250 AUTH LOGIN\r\n"),
        (SmtpDialogue, b"LHLO x\r\n", b"250-x\r\n250-SIZE 1\r\n250 AUTH PLAIN\r\n",
         {"SIZE", "AUTH=PLAIN"}, b"250 x\r\n"),
        (SmtpDialogue, b"NOOP\r\n", b"250-x\r\n250 SIZE\r\n", {"SIZE"}, b"250-x\r\n250 SIZE\r\n"),
        (Pop3Dialogue, b"CAPA\r\n", b"+OK\r\nUIDL\r\nSASL PLAIN LOGIN\r\nTOP\r\n.\r\n", {"UIDL", "SASL=PLAIN"},
         b"+OK\r\nSASL LOGIN\r\nTOP\r\n.\r\n"),
        (Pop3Dialogue, b"UIDL\r\n", b"+OK\r\n1 TOP\r\n.\r\n", {"1"}, b"+OK\r\n1 TOP\r\n.\r\n"),
    ],
)  # fmt: skip
def test_capabilities_can_be_hidden(
    kind: type[Dialogue], command: bytes, response: bytes, names: set[str], expected: bytes
) -> None:
    dialogue = greeted(kind)
    if command:
        dialogue.client(command)
        assert dialogue.next_request() is not None
    dialogue.server(response)
    (found,) = _responses(dialogue)
    assert dialogue.without(found, frozenset()) == response
    assert dialogue.without(found, names) == expected


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (ImapDialogue, "NO [OVERQUOTA] Full", b"t NO [OVERQUOTA] Full\r\n"),
        (ImapDialogue, "* 3 EXISTS\nOK Done", b"* 3 EXISTS\r\nt OK Done\r\n"),
        (ImapDialogue, "BYE Enough", b"* BYE Enough\r\n"),
        (ImapDialogue, "* BYE Enough\nOK Done", b"* BYE Enough\r\nt OK Done\r\n"),
        (Pop3Dialogue, "-ERR No", b"-ERR No\r\n"),
        (Pop3Dialogue, "+OK\n1 2\n.", b"+OK\r\n1 2\r\n.\r\n"),
        (SmtpDialogue, "452 4.2.2 Full", b"452 4.2.2 Full\r\n"),
        (SmtpDialogue, "250-first\n250 second", b"250-first\r\n250 second\r\n"),
        (SmtpDialogue, "550 first\nsecond", b"550-first\r\n550 second\r\n"),
    ],
)
def test_answers_are_written(kind: type[Dialogue], text: str, expected: bytes) -> None:
    assert kind().answer(Command(b"t NOOP\r\n", "NOOP", b"t"), text) == expected


@pytest.mark.parametrize(
    ("kind", "text", "closes"),
    [
        (ImapDialogue, "BYE x", True),
        (ImapDialogue, "NO bye", False),
        (SmtpDialogue, "421 x", True),
        (SmtpDialogue, "451 421", False),
        (Pop3Dialogue, "-ERR x", False),
    ],
)
def test_which_answers_close(kind: type[Dialogue], text: str, closes: bool) -> None:
    assert kind().closes(text) is closes
