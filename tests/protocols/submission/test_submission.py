from __future__ import annotations

from base64 import b64encode

import pytest
from twisted.internet.defer import Deferred

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.transport import ForwardPath, Notify, Returned
from mailpost.protocols.submission.settings import SubmissionSettings
from tests.protocols.smtp.harness import PLAIN, codes, submission

HEAD = b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n"


def test_what_is_announced() -> None:
    """RFC: 6409 §7, 1870, 2920, 6152, 6531, 2034, 3030, 3461, 3207, 4954"""
    server = submission(SubmissionSettings(hostname="mail.example.org", message_size=1000), tls=object())
    client = server.connect()
    assert client.greeting == b"220 mail.example.org ESMTP mailpost ready\r\n"
    common = [
        b"250-mail.example.org",
        b"250-SIZE 1000",
        b"250-PIPELINING",
        b"250-8BITMIME",
        b"250-SMTPUTF8",
        b"250-ENHANCEDSTATUSCODES",
        b"250-CHUNKING",
    ]
    assert client.says(b"EHLO x").split(b"\r\n") == [*common, b"250-DSN", b"250-STARTTLS", b"250 AUTH PLAIN LOGIN", b""]
    far = server.connect("192.0.2.1")
    assert far.says(b"EHLO x").split(b"\r\n") == [*common, b"250-DSN", b"250 STARTTLS", b""], "no password in the clear"
    client.says(b"AUTH PLAIN " + PLAIN)
    assert b"AUTH" not in client.says(b"EHLO x")
    assert server.connect().says(b"HELO x") == b"250 mail.example.org\r\n"


def test_hello_is_not_lhlo() -> None:
    assert submission().connect().says(b"LHLO x") == b"500 5.5.1 This is ESMTP: say EHLO\r\n"


def test_a_login_in_every_way() -> None:
    """RFC: 4954 §4"""
    ways = [
        [b"AUTH PLAIN " + PLAIN],
        [b"AUTH PLAIN", PLAIN],
        [b"auth login", b64encode(b"joe"), b64encode(b"secret")],
        [b"AUTH LOGIN " + b64encode(b"joe"), b64encode(b"secret")],
    ]
    for way in ways:
        server = submission()
        client = server.connect()
        client.says(b"EHLO x")
        heard = [codes(client.says(line)) for line in way]
        assert heard == [[334]] * (len(way) - 1) + [[235]]
        assert client.codes(b"AUTH PLAIN " + PLAIN + b"\r\n") == [503]
        client.transport.end()
        assert server.realm is not None
        assert server.realm.inside == 0


def test_challenges() -> None:
    client = submission().connect()
    client.says(b"EHLO x")
    assert client.says(b"AUTH PLAIN") == b"334 \r\n"
    assert client.says(b"*").startswith(b"501 5.7.0 ")
    assert client.says(b"AUTH LOGIN") == b"334 VXNlcm5hbWU6\r\n"
    assert client.says(b"not base64").startswith(b"501 5.5.2 ")
    assert client.says(b"AUTH PLAIN") == b"334 \r\n"
    assert client.says(b"x" * 12_289).startswith(b"500 5.5.6 ")
    assert client.says(b"AUTH PLAIN") == b"334 \r\n"
    assert client.says(b"A" * 12_288).startswith(b"501 "), "read whole, and no PLAIN message"
    assert client.says(b"AUTH CRAM-MD5").startswith(b"504 5.5.4 ")
    assert client.says(b"NOOP").startswith(b"250 ")


def test_a_login_that_takes_long_holds_up_what_follows() -> None:
    server = submission()
    server.checker.slow = True
    client = server.connect()
    client.says(b"EHLO x")
    client.sends(b"AUTH PLAIN " + PLAIN + b"\r\n" + HEAD + b".\r\n")
    assert client.heard() == b""
    server.checker.waiting.pop()()
    assert codes(client.heard()) == [235, 250, 250, 354, 250]


def test_a_client_that_leaves_while_it_logs_in() -> None:
    server = submission()
    server.checker.slow = True
    client = server.connect()
    client.says(b"EHLO x")
    client.sends(b"AUTH PLAIN " + PLAIN + b"\r\n")
    client.transport.end()
    server.checker.waiting.pop()()
    assert server.realm is not None
    assert server.realm.inside == 0


def test_passwords_need_tls_from_afar() -> None:
    """RFC: 4954 §6, 8314 §3"""
    server = submission(tls=object())
    client = server.connect("192.0.2.1")
    client.says(b"EHLO x")
    assert client.says(b"MAIL FROM:<a@b>").startswith(b"530 5.7.0 Say STARTTLS first")
    assert client.says(b"AUTH PLAIN " + PLAIN).startswith(b"538 5.7.11 ")
    assert server.checker.asked == 0
    assert client.codes(b"STARTTLS\r\n") == [220]
    assert b"AUTH PLAIN" in client.says(b"EHLO x")
    assert client.codes(b"AUTH PLAIN " + PLAIN + b"\r\n") == [235]
    allowed = submission(SubmissionSettings(allow_plaintext_auth=True)).connect("192.0.2.1")
    allowed.says(b"EHLO x")
    assert allowed.codes(b"AUTH PLAIN " + PLAIN + b"\r\n") == [235]


