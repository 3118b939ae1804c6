"""What interceptors can do to a dialogue."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from mailpost.mail.errors import MailError
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.protocols.interception.conversation import Conversation
from mailpost.protocols.interception.factory import Intercepted, intercept
from mailpost.protocols.interception.interception import AHEAD, LINGER
from mailpost.protocols.interception.interceptor import Interceptor
from mailpost.wire.dialogue import WHOLE, Command, Response
from tests.protocols.imap.harness import Client, Server, Transport
from tests.protocols.pop3.harness import Server as Pop3Server
from tests.protocols.smtp.harness import PLAIN, Log, lmtp, submission


def before(server: Any, protocol: str, *interceptors: Interceptor) -> Any:
    server.factory = intercept(*interceptors)(protocol, server.factory)
    return server


class Noting(Interceptor):
    """Notes all that it sees."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.users: list[str] = []

    def connected(self, conversation: Conversation) -> None:
        self.seen.append(f"{conversation.protocol} {conversation.number}")

    def command(self, conversation: Conversation, command: Command) -> None:
        self.seen.append(command.verb)
        self.users.append(conversation.user)

    def content(self, conversation: Conversation, octets: bytes) -> None:
        self.seen.append(repr(octets))

    def response(self, conversation: Conversation, response: Response) -> None:
        verb = response.command.verb if response.command else "nothing"
        self.seen.append(f"{verb}: {len(response.octets)}{' final' if response.final else ''}")

    def closed(self, conversation: Conversation) -> None:
        self.seen.append("closed")


def test_an_imap_dialogue_is_seen() -> None:
    noting = Noting()
    client = before(Server(), "imap", noting).logged_in()
    client.sends(b"a APPEND INBOX {5+}\r\nhello\r\nb IDLE\r\nDONE\r\n")
    client.server.clock.pump([0] * 5)
    client.leaves()
    said = [each for each in noting.seen if ": " not in each]
    assert said == ["imap 1", "LOGIN", "APPEND", "b'hello'", r"b'\r\n'", "IDLE", r"b'DONE\r\n'", "closed"]
    assert sum("final" in each for each in noting.seen) == 4
    assert noting.users == ["", "joe", "joe"]


