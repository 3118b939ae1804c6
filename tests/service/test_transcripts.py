"""What was said on a connection, without what is secret."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import socket
import zlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.service.transcripts import LARGEST_PIECE, MOST_LINES, Transcript
from mailpost.testing import MailServer

SECRET = "TopSecret99"
HIDDEN = b64encode(b"\0ann\0" + SECRET.encode()).decode()

IMAP_LOGIN = [("C", f"a LOGIN ann {SECRET}"), ("S", "a OK"), ("C", "b SELECT INBOX")]
IMAP_QUOTED = [("C", f'a login "ann" "{SECRET} more"'), ("S", "a OK"), ("C", "b SELECT INBOX")]
IMAP_LITERALS = [
    ("C", "a LOGIN {3}"), ("S", "+ go"), ("C", "ann {11+}"), ("C", SECRET), ("S", "* CAPABILITY"), ("S", "a OK"),
    ("C", "b SELECT INBOX"),
]  # fmt: skip
IMAP_PLAIN = [("C", f"a AUTHENTICATE PLAIN {HIDDEN}"), ("S", "a OK"), ("C", "b SELECT INBOX")]
IMAP_DIALOGUE = [
    ("C", "a AUTHENTICATE LOGIN"), ("S", "+ VXNlcg=="), ("C", "YW5u"), ("S", "+ UGFzcw=="), ("C", SECRET),
    ("S", "a NO"), ("C", "b SELECT INBOX"),
]  # fmt: skip
POP3_PASS = [("C", "USER ann"), ("S", "+OK"), ("C", f"PASS {SECRET} more"), ("S", "+OK"), ("C", "SELECT INBOX")]
POP3_APOP = [("C", f"APOP ann {SECRET}"), ("S", "-ERR"), ("C", "SELECT INBOX")]
POP3_SASL = [("C", "AUTH PLAIN"), ("S", "+ "), ("C", HIDDEN), ("S", "+OK in"), ("C", "SELECT INBOX")]
SMTP_PLAIN = [("C", f"AUTH PLAIN {HIDDEN}"), ("S", "235 in"), ("C", "SELECT INBOX")]
SMTP_LOGIN = [
    ("C", "auth login"), ("S", "334 VXNlcg=="), ("C", "YW5u"), ("S", "334 UGFzcw=="), ("C", SECRET), ("S", "535 no"),
    ("C", "SELECT INBOX"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("imap", IMAP_LOGIN),
        ("imap", IMAP_QUOTED),
        ("imap", IMAP_LITERALS),
        ("imap", IMAP_PLAIN),
        ("imap", IMAP_DIALOGUE),
        ("pop3", POP3_PASS),
        ("pop3", POP3_APOP),
        ("pop3", POP3_SASL),
        ("smtp", SMTP_PLAIN),
        ("submission", SMTP_LOGIN),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_secrets_are_never_kept(protocol: str, said: list[tuple[str, str]], at_once: bool) -> None:
    transcript = Transcript(protocol, "127.0.0.1:1", False)
    for who, line in said:
        octets = f"{line}\r\n".encode()
        for piece in [octets] if at_once else [octets[at : at + 1] for at in range(len(octets))]:
            (transcript.received if who == "C" else transcript.sent)(piece)
    text = "\n".join(transcript.lines())
    assert SECRET not in text
    assert HIDDEN not in text
    assert "SELECT INBOX" in text, "what comes behind it is shown"
    assert "***" in text


@given(st.lists(st.binary(max_size=200), max_size=40), st.sampled_from(["imap", "pop3", "smtp"]))
def test_any_octets_are_taken(pieces: list[bytes], protocol: str) -> None:
    transcript = Transcript(protocol, "here", True)
    for number, piece in enumerate(pieces):
        (transcript.sent if number % 2 else transcript.received)(piece)
    assert all(isinstance(line, str) for line in transcript.lines())


def test_a_long_connection_takes_little_memory() -> None:
    transcript = Transcript("imap", "here", False)
    for number in range(5000):
        transcript.received(b"%d NOOP\r\n" % number)
    lines = transcript.lines()
    assert len(lines) == MOST_LINES + 2
    assert "0 NOOP" in lines[1]
    assert "4600 lines left out" in lines[MOST_LINES // 2 + 1]
    assert "4999 NOOP" in lines[-1]


def test_large_pieces_are_cut() -> None:
    transcript = Transcript("imap", "here", False)
    transcript.sent(b"* 1 FETCH (BODY[] {100000}\r\n" + b"x" * 100_000 + b")\r\na OK\r\n")
    transcript.received(b"y" * (2 * LARGEST_PIECE))
    transcript.received(b"PASS the end of the line\r\nb NOOP\r\n")
    lines = transcript.lines()
    assert max(map(len, lines)) < 600
    assert "octets more" in lines[3]
    assert "the end of the line" not in "\n".join(lines)
    assert lines[-1].endswith("C: b NOOP")


def test_all_protocols(mailpost: MailServer) -> None:
    ann = mailpost.user("ann@example.org")
    with smtplib.SMTP(*mailpost.smtp.address, timeout=10) as smtp:
        smtp.sendmail("bob@example.org", ["ann@example.org"], b"Subject: hello\r\n\r\nHello!\r\n")
    with smtplib.SMTP(*mailpost.submission.address, timeout=10) as smtp:
        smtp.starttls(context=mailpost.ssl_context())
        smtp.login(ann.name, ann.password)
    with smtplib.LMTP(*mailpost.lmtp.address, timeout=10) as lmtp:
        lmtp.ehlo("client.example.org")
    with imaplib.IMAP4_SSL(*mailpost.imaps.address, ssl_context=mailpost.ssl_context(), timeout=10) as imap:
        imap.login(ann.name, ann.password)
        imap.select()
    pop3 = poplib.POP3(*mailpost.pop3.address, timeout=10)
    pop3.user(ann.name)
    pop3.pass_(ann.password)
    pop3.quit()
    text = str(mailpost.transcripts)
    assert ann.password not in text
    for expected in (
        "smtp from 127.0.0.1:", "C: Subject: hello", "S: 250 2.0.0", "submission from", "C: STARTTLS", "S: 235 2.7.0",
        "lmtp from", "C: lhlo client.example.org", "imap from", ", inside TLS", "C: ", "SELECT INBOX", "[READ-WRITE]",
        "pop3 from", f"C: USER {ann.name}", "C: PASS ***", "-- closed",
    ):  # fmt: skip
        assert expected in text, text
    assert len(mailpost.transcripts.of("imap")) == 1


def test_compressed_octets_are_counted(mailpost: MailServer) -> None:
    ann = mailpost.user("ann@example.org")
    with socket.create_connection(mailpost.imap.address, timeout=10) as client, client.makefile("rb") as answers:
        client.sendall(f"a LOGIN {ann.name} {ann.password}\r\nb COMPRESS DEFLATE\r\n".encode())
        while not answers.readline().startswith(b"b OK"):
            pass
        compressor = zlib.compressobj(wbits=-15)
        client.sendall(compressor.compress(b"c LOGOUT\r\n") + compressor.flush(zlib.Z_SYNC_FLUSH))
        answers.read()
    said = str(mailpost.transcripts).partition("COMPRESS DEFLATE")[2]
    assert "octets from the client, compressed" in said
    assert "octets to the client, compressed" in said
    assert "LOGOUT" not in said