def test_who_hands_it_over() -> None:
    """RFC: 3848"""
    server = submission()
    client = server.greeted()
    client.codes(HEAD + b".\r\n")
    client.codes("MAIL FROM:<ä@b> SMTPUTF8\r\nRCPT TO:<ann>\r\nDATA\r\n.\r\n".encode())
    client.says(b"HELO old.example")
    client.codes(HEAD + b".\r\n")
    clients = [each.client for each in server.receiver.taken]
    assert [each.protocol for each in clients] == ["ESMTPA", "UTF8SMTPA", "SMTPA"]
    assert {each.user for each in clients} == {"joe"}
    assert clients[2].name == "old.example"


def test_delivery_status_notifications_are_carried_on() -> None:
    """RFC: 3461 §4"""
    server = submission()
    client = server.greeted()
    client.sends(b"MAIL FROM:<a@b> RET=HDRS ENVID=x+2By AUTH=<>\r\n")
    client.sends(b"RCPT TO:<c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;e@f\r\nDATA\r\n.\r\n")
    assert codes(client.heard()) == [250, 250, 354, 250]
    (taken,) = server.receiver.taken
    assert taken.sender.returned is Returned.HEADERS
    assert taken.sender.envelope_id == "x+y"
    assert taken.recipients == [ForwardPath("c@d", frozenset({Notify.SUCCESS, Notify.DELAY}), "rfc822;e@f")]


def test_one_answer_for_all_recipients() -> None:
    server = submission()
    client = server.greeted()
    assert client.codes(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nRCPT TO:<full>\r\nDATA\r\n.\r\n")[-1] == 452
    server.receiver.fails.clear()
    assert client.codes(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nRCPT TO:<full>\r\nDATA\r\n.\r\n")[-2:] == [354, 250]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"MAIL FROM:a@b", b"501 5.5.4 Syntax: MAIL FROM:<address>, with the angle brackets"),
        (b"MAIL a@b", b"501 5.5.4 Syntax: MAIL FROM:<address>"),
        (b"MAIL FROM:<Ann Lee <ann@example.org>>", b"501 5.1.7 This is no address"),
        (b"MAIL FROM:<a@b> SIZE=big", b"501 5.5.4 SIZE=big: SIZE cannot have this value"),
        (b"MAIL FROM:<a@b> FOO=bar", b"555 5.5.4 The parameter FOO is not known here"),
        ("MAIL FROM:<jörg@b>".encode(), b"553 5.6.7 An address that is not ASCII needs the parameter SMTPUTF8"),
        (b"RCPT TO:<>", b"503 5.5.1 MAIL comes first"),
    ],
)
def test_what_mail_programs_do_wrong_is_said_clearly(line: bytes, text: bytes) -> None:
    client = submission().greeted()
    if line.startswith(b"RCPT"):
        assert client.says(b"RCPT TO:<x>") == text + b"\r\n"
    else:
        assert client.says(line) == text + b"\r\n"


def test_before_login_time_is_short() -> None:
    server = submission(SubmissionSettings(login_timeout=60))
    client, user = server.connect(), server.greeted()
    server.passes(61)
    assert codes(client.heard()) == [421]
    assert user.heard() == b""


def test_a_sender_that_is_not_theirs() -> None:
    server = submission()
    server.receiver.begin_error = MailError(ErrorKind.SENDER_DENIED, "This address is not yours")
    assert server.greeted().says(b"MAIL FROM:<b@c>") == b"550 5.7.1 This address is not yours\r\n"


def test_connections_of_a_user() -> None:
    server = submission(SubmissionSettings(connections_per_user=1))
    server.greeted()
    client = server.connect()
    client.says(b"EHLO x")
    assert client.says(b"AUTH PLAIN " + PLAIN).startswith(b"454 4.7.0 ")


def test_who_closes_the_server_finds_all_logged_out() -> None:
    """The store is closed behind it: no account may still be in use."""
    server = submission()
    client = server.connect()
    client.says(b"EHLO x")
    client.codes(b"AUTH PLAIN " + PLAIN + b"\r\n")
    assert server.realm is not None
    assert server.realm.inside == 1
    inside: list[int] = []
    closed = Deferred.fromCoroutine(server.factory.close())
    closed.addCallback(lambda _: inside.append(server.realm.inside))
    client.transport.end()
    assert inside == [0]
