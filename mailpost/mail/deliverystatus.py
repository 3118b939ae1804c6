"""Messages that tell what became of a message: undeliverable, delayed, handed on, delivered.

A report has three parts: a text for the person, fields for programs, and the message or its header. Its own octets
are made here in two pieces, between which the message is put, so that no message is ever held for its report.

RFC: 3464 (delivery status), 3461 §6 (contents), 6522 (multipart/report), 6533 (addresses that are not ASCII),
3834 §5 (Auto-Submitted)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

EXPIRED = "5.4.7"
"""The status of what was tried until its time was over. RFC: 3463 §3.5 (X.4.7)"""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]+")
_LONGEST_TEXT = 900


class Action(Enum):
    """What became of a message for one recipient. RFC: 3464 §2.3.3"""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a message for one recipient."""

    recipient: str
    """The address that the message was sent to."""
    status: str
    """The enhanced status code. RFC: 3463"""
    text: str
    """Why, as a person can read it; what the other server said, where `host` is given."""
    host: str = ""
    """The server that said so; "" for this one."""
    original: str | None = None
    """ORCPT, `type;address`. RFC: 3464 §2.3.1"""
    until: str = ""
    """The date-time up to which it is tried, for a delay. RFC: 3464 §2.3.9"""


@dataclass(frozen=True, slots=True)
class Report:
    """One report to one person."""

    action: Action
    fates: Sequence[Fate]
    to: str
    """Who sent the message."""
    hostname: str
    date: str
    """Of the report."""
    arrived: str
    """When the message was handed over."""
    token: str
    """Random, for the boundary and the Message-ID."""
    envelope_id: str | None = None
    whole: bool = False
    """The message comes back, not just its header."""
    eight_bit: bool = False
    """What comes back has other octets than ASCII."""


_SUBJECTS = {
    Action.FAILED: "Undelivered mail returned to sender",
    Action.DELAYED: "Mail is delayed, and still being tried",
    Action.DELIVERED: "Mail was delivered",
    Action.RELAYED: "Mail was handed on",
}
_TEXTS = {
    Action.FAILED: "Your message could not be delivered to:",
    Action.DELAYED: "Your message could not be delivered yet. You need do nothing: it is tried again. This is about:",
    Action.DELIVERED: "Your message was delivered to:",
    Action.RELAYED: "Your message was handed on to a server that tells nothing about what becomes of it. It was for:",
}


def framed(report: Report) -> tuple[bytes, bytes]:
    """What stands before and behind the returned message (or its header) in a report; CRLF line ends."""
    utf8 = not all(each.recipient.isascii() and (each.original or "").isascii() for each in report.fates)
    boundary = f"=_{report.token}"
    status_type = "message/global-delivery-status" if utf8 else "message/delivery-status"
    global_ = utf8 and report.eight_bit
    whole, header = (
        ("message/global", "message/global-headers") if global_ else ("message/rfc822", "text/rfc822-headers")
    )
    returned = whole if report.whole else header
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{report.hostname}>",
        f"To: <{_clean(report.to)}>",
        f"Subject: {_SUBJECTS[report.action]}",
        f"Date: {report.date}",
        f"Message-ID: <{report.token}@{report.hostname}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f"Content-Type: multipart/report; report-type={'global-' if utf8 else ''}delivery-status;",
        f'\tboundary="{boundary}"',
        "",
        "This is a report about a message, in parts for a person and for programs.",
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        *_text(report),
        "",
        f"--{boundary}",
        f"Content-Type: {status_type}",
        *(["Content-Transfer-Encoding: 8bit"] if utf8 else []),
        "",
        *_fields(report),
        f"--{boundary}",
        f"Content-Type: {returned}",
        *(["Content-Transfer-Encoding: 8bit"] if report.eight_bit else []),
        "",
        "",
    ]
    return "\r\n".join(lines).encode(errors="replace"), f"\r\n--{boundary}--\r\n".encode()


def _text(report: Report) -> Iterator[str]:
    """The part for the person."""
    yield f"This is the mail server {report.hostname}."
    yield ""
    yield _TEXTS[report.action]
    for fate in report.fates:
        yield ""
        yield f"    {_clean(fate.recipient)}"
        if fate.host:
            yield f"    {_clean(fate.host)} said: {_clean(fate.text)}"
        elif fate.text:
            yield f"    {_clean(fate.text)}"
        if fate.status == EXPIRED:
            yield "    It was tried again and again; now its time is over."
        if fate.until:
            yield f"    It is tried until {fate.until}."
    yield ""
    if report.action is Action.FAILED:
        yield "It is not tried again for these recipients."
    yield f"Your message {'itself' if report.whole else 'comes back as its header, which'} stands below."


def _fields(report: Report) -> Iterator[str]:
    """The part for programs: one block for the message, one for each recipient. RFC: 3464 §2.2, §2.3"""
    if report.envelope_id is not None:
        yield f"Original-Envelope-Id: {_clean(report.envelope_id)}"
    yield f"Reporting-MTA: dns; {report.hostname}"
    yield f"Arrival-Date: {report.arrived}"
    yield ""
    for fate in report.fates:
        if fate.original is not None:
            kind, _, address = fate.original.partition(";")
            yield f"Original-Recipient: {_clean(kind)};{_clean(address)}"
        yield f"Final-Recipient: {'rfc822' if fate.recipient.isascii() else 'utf-8'};{_clean(fate.recipient)}"
        yield f"Action: {report.action.value}"
        yield f"Status: {fate.status}"
        if fate.host:
            yield f"Remote-MTA: dns; {_clean(fate.host)}"
            yield f"Diagnostic-Code: smtp; {_ascii(fate.text)}"
        elif fate.text:
            yield f"Diagnostic-Code: X-Mailpost; {_ascii(fate.text)}"
        if fate.until:
            yield f"Will-Retry-Until: {fate.until}"
        yield ""


def _clean(text: str) -> str:
    """Text for one line, whatever a client or server made up."""
    return _UNSAFE.sub(" ", text)[:_LONGEST_TEXT]


def _ascii(text: str) -> str:
    return _clean(text).encode("ascii", "replace").decode()
