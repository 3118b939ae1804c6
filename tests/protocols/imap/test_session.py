"""Sessions: order, states, errors, literals, goodbyes."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.logger import globalLogPublisher
from twisted.mail import imap4
from twisted.python.failure import Failure

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.imap.connection import MailpostIMAP4Server
from mailpost.protocols.imap.settings import ImapSettings
from tests.protocols.imap.harness import Client, Server, dialogue


@pytest.fixture
def server() -> Server:
    return Server()


def events_of(function: Any) -> list[dict[str, Any]]:
    """What is logged while a function runs."""
    events: list[dict[str, Any]] = []
    globalLogPublisher.addObserver(events.append)
    try:
        function()
    finally:
        globalLogPublisher.removeObserver(events.append)
    return events


def test_the_greeting_tells_the_capabilities(server: Server) -> None:
    greeting = server.connect().greeting
    assert greeting.startswith(b"* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR IDLE ")
    assert greeting.endswith(b"] localhost mailpost ready\r\n")


def test_login_tells_the_capabilities_of_the_new_state(server: Server) -> None:
    client = server.connect()
    assert b"AUTH=PLAIN AUTH=LOGIN" in client.says(b"a CAPABILITY")
    answer = client.says(b"b LOGIN joe secret")
    assert answer.startswith(b"b OK [CAPABILITY IMAP4rev1 ")
    assert b"AUTH=" not in answer
    assert b"STARTTLS" not in answer


def test_a_dialogue(server: Server) -> None:
    dialogue(
        server,
        """
        C: a NOOP
        S: a OK NOOP completed
        C: b SELECT INBOX
        S: b BAD SELECT is not possible now
        C: c LOGIN joe secret
        S: c OK [CAPABILITY ...] LOGIN completed
        C: d LOGIN joe secret
        S: d BAD LOGIN is not possible now
        C: e FETCH 1 FLAGS
        S: e BAD FETCH is not possible now
        C: f ENABLE CONDSTORE X-WHATEVER
        S: * ENABLED CONDSTORE
        S: f OK ENABLE completed
        C: g ID ("name" "test" "version" NIL)
        S: * ID ("name" "mailpost" "version" "...")
        S: g OK ID completed
        C: h XYZZY
        S: h BAD Unknown command XYZZY
        C: i LOGOUT
        S: * BYE ...
        S: i OK LOGOUT completed
        """,
    )
    assert server.realm.logins == 1


def test_two_clients_see_each_others_changes(server: Server) -> None:
    one, two = server.selected(2), server.selected()
    dialogue(
        server,
        r"""
        C1: a STORE 1 +FLAGS (\Deleted)
        S1: * 1 FETCH (FLAGS (\Deleted...))
        S1: a OK STORE completed
        C2: a NOOP
        S2: * 1 FETCH (...FLAGS (\Deleted...))
        S2: a OK NOOP completed
        C1: b EXPUNGE
        S1: * 1 EXPUNGE
        S1: b OK ...
        C2: b FETCH 2 FLAGS
        S2: * 2 FETCH (FLAGS (...))
        S2: b OK ...
        C2: c NOOP
        S2: * 1 EXPUNGE
        S2: c OK NOOP completed
        """,
        client1=one,
        client2=two,
    )
    assert two.protocol.session.selected is not None


def test_pipelined_commands_behind_a_slow_login_are_answered_in_order(server: Server) -> None:
    server.deliver(1)
    server.checker.slow = True
    client = server.connect()
    client.sends(b"a LOGIN joe secret\r\nb SELECT INBOX\r\nc FETCH 1 (UID)\r\nd LOGOUT\r\n")
    assert client.heard() == b""
    server.checker.waiting.pop()()
    answers = client.heard()
    tags = [line.split(b" ")[0] for line in answers.split(b"\r\n") if line[:1] in b"abcd" and line]
    assert tags == [b"a", b"b", b"c", b"d"]
    assert b"* 1 FETCH (UID 1)\r\n" in answers


def test_what_is_answered_at_once_is_one_write(server: Server) -> None:
    client = server.selected(3)
    before = client.transport.writes
    client.sends(b"a NOOP\r\nb FETCH 1:* (UID FLAGS)\r\nc NOOP\r\n")
    assert client.transport.writes == before + 1
    assert client.heard().count(b"\r\n") == 6


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_octets_may_come_in_any_pieces(server: Server, step: int) -> None:
    server.deliver(0)
    client = server.connect()
    octets = (
        b"a LOGIN {3+}\r\njoe {6+}\r\nsecret\r\nb APPEND INBOX (\\Seen) {20+}\r\nSubject: x\r\n\r\nbody\r\n\r\n"
        b"c SELECT INBOX\r\nd FETCH 1 BODY.PEEK[]\r\n"
    )
    for at in range(0, len(octets), step):
        client.sends(octets[at : at + step])
    heard = client.heard()
    assert b"b OK [APPENDUID " in heard
    assert b"BODY[] {20}\r\nSubject: x\r\n\r\nbody\r\n)\r\nd OK" in heard


def test_a_literal_that_waits_is_asked_for(server: Server) -> None:
    client = server.connect()
    assert client.says(b"a LOGIN {3}").startswith(b"+ ")
    assert client.says(b"joe {6}").startswith(b"+ ")
    assert b"a OK" in client.says(b"secret")


def test_a_message_that_is_too_big_is_refused_before_it_comes(server: Server) -> None:
    client = Server(ImapSettings(message_size=100)).logged_in()
    assert client.says(b"a APPEND INBOX {101}").startswith(b"a NO [TOOBIG] ")
    assert client.says(b"b NOOP") == b"b OK NOOP completed\r\n"
    assert client.says(b"c APPEND INBOX {101+}").startswith(b"c NO [TOOBIG] ")
    client.sends(b"x" * 101 + b"\r\n")
    assert client.says(b"d NOOP") == b"d OK NOOP completed\r\n"


class TaintedError(Exception):
    """A bug."""


class Spool:
    """A message on its way in that meets an error."""

    def __init__(self, error: Exception | None) -> None:
        self.size = 0
        self.error = error
        self.aborted = 0

    def write(self, data: bytes) -> Deferred[None] | None:
        self.size += len(data)
        if self.error is not None:
            raise self.error
        return None

    def abort(self) -> None:
        self.aborted += 1


def test_an_error_in_the_middle_of_a_message_is_told_at_its_end(server: Server) -> None:
    spools: list[Spool] = []

    def spool(expected: int, beside: int) -> Spool:
        spools.append(Spool(MailError(ErrorKind.DISK_FULL, "No room")))
        return spools[-1]

    client = server.logged_in()
    client.protocol.session.account.spool = spool
    client.sends(b"a APPEND INBOX {10+}\r\n12345")
    assert client.heard() == b""
    client.sends(b"67890\r\nb NOOP\r\n")
    assert client.heard() == b"a NO [OVERQUOTA] No room\r\nb OK NOOP completed\r\n"
    assert [each.aborted for each in spools] == [1]


def test_a_message_is_thrown_away_when_its_client_goes(server: Server) -> None:
    spools: list[Spool] = []

    def spool(expected: int, beside: int) -> Spool:
        spools.append(Spool(None))
        return spools[-1]

    client = server.logged_in()
    client.protocol.session.account.spool = spool
    client.sends(b"a APPEND INBOX {10+}\r\n12345")
    client.leaves()
    assert [(each.size, each.aborted) for each in spools] == [(5, 1)]


def test_a_bug_is_logged_and_the_client_gets_its_number(server: Server) -> None:
    client = server.logged_in()

    def broken() -> list[Any]:
        raise TaintedError("with secrets in it")

    client.protocol.session.account.folders = broken
    heard: list[bytes] = []
    events = events_of(lambda: heard.append(client.says(b'a LIST "" *')))
    assert heard[0].startswith(b"a NO [SERVERBUG] Internal error ")
    assert b"secrets" not in heard[0]
    failures = [event for event in events if "log_failure" in event]
    assert [event["log_failure"].type for event in failures] == [TaintedError]
    assert failures[0]["incident"].encode() in heard[0]
    assert client.says(b"b NOOP") == b"b OK NOOP completed\r\n"


def test_what_a_client_does_wrong_is_no_failure_in_the_log(server: Server) -> None:
    client = server.selected(1)

    def play() -> None:
        for line in (
            b"",
            b"a",
            b"a FETCH",
            b"a FETCH 99 FLAGS",
            b"a SELECT nowhere",
            b'a SELECT "&&"',
            b"\xff\xff \xff",
        ):
            client.says(line)

    assert not [event for event in events_of(play) if "log_failure" in event]


def test_the_connection_ends_with_one_line_in_the_log(server: Server) -> None:
    client = server.logged_in()
    client.says(b"z LOGOUT")
    events = events_of(lambda: server.clock.advance(0))
    (line,) = [event for event in events if "octets_in" in event]
    assert (line["protocol"], line["user"], line["address"]) == ("IMAP", "joe", "127.0.0.1")
    assert line["octets_in"] > 0
    assert line["octets_out"] > 0


def test_the_server_says_goodbye_to_all(server: Server) -> None:
    clients = [server.connect(), server.selected(1)]
    clients[1].says(b"i IDLE")
    closing = Deferred.fromCoroutine(server.factory.close())
    assert [b"* BYE Server shutting down" in client.heard() for client in clients] == [True, True]
    server.clock.advance(0)
    assert closing.called
    assert server.realm.inside == 0


def test_who_does_not_go_is_cut(server: Server) -> None:
    client = server.connect()
    client.transport.loseConnection = lambda: None  # type: ignore[method-assign]
    closing = Deferred.fromCoroutine(server.factory.close())
    assert not closing.called
    server.clock.advance(3)
    assert closing.called
    assert client.transport.lost


def test_a_command_at_work_is_answered_before_the_goodbye(server: Server) -> None:
    server.checker.slow = True
    client = server.connect()
    client.sends(b"a LOGIN joe secret\r\nb NOOP\r\n")
    closing = Deferred.fromCoroutine(server.factory.close())
    assert client.heard() == b""
    server.checker.waiting.pop()()
    answer = client.heard()
    assert answer.startswith(b"a OK ")
    assert answer.endswith(b"* BYE Server shutting down\r\n")
    server.clock.advance(0)
    assert closing.called


def test_a_decoder_that_breaks_ends_the_connection(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client = server.connect()
    monkeypatch.setattr(client.protocol.session._decoder, "next_event", lambda: 1 / 0)
    events = events_of(lambda: client.sends(b"a NOOP\r\n"))
    assert [event["log_failure"].type for event in events if "log_failure" in event] == [ZeroDivisionError]
    assert client.transport.disconnecting


def test_a_size_beyond_all_numbers_ends_the_connection(server: Server) -> None:
    client = server.logged_in()
    answer = client.says(b"a LIST {99999999999999999999+}")
    assert b" BAD Literal too big\r\n* BYE " in answer
    assert client.transport.disconnecting


def test_several_messages_of_which_one_is_refused(server: Server) -> None:
    spools: list[Spool] = []

    def spool(expected: int, beside: int) -> Spool:
        spools.append(Spool(MailError(ErrorKind.DISK_FULL, "No room") if not spools else None))
        return spools[-1]

    client = server.logged_in()
    client.protocol.session.account.spool = spool
    client.sends(b"a APPEND INBOX {5+}\r\n12345 {5+}\r\n67890\r\nb NOOP\r\n")
    assert client.heard() == b"a NO [OVERQUOTA] No room\r\nb OK NOOP completed\r\n"
    assert [each.aborted for each in spools] == [1]


def test_the_selected_mailbox_is_deleted_by_another(server: Server) -> None:
    other = server.logged_in()
    other.says(b"a CREATE box")
    client = server.logged_in()
    client.says(b"a SELECT box")
    other.says(b"b DELETE box")
    answer = client.says(b"b NOOP")
    assert b"* BYE " in answer
    server.clock.advance(0)
    assert client.transport.lost


def test_a_command_that_fails_since_the_selected_mailbox_is_gone(server: Server) -> None:
    other = server.logged_in()
    other.says(b"a CREATE box")
    client = server.logged_in()
    client.says(b"a SELECT box")
    other.says(b"b DELETE box")
    answer = client.says(b"b EXPUNGE")
    assert answer.startswith(b"* BYE The selected mailbox is no longer there\r\nb NO [NONEXISTENT] ")


def test_a_select_that_fails_leaves_nothing_selected_whatever_the_name(server: Server) -> None:
    client = server.logged_in()
    client.says(b"a SELECT INBOX")
    answer = client.says(b"b SELECT &bad")
    assert b"* OK [CLOSED] " in answer
    assert b"b NO [CANNOT] " in answer
    assert client.says(b"c FETCH 1 FLAGS").startswith(b"c BAD ")
    client.says(b"d SELECT INBOX")
    client.says(b"e STATUS &bad (MESSAGES)")
    assert client.says(b"f CHECK").startswith(b"f OK ")


def test_no_text_of_an_answer_looks_like_a_literal(server: Server) -> None:
    client = server.selected()
    assert client.says(b"a SEARCH 4294967296 FROM {3+}\r\nann").endswith(b"found 4294967296 FROM ?3+}\r\n")
    assert client.says(b"b SEARCH 4294967296 X {3").startswith(b"b BAD ")
    assert b"{" not in client.says(b"c SEARCH 0 FROM {3}\r\nann")


class WithTuples(MailpostIMAP4Server):
    """A subclass as one is written for Twisted's server."""

    later: Deferred[None] | None = None

    def do_ECHO(self, tag: bytes, first: bytes, second: bytes) -> None:
        self.sendUntaggedResponse(b"ECHO " + first + b" " + second)
        self.sendPositiveResponse(tag, b"ECHO done")

    auth_ECHO = (do_ECHO, imap4.IMAP4Server.arg_astring, imap4.IMAP4Server.arg_finalastring)

    def do_SLOW(self, tag: bytes) -> None:
        self.later = Deferred()
        self.later.addCallback(lambda _: self.sendPositiveResponse(tag, b"SLOW done"))

    auth_SLOW = (do_SLOW,)

    def do_UPLOAD(self, tag: bytes, file: Any) -> None:
        self.sendPositiveResponse(tag, b"%d octets" % len(file.read()))

    auth_APPEND = (do_UPLOAD, imap4.IMAP4Server.arg_literal)

    def do_TALK(self, tag: bytes) -> None:
        self.parseState = "talk"
        self.sendContinuationRequest(b"go on")
        self.talk_tag = tag

    def parse_talk(self, line: bytes) -> None:
        self.parseState = "command"
        self.sendPositiveResponse(self.talk_tag, b"you said " + line)

    auth_TALK = (do_TALK,)

    def do_BROKEN(self, tag: bytes) -> None:
        raise TaintedError

    auth_BROKEN = (do_BROKEN,)


