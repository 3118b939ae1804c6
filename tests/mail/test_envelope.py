"""Envelopes, also compared with what the standard library reads. RFC: 3501 §7.4.2"""

from __future__ import annotations

import email
import email.utils
import time

from mailpost.mail.address import Address
from mailpost.mail.envelope import envelope
from mailpost.mail.mime import parse
from tests.corpus import messages

FROM = Address(b"Ann", None, b"ann", b"example.org")


def test_every_member() -> None:
    octets = (
        b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nSubject: folded\r\n\tsubject\r\nFrom: Ann <ann@example.org>\r\n"
        b"Sender: s@x\r\nReply-To: r@x\r\nTo: t@x, u@x\r\nCc: c@x\r\nBcc: b@x\r\nIn-Reply-To: <1@x>\r\n"
        b"Message-ID: <2@x>\r\n\r\nSubject: body\r\n"
    )
    found = envelope(octets)
    assert (found.date, found.subject) == (b"Mon, 7 Feb 1994 21:52:25 -0800", b"folded subject")
    assert (found.in_reply_to, found.message_id) == (b"<1@x>", b"<2@x>")
    assert found.from_ == (FROM,)
    others = (found.sender, found.reply_to, found.to, found.cc, found.bcc)
    assert [[each.mailbox for each in people] for people in others] == [[b"s"], [b"r"], [b"t", b"u"], [b"c"], [b"b"]]


def test_sender_and_reply_to_default_to_from() -> None:
    found = envelope(b"From: Ann <ann@example.org>\r\nSender:\r\n\r\n")
    assert found.sender == found.reply_to == (FROM,)


def test_nothing_is_there() -> None:
    found = envelope(b"")
    assert (found.date, found.subject, found.in_reply_to, found.message_id) == (None, None, None, None)
    assert found.from_ == found.sender == found.reply_to == found.to == found.cc == found.bcc == ()


def test_empty_is_not_missing() -> None:
    assert envelope(b"Subject:\r\n\r\n").subject == b""


def test_repeated_fields() -> None:
    found = envelope(b"Subject: 1\r\nTo: a@b\r\nSubject: 2\r\nTo: c@d\r\n\r\n")
    assert found.subject == b"1"
    assert [each.mailbox for each in found.to] == [b"a", b"c"]


def test_the_message_in_a_message() -> None:
    octets = b"Subject: out\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\n"
    assert envelope(octets, parse(octets).message).subject == b"in"


def test_the_email_package_agrees() -> None:
    for octets in messages():
        theirs, ours = email.message_from_bytes(octets), envelope(octets)
        header = octets[: parse(octets).body]
        if theirs.defects or len(header) > 100_000 or not header.isascii() or b"\0" in header:
            continue
        for name, value in (("subject", ours.subject), ("message-id", ours.message_id)):
            expected = theirs[name]
            assert (value is None) == (expected is None)
            assert (value or b"").decode().split() == (expected or "").split()
        for name, people in (("from", ours.from_), ("reply-to", ours.reply_to if theirs["reply-to"] else ())):
            expected_pairs = email.utils.getaddresses(theirs.get_all(name, []))
            pairs = [
                ((each.name or b"").decode(), b"%b@%b" % (each.mailbox, each.host)) for each in people if each.host
            ]
            if all("@" in address for _, address in expected_pairs):
                assert [(n.strip(), a.encode()) for n, a in expected_pairs] == pairs


def test_parsing_and_envelopes_are_quick() -> None:
    started = time.perf_counter()
    for octets in messages():
        envelope(octets, parse(octets))
    assert (time.perf_counter() - started) / len(messages()) < 0.002
