"""The mail of the demonstration account: some of everything that a mail program can meet."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.headerregistry import Address
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP
from email.utils import format_datetime

from mailpost.mail.flags import ANSWERED, DRAFT, FLAGGED, SEEN

ME = Address("Demo Person", "demo", "example.org")
ANN = Address("Ann Archer", "ann", "example.org")
BEN = Address("Ben Okafor", "ben", "example.net")
LIST = Address("garden", "garden", "lists.example.org")


@dataclass(frozen=True, slots=True)
class DemoMessage:
    """One message and where it is filed."""

    folder: str
    flags: frozenset[str]
    date: int
    """INTERNALDATE, seconds since the epoch."""
    octets: bytes
    """With CRLF line ends."""


class Writer:
    """Writes messages: dates run forward, an hour and a bit from one to the next, up to a moment ago."""

    def __init__(self, now: int) -> None:
        self._now = now
        self.messages: list[DemoMessage] = []

    def when(self) -> datetime:
        """The date of the next message."""
        return datetime.fromtimestamp(self._now, timezone(timedelta(hours=2))) - timedelta(minutes=97) * (
            48 - len(self.messages)
        )

    def raw(self, folder: str, text: bytes, *flags: str) -> None:
        """File a message as it stands; `@DATE@` in it becomes its date."""
        when = self.when()
        octets = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").replace(b"@DATE@", format_datetime(when).encode())
        self.messages.append(DemoMessage(folder, frozenset(flags), int(when.timestamp()), octets))

    def write(
        self,
        folder: str,
        sender: Address,
        subject: str,
        text: str | None,
        *flags: str,
        change: Callable[[EmailMessage], None] | None = None,
    ) -> str:
        """File a message with a text, changed by a function before it goes; answers with its Message-ID."""
        message = EmailMessage(policy=SMTP)
        name = f"<demo.{len(self.messages)}@example.org>"
        message["From"] = sender
        message["To"] = BEN if sender is ME else ME
        message["Subject"] = subject
        message["Date"] = self.when()
        message["Message-ID"] = name
        if text is not None:
            message.set_content(text)
        if change:
            change(message)
        self.raw(folder, message.as_bytes(), *flags)
        return name


def messages(now: int) -> list[DemoMessage]:
    """All of them, oldest first.

    Args:
        now: seconds since the epoch; the newest message is a little older.
    """
    writer = Writer(now)
    for part in (_list, _scripts, _structures, _odd, _thread, _sent, _inbox):
        part(writer)
    return writer.messages


def _list(writer: Writer) -> None:
    topics = [
        "Compost, again",
        "Slugs",
        "Which spade?",
        "Rain barrels",
        "Moles!",
        "Tomatoes in May",
        "Old roses",
        "Bees",
    ]
    for number, topic in enumerate(topics):

        def change(message: EmailMessage, number: int = number) -> None:
            message.replace_header("To", LIST)
            message["List-Id"] = "Gardeners of the county <garden.lists.example.org>"
            message["List-Unsubscribe"] = f"<https://lists.example.org/leave/{number}>"
            message["Precedence"] = "list"

        sender = Address(f"Gardener {number + 1}", f"gardener{number + 1}", "lists.example.org")
        text = f"Dear all,\n\nabout {topic.lower()}: what do you do?\n\n-- \nGardener {number + 1}\n"
        writer.write("Lists/Garden", sender, f"[garden] {topic}", text, *([SEEN] if number % 3 else []), change=change)


_SCRIPTS = [
    ("iso-2022-jp", "日本語の件名", "こんにちは。これは ISO-2022-JP の本文です。\n"),
    ("koi8-r", "Привет из Казани", "Добрый день!\nЭто письмо в кодировке KOI8-R.\n"),
    ("utf-8", "Ελληνικά και 🌻", "Καλημέρα! Αυτό το μήνυμα είναι σε UTF-8. 🌻\n"),
    ("iso-8859-8", "שלום רב", "שלום. זו הודעה בעברית.\n"),
    ("gb18030", "你好，世界", "这是一封用 GB18030 编码的邮件。\n"),
    ("utf-8", "مرحبا بكم", "هذه رسالة باللغة العربية.\n"),
    ("iso-8859-1", "Grüße aus Österreich", "Schöne Grüße vom Fuß der Berge, für alle!\n"),
    ("utf-8", "नमस्ते", "यह संदेश हिन्दी में है।\n"),
]


def _scripts(writer: Writer) -> None:
    for charset, subject, text in _SCRIPTS:

        def change(message: EmailMessage, charset: str = charset, text: str = text) -> None:
            message.set_content(text, charset=charset)

        writer.write("Languages/日本語" if "本" in subject else "Languages", ANN, subject, None, SEEN, change=change)


def _picture(red: int, green: int, blue: int, size: int = 48) -> bytes:
    """A square of one colour as PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = size.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    rows = (b"\0" + bytes([red, green, blue]) * size) * size
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _archive() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(zipfile.ZipInfo("plan.txt"), "Fence first, then the gate.\n" * 40)
    return packed.getvalue()


