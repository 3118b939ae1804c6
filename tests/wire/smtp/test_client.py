"""What an SMTP client hears and says. RFC: 5321, 2034, 3461"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.transport import ForwardPath, Notify, Returned, ReversePath
from mailpost.wire.smtp.client import (
    MOST_LINES,
    DotStuffing,
    Reply,
    ReplyError,
    ReplyReader,
    extensions,
    mail_from,
    rcpt_to,
    size_limit,
    xtext,
)

PIECES = st.lists(st.sampled_from([b".", b"..", b"\r\n", b"\r", b"\n", b"a", b"\xff", b"\r\n.\r\n"]), max_size=40)


def read_back(sent: bytes) -> bytes:
    """What a server makes of the octets behind DATA. RFC: 5321 §4.5.2"""
    body, end, rest = b"\r\n" + sent, b"\r\n.\r\n", b""
    at = body.find(end)
    body, rest = body[:at], body[at + len(end) :]
    assert rest == b"", "the message ended before its end"
    return (body + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]


@given(PIECES)
def test_a_message_comes_out_as_it_went_in_wherever_it_is_cut(pieces: list[bytes]) -> None:
    stuffing = DotStuffing()
    sent = b"".join(map(stuffing.add, pieces)) + stuffing.end()
    message = b"".join(pieces)
    ended = message if message.endswith(b"\r\n") or not message else message + b"\r\n"
    assert read_back(sent) == ended


def test_a_dot_at_every_edge_of_two_pieces() -> None:
    message = b".first\r\n.\r\n..\r\nlast\r\n.\r\n"
    whole = DotStuffing().add(message)
    assert whole == b"..first\r\n..\r\n...\r\nlast\r\n..\r\n"
    for cut in range(len(message) + 1):
        stuffing = DotStuffing()
        assert stuffing.add(message[:cut]) + stuffing.add(message[cut:]) == whole


def test_replies_in_single_octets() -> None:
    reader, found = ReplyReader(), []
    for octet in b"250-mail.example\r\n250 SIZE 10\r\n550 5.1.1 no\n421\r\n":
        found += reader.feed(bytes([octet]))
    assert found == [Reply(250, ("mail.example", "SIZE 10")), Reply(550, ("5.1.1 no",)), Reply(421, ("",))]
    assert not reader.buffered
    assert found[1].text == "550 5.1.1 no"


@pytest.mark.parametrize("octets", [b"hello\r\n", b"99 x\r\n", b"650 x\r\n", b"250x\r\n", b"2" * 5000])
def test_what_is_no_reply(octets: bytes) -> None:
    with pytest.raises(ReplyError):
        ReplyReader().feed(octets)


def test_a_reply_without_end_is_not_read_for_ever() -> None:
    with pytest.raises(ReplyError):
        ReplyReader().feed(b"250-x\r\n" * MOST_LINES)


@given(st.binary(max_size=200))
def test_any_octets_are_replies_or_refused(octets: bytes) -> None:
    try:
        replies = ReplyReader().feed(octets)
    except ReplyError:
        return
    assert all(200 <= each.code <= 599 for each in replies)


def test_the_status_is_of_the_class_of_the_code() -> None:
    assert Reply(550, ("5.1.1 no such user",)).status == "5.1.1"
    assert Reply(550, ("no such user",)).status == "5.0.0"
    assert Reply(450, ("5.1.1 confused",)).status == "4.0.0"
    assert Reply(250, ()).status == "2.0.0"


def test_extensions() -> None:
    found = extensions(Reply(250, ("mail.example hello", "size 1000", "AUTH=LOGIN", "Auth PLAIN", "8bitmime", "DSN")))
    assert found == {"SIZE": "1000", "AUTH": "LOGIN", "8BITMIME": "", "DSN": ""}
    assert size_limit(found) == 1000
    assert size_limit({}) is size_limit({"SIZE": ""}) is size_limit({"SIZE": "0"}) is None


def test_parameters_go_only_to_who_knows_them() -> None:
    sender = ReversePath("ann@example.org", returned=Returned.HEADERS, envelope_id="a+b c")
    recipient = ForwardPath("bob@example.net", frozenset({Notify.DELAY, Notify.SUCCESS}), "rfc822;Bob=B@example.net")
    known = {"SIZE": "", "8BITMIME": "", "DSN": ""}
    assert mail_from(sender, {}, size=5, eight_bit=True, smtputf8=False) == b"MAIL FROM:<ann@example.org>\r\n"
    assert (
        mail_from(sender, known, size=5, eight_bit=True, smtputf8=True)
        == b"MAIL FROM:<ann@example.org> SIZE=5 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb+20c\r\n"
    )
    assert rcpt_to(recipient, {}) == b"RCPT TO:<bob@example.net>\r\n"
    assert (
        rcpt_to(recipient, known)
        == b"RCPT TO:<bob@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+3DB@example.net\r\n"
    )
    assert rcpt_to(ForwardPath("b@c", frozenset({Notify.NEVER})), known) == b"RCPT TO:<b@c> NOTIFY=NEVER\r\n"


def test_no_address_is_another_command() -> None:
    with pytest.raises(ValueError, match="control"):
        rcpt_to(ForwardPath("a@b>\r\nRSET\r\n<c@d"), {})


def test_xtext_of_what_is_not_ascii() -> None:
    assert xtext("grün\\+@example") == "gr\\x{FC}n\\x{5C}\\x{2B}@example"