@pytest.fixture
def tuples(server: Server) -> Client:
    server.factory.protocol = WithTuples
    return server.logged_in()


def test_tuples_of_a_subclass_get_their_arguments(tuples: Client) -> None:
    assert tuples.says(b'a ECHO one "two"') == b"* ECHO one two\r\na OK ECHO done\r\n"
    assert tuples.says(b"b ECHO {3+}\r\none {4+}\r\ntwo ") == b"* ECHO one two \r\nb OK ECHO done\r\n"
    assert tuples.says(b"c ECHO one").startswith(b"c BAD Illegal syntax")
    assert tuples.says(b"d UID ECHO one two").startswith(b"d BAD")


def test_a_message_reaches_a_tuple_of_a_subclass(tuples: Client) -> None:
    assert tuples.says(b"a APPEND {5+}\r\n12345") == b"a OK 5 octets\r\n"


def test_a_message_for_a_tuple_may_be_too_big() -> None:
    server = Server(ImapSettings(message_size=4))
    server.factory.protocol = WithTuples
    assert server.logged_in().says(b"a APPEND x {5}").startswith(b"a NO [TOOBIG]")


def test_literals_of_lines_given_by_hand(tuples: Client) -> None:
    tuples.protocol.lineReceived(b"a ECHO {3}")
    assert tuples.heard() == b"+ Ready for 3 octets of text\r\n"


