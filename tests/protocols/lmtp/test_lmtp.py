from __future__ import annotations

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.lmtp.settings import LmtpSettings
from mailpost.protocols.lmtp.xclient import Trusted
from tests.protocols.smtp.harness import codes, lmtp

HEAD = b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nRCPT TO:<full>\r\nRCPT TO:<bob@example.org>\r\n"


def test_what_is_announced() -> None:
    """RFC: 2033 §4.1, 5, 1870, 2920, 6152, 6531, 2034, 3030"""
    client = lmtp(LmtpSettings(hostname="mail.example.org", message_size=1000)).connect()
    assert client.greeting == b"220 mail.example.org LMTP mailpost ready\r\n"
    assert client.says(b"LHLO there").split(b"\r\n") == [
        b"250-mail.example.org",
        b"250-SIZE 1000",
        b"250-PIPELINING",
        b"250-8BITMIME",
        b"250-SMTPUTF8",
        b"250-ENHANCEDSTATUSCODES",
        b"250-CHUNKING",
        b"250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN",
        b"",
    ]


@pytest.mark.parametrize("hello", [b"HELO x", b"EHLO x"])
def test_hello_is_lhlo(hello: bytes) -> None:
    """RFC: 2033 §4.1"""
    assert lmtp().connect().says(hello) == b"500 5.5.1 This is LMTP: say LHLO\r\n"


def test_there_is_no_login() -> None:
    assert lmtp().greeted().codes(b"AUTH PLAIN =\r\nSTARTTLS\r\n") == [502, 502]


@pytest.mark.parametrize("end", [b"DATA\r\nx\r\n.\r\n", b"BDAT 3 LAST\r\nx\r\n"])
def test_an_answer_for_each_recipient_in_their_order(end: bytes) -> None:
    """RFC: 2033 §4.2"""
    server = lmtp()
    heard = server.greeted()
    heard.sends(HEAD + b"RCPT TO:<nobody>\r\n" + end)
    lines = heard.heard().split(b"\r\n")
    assert lines[-4:] == [
        b"250 2.0.0 <ann> Message taken",
        b"452 4.2.2 <full> The mailbox is full",
        b"250 2.0.0 <bob@example.org> Message taken",
        b"",
    ]


def test_what_concerns_the_whole_message_is_said_for_each() -> None:
    server = lmtp(LmtpSettings(over_quota_permanent=True))
    client = server.greeted()
    assert client.codes(HEAD + b"DATA\r\na\nb\r\n.\r\n") == [250] * 4 + [354] + [550] * 3
    server.receiver.commit_error = MailError(ErrorKind.DISK_FULL, "no room")
    assert client.codes(HEAD + b"DATA\r\n.\r\n") == [250] * 4 + [354] + [452] * 3
    server.receiver.commit_error = None
    assert client.codes(HEAD + b"DATA\r\n.\r\n")[-3:] == [250, 552, 250]


def test_who_hands_it_over() -> None:
    """RFC: 3848, 6531 §3.7.3"""
    server = lmtp()
    client = server.greeted("192.0.2.7")
    client.codes(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n.\r\n")
    client.codes("MAIL FROM:<ä@b> SMTPUTF8\r\nRCPT TO:<ö@b>\r\nDATA\r\n.\r\n".encode())
    plain, utf8 = (each.client for each in server.receiver.taken)
    assert (plain.protocol, plain.address, plain.name, plain.user) == ("LMTP", "192.0.2.7", "there.example", "")
    assert utf8.protocol == "UTF8LMTP"
    assert server.receiver.taken[1].recipients[0].address == "ö@b"


def test_no_dsn() -> None:
    assert lmtp().greeted().codes(b"MAIL FROM:<a@b> RET=FULL\r\n") == [555]


def test_xclient() -> None:
    """http://www.postfix.org/XCLIENT_README.html"""
    server = lmtp()
    client = server.greeted()
    said = b"XCLIENT ADDR=192.0.2.9 HELO=out.example LOGIN=ann NAME=[UNAVAILABLE] PORT=25 PROTO=ESMTP"
    assert client.says(said).startswith(b"220 ")
    assert client.codes(b"MAIL FROM:<a@b>\r\n") == [503], "it begins anew"
    client.says(b"LHLO proxy.example")
    client.sends(b"MAIL FROM:<a@b>\r\nXCLIENT ADDR=::1\r\nRCPT TO:<ann>\r\nDATA\r\n.\r\n")
    assert codes(client.heard()) == [250, 503, 250, 354, 250]
    found = server.receiver.taken[0].client
    assert (found.address, found.name, found.user) == ("192.0.2.9", "out.example", "ann")
    assert client.codes(b"XCLIENT ADDR=IPV6:2001:db8::1 HELO=[UNAVAILABLE]\r\n") == [220]
    client.says(b"LHLO proxy.example")
    client.codes(b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n.\r\n")
    found = server.receiver.taken[1].client
    assert (found.address, found.name) == ("2001:db8::1", "proxy.example")


def test_trusted_addresses() -> None:
    trusted = Trusted(["10.0.0.0/8", "2001:db8::/32", "unix"])
    assert "10.1.2.3" in trusted
    assert "2001:db8::1" in trusted
    assert "unix" in trusted
    assert "11.0.0.1" not in trusted
    assert "::1" not in trusted
    assert "unix" not in Trusted(["127.0.0.1"])
    with pytest.raises(ValueError, match="example"):
        Trusted(["example"])
