"""Other people's clients with the harness: each test is one that a user could have written."""

from __future__ import annotations

import asyncio
import smtplib
from email.message import EmailMessage

import aioimaplib
import aiosmtplib
import flask
import flask_mail
import imap_tools
from django.conf import settings as django_settings
from django.core import mail as django_mail
from imapclient import IMAPClient

from mailpost.testing import AsyncMailServer, MailServer


def welcome() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "shop@example.org", "ann@example.org", "Welcome"
    message.set_content("Confirm: https://example.org/confirm\n\nYour code: 123456\n")
    return message


def test_smtplib(mailpost: MailServer) -> None:
    with smtplib.SMTP(mailpost.smtp.host, mailpost.smtp.port) as client:
        client.send_message(welcome())
    mail = mailpost.user("ann@example.org").inbox.wait(subject="Welcome", timeout=5)
    assert "https://example.org/confirm" in mail.links
    assert mail.code == "123456"


def test_smtplib_with_a_login_inside_tls(mailpost: MailServer) -> None:
    shop = mailpost.user("shop@example.org")
    with smtplib.SMTP(mailpost.submission.host, mailpost.submission.port) as client:
        client.starttls(context=mailpost.ssl_context())
        client.login(shop.name, shop.password)
        client.send_message(welcome())
    assert mailpost.user("ann@example.org").inbox.wait().sender == "shop@example.org"
    assert shop.folder("Sent").wait(subject="Welcome").text.startswith("Confirm")


def test_imapclient(mailpost: MailServer) -> None:
    ann = mailpost.user("ann@example.org")
    ann.inbox.put(welcome())
    with IMAPClient(mailpost.imaps.host, mailpost.imaps.port, ssl_context=mailpost.ssl_context()) as client:
        client.login(ann.name, ann.password)
        client.select_folder("INBOX")
        (uid,) = client.search(["SUBJECT", "Welcome", "UNSEEN"])
        client.add_flags([uid], [b"\\Seen"])
        client.move([uid], "Archive")
    (mail,) = ann.folder("Archive").mails(seen=True)
    assert mail.subject == "Welcome"
    assert ann.inbox.mails() == []


def test_imapclient_waits_in_idle(mailpost: MailServer) -> None:
    ann = mailpost.user("ann@example.org")
    with IMAPClient(mailpost.imap.host, mailpost.imap.port, ssl=False) as client:
        client.login(ann.name, ann.password)
        client.select_folder("INBOX")
        client.idle()
        with smtplib.SMTP(*mailpost.smtp.address) as sender:
            sender.send_message(welcome())
        told = client.idle_check(timeout=10)
        client.idle_done()
    assert (1, b"EXISTS") in told


def test_imap_tools(mailpost: MailServer) -> None:
    ann = mailpost.user("ann@example.org")
    ann.inbox.put(welcome())
    with imap_tools.MailBoxUnencrypted(mailpost.imap.host, mailpost.imap.port).login(ann.name, ann.password) as mailbox:
        (found,) = mailbox.fetch(imap_tools.AND(subject="Welcome", seen=False))
        assert found.from_ == "shop@example.org"
        mailbox.folder.create("Work")
        mailbox.move([found.uid], "Work")
    assert [mail.code for mail in ann.folder("Work").mails()] == ["123456"]


def test_aiosmtplib_and_aioimaplib(async_mailpost: AsyncMailServer) -> None:
    async def test() -> None:
        mailpost = async_mailpost
        ann = mailpost.user("ann@example.org")
        await aiosmtplib.send(welcome(), hostname=mailpost.smtp.host, port=mailpost.smtp.port)
        mail = await ann.inbox.wait(subject="Welcome")
        assert mail.code == "123456"

        client = aioimaplib.IMAP4_SSL(mailpost.imaps.host, mailpost.imaps.port, ssl_context=mailpost.ssl_context())
        await client.wait_hello_from_server()
        assert (await client.login(ann.name, ann.password)).result == "OK"
        await client.select("INBOX")
        answer = await client.search('SUBJECT "Welcome"')
        assert answer.lines[0] == b"1"
        await client.logout()

    asyncio.run(test())


def test_django(mailpost: MailServer) -> None:
    if not django_settings.configured:
        django_settings.configure()
    with django_mail.get_connection(
        "django.core.mail.backends.smtp.EmailBackend", host=mailpost.smtp.host, port=mailpost.smtp.port
    ) as connection:
        message = django_mail.EmailMultiAlternatives(
            "Welcome", "Your code: 123456", "shop@example.org", ["ann@example.org"], ["bob@example.org"], connection
        )
        message.attach_alternative(
            '<p>Your code: <b>123456</b> <a href="https://example.org/go">Go</a></p>', "text/html"
        )
        message.attach("terms.txt", "None.", "text/plain")
        assert message.send() == 1
    mail = mailpost.user("ann@example.org").inbox.wait(subject="Welcome")
    assert (mail.code, mail.links) == ("123456", ["https://example.org/go"])
    assert [each.name for each in mail.attachments] == ["terms.txt"]
    assert "Bcc" not in mailpost.user("bob@example.org").inbox.wait(subject="Welcome")


def test_flask_mail(mailpost: MailServer) -> None:
    app = flask.Flask("shop")
    app.config.update(
        MAIL_SERVER=mailpost.smtp.host, MAIL_PORT=mailpost.smtp.port, MAIL_DEFAULT_SENDER="shop@example.org"
    )
    sender = flask_mail.Mail(app)
    with app.app_context():
        sender.send(flask_mail.Message("Welcome", recipients=["ann@example.org"], body="Your code: 123456"))
    assert mailpost.user("ann@example.org").inbox.wait(subject="Welcome").code == "123456"
