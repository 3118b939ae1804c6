"""Smuggling and injection: what may look like the end of a message, or like commands, to somebody, is neither here."""

from __future__ import annotations

import pytest

from mailpost.protocols.lmtp.settings import LmtpSettings
from mailpost.protocols.submission.settings import SubmissionSettings
from tests.protocols.smtp.harness import PLAIN, Log, Server, codes, lmtp, submission

HEAD = b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n"
EVIL = b"MAIL FROM:<evil@x>\r\nRCPT TO:<ann>\r\nDATA\r\nforged\r\n.\r\n"


@pytest.fixture(params=["lmtp", "submission"])
def server(request: pytest.FixtureRequest) -> Server:
    return lmtp() if request.param == "lmtp" else submission()


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r.\r", b"\r\n.\r", b"\r\r\n.\n", b"\n\r\n.\r", b"\n"]
)
@pytest.mark.parametrize("step", [1, 3, 10_000])
def test_nothing_is_smuggled_behind_a_false_end(server: Server, end: bytes, step: int) -> None:
    """RFC: 5321 §4.1.1.4: only CRLF ends lines"""
    client = server.greeted()
    stream = HEAD + b"Subject: x\r\n\r\nfirst" + end + EVIL
    for at in range(0, len(stream), step):
        client.sends(stream[at : at + step])
    heard = client.heard()
    assert codes(heard) == [250, 250, 354, 550]
    assert b"550 5.6.11 " in heard
    assert len(server.receiver.begun) == 1
    assert server.receiver.begun[0].aborted
    assert client.codes(b"NOOP\r\n") == [250]


def test_a_message_that_was_refused_before_its_end_is_given_up_once(server: Server) -> None:
    client = server.greeted()
    client.sends(HEAD + b"a\n.\r\nmore")
    client.transport.end()
    assert server.receiver.begun[0].aborted == 1


def test_a_cr_or_lf_alone_in_a_chunk(server: Server) -> None:
    """A message in chunks could carry what becomes an end when it is sent on behind DATA."""
    for message in (b"a\n.\nb\r\n", b"a\r.\rb\r\n", b"a\r"):
        client = server.greeted()
        heard = client.codes(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nBDAT %d LAST\r\n%b" % (len(message), message))
        assert heard == [250, 250, 550]
    assert not server.receiver.taken


def test_commands_end_in_cr_lf(server: Server) -> None:
    client = server.greeted()
    assert client.codes(b"MAIL FROM:<a@b>\nRCPT TO:<ann>\nNOOP\r\n") == [500, 500, 250]
    assert client.codes(b"MAIL FROM:<a@b>\rRCPT TO:<ann>\r\n") == [500]
    assert not server.receiver.begun


def test_a_long_line_in_a_message_is_no_command(server: Server) -> None:
    """The base class of Twisted takes what is behind 16,384 octets of a line for commands."""
    client = server.greeted()
    body = b"x" * 20_000 + b"\r\n" + b"y" * 200_000 + b"\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<ann>\r\nDATA\r\n"
    assert client.codes(HEAD + body + b".\r\n") == [250, 250, 354, 250]
    (taken,) = server.receiver.taken
    assert taken.octets == body


def test_a_long_line_is_refused_once_and_its_rest_is_not_run(server: Server) -> None:
    client = server.greeted()
    client.sends(b"NOOP " + b"x" * 20_000)
    client.sends(b"y" * 20_000 + b"MAIL FROM:<evil@x>\r\n")
    assert codes(client.heard()) == [500]
    assert not server.receiver.begun


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"\0",
        b"\xff\xfe\xfd",
        b"MAIL",
        b"MAIL FROM",
        b"RCPT",
        b"RCPT TO:",
        b"BDAT 1 2 3 LAST LAST",
        b"EHLO",
        b"AUTH",
        b"AUTH ",
        b"AUTH PLAIN =",
        b"AUTH PLAIN ====",
        b"AUTH PLAIN \xff",
        b"AUTH PLAIN AAAA",
        b"AUTH XYZZY",
        b"STARTTLS x",
        b"XCLIENT",
        b"XCLIENT ADDR=x",
        b"DATA 1",
        b"NO\xd6P",
        "MAIL FROM:<ä@b>".encode(),
    ],
)
def test_missing_and_malformed_arguments_get_an_answer(server: Server, line: bytes) -> None:
    for client in (server.connect(), server.greeted()):
        with Log() as log:
            heard = client.says(line)
            server.passes(20)
        assert heard[:1] in (b"5", b"4"), heard
        assert not log.failures
        assert codes(heard)[-1] in (421, 500, 501, 502, 503, 504, 535, 550, 553, 555)


