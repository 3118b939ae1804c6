"""Every command in every state in which it cannot be, and with too few and too many arguments.

Each time the answer is a tagged BAD or NO, the next command is answered, and nothing has changed. The commands come
from the server's own tables, so none is forgotten.

RFC: 3501 §3, §6, §6.3.2 (EXAMINE), 9051 §3, §6, 2177 §3 (IDLE), 5530 §3 (PRIVACYREQUIRED, NOPERM), 9586 §3.1
(UIDREQUIRED), 8437 §3
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from mailpost.protocols.imap.commands.context import State
from mailpost.protocols.imap.commands.table import COMMANDS
from mailpost.wire.imap.commands import NAMES
from tests.protocols.imap.harness import Client, Server

FAR = "203.0.113.9"
SPECS = {spec.name: spec for spec in COMMANDS}
RIGHT = {
    "APPEND": "INBOX {3+}\r\nabc",
    "AUTHENTICATE": "PLAIN",
    "CAPABILITY": "",
    "CHECK": "",
    "CLOSE": "",
    "COMPRESS": "DEFLATE",
    "COPY": "1 Other",
    "CREATE": "New",
    "DELETE": "Other",
    "ENABLE": "CONDSTORE",
    "EXAMINE": "INBOX",
    "EXPUNGE": "",
    "FETCH": "1 BODY[]",
    "GETQUOTA": '""',
    "GETQUOTAROOT": "INBOX",
    "ID": "NIL",
    "IDLE": "",
    "LIST": '"" *',
    "LOGIN": "joe secret",
    "LOGOUT": "",
    "LSUB": '"" *',
    "MOVE": "1 Other",
    "NAMESPACE": "",
    "NOOP": "",
    "RENAME": "Other New",
    "REPLACE": "1 INBOX {3+}\r\nabc",
    "SEARCH": "1",
    "SELECT": "INBOX",
    "STARTTLS": "",
    "STATUS": "INBOX (MESSAGES)",
    "STORE": "1 FLAGS (\\Flagged)",
    "SUBSCRIBE": "Other",
    "UID COPY": "1 Other",
    "UID EXPUNGE": "1",
    "UID FETCH": "1 BODY[]",
    "UID MOVE": "1 Other",
    "UID REPLACE": "1 INBOX {3+}\r\nabc",
    "UID SEARCH": "ALL",
    "UID STORE": "1 FLAGS (\\Flagged)",
    "UNAUTHENTICATE": "",
    "UNSELECT": "",
    "UNSUBSCRIBE": "INBOX",
}
"""Arguments of each command that are right, and of which no beginning is."""
BY_NUMBER = ("COPY", "FETCH", "MOVE", "REPLACE", "SEARCH", "STORE")
CHANGING = ("EXPUNGE", "MOVE", "REPLACE", "STORE", "UID EXPUNGE", "UID MOVE", "UID REPLACE", "UID STORE")
"""Commands that change the selected mailbox."""


def test_no_command_is_forgotten() -> None:
    assert {name.encode() for name in RIGHT} == NAMES.keys()
    assert set(NAMES.values()) == SPECS.keys()


@pytest.fixture
def server() -> Server:
    made = Server()
    made.deliver(3)
    account = made.store.account("joe")
    account.create("Other")
    account.subscribe("INBOX", True)
    client = made.logged_in()
    client.says(b"a SELECT INBOX")
    client.says(b"b STORE 2 +FLAGS.SILENT (\\Deleted)")
    client.leaves()
    return made


def enter(server: Server, state: State) -> Client:
    """A client in this state; INBOX has a message that is marked as deleted."""
    if state is State.NOT_AUTHENTICATED:
        return server.connect()
    client = server.logged_in()
    if state is State.SELECTED:
        assert b"s OK" in client.says(b"s SELECT INBOX")
    return client


def everything(server: Server, client: Client) -> list[Any]:
    """All that a command could change: the mail, and where the session is."""
    account = server.store.account("joe")
    found: list[Any] = [account.subscriptions()]
    for folder in account.folders():
        live = account.open(folder.name).live
        found.append((folder, list(live.uids), list(live.flags), list(live.modseqs), live.highest_modseq))
    session = client.protocol.session
    selected = session.selected and (session.selected.live.mailbox_id, session.selected.read_only)
    return [*found, session.state, set(session.enabled), selected, client.transport.tls, server.realm.inside]


def refused(client: Client, command: str, word: str, server: Server) -> None:
    """This command is answered so, changes nothing, and the next is answered as ever."""
    before = everything(server, client)
    answer = client.says(f"x {command}".encode())
    assert answer.startswith(f"x {word} ".encode()), answer
    assert answer.count(b"\r\n") == 1, answer
    assert everything(server, client) == before
    assert not client.transport.disconnecting
    assert client.says(b"y NOOP") == b"y OK NOOP completed\r\n"


def command(name: str, arguments: str | None = None) -> str:
    """A command as it is sent."""
    return f"{name} {RIGHT[name] if arguments is None else arguments}".rstrip(" ")


def wrong_states() -> Iterable[tuple[str, State]]:
    for name in RIGHT:
        for state in (State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED):
            if state not in SPECS[name.removeprefix("UID ")].states:
                yield name, state


@pytest.mark.parametrize(("name", "state"), [*wrong_states()])
def test_in_a_wrong_state(server: Server, name: str, state: State) -> None:
    refused(enter(server, state), command(name), "BAD", server)


@pytest.mark.parametrize("name", ["APPEND", "REPLACE", "UID REPLACE"])
def test_a_message_that_waits_for_leave_is_not_asked_for_in_a_wrong_state(server: Server, name: str) -> None:
    refused(server.connect(), command(name).partition("{")[0] + "{3}", "BAD", server)


@pytest.mark.parametrize("name", RIGHT)
def test_after_logout_nothing_is_answered(server: Server, name: str) -> None:
    client = server.logged_in()
    assert b"* BYE " in client.says(b"a LOGOUT")
    before = everything(server, client)
    assert client.says(command(name).encode()) == b""
    server.clock.advance(1)
    assert client.transport.lost
    assert everything(server, client)[:-5] == before[:-5]


@pytest.mark.parametrize("name", RIGHT)
def test_during_idle(server: Server, name: str) -> None:
    """Only DONE is heard; the lines of anything else are no commands."""
    client = server.selected()
    assert client.says(b"i IDLE").startswith(b"+ ")
    before = everything(server, client)
    sent = f"x {command(name)}\r\n"
    client.sends(sent.encode())
    server.clock.pump([0] * 5)
    assert client.heard() == b"* BAD Expected DONE\r\n" * len(sent.splitlines())
    client.sends(b"DONE\r\n")
    server.clock.pump([0] * 5)
    assert client.heard() == b"i OK IDLE completed\r\n"
    assert everything(server, client) == before
    assert client.says(b"y NOOP") == b"y OK NOOP completed\r\n"


@pytest.mark.parametrize("name", RIGHT)
def test_during_authenticate(server: Server, name: str) -> None:
    """A line that is no base64 ends it; no literal of such a line is waited for."""
    client = server.connect()
    assert client.says(b"i AUTHENTICATE PLAIN").startswith(b"+ ")
    before = everything(server, client)
    answer = client.says(f"x {command(name)}".partition("{")[0].encode())
    assert answer.startswith(b"i BAD ")
    assert answer.count(b"\r\n") == 1
    assert everything(server, client) == before
    assert client.says(b"y NOOP") == b"y OK NOOP completed\r\n"


@pytest.mark.parametrize("name", CHANGING)
def test_changes_in_an_examined_mailbox(server: Server, name: str) -> None:
    client = server.logged_in()
    assert b"[READ-ONLY]" in client.says(b"a EXAMINE INBOX")
    refused(client, command(name), "NO [NOPERM]", server)


@pytest.mark.parametrize("name", ["CLOSE", "FETCH", "UID FETCH", "UNSELECT", "CHECK", "SEARCH", "UID SEARCH"])
def test_what_is_right_in_an_examined_mailbox_changes_nothing_there(server: Server, name: str) -> None:
    """RFC: 3501 §6.4.2 (CLOSE removes nothing), §6.4.5 (FETCH sets no \\Seen)"""
    client = server.logged_in()
    client.says(b"a EXAMINE INBOX")
    live = server.store.account("joe").open("INBOX").live
    before = live.highest_modseq
    assert b"\r\nb OK " in b"\r\n" + client.says(f"b {command(name)}".encode())
    assert (live.highest_modseq, len(live.uids)) == (before, 3)


@pytest.mark.parametrize("name", BY_NUMBER)
def test_sequence_numbers_after_uidonly(server: Server, name: str) -> None:
    client = enter(server, State.SELECTED)
    client.says(b"a ENABLE UIDONLY")
    refused(client, command(name), "BAD [UIDREQUIRED]", server)


@pytest.mark.parametrize(
    "line",
    [
        "UID SEARCH 1",
        "UID SEARCH OR SEEN NOT *",
        "UID SEARCH (UNSEEN 1:*)",
        "SEARCH NOT 1",
        "SELECT INBOX (QRESYNC (1 1 1:9 (1 1)))",
        "EXAMINE INBOX (QRESYNC (1 1 (1 1)))",
    ],
)
def test_sequence_numbers_deeper_in_a_command_after_uidonly(server: Server, line: str) -> None:
    client = enter(server, State.SELECTED)
    client.says(b"a ENABLE UIDONLY QRESYNC")
    refused(client, line, "BAD [UIDREQUIRED]", server)


@pytest.mark.parametrize("name", RIGHT)
def test_before_tls_where_passwords_need_it(server: Server, name: str) -> None:
    """RFC: 5530 §3 (PRIVACYREQUIRED), 3501 §6.2.3 (LOGINDISABLED)"""
    server.factory.tls = object()
    client = server.connect(FAR)
    assert b"LOGINDISABLED" in client.greeting
    if name in ("LOGIN", "AUTHENTICATE"):
        refused(client, command(name), "NO [PRIVACYREQUIRED]", server)
    elif State.NOT_AUTHENTICATED not in SPECS[name.removeprefix("UID ")].states:
        refused(client, command(name), "BAD", server)
    else:
        assert b"a OK " in client.says(f"a {command(name)}".encode())


def home(name: str) -> State:
    """The first of the states in which this command is right."""
    states = SPECS[name.removeprefix("UID ")].states
    return next(state for state in (State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED) if state in states)


def beginnings() -> Iterable[tuple[str, str]]:
    for name, right in RIGHT.items():
        words = right.partition(" {")[0].split(" ") if right else []
        last = len(words) + ("{" in right)
        yield from ((name, " ".join(words[:count])) for count in range(last))
        yield from ((name, " ".join(words[:count]) + " ") for count in range(1, last))


@pytest.mark.parametrize(("name", "arguments"), [*beginnings()])
def test_with_arguments_missing(server: Server, name: str, arguments: str) -> None:
    refused(enter(server, home(name)), command(name, arguments), "BAD", server)
    refused(enter(server, home(name)), f"{name} {arguments}", "BAD", server)


@pytest.mark.parametrize("more", ["(x)", ")", '"', "\x01"])
@pytest.mark.parametrize("name", RIGHT)
def test_with_an_argument_too_many(server: Server, name: str, more: str) -> None:
    line = f"{name} {RIGHT[name]} {more}" if RIGHT[name] else f"{name} {more}"
    refused(enter(server, home(name)), line, "BAD", server)


@pytest.mark.parametrize("name", [name for name in RIGHT if RIGHT[name].split(" ")[0] == "1"])
@pytest.mark.parametrize("wrong", ["0", "x", "1,", ":2", "1:", "4294967296", "-1", "(1)", '"1"', "1,,2"])
def test_with_a_set_that_is_none(server: Server, name: str, wrong: str) -> None:
    arguments = wrong + RIGHT[name][1:]
    if (name, wrong) == ("SEARCH", "(1)"):  # a key in parentheses is one
        wrong = arguments = "(1"
    refused(enter(server, State.SELECTED), command(name, arguments), "BAD", server)


@pytest.mark.parametrize(
    "name", ["UID", "UID NOOP", "UID SELECT INBOX", "UID UID FETCH 1 UID", "XYZZY", "FETCHX 1 UID"]
)
@pytest.mark.parametrize("state", [State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED])
def test_what_is_no_command(server: Server, name: str, state: State) -> None:
    refused(enter(server, state), name, "BAD", server)
