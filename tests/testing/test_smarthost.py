"""A server that sends on what its users submit: queue and retries go by the clock that the test moves."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from pathlib import Path

import pytest
from zope.interface import implementer

from mailpost.api import Arrival, ErrorKind, IDeliveryFilter, MailError, Smarthost, Verdict
from mailpost.testing import MailServer, NoMailError


@implementer(IDeliveryFilter)
class BusyAtFirst:
    """Has no time for the first message."""

    asked = 0

    def decide(self, arrival: Arrival) -> Verdict:
        self.asked += 1
        if self.asked == 1:
            raise MailError(ErrorKind.UNAVAILABLE, "Not now")
        return Verdict()


def test_a_retry(mailpost_factory: Callable[..., MailServer], tmp_path: Path) -> None:
    there = mailpost_factory(filters=[BusyAtFirst()])
    smarthost = Smarthost("127.0.0.1", there.smtp.port, tls="none", queue=tmp_path / "queue", retry_after=(600,))  # type: ignore[arg-type]
    here = mailpost_factory(domains=["example.org"], smarthost=smarthost)
    ann = here.user("ann@example.org")
    with smtplib.SMTP(*here.submission.address, timeout=10) as client:
        client.login(ann.name, ann.password)
        client.sendmail(ann.name, ["bob@example.net", "cid@example.org"], b"Subject: hello\r\n\r\nHello!\r\n")
    assert here.user("cid@example.org").inbox.wait(subject="hello").envelope_from == ann.name
    bob = there.user("bob@example.net")
    with pytest.raises(NoMailError):
        bob.inbox.wait(timeout=0.5)
    here.advance(601)
    assert bob.inbox.wait(subject="hello", timeout=10).envelope_from == ann.name


def test_what_is_for_others_is_refused(mailpost_factory: Callable[..., MailServer]) -> None:
    server = mailpost_factory(domains=["Example.org"])
    with smtplib.SMTP(*server.smtp.address, timeout=10) as client:
        assert client.sendmail("", ["ann@EXAMPLE.org"], b"Subject: hello\r\n\r\n") == {}
        with pytest.raises(smtplib.SMTPRecipientsRefused, match="not one of ours"):
            client.sendmail("", ["bob@example.net"], b"Subject: hello\r\n\r\n")