# -- STARTTLS


def test_nothing_behind_starttls_is_run() -> None:
    """RFC: 3207 §5; commands that somebody in between has put there would run as if they came through TLS."""
    for group in (b"NOOP\r\n", b"EHLO x\r\nAUTH PLAIN " + PLAIN + b"\r\n" + EVIL, b"\0"):
        server = submission(tls=object())
        client = server.connect()
        client.says(b"EHLO x")
        assert client.codes(b"STARTTLS\r\n" + group) == [503, 421]
        assert client.transport.tls is None
        client.sends(b"NOOP\r\n")
        assert client.heard() == b""
        assert not server.receiver.begun
        assert server.realm is not None
        assert server.realm.logins == 0


def test_nothing_before_starttls_counts() -> None:
    """RFC: 3207 §4.2"""
    context = object()
    server = submission(tls=context)
    client = server.connect()
    client.says(b"EHLO before.example")
    assert client.codes(b"STARTTLS\r\n") == [220]
    assert client.transport.tls is context
    assert client.codes(b"MAIL FROM:<a@b>\r\n") == [503]
    heard = client.says(b"EHLO behind.example")
    assert b"STARTTLS" not in heard
    assert client.codes(b"STARTTLS\r\n") == [503]
    assert client.codes(b"AUTH PLAIN " + PLAIN + b"\r\n" + HEAD + b".\r\n") == [235, 250, 250, 354, 250]
    assert server.receiver.taken[0].client.name == "behind.example"
    assert server.receiver.taken[0].client.protocol == "ESMTPSA"


def test_no_starttls_within_a_message_or_behind_a_login() -> None:
    server = submission(tls=object())
    client = server.greeted()
    assert client.codes(b"STARTTLS\r\n") == [503]
    assert client.codes(b"MAIL FROM:<a@b>\r\nSTARTTLS\r\n") == [250, 503]
    assert client.transport.tls is None
    assert submission().greeted().codes(b"STARTTLS\r\n") == [502]


# -- who may send


def test_there_is_no_open_relay() -> None:
    server = submission()
    client = server.connect("192.0.2.1")
    client.says(b"EHLO x")
    assert client.codes(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nBDAT 0 LAST\r\n") == [530, 503, 503, 503]
    assert not server.receiver.begun


def test_guesses_of_passwords_are_slowed_down_and_end() -> None:
    server = submission(SubmissionSettings(failed_logins=3))
    client = server.connect()
    client.says(b"EHLO x")
    for _ in range(2):
        server.passes(30)
        assert client.says(b"AUTH PLAIN AGpvZQB3cm9uZw==") == b"", "not at once"
        server.passes(30)
        assert codes(client.heard()) == [535]
    client.says(b"AUTH PLAIN AGpvZQB3cm9uZw==")
    server.passes(30)
    assert codes(client.heard()) == [535, 421]


def test_xclient_from_whoever_is_not_trusted() -> None:
    server = lmtp()
    client = server.connect("192.0.2.1")
    assert b"XCLIENT" not in client.says(b"LHLO x")
    assert client.codes(b"XCLIENT ADDR=127.0.0.1\r\n") == [550]
    assert lmtp(LmtpSettings(trusted=("192.0.2.0/24",))).connect("192.0.2.1").codes(b"XCLIENT ADDR=::1\r\n") == [220]
    assert submission().greeted().codes(b"XCLIENT ADDR=127.0.0.1\r\n") == [502]
