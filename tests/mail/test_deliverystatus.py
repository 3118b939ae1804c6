"""Reports of delivery. RFC: 3464, 3461, 6522, 6533, 3834"""

from __future__ import annotations

import email
import email.policy
from email.message import Message

from mailpost.mail.deliverystatus import Action, Fate, Report, framed

RETURNED = b"From: ann@example.org\r\nSubject: hello\r\n\r\ntext\r\n"


def report(*fates: Fate, **more: object) -> Report:
    facts: dict[str, object] = {
        "action": Action.FAILED,
        "fates": fates,
        "to": "ann@example.org",
        "hostname": "mail.example.org",
        "date": "Sun, 1 Sep 2002 12:00:00 +0000",
        "arrived": "Sat, 31 Aug 2002 12:00:00 +0000",
        "token": "0123",
    }
    return Report(**{**facts, **more})  # type: ignore[arg-type]


def read(made: Report, returned: bytes = RETURNED) -> Message:
    before, behind = framed(made)
    octets = before + returned + behind
    assert b"\n" not in octets.replace(b"\r\n", b"")
    return email.message_from_bytes(octets)


def test_a_bounce_has_its_three_parts() -> None:
    fate = Fate("bob@example.net", "5.1.1", "550 5.1.1 no such user", "smtp.example.com", "rfc822;Bob@example.net")
    made = read(report(fate, envelope_id="env-1", whole=True))
    assert made.get_content_type() == "multipart/report"
    assert made.get_param("report-type") == "delivery-status"
    assert made["auto-submitted"] == "auto-replied"
    assert made["to"] == "<ann@example.org>"
    text, status, returned = made.get_payload()  # type: ignore[misc]
    assert "bob@example.net" in text.get_payload()  # type: ignore[union-attr]
    assert "smtp.example.com said: 550 5.1.1 no such user" in text.get_payload()  # type: ignore[union-attr]
    message, recipient = status.get_payload()  # type: ignore[union-attr,misc]
    assert message["original-envelope-id"] == "env-1"  # type: ignore[index,call-overload]
    assert message["reporting-mta"] == "dns; mail.example.org"  # type: ignore[index,call-overload]
    assert recipient["original-recipient"] == "rfc822;Bob@example.net"  # type: ignore[index,call-overload]
    assert recipient["final-recipient"] == "rfc822;bob@example.net"  # type: ignore[index,call-overload]
    assert recipient["action"] == "failed"  # type: ignore[index,call-overload]
    assert recipient["status"] == "5.1.1"  # type: ignore[index,call-overload]
    assert recipient["remote-mta"] == "dns; smtp.example.com"  # type: ignore[index,call-overload]
    assert recipient["diagnostic-code"] == "smtp; 550 5.1.1 no such user"  # type: ignore[index,call-overload]
    assert returned.get_content_type() == "message/rfc822"  # type: ignore[union-attr]
    assert returned.get_payload()[0]["subject"] == "hello"  # type: ignore[union-attr,index,call-overload]


def test_one_block_for_each_recipient_and_the_header_alone() -> None:
    made = read(report(Fate("a@x", "5.0.0", "no"), Fate("b@x", "5.0.0", "no")), b"Subject: hello\r\n")
    _, status, returned = made.get_payload()  # type: ignore[misc]
    assert [each["final-recipient"] for each in status.get_payload()[1:]] == ["rfc822;a@x", "rfc822;b@x"]  # type: ignore[union-attr,index,call-overload]
    assert returned.get_content_type() == "text/rfc822-headers"  # type: ignore[union-attr]


def test_a_delay_says_until_when() -> None:
    made = read(
        report(Fate("a@x", "4.4.1", "no answer", until="Thu, 5 Sep 2002 12:00:00 +0000"), action=Action.DELAYED)
    )
    _, status, _ = made.get_payload()  # type: ignore[misc]
    block = status.get_payload()[1]  # type: ignore[union-attr,index]
    assert (block["action"], block["will-retry-until"]) == ("delayed", "Thu, 5 Sep 2002 12:00:00 +0000")  # type: ignore[index,call-overload]


def test_addresses_that_are_not_ascii() -> None:
    made = read(report(Fate("jörg@grün.example", "5.6.7", "nein"), whole=True, eight_bit=True))
    assert made.get_param("report-type") == "global-delivery-status"
    kinds = [each.get_content_type() for each in made.get_payload()]  # type: ignore[union-attr]
    assert kinds == ["text/plain", "message/global-delivery-status", "message/global"]
    assert (
        b"Final-Recipient: utf-8;j\xc3\xb6rg@gr\xc3\xbcn.example\r\n"
        in framed(report(Fate("jörg@grün.example", "5.6.7", "n")))[0]
    )


def test_nothing_that_others_said_becomes_a_field() -> None:
    before, _ = framed(report(Fate("a@x\r\nBcc: y", "5.0.0", "no\r\nStatus: 2.0.0", "h\r\nX: y")))
    assert b"\r\nStatus: 2.0.0" not in before
    assert b"\r\nBcc" not in before
    assert b"\r\nX:" not in before
