"""Whole sessions, from any octets in any pieces, and what must hold of each: for hypothesis and for a fuzzer."""

from __future__ import annotations

from collections.abc import Sequence

from mailpost.protocols.lmtp.settings import LmtpSettings
from mailpost.protocols.submission.settings import SubmissionSettings
from tests.protocols.smtp.harness import PLAIN, Log, lmtp, submission

PARTS = (
    b"LHLO there.example\r\n",
    b"EHLO there.example\r\n",
    b"HELO x\r\n",
    b"AUTH PLAIN " + PLAIN + b"\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH LOGIN\r\n",
    PLAIN + b"\r\n",
    b"*\r\n",
    b"MAIL FROM:<a@b>\r\n",
    b"MAIL FROM:<> SIZE=10 BODY=8BITMIME SMTPUTF8\r\n",
    b"RCPT TO:<ann>\r\n",
    b"RCPT TO:<full@example.org>\r\n",
    b"RCPT TO:<nobody>\r\n",
    b"DATA\r\n",
    b"Subject: x\r\n\r\nbody\r\n",
    b".\r\n",
    b"\n.\r\n",
    b"\r.\r\n",
    b"..\r\n",
    b"\r",
    b"\n",
    b"BDAT 5\r\n12345",
    b"BDAT 0 LAST\r\n",
    b"BDAT 8 LAST\r\nNOOP\r\n\r\n",
    b"BDAT x\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"VRFY x\r\n",
    b"HELP\r\n",
    b"STARTTLS\r\n",
    b"XCLIENT ADDR=192.0.2.1 HELO=x\r\n",
    b"QUIT\r\n",
    b"x" * 300,
    b"MAIL FROM:<evil@x>\r\nRCPT TO:<ann>\r\nDATA\r\nforged\r\n.\r\n",
)
SIZE = 200


def play(octets: bytes, pieces: Sequence[int], *, users: bool, slow: bool) -> list[bytes]:
    """A session of these octets, cut into pieces of these sizes in turn; raises AssertionError for what must not be.

    Returns:
        The messages that were taken.
    """
    if users:
        server = submission(SubmissionSettings(line_length=200, message_size=SIZE, bad_commands=50), tls=object())
    else:
        server = lmtp(LmtpSettings(line_length=200, message_size=SIZE, bad_commands=50))
    server.receiver.slow = slow
    client = server.connect()
    with Log() as log:
        at, turn = 0, 0
        while at < len(octets):
            size = pieces[turn % len(pieces)] if pieces else len(octets)
            client.sends(octets[at : at + size])
            at, turn = at + size, turn + 1
        server.passes(100 if slow else 2)
        heard = client.heard()
        client.transport.end()
        server.passes(100)
    assert not log.failures, log.failures
    for line in heard.split(b"\r\n"):
        assert not line or (line[:3].isdigit() and line[3:4] in (b" ", b"-")), line
        assert len(line) <= 510
    for each in server.receiver.begun:
        assert bool(each.aborted) != each.committed, "every message is taken or given up, once"
        assert each.aborted <= 1
        assert len(each.octets) <= SIZE
    for each in server.receiver.taken:
        lone = each.octets.replace(b"\r\n", b"")
        assert b"\r" not in lone
        assert b"\n" not in lone
        assert each.recipients
    assert not server.factory.connections._open
    assert not server.factory.commits
    if server.realm is not None:
        assert server.realm.inside == 0
        assert server.realm.logins or not server.receiver.begun, "nothing without a login"
    return [each.octets for each in server.receiver.taken]
