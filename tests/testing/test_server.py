"""The server of the harness, as a blocking test uses it; all of it over sockets."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from email.message import EmailMessage
from pathlib import Path
from threading import Timer

import pytest

from mailpost.api import QuotaLimit
from mailpost.service.testcertificates import NoAuthorityError, authority
from mailpost.testing import CriteriaError, Mail, MailServer, NoMailError

Send = Callable[..., None]


def message(
    subject: str, text: str = "Hello!\n", to: str = "ann@example.org", sender: str = "bob@example.org"
) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, to, subject
    made.set_content(text)
    return made


def send(server: MailServer, *messages: EmailMessage) -> None:
    with smtplib.SMTP(*server.smtp.address, timeout=10) as client:
        for each in messages:
            assert client.send_message(each) == {}


def test_a_welcome_mail(mailpost: MailServer) -> None:
    user = mailpost.user("ann@example.org")
    send(mailpost, message("Welcome", "Confirm: https://example.org/confirm\n\nYour code: 123-456\n"))
    mail = user.inbox.wait(subject="Welcome", timeout=5)
    assert "https://example.org/confirm" in mail.links
    assert mail.code == "123456"
    assert (mail["From"], mail.envelope_from, mail.envelope_to) == ("bob@example.org",) * 2 + ("ann@example.org",)
    assert (mail.user, mail.folder, mail.uid, mail.flags) == ("ann@example.org", "INBOX", 1, frozenset())
    assert abs((datetime.now(UTC) - mail.arrived).total_seconds()) < 60
    assert mail.raw.endswith(b"123-456\r\n")


def test_every_recipient_has_an_inbox(mailpost: MailServer) -> None:
    to = ["ann@example.org", "Ann+News@Example.org", "bob@example.net", "postmaster"]
    with smtplib.SMTP(*mailpost.smtp.address, timeout=10) as client:
        assert client.sendmail("", to, b"Subject: all\r\n\r\nHello!\r\n") == {}
        with pytest.raises(smtplib.SMTPRecipientsRefused, match="Nobody can have this address"):
            client.sendmail("", ["../etc@example.org"], b"Subject: nobody\r\n\r\n")
    for each in to:
        assert [mail.subject for mail in mailpost.user(each).inbox.mails()] == ["all"]


def test_users_log_in(mailpost: MailServer) -> None:
    ann = mailpost.user("Ann@example.org")
    assert mailpost.user("ann@EXAMPLE.org").password == ann.password
    assert mailpost.user("bob@example.org").password != ann.password
    ann.inbox.put(message("hello"))
    with imaplib.IMAP4(*mailpost.imap.address, timeout=10) as client:
        client.login(ann.name, ann.password)
        assert client.select() == ("OK", [b"1"])
    with imaplib.IMAP4(*mailpost.imap.address, timeout=10) as client, pytest.raises(imaplib.IMAP4.error):
        client.login(ann.name, "a guess")
    with smtplib.SMTP(*mailpost.submission.address, timeout=10) as sender:
        sender.login(ann.name, ann.password)
        sender.send_message(message("from ann", to="bob@example.org", sender="noreply@example.org"))
    assert mailpost.user("bob@example.org").inbox.wait(subject="from ann").sender == "noreply@example.org"
    assert mailpost.user("cid@example.org", "his own").password == "his own"


def test_wait_gives_what_comes_later(mailpost: MailServer) -> None:
    inbox = mailpost.user("ann@example.org").inbox
    later = Timer(0.2, send, [mailpost, message("later")])
    later.start()
    assert inbox.wait(subject="later", timeout=10).subject == "later"
    later.join()


def test_wait_never_gives_an_old_mail(mailpost: MailServer) -> None:
    inbox = mailpost.user("ann@example.org").inbox
    inbox.put(message("put in"))
    send(mailpost, message("one"), message("two"), message("three"))
    assert inbox.wait(subject="two").subject == "two"
    assert inbox.wait().subject == "one"
    assert mailpost.user("ann@example.org").inbox.wait().subject == "three"
    with pytest.raises(NoMailError):
        inbox.wait(timeout=0)
    assert len(inbox.mails()) == 4


def test_a_cursor_of_ones_own(mailpost: MailServer) -> None:
    inbox = mailpost.user("ann@example.org").inbox
    send(mailpost, message("code", "Your code: 1111\n"))
    cursor = inbox.cursor()
    with pytest.raises(NoMailError, match="was here before"):
        inbox.wait(after=cursor, timeout=0)
    send(mailpost, message("code", "Your code: 2222\n"), message("code", "Your code: 3333\n"))
    assert inbox.wait(subject="code", after=cursor).code == "2222"
    assert inbox.wait(subject="code", after=cursor).code == "3333"
    assert inbox.wait(subject="code").code == "1111"
    inbox.put(message("code", "Your code: 4444\n"))
    with pytest.raises(NoMailError, match="put in by the test"):
        inbox.wait(after=cursor, timeout=0)


def test_a_folder_that_comes_later(mailpost: MailServer) -> None:
    user = mailpost.user("ann@example.org")

    def file() -> None:
        with imaplib.IMAP4(*mailpost.imap.address, timeout=10) as client:
            client.login(user.name, user.password)
            client.create("Work/Reports")
            client.append("Work/Reports", "(\\Flagged)", None, b"Subject: report\r\n\r\nHello!\r\n")  # type: ignore[arg-type]

    later = Timer(0.1, file)
    later.start()
    mail = user.folder("Work/Reports").wait(flagged=True, timeout=10)
    later.join()
    assert (mail.subject, mail.flags, mail.envelope_to) == (
        "report",
        frozenset({"\\Flagged"}),
        None,
    )


@pytest.mark.parametrize(
    ("search", "keys", "found"),
    [
        ("", {}, ["plain", "große Rechnung", "flagged"]),
        ("", {"subject": "GROSSE rechnung"}, ["große Rechnung"]),
        ("", {"from_": "cid", "unseen": True}, ["große Rechnung"]),
        ("", {"seen": True, "flagged": True}, ["flagged"]),
        ("", {"flagged": False, "deleted": False}, ["plain", "große Rechnung"]),
        ("", {"keyword": "$Junk"}, ["flagged"]),
        ("", {"header": ("To", "ann")}, ["plain", "große Rechnung", "flagged"]),
        ("", {"header": {"To": "ann", "Subject": "plain"}}, ["plain"]),
        ("", {"body": ["quoted", "thing"]}, ["plain"]),
        ("", {"body": 'a "quoted\\" thing'}, ["plain"]),
        ("", {"before": date(2001, 1, 1)}, ["flagged"]),
        ("", {"larger": 1000}, ["große Rechnung"]),
        ("", {"uid": "2:*"}, ["große Rechnung", "flagged"]),
        ("", {"not_": "OR SUBJECT plain SUBJECT flagged"}, ["große Rechnung"]),
        ("OR FROM cid SUBJECT plain", {"new": True}, ["plain", "große Rechnung"]),
    ],
)
def test_search_keys(mailpost: MailServer, search: str, keys: dict[str, object], found: list[str]) -> None:
    inbox = mailpost.user("ann@example.org").inbox
    inbox.put(message("plain", 'a "quoted\\" thing\n'))
    inbox.put(message("große Rechnung", "x" * 1000, sender="cid@example.org"))
    inbox.put(message("flagged"), flags=["\\Seen", "\\Flagged", "$Junk"], date=datetime(2000, 1, 1, tzinfo=UTC))
    assert [mail.subject for mail in inbox.mails(search, **keys)] == found


@pytest.mark.parametrize(
    ("search", "keys", "problem"),
    [
        ("", {"subjekt": "x"}, "Unknown search key SUBJEKT"),
        ("SUBJECT", {}, "SUBJECT"),
        ("", {"subject": "a\nb"}, "line end"),
        ("", {"subject": None}, "nothing that can be searched for"),
        ("", {"since": "yesterday"}, "date"),
        ("1:3", {}, "sequence numbers"),
    ],
)
def test_searches_that_are_none(mailpost: MailServer, search: str, keys: dict[str, object], problem: str) -> None:
    with pytest.raises(CriteriaError, match=problem):
        mailpost.user("ann@example.org").inbox.wait(search, **keys)


def test_a_failure_shows_what_came(mailpost: MailServer) -> None:
    ann = mailpost.user("ann@example.org")
    send(
        mailpost,
        message("Hello"),
        message("Welcome", to="bob@example.org"),
        message("Welcome", sender="cid@example.org"),
    )
    ann.inbox.wait(subject="Welcome")
    with pytest.raises(NoMailError) as caught:
        ann.inbox.wait(subject="Welcome", unseen=True, timeout=0.05)
    lines = str(caught.value).splitlines()
    assert lines[0] == 'No mail in INBOX of ann@example.org matches SUBJECT "Welcome" UNSEEN; waited 0.05 s.'
    assert [line.split() for line in lines[1:3]] == [
        ["There", "it", "has:"],
        ["From", "Subject", "Arrived", "(UTC)", "Why", "not"],
    ]
    assert lines[3].startswith("  bob@example.org") and lines[3].endswith('not SUBJECT "Welcome"')
    assert lines[4].startswith("  cid@example.org") and lines[4].endswith("given by an earlier wait")
    assert lines[-1].endswith("INBOX of bob@example.org, and matches")
    with pytest.raises(NoMailError, match="nothing at all"):
        mailpost.user("dan@example.org").inbox.wait(timeout=0)


def test_what_is_put_in(mailpost: MailServer, tmp_path: Path) -> None:
    ann = mailpost.user("ann@example.org")
    (tmp_path / "one.eml").write_bytes(b"Subject: a file\n\nHello!\n")
    (tmp_path / "mbox").write_bytes(b"From ann Mon Jan  1 00:00:00 2001\nSubject: in an mbox\nStatus: R\n\nHello!\n")
    maildir = tmp_path / "maildir"
    for folder in ("cur", "new", "tmp", ".Work/cur", ".Work/new", ".Work/tmp"):
        (maildir / folder).mkdir(parents=True)
    (maildir / "cur" / "1.a:2,S").write_bytes(b"Subject: in a Maildir\n\nHello!\n")
    (maildir / ".Work" / "new" / "2.b").write_bytes(b"Subject: at work\n\nHello!\n")
    ann.inbox.put(
        "Subject: text\n\nHello!\n", b"Subject: octets\r\n\r\nHello!\r\n", tmp_path / "one.eml", tmp_path / "mbox"
    )
    ann.load(maildir)
    ann.folder("inbox").put("Subject: INBOX in any case\n\n")
    assert ann.inbox.clear(subject="any case") == 1
    assert [mail.subject for mail in ann.inbox.mails()] == ["text", "octets", "a file", "in an mbox", "in a Maildir"]
    assert [mail.subject for mail in ann.inbox.mails(seen=True)] == ["in an mbox", "in a Maildir"]
    assert [mail.raw for mail in ann.folder("Work").mails()] == [b"Subject: at work\r\n\r\nHello!\r\n"]
    with pytest.raises(Exception, match="nowhere"):
        ann.inbox.put(tmp_path / "nowhere")


def test_flags_and_removal(mailpost: MailServer) -> None:
    inbox = mailpost.user("ann@example.org").inbox
    inbox.put(message("one"), message("two"))
    one, _ = inbox.mails()
    inbox.add_flags(one, "\\Seen", "$Todo")
    assert one.flags == {"\\Seen", "$Todo"}
    inbox.remove_flags(one, "$Todo")
    assert [mail.flags for mail in inbox.mails()] == [frozenset({"\\Seen"}), frozenset()]
    assert inbox.clear(seen=True) == 1
    assert [mail.subject for mail in inbox.mails()] == ["two"]
    assert inbox.clear() == 1
    assert mailpost.user("ann@example.org").folder("none").clear() == 0


def test_a_folder_that_was_made_anew_is_new(mailpost: MailServer) -> None:
    user = mailpost.user("ann@example.org")
    folder = user.folder("Work")
    folder.put(message("old"))
    with imaplib.IMAP4(*mailpost.imap.address, timeout=10) as client:
        client.login(user.name, user.password)
        client.delete("Work")
        client.create("Work")
        client.append("Work", "", None, b"Subject: new\r\n\r\nHello!\r\n")  # type: ignore[arg-type]
    assert folder.wait().subject == "new"
    assert folder.mails()[0].uid == 1


def test_many_messages(mailpost: MailServer) -> None:
    folder = mailpost.user("ann@example.org").folder("Many")
    folder.fill(2000, seed=7)
    with imaplib.IMAP4(*mailpost.imap.address, timeout=10) as client:
        client.login("ann@example.org", mailpost.user("ann@example.org").password)
        assert client.select("Many") == ("OK", [b"2000"])
    with pytest.raises(NoMailError, match="1980 more, older"):
        folder.wait(timeout=0)


def test_tls_on_every_port(mailpost: MailServer) -> None:
    ann, trusted = mailpost.user("ann@example.org"), mailpost.ssl_context()
    with imaplib.IMAP4_SSL(*mailpost.imaps.address, ssl_context=trusted, timeout=10) as imap:
        assert imap.login(ann.name, ann.password)[0] == "OK"
    with imaplib.IMAP4(*mailpost.imap.address, timeout=10) as imap:
        imap.starttls(trusted)
        assert imap.login(ann.name, ann.password)[0] == "OK"
    pop3 = poplib.POP3_SSL(*mailpost.pop3s.address, context=trusted, timeout=10)
    assert pop3.user(ann.name).startswith(b"+OK")
    pop3.quit()
    with smtplib.SMTP_SSL(*mailpost.submissions.address, context=trusted, timeout=10) as smtp:
        assert smtp.login(ann.name, ann.password)[0] == 235
    with smtplib.SMTP("localhost", mailpost.submission.port, timeout=10) as smtp:
        smtp.starttls(context=trusted)
        assert smtp.login(ann.name, ann.password)[0] == 235
    with pytest.raises(ssl.SSLCertVerificationError):
        imaplib.IMAP4_SSL(*mailpost.imaps.address, ssl_context=ssl.create_default_context(), timeout=10)


def test_without_trustme_there_is_no_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    authority.cache_clear()
    with MailServer() as server:
        assert sorted(server.endpoints) == ["imap", "lmtp", "pop3", "smtp", "submission", "web"]
        send(server, message("hello"))
        assert server.user("ann@example.org").inbox.wait().subject == "hello"
        assert "SSL_CERT_FILE" not in server.environment()
        for use in (lambda: server.imaps, server.ssl_context, lambda: server.ca_file):
            with pytest.raises(NoAuthorityError, match=r"mailpost\[testing\]"):
                use()
    authority.cache_clear()


def test_starttls_of_smtp_is_asked_for(mailpost_factory: Callable[..., MailServer]) -> None:
    for offered in (False, True):
        server = mailpost_factory(smtp_starttls=offered)
        with smtplib.SMTP(*server.smtp.address, timeout=10) as client:
            client.ehlo()
            assert client.has_extn("starttls") is offered
            if offered:
                client.starttls(context=server.ssl_context())
                client.send_message(message("inside TLS"))


def test_where_it_is(mailpost: MailServer) -> None:
    told = mailpost.environment()
    assert told["IMAP_URL"] == mailpost.imap.url == f"imap://127.0.0.1:{mailpost.imap.port}"
    assert (told["SMTP_HOST"], told["SMTP_PORT"]) == ("127.0.0.1", str(mailpost.smtp.port))
    assert told["SSL_CERT_FILE"] == str(mailpost.ca_file)
    assert mailpost.smtp.environment() == {key: told[key] for key in ("SMTP_HOST", "SMTP_PORT", "SMTP_URL")}
    assert "SSL_CERT_FILE" in mailpost.submissions.environment()
    assert len({each.port for each in mailpost.endpoints.values()}) == 9
    assert told["MAILPOST_WEB_URL"] == mailpost.web.url == f"http://127.0.0.1:{mailpost.web.port}"


def test_the_clock_is_moved_on(mailpost: MailServer) -> None:
    ann = mailpost.user("ann@example.org")
    client = imaplib.IMAP4(*mailpost.imap.address, timeout=10)
    client.login(ann.name, ann.password)
    mailpost.advance(29 * 60)
    assert client.noop()[0] == "OK"
    mailpost.advance(31 * 60)
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        client.noop()
    client.shutdown()
    assert "S: * BYE Autologout" in str(mailpost.transcripts)
    send(mailpost, message("later"))
    assert (ann.inbox.wait().arrived - datetime.now(UTC)).total_seconds() > 59 * 60
    with pytest.raises(ValueError, match="back"):
        mailpost.advance(-1)


def test_a_quota(mailpost_factory: Callable[..., MailServer]) -> None:
    server = mailpost_factory(quota=QuotaLimit(messages=1))
    send(server, message("one"))
    with (
        smtplib.SMTP(*server.smtp.address, timeout=10) as client,
        pytest.raises(smtplib.SMTPRecipientsRefused, match="room"),
    ):
        client.send_message(message("two"))


def test_several_servers(mailpost_factory: Callable[..., MailServer]) -> None:
    servers = [mailpost_factory(hostname=f"{number}.test") for number in range(3)]
    for number, server in enumerate(servers):
        send(server, message(f"to {number}"))
    assert [[mail.subject for mail in each.user("ann@example.org").inbox.mails()] for each in servers] == [
        ["to 0"],
        ["to 1"],
        ["to 2"],
    ]


def test_a_server_that_has_stopped(mailpost: MailServer) -> None:
    inbox, address = mailpost.user("ann@example.org").inbox, mailpost.imap.address
    standing = socket.create_connection(address, timeout=10)
    assert standing.recv(4) == b"* OK"
    mailpost.stop()
    mailpost.stop()
    with pytest.raises(RuntimeError, match="does not run"):
        inbox.mails()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=10)
    standing.close()


def test_a_mail_of_many_parts(mailpost: MailServer) -> None:
    made = message("Ünïcode ✓", "Grüße, https://example.org/a.\n")
    made.add_alternative(
        '<p>Visit <a href="https://example.org/b?x=1&amp;y=2">us</a> or <a href="#top">go up</a>, '
        'or https://example.org/c).</p><img src="cid:logo">',
        subtype="html",
    )
    made.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Übersicht.pdf")
    made.add_attachment(message("attached"))
    made.add_attachment("a,b\n", filename="table.csv")
    inbox = mailpost.user("ann@example.org").inbox
    inbox.put(made)
    (mail,) = inbox.mails()
    assert (mail.subject, mail["Subject"]) == ("Ünïcode ✓",) * 2
    assert mail.text == "Grüße, https://example.org/a.\n"
    assert mail.html.startswith("<p>Visit")
    assert mail.links == ["https://example.org/a", "https://example.org/b?x=1&y=2", "https://example.org/c"]
    assert mail.code is None
    assert [(each.name, each.type) for each in mail.attachments] == [
        ("Übersicht.pdf", "application/pdf"),
        ("", "message/rfc822"),
        ("table.csv", "text/plain"),
    ]
    assert mail.attachments[0].octets == b"%PDF"
    assert isinstance(mail, EmailMessage) and mail.get_body(("plain",)).get_content() == mail.text
    assert [type(part) for part in mail.iter_attachments()] == [EmailMessage] * 3
    assert "Ünïcode" in repr(mail)


@pytest.mark.parametrize(
    "raw", [b"", b"\r\n", b"\xff\xfe", b"Content-Type: multipart/mixed\r\n\r\n--", b"From: \xff <\r\n\r\n"]
)
def test_any_octets_are_a_mail(mailpost: MailServer, raw: bytes) -> None:
    inbox = mailpost.user("ann@example.org").inbox
    inbox.put(raw)
    (mail,) = inbox.mails()
    assert (mail.html, mail.links, mail.code) == ("", [], None)
    assert isinstance(mail.text + mail.subject + mail.sender, str)
    with pytest.raises(NoMailError):
        inbox.wait(timeout=0)


def test_nothing_is_left_of_a_server() -> None:
    before = set(threading.enumerate())
    for _ in range(3):
        with MailServer() as server:
            send(server, message("hello"))
            mail = server.user("ann@example.org").inbox.wait()
            assert isinstance(mail, Mail)
    left = [each for each in threading.enumerate() if each not in before and each.name != "mailpost-reactor"]
    for each in left:
        each.join(10)  # its work is done when the server has stopped; that it ends is seen a little later
    assert not any(each.is_alive() for each in left)
