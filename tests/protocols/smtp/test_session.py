"""What LMTP and submission share: order, pipelining, limits, times, failures."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.transport import BodyKind
from mailpost.protocols.lmtp.settings import LmtpSettings
from tests.protocols.smtp.harness import Log, Server, codes, lmtp, submission

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture(params=["lmtp", "submission"])
def server(request: pytest.FixtureRequest) -> Server:
    return lmtp() if request.param == "lmtp" else submission()


def test_a_message(server: Server) -> None:
    client = server.greeted()
    assert client.codes(b"MAIL FROM:<a@b> BODY=8BITMIME\r\n") == [250]
    assert client.codes(b"RCPT TO:<ann>\r\n") == [250]
    assert client.codes(b"DATA\r\n") == [354]
    assert client.codes(MESSAGE + b".\r\n") == [250]
    (taken,) = server.receiver.taken
    assert taken.octets == MESSAGE
    assert taken.sender.body is BodyKind.EIGHT_BIT
    assert client.says(b"QUIT").startswith(b"221 2.0.0 ")
    server.passes(1)
    assert client.transport.lost


def test_several_messages_and_none_between(server: Server) -> None:
    client = server.greeted()
    for _ in range(3):
        assert client.codes(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nRSET\r\n") == [250, 250, 250]
        assert client.codes(b"DATA\r\n") == [503]
        assert client.codes(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n.\r\n") == [250, 250, 354, 250]
    assert [each.octets for each in server.receiver.taken] == [b""] * 3
    assert all(each.aborted or each.committed for each in server.receiver.begun)


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_pipelined_group_is_answered_in_order(server: Server, slow: bool, step: int) -> None:
    """RFC: 2920 §3.2; also when the receiver takes its time"""
    client = server.greeted()
    server.receiver.slow = slow
    group = b"MAIL FROM:<a@b>\r\nRCPT TO:<nobody>\r\nRCPT TO:<ann>\r\nDATA\r\n" + MESSAGE + b".\r\nNOOP\r\nQUIT\r\n"
    for at in range(0, len(group), step):
        client.sends(group[at : at + step])
    if slow:
        assert client.heard() == b"", "nothing is answered before MAIL"
        server.passes(20)
    heard = client.heard()
    assert codes(heard) == [250, 550, 250, 354, 250, 250, 221]
    assert server.receiver.taken[0].octets == MESSAGE


def test_answers_to_a_group_go_out_in_one_write(server: Server) -> None:
    client = server.greeted()
    before = client.transport.writes
    client.sends(b"MAIL FROM:<a@b>\r\n" + b"RCPT TO:<ann>\r\n" * 20 + b"DATA\r\n")
    assert codes(client.heard()) == [250] * 21 + [354]
    assert client.transport.writes == before + 1


@pytest.mark.parametrize(
    ("before", "line", "code"),
    [
        (b"", b"RCPT TO:<ann>", 503),
        (b"", b"DATA", 503),
        (b"", b"BDAT 0 LAST", 503),
        (b"MAIL FROM:<a@b>\r\n", b"MAIL FROM:<c@d>", 503),
        (b"MAIL FROM:<a@b>\r\n", b"DATA", 503),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<nobody>\r\n", b"DATA", 503),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\n", b"MAIL FROM:<c@d>", 503),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nBDAT 0\r\n", b"DATA", 503),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nBDAT 0\r\n", b"RCPT TO:<ann>", 503),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nBDAT 0\r\n", b"MAIL FROM:<c@d>", 503),
        (b"", b"NOOP", 250),
        (b"", b"VRFY ann", 252),
        (b"", b"EXPN list", 502),
        (b"", b"HELP", 214),
        (b"", b"XYZZY", 500),
        (b"", b"ETRN x", 500),
        (b"", b"MAIL", 501),
        (b"", b"MAIL FROM:<a@b> FOO=1", 555),
        (b"", b"MAIL FROM:<a@b> SIZE=99999999999", 552),
        (b"", b"\xff\xfe", 500),
    ],
)
def test_what_may_come_when(server: Server, before: bytes, line: bytes, code: int) -> None:
    client = server.greeted()
    client.sends(before)
    client.heard()
    assert codes(client.says(line))[-1] == code
    assert client.codes(b"RSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n.\r\n") == [250, 250, 250, 354, 250]


def test_nothing_before_the_client_says_who_it_is(server: Server) -> None:
    client = server.connect()
    for line in (b"MAIL FROM:<a@b>", b"RCPT TO:<ann>", b"DATA", b"BDAT 0 LAST"):
        assert client.says(line).startswith(b"503 5.5.1 Say ")
    assert client.codes(b"NOOP\r\nRSET\r\nHELP\r\nVRFY x\r\n") == [250, 250, 214, 252]


def test_hello_gives_up_the_message_under_way(server: Server) -> None:
    """RFC: 5321 §4.1.4"""
    client = server.greeted()
    client.sends(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\n")
    client.heard()
    hello = b"LHLO" if server.realm is None else b"EHLO"
    assert client.says(hello + b" again.example").startswith(b"250-")
    assert server.receiver.begun[0].aborted
    assert client.codes(b"DATA\r\n") == [503]


# -- chunks


def test_a_message_in_chunks(server: Server) -> None:
    """RFC: 3030 §2: no dots, no stuffing"""
    client = server.greeted()
    group = b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nBDAT 6\r\n.\r\n..\rBDAT 5\r\n\nabc\rBDAT 1 LAST\r\n\nNOOP\r\n"
    for at in range(len(group)):
        client.sends(group[at : at + 1])
    assert codes(client.heard()) == [250, 250, 250, 250, 250, 250]
    assert server.receiver.taken[0].octets == b".\r\n..\r\nabc\r\n"


def test_chunks_that_nobody_wants_are_read_and_never_run(server: Server) -> None:
    client = server.greeted()
    evil = b"MAIL FROM:<evil@x>\r\n"
    assert client.codes(b"BDAT %d LAST\r\n%bNOOP\r\n" % (len(evil), evil)) == [503, 250]
    assert client.codes(b"MAIL FROM:<a@b>\r\nBDAT %d LAST\r\n%bNOOP\r\n" % (len(evil), evil)) == [250, 503, 250]
    assert len(server.receiver.begun) == 1


def test_a_chunk_of_unknown_size_ends_the_connection(server: Server) -> None:
    client = server.greeted()
    heard = client.codes(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nBDAT x LAST\r\nMAIL FROM:<evil@x>\r\n")
    assert heard == [250, 250, 501, 421]
    server.passes(1)
    assert client.transport.lost
    assert server.receiver.begun[0].aborted


def test_chunks_over_the_limit() -> None:
    server = lmtp(LmtpSettings(message_size=10))
    client = server.greeted()
    assert client.codes(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nRCPT TO:<bob>\r\n") == [250] * 3
    assert client.codes(b"BDAT 8\r\n12345678BDAT 8\r\n12345678") == [250, 552]
    assert client.codes(b"BDAT 1\r\nx") == [552]
    assert client.codes(b"BDAT 1 LAST\r\nx") == [552, 552]
    assert client.codes(b"BDAT 1 LAST\r\nx") == [503]
    assert server.receiver.begun[0].aborted == 1


# -- limits


def test_a_message_over_the_limit_is_read_to_its_end_and_not_kept() -> None:
    """RFC: 1870 §6.3"""
    server = lmtp(LmtpSettings(message_size=100_000))
    client = server.greeted()
    client.sends(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n")
    for _ in range(1000):
        client.sends(b"x" * 10_000)
    client.sends(b"\r\nMAIL FROM:<evil@x>\r\n.\r\nNOOP\r\n")
    assert codes(client.heard()) == [250, 250, 354, 552, 250]
    assert sum(map(len, server.receiver.begun[0].pieces)) <= 100_000
    assert server.receiver.begun[0].aborted
    assert len(server.receiver.begun) == 1


def test_too_many_recipients() -> None:
    """RFC: 5321 §4.5.3.1.10"""
    server = lmtp(LmtpSettings(recipients=3))
    client = server.greeted()
    assert client.codes(b"MAIL FROM:<a@b>\r\n" + b"RCPT TO:<ann>\r\n" * 4 + b"DATA\r\n.\r\n") == [
        *(250, 250, 250, 250, 452, 354),
        *(250, 250, 250),
    ]


def test_an_endless_line_takes_no_memory(server: Server) -> None:
    client = server.greeted()
    for _ in range(1000):
        client.sends(b"x" * 65536)
        assert client.protocol.session.queue.buffered < 70_000
    client.sends(b"\r\nNOOP\r\n")
    assert codes(client.heard()) == [500, 250]


def test_too_many_commands_that_make_no_sense(server: Server) -> None:
    client = server.greeted()
    heard = client.codes(b"XYZZY\r\n" * 19 + b"NOOP\r\n" + b"XYZZY\r\n" * 30)
    assert heard == [500] * 19 + [250] + [500] * 20 + [421]
    server.passes(1)
    assert client.transport.lost


def test_too_many_connections_from_an_address() -> None:
    server = lmtp(LmtpSettings(connections_per_address=2))
    clients = [server.connect() for _ in range(3)]
    assert [client.greeting[:4] for client in clients] == [b"220 ", b"220 ", b"421 "]
    server.passes(1)
    clients[0].transport.end()
    assert server.connect().greeting.startswith(b"220 ")


def test_a_client_that_says_nothing(server: Server) -> None:
    client = server.greeted()
    server.passes(299)
    assert client.heard() == b""
    server.passes(1)
    assert client.heard().startswith(b"421 4.4.2 ")
    server.passes(1)
    assert client.transport.lost


def test_a_message_that_stops_coming(server: Server) -> None:
    client = server.greeted()
    client.sends(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\nSubject")
    for _ in range(10):
        server.passes(200)
        client.sends(b"x")
    assert codes(client.heard()) == [250, 250, 354]
    server.passes(301)
    assert codes(client.heard()) == [421]
    assert client.transport.lost
    assert server.receiver.begun[0].aborted
    assert not server.receiver.taken


def test_a_receiver_that_takes_long_is_waited_for(server: Server) -> None:
    client = server.greeted()
    client.sends(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n")
    client.heard()
    receiver = server.receiver
    receiver.later = lambda call: _after(server, 1000, call)  # type: ignore[method-assign]
    client.sends(MESSAGE + b".\r\n")
    server.passes(999)
    assert client.heard() == b""
    server.passes(2)
    assert codes(client.heard()) == [250]
    server.passes(298)
    assert client.heard() == b"", "its idle time began with the answer"
    server.passes(2)
    assert codes(client.heard()) == [421]


def _after(server: Server, seconds: float, call: object) -> object:
    return deferLater(server.clock, seconds, call)  # type: ignore[arg-type]


def test_who_does_not_read_the_answers_is_not_served_further(server: Server) -> None:
    client = server.greeted()
    client.protocol._link.outflow.pauseProducing()
    client.sends(b"NOOP\r\n" * 50)
    assert codes(client.heard()) == [250]
    client.protocol._link.outflow.resumeProducing()
    assert len(codes(client.heard())) == 49


# -- failures


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MailError(ErrorKind.UNAVAILABLE, "later"), 451),
        (MailError(ErrorKind.SENDER_DENIED, "not yours"), 550),
        (MailError(ErrorKind.DISK_FULL, "full"), 452),
        (ZeroDivisionError("a secret"), 451),
    ],
)
@pytest.mark.parametrize("where", ["begin_error", "write_error", "commit_error", "recipient"])
@pytest.mark.parametrize("slow", [False, True])
def test_a_receiver_that_fails(server: Server, error: Exception, code: int, where: str, slow: bool) -> None:
    client = server.greeted()
    server.receiver.slow = slow
    if where == "recipient":
        server.receiver.refuses["ann"] = error
    else:
        setattr(server.receiver, where, error)
    with Log() as log:
        client.sends(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n" + MESSAGE + b".\r\nRSET\r\n")
        server.passes(10)
    heard = client.heard()
    assert b"secret" not in heard
    assert bool(log.failures) == isinstance(error, ZeroDivisionError)
    match where:
        case "begin_error":
            assert codes(heard)[:3] == [code, 503, 503]
        case "recipient":
            assert codes(heard)[:3] == [250, code, 503]
        case _:
            assert codes(heard) == [250, 250, 354, code, 250]
    assert not server.receiver.taken


def test_what_fails_while_the_message_comes_is_said_at_its_end(server: Server) -> None:
    client = server.greeted()
    server.receiver.write_error = MailError(ErrorKind.DISK_FULL, "There is no room")
    assert client.codes(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n" + MESSAGE) == [250, 250, 354]
    heard = b"".join([client.says(b"more"), client.says(b"."), client.says(b"NOOP")])
    assert heard.startswith(b"452 4.3.1 ")
    assert codes(heard) == [452, 250]
    assert server.receiver.begun[0].aborted == 1


def test_a_client_that_leaves(server: Server) -> None:
    for sent in (b"", b"MAIL FROM:<a@b>\r\n", b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\nx\r\n"):
        client = server.greeted()
        with Log() as log:
            client.sends(sent)
            client.transport.end()
            server.passes(400)
        assert not log.failures
    assert all(each.aborted == 1 for each in server.receiver.begun)
    assert not server.receiver.taken
    assert not server.factory.connections._open


def test_a_client_that_leaves_while_its_message_is_taken(server: Server) -> None:
    """What is being filed is filed for all; the client will send it again. RFC: 1047"""
    client = server.greeted()
    client.sends(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n")
    server.receiver.slow = True
    with Log() as log:
        client.sends(b".\r\n")
        if server.receiver.slow:
            client.transport.end()
        assert len(server.factory.commits) == 1
        server.passes(2)
    assert len(server.receiver.taken) == 1
    assert not server.receiver.begun[0].aborted
    assert not server.factory.commits
    assert not log.failures


def test_the_server_stops(server: Server) -> None:
    idle, sending, taking = (server.greeted() for _ in range(3))
    sending.sends(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\nhalf")
    taking.sends(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n")
    for client in (idle, sending, taking):
        client.heard()
    server.receiver.slow = True
    taking.sends(b".\r\n")
    done = Deferred.fromCoroutine(server.factory.close())
    assert idle.heard().startswith(b"421 4.3.2 Server shutting down")
    assert codes(sending.heard()) == [421]
    assert not done.called
    server.passes(3)
    assert codes(taking.heard()) == [250, 421]
    assert done.called
    assert len(server.receiver.taken) == 1