def test_messages_of_lines_given_by_hand(tuples: Client) -> None:
    tuples.protocol.lineReceived(b"a APPEND {3}")
    assert tuples.heard() == b"+ Ready for 3 octets of data\r\n"


def test_a_slow_tuple_holds_up_what_is_behind_it(tuples: Client) -> None:
    tuples.sends(b"a SLOW\r\nb NOOP\r\n")
    assert tuples.heard() == b""
    tuples.protocol.later.callback(None)
    tuples.server.clock.advance(0)
    assert tuples.heard() == b"a OK SLOW done\r\nb OK NOOP completed\r\n"


def test_a_tuple_may_ask_for_lines(tuples: Client) -> None:
    assert tuples.says(b"a TALK") == b"+ go on\r\n"
    tuples.sends(b"a {5} is no literal\r\nb NOOP\r\n")
    tuples.server.clock.advance(0)
    assert tuples.heard() == b"a OK you said a {5} is no literal\r\nb OK NOOP completed\r\n"


def test_a_tuple_that_answers_while_it_waits_for_a_line(tuples: Client) -> None:
    tuples.says(b"a TALK")
    tuples.protocol.sendPositiveResponse(b"a", b"never mind")
    tuples.server.clock.advance(0)
    assert tuples.heard() == b"a OK never mind\r\n"
    tuples.protocol.parseState = "command"
    assert tuples.says(b"b NOOP") == b"b OK NOOP completed\r\n"