def _structures(writer: Writer) -> None:
    def html(message: EmailMessage) -> None:
        message.add_alternative("<p>The <b>same</b> in <i>colour</i>.</p>", subtype="html")

    def newsletter(message: EmailMessage) -> None:
        message.add_alternative('<h1>News</h1><p><img src="cid:sun@example.org" alt="a square">', subtype="html")
        body = message.get_body(("html",))
        if isinstance(body, MIMEPart):
            body.add_related(_picture(250, 200, 40), "image", "png", cid="<sun@example.org>")

    def attachments(message: EmailMessage) -> None:
        message.add_attachment(_picture(90, 140, 60), "image", "png", filename="fence.png")
        message.add_attachment(_archive(), "application", "zip", filename="plan.zip")
        message.add_attachment("post;metres\ncorner;3\ngate;2\n", subtype="csv", filename="list.csv")

    def named(message: EmailMessage) -> None:
        message.add_attachment(_picture(20, 20, 200), "image", "png", filename="Übersicht – наши планы.png")

    def calendar(message: EmailMessage) -> None:
        event = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1@example.org\r\nSUMMARY:Tea\r\n"
        message.add_alternative(
            event + "END:VEVENT\r\nEND:VCALENDAR\r\n", subtype="calendar", params={"method": "REQUEST"}
        )

    def forward(message: EmailMessage) -> None:
        inner = EmailMessage(policy=SMTP)
        inner["From"], inner["To"], inner["Subject"] = BEN, ANN, "The original, with a picture"
        inner.set_content("See below.\n")
        inner.add_attachment(_picture(200, 30, 30), "image", "png", filename="red.png")
        message.add_attachment(inner)

    write = writer.write
    write("INBOX", ANN, "Plain and HTML", "The same without colour.\n", SEEN, change=html)
    write("INBOX", BEN, "A newsletter with a picture in it", "News, without pictures.\n", change=newsletter)
    write("INBOX", ANN, "Three attachments", "Plans, pictures, numbers.\n", FLAGGED, change=attachments)
    write("INBOX", BEN, "A file name in two alphabets", "It is attached.\n", SEEN, change=named)
    write("INBOX", ANN, "Invitation: tea on Sunday", "Will you come?\n", SEEN, ANSWERED, change=calendar)
    write("INBOX", ANN, "Fwd: The original, with a picture", "Forwarded.\n", SEEN, "$Forwarded", change=forward)
    writer.raw("INBOX", _BOUNCE)
    writer.raw("Lists/Garden", _DIGEST, SEEN)


_BOUNCE = b"""\
From: Mail Delivery System <MAILER-DAEMON@example.org>
To: demo@example.org
Subject: Undelivered Mail Returned to Sender
Date: @DATE@
Message-ID: <bounce.1@example.org>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_report"

--=_report
Content-Type: text/plain; charset=us-ascii

Your message could not be delivered: nobody of that name is here.

--=_report
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.org

Final-Recipient: rfc822; nobody@example.net
Action: failed
Status: 5.1.1

--=_report
Content-Type: message/rfc822

From: demo@example.org
To: nobody@example.net
Subject: Hello?

Are you there?
--=_report--
"""

_DIGEST = b"""\
From: garden-request@lists.example.org
To: garden@lists.example.org
Subject: garden Digest, Vol 7
Date: @DATE@
Message-ID: <digest.7@lists.example.org>
MIME-Version: 1.0
Content-Type: multipart/digest; boundary=next

--next

From: gardener1@lists.example.org
Subject: Hedges

Yew.

--next

From: gardener2@lists.example.org
Subject: Re: Hedges

Hornbeam!

--next--
"""


