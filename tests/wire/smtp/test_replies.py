from __future__ import annotations

import pytest

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.wire.smtp.replies import Reply, of_bug, of_error


def test_one_line_and_more() -> None:
    """RFC: 5321 §4.2.1, 2034 §4"""
    assert Reply(250, "2.0.0", "OK").render() == b"250 2.0.0 OK\r\n"
    assert Reply(354, "", "go on").render() == b"354 go on\r\n"
    assert Reply(250, "", "a\nb\nc").render() == b"250-a\r\n250-b\r\n250 c\r\n"
    assert Reply(550, "5.1.1", "a\nb").render() == b"550-5.1.1 a\r\n550 5.1.1 b\r\n"
    assert Reply(250, "", "").render() == b"250 \r\n"


def test_no_text_makes_a_line_of_its_own() -> None:
    rendered = Reply(550, "5.7.1", "no\r\n250 yes\0\x7f jörg").render()
    assert rendered == b"550-5.7.1 no?\r\n550 5.7.1 250 yes?? j?rg\r\n"


def test_long_texts_are_several_lines() -> None:
    """RFC: 5321 §4.5.3.1.5"""
    lines = Reply(550, "5.7.1", "words " * 300 + "x" * 2000).render().split(b"\r\n")
    assert lines.pop() == b""
    assert all(len(line) < 511 for line in lines)
    assert all(line.startswith(b"550-5.7.1 ") for line in lines[:-1])
    assert lines[-1].startswith(b"550 5.7.1 ")


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_has_a_code_and_a_status_of_the_same_class(kind: ErrorKind) -> None:
    reply = of_error(MailError(kind, "why"))
    assert reply.code // 100 == int(reply.status[0])
    assert reply.code // 100 in (4, 5)
    assert reply.text == "why"


@pytest.mark.parametrize(
    ("kind", "rendered"),
    [
        (ErrorKind.NO_SUCH_USER, b"550 5.1.1 "),
        (ErrorKind.RELAY_DENIED, b"550 5.7.1 "),
        (ErrorKind.OVER_QUOTA, b"452 4.2.2 "),
        (ErrorKind.DISK_FULL, b"452 4.3.1 "),
        (ErrorKind.MESSAGE_TOO_BIG, b"552 5.3.4 "),
        (ErrorKind.TOO_MANY_RECIPIENTS, b"452 4.5.3 "),
        (ErrorKind.UNAVAILABLE, b"451 4.3.0 "),
        (ErrorKind.AUTHENTICATION_FAILED, b"535 5.7.8 "),
        (ErrorKind.LOOP, b"554 5.4.6 "),
    ],
)
def test_codes(kind: ErrorKind, rendered: bytes) -> None:
    assert of_error(MailError(kind, "x")).render() == rendered + b"x\r\n"


def test_a_full_mailbox_by_setting() -> None:
    assert of_error(MailError(ErrorKind.OVER_QUOTA, "x"), over_quota_permanent=True).render() == b"552 5.2.2 x\r\n"


def test_a_bug_has_a_number() -> None:
    assert b"451 4.3.0 Internal error abcd" in of_bug("abcd").render()