def test_a_bug_in_a_tuple_is_answered(tuples: Client) -> None:
    heard: list[bytes] = []
    events = events_of(lambda: heard.append(tuples.says(b"a BROKEN")))
    assert heard[0].startswith(b"a NO [SERVERBUG]")
    assert [event["log_failure"].type for event in events if "log_failure" in event] == [TaintedError]


class LetIn(MailpostIMAP4Server):
    """A subclass that asks for no login."""

    def connectionMade(self) -> None:
        self.state = "auth"
        self.account = self.factory.its_account  # type: ignore[attr-defined]
        super().connectionMade()


def test_a_subclass_may_let_people_in(server: Server) -> None:
    server.factory.protocol = LetIn
    server.factory.its_account = server.store.account("joe")  # type: ignore[attr-defined]
    client = server.connect()
    assert b" CONDSTORE " in client.greeting
    assert b"a OK [READ-WRITE]" in client.says(b"a SELECT INBOX")


def test_why_a_connection_was_lost_is_logged(server: Server) -> None:
    client = server.connect()
    events = events_of(lambda: client.protocol.connectionLost(Failure(ConnectionAborted())))
    assert "aborted" in next(event["reason"] for event in events if "octets_in" in event)


def test_listener_events_wait_for_the_end_of_a_command(server: Server) -> None:
    server.checker.slow = True
    client = server.connect()
    client.sends(b"a LOGIN joe secret\r\n")
    client.protocol.newMessages(3, 1)
    assert client.heard() == b""
    server.checker.waiting.pop()()
    assert client.heard().startswith(b"* 3 EXISTS\r\n* 1 RECENT\r\na OK ")
    client.protocol.modeChanged(False)
    assert client.heard() == b"* [READ-ONLY]\r\n"