def test_a_submission_is_seen() -> None:
    noting = Noting()
    client = before(submission(), "submission", noting).connect()
    client.sends(b"EHLO there.example\r\n")
    client.sends(b"AUTH PLAIN\r\n")
    client.sends(PLAIN + b"\r\n")
    client.sends(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
    client.sends(b"Subject: x\r\n\r\n.")
    client.sends(b"\r\nNOOP\r\n")
    assert b"250 2.0.0" in client.heard()
    commands = [each for each in noting.seen if ": " not in each]
    assert commands[:7] == [
        "submission 1",
        "EHLO",
        "AUTH",
        repr(PLAIN + b"\r\n"),
        "MAIL",
        "RCPT",
        "DATA",
    ]
    assert commands[-1] == "NOOP"


def test_lmtp_answers_for_each_recipient() -> None:
    noting = Noting()
    client = before(lmtp(), "lmtp", noting).greeted()
    client.sends(b"MAIL FROM:<a@b>\r\nRCPT TO:<c>\r\nRCPT TO:<full>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n")
    answers = [each for each in noting.seen if each.startswith("DATA: ")]
    assert [each.endswith("final") for each in answers] == [False, True, True]
    assert noting.seen[-1].startswith("NOOP: ")


def test_pop3_answers_of_several_lines_are_one_response() -> None:
    noting = Noting()
    server = Pop3Server()
    server.holds(b"Subject: x\r\n\r\n" + b"y\r\n" * 1000)
    client = before(server, "pop3", noting).logged_in()
    for command in (b"LIST", b"LIST 1", b"UIDL", b"RETR 1", b"TOP 1 0", b"CAPA", b"NOOP"):
        assert client.says(command).startswith(b"+OK")
        assert noting.seen[-1].startswith(f"{command.decode().split()[0]}: ")
        assert noting.seen[-1].endswith("final")
        assert noting.seen[-2] == command.decode().split()[0]


def test_connections_are_numbered_by_protocol() -> None:
    noting = Noting()
    around = intercept(noting)
    first, second = Server(), Pop3Server()
    first.factory, second.factory = around("imap", first.factory), around("pop3", second.factory)
    for server in (first, first, second):
        server.connect()
    assert [each for each in noting.seen if each[-1].isdigit() and ":" not in each] == ["imap 1", "imap 2", "pop3 1"]


class Changing(Interceptor):
    """Changes, drops and adds."""

    def command(self, conversation: Conversation, command: Command) -> Any:
        if command.verb == "DELETE":
            return conversation.answer(command, "NO [NOPERM] Nothing is deleted here")
        if command.verb == "SELECT":
            return succeed(command.octets.replace(b"SELECT", b"EXAMINE"))
        return b"" if command.verb == "CREATE" else None

    async def response(self, conversation: Conversation, response: Response) -> bytes | None:
        if response.octets.startswith(b"* FLAGS"):
            return b"* OK Here they come\r\n" + response.octets
        return b"" if b"PERMANENTFLAGS" in response.octets else None


def test_commands_and_responses_can_be_changed() -> None:
    client = before(Server(), "imap", Changing()).logged_in()
    assert client.says(b"a DELETE x") == b"a NO [NOPERM] Nothing is deleted here\r\n"
    heard = client.says(b"b SELECT INBOX")
    assert b"* OK Here they come\r\n* FLAGS" in heard
    assert b"PERMANENTFLAGS" not in heard
    assert b"b OK [READ-ONLY]" in heard
    assert client.says(b"c CREATE x") == b""
    assert client.says(b"d NOOP") == b"d OK NOOP completed\r\n"


def test_what_follows_a_dropped_command_is_dropped() -> None:
    class NoAppend(Interceptor):
        def command(self, conversation: Conversation, command: Command) -> bytes | None:
            return conversation.answer(command, "NO [OVERQUOTA] Full") if command.verb == "APPEND" else None

    client = before(Server(), "imap", NoAppend()).logged_in()
    assert client.says(b"a APPEND INBOX {15}") == b"a NO [OVERQUOTA] Full\r\n"
    client.sends(b"b APPEND INBOX {15+}\r\nc LOGOUT\r\nhello {3+}\r\nd L\r\nd NOOP\r\n")
    client.server.clock.pump([0] * 5)
    assert client.heard() == b"b NO [OVERQUOTA] Full\r\nd OK NOOP completed\r\n"


class Waiting(Interceptor):
    """Has commands, or responses, wait."""

    def __init__(self) -> None:
        self.commands: Deferred[None] = Deferred()
        self.gone = 0

    def command(self, conversation: Conversation, command: Command) -> Any:
        return self.commands if command.verb == "NOOP" else None

    def closed(self, conversation: Conversation) -> None:
        self.gone += 1


def test_what_comes_behind_one_that_waits_waits_too() -> None:
    waiting = Waiting()
    server = before(Server(), "imap", waiting)
    client, other = server.logged_in(), server.logged_in()
    client.sends(b"a NOOP\r\nb CAPABILITY\r\n")
    assert client.heard() == b""
    assert b"c OK" in other.says(b"c CAPABILITY")
    waiting.commands.callback(None)
    server.clock.pump([0] * 3)
    assert client.heard().startswith(b"a OK NOOP completed\r\n* CAPABILITY")


def test_a_client_that_sends_too_much_meanwhile_is_not_read_from() -> None:
    waiting = Waiting()
    server = before(Server(), "imap", waiting)
    client = server.logged_in()
    client.sends(b"a NOOP\r\n" + b"b NOOP\r\n" * (AHEAD // 8 + 1))
    assert not client.transport.reading
    waiting.commands.callback(None)
    server.clock.pump([0] * 3)
    assert client.transport.reading
    assert client.heard().count(b"b OK") == AHEAD // 8 + 1


def test_a_connection_that_is_lost_is_not_waited_for() -> None:
    waiting = Waiting()
    server = before(Server(), "imap", waiting)
    client = server.logged_in()
    client.sends(b"a NOOP\r\n")
    with Log() as log:
        client.leaves()
        waiting.commands.addErrback(lambda _: None)
    assert waiting.gone == 1
    assert not log.failures
    assert not server.clock.getDelayedCalls()
    assert server.realm.inside == 0


class Broken(Interceptor):
    """Has a bug."""

    def command(self, conversation: Conversation, command: Command) -> bytes | None:
        if command.verb == "NOOP":
            raise MailError  # type: ignore[call-arg]
        return None


def test_a_bug_in_an_interceptor_is_logged_and_closes() -> None:
    client = before(Server(), "imap", Broken()).logged_in()
    with Log() as log:
        assert client.says(b"a NOOP") == b""
    assert client.transport.lost
    assert len(log.failures) == 1


def test_a_long_response_comes_in_parts() -> None:
    noting = Noting()
    server = before(Server(ImapSettings(message_size=10 * WHOLE)), "imap", noting)
    octets = b"Subject: x\r\n\r\n" + b"y" * (3 * WHOLE)
    client = server.logged_in()
    client.sends(b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(octets), octets))
    client.says(b"b SELECT INBOX")
    client.sends(b"c FETCH 1 BODY[]\r\n")
    heard = b""
    for _ in range(100):
        client.server.clock.advance(0.1)
        heard += client.heard()
    assert octets in heard
    parts = [each for each in noting.seen if each.startswith("FETCH: ")]
    assert len(parts) >= 4
    assert max(int(each.split()[1]) for each in parts) <= 2 * WHOLE


def test_what_comes_before_tls_is_not_taken_for_what_comes_inside() -> None:
    noting = Noting()
    server = before(Server(ImapSettings(allow_plaintext_auth=True), tls=object()), "imap", noting)
    client = server.connect()
    client.sends(b"a STARTTLS\r\nb LOGIN joe secret\r\n")
    server.clock.pump([0] * 3)
    assert client.heard() == b"a OK Begin TLS negotiation now\r\n"
    assert client.transport.tls is not None
    assert "LOGIN" not in noting.seen
    assert b"c OK" in client.says(b"c NOOP")


def test_tls_waits_for_what_is_sent_without() -> None:
    class Slow(Interceptor):
        async def response(self, conversation: Conversation, response: Response) -> None:
            await conversation.sleep(1)

    server = before(Pop3Server(tls=object()), "pop3", Slow())
    client = Client(server, "127.0.0.1")
    server.clock.pump([1, 1])
    client.sends(b"STLS\r\n")
    assert client.transport.tls is None
    server.clock.pump([1, 1])
    assert client.heard().endswith(b"+OK Begin TLS\r\n")
    assert client.transport.tls is not None


def test_nothing_is_compressed() -> None:
    client = before(Server(), "imap", Interceptor()).logged_in()
    assert b"COMPRESS" not in client.says(b"a CAPABILITY")
    assert client.says(b"b COMPRESS DEFLATE") == b"b NO [CANNOT] Nothing is compressed on this connection\r\n"
    assert b"c OK" in client.says(b"c NOOP")


def test_a_slow_line_holds_a_session_back() -> None:
    class Slow(Interceptor):
        def connected(self, conversation: Conversation) -> None:
            conversation.pace(rate=100_000)

    server = before(Server(), "imap", Slow())
    client = Client(server, "127.0.0.1")
    server.clock.pump([0.1] * 10)
    server.store.account("joe")
    server.deliver(1000)
    client.sends(b"a LOGIN joe secret\r\nb SELECT INBOX\r\n")
    server.clock.pump([0.1] * 20)
    client.heard()
    client.sends(b"c FETCH 1:* BODY[]\r\n")
    server.clock.pump([0.1] * 5)
    early = client.heard()
    assert 0 < len(early) <= 60_000
    assert client.protocol._link.outflow.paused, "it makes no more of the answer than can be held"
    server.clock.pump([0.1] * 60)
    late = client.heard()
    assert late.endswith(b"c OK FETCH completed\r\n")
    assert (early + late).count(b"FETCH (") == 1000


def test_a_stalled_connection_stays_and_a_closed_one_does_not() -> None:
    class Ending(Interceptor):
        def response(self, conversation: Conversation, response: Response) -> bytes | None:
            if response.command is None or response.command.verb not in ("NOOP", "CHECK"):
                return None
            if response.command.verb == "NOOP":
                conversation.stall()
            else:
                conversation.close()
            return response.octets[:4]

    server = before(Server(), "imap", Ending())
    client, other = server.selected(), server.logged_in()
    other.says(b"s SELECT INBOX")
    assert client.says(b"a NOOP") == b"a OK"
    assert client.says(b"b CAPABILITY") == b""
    assert not client.transport.disconnecting
    assert other.says(b"a CHECK") == b"a OK"
    assert other.transport.disconnecting
    assert other.says(b"b CAPABILITY") == b""


def test_who_is_not_welcome_is_not_greeted() -> None:
    class Door(Interceptor):
        async def connected(self, conversation: Conversation) -> None:
            await conversation.sleep(1)
            if conversation.address == "":
                conversation.bye("Not you")

    server = before(Server(), "imap", Door())
    client = Client(server, "127.0.0.1")
    server.clock.advance(1)
    assert client.heard() == b"* BYE Not you\r\n"
    assert client.transport.disconnecting


def test_a_client_that_does_not_take_the_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Transport, "loseConnection", lambda self: None)

    class Ending(Interceptor):
        def command(self, conversation: Conversation, command: Command) -> bytes:
            conversation.bye("Enough")
            return b""

    server = before(Server(), "imap", Ending())
    client = server.connect()
    assert client.says(b"a NOOP") == b"* BYE Enough\r\n"
    assert not client.transport.lost
    server.clock.advance(LINGER)
    assert client.transport.lost


def test_a_client_that_is_told_nothing_may_be_stalled_again() -> None:
    class Silent(Interceptor):
        def response(self, conversation: Conversation, response: Response) -> None:
            conversation.stall()

    server = before(Server(), "imap", Silent())
    client = server.connect()
    assert client.greeting
    assert client.says(b"a NOOP") == client.says(b"b NOOP") == b""


def test_who_is_not_wanted_is_not_wrapped() -> None:
    server = Server()
    server.factory = Intercepted(Broken(), lambda: False).around("imap", server.factory)
    client = server.logged_in()
    assert "dataReceived" not in vars(client.protocol)
    assert client.says(b"a NOOP") == b"a OK NOOP completed\r\n"


def test_a_protocol_that_nobody_knows_is_left_alone() -> None:
    factory = object()
    assert intercept(Broken())("web", factory) is factory


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_several_interceptors(order: tuple[int, int]) -> None:
    class Named(Interceptor):
        def __init__(self, name: bytes) -> None:
            self.name = name

        def response(self, conversation: Conversation, response: Response) -> bytes | None:
            return response.octets.replace(b"completed", b"completed " + self.name)

    both = Named(b"1"), Named(b"2")
    client = before(Server(), "imap", *(both[at] for at in order)).logged_in()
    first, second = (b"1", b"2") if order == (0, 1) else (b"2", b"1")
    assert client.says(b"a NOOP") == b"a OK NOOP completed %b %b\r\n" % (first, second)
