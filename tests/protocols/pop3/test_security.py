"""The holes of Twisted's POP3 server, each of which ours has not."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.pop3.settings import Pop3Settings
from tests.protocols.pop3.harness import Client, Server


def retrieved(answer: bytes) -> bytes:
    """The message in an answer to RETR, as a client reads it: by lines that end in LF, as most do."""
    first, *lines = answer.split(b"\n")
    assert first.startswith(b"+OK")
    assert lines.index(b".\r") == len(lines) - 2, "the end of the answer is its first line with a dot alone"
    return b"\n".join([line[1:] if line.startswith(b".") else line for line in lines[:-2]]) + b"\n"


@pytest.mark.parametrize(
    "body",
    [
        b".\r\n",
        b"\r\n.\r\n+OK forged\r\n",
        b"\n.\r\n+OK forged\r\n",
        b"a\r\n.",
        b"..\r\n...\r\n",
    ],
)
def test_no_dot_of_a_message_ends_the_answer(body: bytes) -> None:
    server = Server()
    server.holds(b"Subject: x\r\n\r\n" + body, b"." + body)
    client = server.logged_in()
    for number in (1, 2):
        answer = client.says(b"RETR %d" % number)
        message = retrieved(answer)
        size = int(answer.split(b" ")[1])
        assert len(message) in (size, size + 2)


@pytest.mark.parametrize("offset", range(-3, 4))
def test_a_dot_where_a_piece_ends(offset: int) -> None:
    settings = Pop3Settings(output_octets=1000)
    server = Server(settings)
    head = b"Subject: x\r\n\r\n"
    message = head + b"y" * (1000 + offset - len(head)) + b"\r\n.\r\n+OK forged\r\n"
    server.holds(message)
    assert retrieved(server.logged_in().says(b"RETR 1")) == message


def test_what_is_sent_behind_stls_is_not_taken_as_encrypted() -> None:
    server = Server(tls=object())
    client = server.connect("192.0.2.1")
    client.sends(b"STLS\r\nUSER joe\r\n")
    assert client.heard().startswith(b"-ERR Nothing may be sent behind STLS")
    assert client.transport.tls is None
    assert client.transport.disconnecting


def test_half_a_command_behind_stls_is_not_taken_either() -> None:
    client = Server(tls=object()).connect("192.0.2.1")
    client.sends(b"STLS\r\nUS")
    assert client.transport.tls is None
    assert client.transport.disconnecting


def test_a_name_given_before_stls_is_forgotten() -> None:
    client = Server(tls=object()).connect()
    client.says(b"USER joe")
    assert client.says(b"STLS") == b"+OK Begin TLS\r\n"
    assert client.says(b"PASS secret") == b"-ERR USER comes before PASS\r\n"
    assert client.says(b"STLS").startswith(b"-ERR")


def test_the_answer_to_stls_is_sent_before_tls_begins() -> None:
    client = Server(tls=object()).connect()
    order: list[Any] = []
    write, begin = client.transport.write, client.transport.startTLS
    client.transport.write = lambda data: (order.append(data), write(data))
    client.transport.startTLS = lambda context: (order.append("tls"), begin(context))
    client.sends(b"STLS\r\n")
    assert order == [b"+OK Begin TLS\r\n", "tls"]


def test_stls_where_there_is_no_tls() -> None:
    assert Server().connect().says(b"STLS").startswith(b"-ERR")


def test_commands_that_wait_for_a_slow_login_are_answered_after_it() -> None:
    server = Server()
    server.deliver(1)
    server.checker.slow = True
    client = server.connect()
    client.sends(b"USER joe\r\nPASS secret\r\nSTAT\r\nNOOP\r\n")
    assert client.heard() == b"+OK Now the password\r\n"
    server.checker.waiting[0]()
    answers = client.heard().split(b"\r\n")
    assert answers[0] == b"+OK 1 messages"
    assert answers[1].startswith(b"+OK 1 ")
    assert answers[2] == b"+OK"


def test_a_client_that_leaves_while_it_logs_in_holds_nothing() -> None:
    server = Server()
    server.checker.slow = True
    client = server.connect()
    client.sends(b"USER joe\r\nPASS secret\r\n")
    client.leaves()
    server.checker.waiting[0]()
    assert server.realm.inside == 0
    server.checker.slow = False
    assert server.logged_in().says(b"STAT") == b"+OK 0 0\r\n"


@pytest.mark.parametrize(
    "line",
    [
        b"RETR",
        b"RETR 1 2",
        b"RETR x",
        b"RETR -1",
        b"RETR 99999999999999999999",
        b"RETR \xb2",
        b"DELE",
        b"DELE 0",
        b"DELE one",
        b"TOP 1",
        b"TOP 1 -1",
        b"TOP 1 1 1",
        b"LIST 1 2",
        b"LIST x",
        b"LIST 7",
        b"UIDL x",
        b"UIDL 7",
        b"NOOP x",
        b"STAT x",
        b"RSET x",
        b"QUIT now",
        b"CAPA x",
        b"",
        b" ",
        b"FOO",
        b"\xff\xfe\xfd",
        b"RETR\xa01",
        b"RETR\x001",
        b"RETR 1\x00",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"__init__",
        b"LAST",
        b"RPOP joe",
        b"USER joe",
        b"STLS",
    ],
)
def test_a_command_that_makes_no_sense_gets_one_answer(line: bytes) -> None:
    server = Server()
    server.deliver(2)
    client = server.logged_in()
    client.sends(line + b"\r\nNOOP\r\n")
    first, second, rest = client.heard().split(b"\r\n", 2)
    assert first.startswith(b"-ERR ")
    assert (second, rest) == (b"+OK", b"")
    assert not client.transport.disconnecting


def test_commands_in_one_chunk_are_all_answered() -> None:
    server = Server()
    server.deliver(1)
    client = server.logged_in()
    client.sends(b"RETR 1\r\nBOGUS\r\nNOOP\r\n")
    assert client.heard().endswith(b"\r\n.\r\n-ERR This is no command\r\n+OK\r\n")


class SlowRemoval:
    """A maildrop whose removals wait for the test."""

    def __init__(self, held: Any) -> None:
        self.held = held
        self.asked: list[list[int]] = []
        self.waiting: Deferred[None] = Deferred()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.held, name)

    async def remove(self, uids: list[int]) -> list[int]:
        self.asked.append(uids)
        await self.waiting
        return list(self.held.remove(uids))


def quitting(server: Server) -> tuple[Client, SlowRemoval]:
    server.deliver(3)
    client = server.logged_in()
    maildrop = client.protocol.session.maildrop
    slow = maildrop._held = SlowRemoval(maildrop._held)
    client.sends(b"DELE 1\r\nDELE 3\r\nQUIT\r\n")
    return client, slow


def test_quit_waits_for_the_deletions() -> None:
    server = Server()
    client, slow = quitting(server)
    assert b"Bye" not in client.heard()
    assert not client.transport.disconnecting
    assert slow.asked == [[1, 3]]
    slow.waiting.callback(None)
    assert client.heard() == b"+OK Bye, 2 deleted\r\n"
    assert client.transport.disconnecting
    assert server.left() == [2]


def test_a_connection_lost_in_quit_does_not_stop_it_halfway() -> None:
    server = Server()
    client, slow = quitting(server)
    client.leaves()
    assert server.realm.inside == 1
    slow.waiting.callback(None)
    assert server.left() == [2]
    assert server.realm.inside == 0
    assert server.logged_in().says(b"STAT").startswith(b"+OK 1 ")


def test_deletions_that_fail_are_told_of() -> None:
    server = Server()
    client, slow = quitting(server)
    client.heard()
    slow.waiting.errback(MailError(ErrorKind.DISK_FULL, "The disk is full"))
    assert client.heard() == b"-ERR [SYS/TEMP] The disk is full\r\n"
    assert client.transport.disconnecting
    assert server.left() == [1, 2, 3]
    client.leaves()
    assert server.realm.inside == 0


def test_deletions_that_fail_when_the_client_has_gone_are_in_the_log() -> None:
    server = Server()
    client, slow = quitting(server)
    client.leaves()
    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)
    try:
        slow.waiting.errback(MailError(ErrorKind.DISK_FULL, "The disk is full"))
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert any("did not end well" in str(event.get("log_format")) for event in events)
    assert server.left() == [1, 2, 3]
    assert server.realm.inside == 0


def test_an_account_without_pop3_is_refused() -> None:
    server = Server()

    class Other:
        user = "joe"

    server.realm.requestAvatar = lambda *_: (object, Other(), lambda: None)
    client = server.connect()
    client.says(b"USER joe")
    assert client.says(b"PASS secret") == b"-ERR [SYS/TEMP] There is no POP3 for this account\r\n"