@pytest.mark.parametrize("command", [b"UID UID FETCH 1 UID", b"UID FETCH 1 UID", b"NOOP", b"XFOREIGN"])
def test_what_is_no_tag_is_repeated_by_no_answer(command: bytes) -> None:
    """Found by fuzzing: Twisted's own commands put any octets before their answers."""

    class Extended(MailpostIMAP4Server):
        def do_XFOREIGN(self, tag: bytes) -> None:
            self.sendPositiveResponse(tag, b"done")

        select_XFOREIGN = (do_XFOREIGN,)

    server = Server()
    server.factory.protocol = Extended
    client = server.logged_in()
    client.says(b"s SELECT INBOX")
    assert client.says(b"c\xd8 " + command) == b"* BAD Expected a tag\r\n"
    assert client.says(b"c+ " + command) == b"* BAD Expected a tag\r\n"
    assert client.says(b"c UID " + command).startswith(b"c BAD ")
    assert client.says(b"d NOOP").endswith(b"d OK NOOP completed\r\n")


def test_uid_is_no_command_behind_uid(server: Server) -> None:
    client = server.logged_in()
    client.says(b"s SELECT INBOX")
    assert client.says(b"c UID UID FETCH 1 UID") == client.says(b"c UID XYZZY")[:6] + b"Unknown command UID UID\r\n"