def _odd(writer: Writer) -> None:
    head = b"From: odd@example.net\nTo: demo@example.org\nDate: @DATE@\n"
    writer.raw("Junk", head + "Subject: Überraschung, als UTF-8 ohne Kodierung\n\nAuch der Körper.\n".encode())
    writer.raw("Junk", head + b"Subject: \xdcberraschung in Latin-1\n\nAnd the body: \xe4\xf6\xfc\xdf.\n", SEEN)
    writer.raw("Junk", head + b"\nNo subject, no identifier, hardly a text.\n")
    writer.raw(
        "Junk",
        head.replace(b"demo@example.org", b"undisclosed-recipients:;")
        + b"Subject: =?utf-8?B?WW91IGhhdmUg?= =?utf-8?Q?won_=E2=82=AC1?= =?x-unknown?Q?,000?=\n"
        b"Content-Type: text/html; charset=x-unknown\n\n<font size=7>Claim it!</font>\n",
    )
    writer.raw("Trash", head + b"Subject: An empty message\n\n", SEEN)
    writer.raw(
        "Trash",
        head + b"Subject: A broken multipart\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=a\n\n"
        b"--a\nContent-Type: text/plain\n\nIts last boundary is missing.\n",
        SEEN,
    )
    long = " ".join(["a subject that goes on and on"] * 12)
    writer.write("Archive", BEN, long, "It had to be said.\n", SEEN)
    lines = "".join(f"{number:5}  The fence has {number} posts, or so it seems tonight.\n" for number in range(1, 4001))
    writer.write("Archive", BEN, "A long message", lines, SEEN, FLAGGED)


def _thread(writer: Writer) -> None:
    """A conversation in two branches, one half of it in Sent."""
    turns = [
        (ANN, "The fence", "Shall we build the fence this spring?\n", None),
        (ME, "Re: The fence", "> this spring?\n\nYes, in April.\n", 0),
        (BEN, "Re: The fence", "I have wood left over.\n", 0),
        (ANN, "Re: The fence", "> in April.\n\nGood. Who brings the saw?\n", 1),
        (ME, "Re: The fence", "> wood left over.\n\nWonderful!\n", 2),
        (BEN, "Re: The fence (saw)", "I do.\n", 3),
    ]
    chains: list[list[str]] = []
    for sender, subject, text, parent in turns:
        before = chains[parent] if parent is not None else []

        def change(message: EmailMessage, before: list[str] = before) -> None:
            if before:
                message["In-Reply-To"] = before[-1]
                message["References"] = " ".join(before)

        folder, flags = ("Sent", [SEEN]) if sender is ME else ("INBOX", [SEEN, ANSWERED])
        chains.append([*before, writer.write(folder, sender, subject, text, *flags, change=change)])


def _sent(writer: Writer) -> None:
    writer.write("Sent", ME, "Seeds", "Could you send me some of yours?\n\nThank you\n", SEEN)
    writer.write("Sent", ME, "Grüße", "Viele Grüße, auch an Jörg.\n", SEEN)
    writer.write("Drafts", ME, "To be finished", "Dear Ben,\n\nwhat I wanted to say\n", SEEN, DRAFT)
    writer.write("Drafts", ME, "", "No subject yet.\n", DRAFT)
    writer.write("Archive", ANN, "Receipt 2024-117", "Paid with thanks: 12.50\n", SEEN, "$Receipt")


def _inbox(writer: Writer) -> None:
    flowed = "This text is flowed: its lines end in a space \nwhere they may be joined.\n"

    def flow(message: EmailMessage) -> None:
        message.set_content(flowed, params={"format": "flowed"})

    writer.write("INBOX", BEN, "Flowed text", None, SEEN, change=flow)
    writer.write("INBOX", Address("Zoë 🌻 Müller", "zoe", "example.net"), "Sunflowers 🌻", "Look at them!\n", FLAGGED)
    writer.write("INBOX", ANN, "Lines that begin with From and a dot", "From here on:\n.\n..\nFrom there.\n")
    writer.write("INBOX", ANN, "Welcome to mailpost", _WELCOME, FLAGGED)


_WELCOME = """\
This mail was made by mailpost itself, when you started it with --demo.

It lies in a Maildir, one file a message: look into mailpost-demo/. Connect as many mail programs as you like,
move things about, and see each follow the other.
"""
