"""Mail by way of Debian's Postfix, with the lines of examples/postfix: SMTP in, LMTP over, IMAP out.

RFC: 5321 §4.4, 2033 §4
"""

from __future__ import annotations

import re
import shutil
import smtplib
import time
from collections.abc import Iterator, Sequence

import pytest
from imapclient import IMAPClient

from tests.acceptance.postfix import Postfix, missing
from tests.acceptance.server import Twistd, configured, free_port
from tests.corpus import messages, without_return_path

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

MOST = 100
"""Messages of the corpus that are sent."""
_MARK = b"X-Sent: here\r\n"
_CONFIG = """\
lmtp = ["tcp:{port}:interface=127.0.0.1", "unix:{socket}"]
[recipients]
domains = ["example.org"]
aliases = "aliases"
"""


class Mail:
    """A mailpost and a Postfix before it."""

    def __init__(self, server: Twistd, postfix: Postfix) -> None:
        self.server = server
        self.postfix = postfix

    def client(self, user: str) -> IMAPClient:
        client = IMAPClient("127.0.0.1", self.server.port, ssl=False, use_uid=True, timeout=30)
        client.login(user, "pass")
        return client

    def filed(self, user: str, folder: str, count: int) -> list[bytes]:
        """So many messages of a folder, waited for."""
        client = self.client(user)
        until = time.monotonic() + 60
        while client.folder_status(folder)[b"MESSAGES"] < count:
            assert time.monotonic() < until, self.postfix.log[-5000:]
            time.sleep(0.05)
        client.select_folder(folder)
        found = [row[b"BODY[]"] for row in client.fetch(client.search(), ["BODY.PEEK[]"]).values()]
        client.logout()
        return found


@pytest.fixture(scope="module", params=["unix:{folder}/run/lmtp", "inet:127.0.0.1:{port}"], ids=["unix", "tcp"])
def mail(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mail]:
    port, folder = free_port(), tmp_path_factory.mktemp("mailpost")
    postfix = Postfix(request.param.replace("{port}", str(port)))
    (folder / "aliases").write_text("sales: ann, bob\n")
    run = postfix.folder / "run"  # as docs/operating.md has it made
    run.mkdir()
    shutil.chown(run, group="postfix")
    run.chmod(0o2750)
    extra = _CONFIG.format(port=port, socket=f"{run}/lmtp:mode=660")
    with configured(folder, users=("ann", "bob"), extra=extra) as server, postfix:
        yield Mail(server, postfix)


def send(mail: Mail, addresses: list[str], messages: Sequence[bytes], sender: str = "eve@example.net") -> None:
    """Hand these to Postfix."""
    with smtplib.SMTP("127.0.0.1", mail.postfix.port, timeout=60) as client:
        for octets in messages:
            assert client.sendmail(sender, addresses, octets, ["BODY=8BITMIME"]) == {}


def test_every_octet_of_mail_for_two(mail: Mail) -> None:
    sent = [_MARK + octets for octets in map(without_return_path, messages()) if _passes(octets)][:MOST]
    assert len(sent) > 50
    send(mail, ["ann@example.org", "Bob@Example.org"], sent)
    for user in ("ann", "bob"):
        found = mail.filed(user, "INBOX", len(sent))
        assert sorted(octets[octets.index(_MARK) :] for octets in found) == sorted(sent)
        for octets in found:
            added = octets[: octets.index(_MARK)]
            assert re.match(rb"Return-Path: <eve@example.net>\r\nDelivered-To: (?i:%b)@" % user.encode(), added)
            assert added.count(b"\r\nReceived: ") == 2, "Postfix's and ours"
    assert mail.postfix.waiting == 0


def test_details_and_aliases_go_through(mail: Mail) -> None:
    send(mail, ["ann+archive@example.org", "sales+Junk@example.org"], [b"Subject: detail\r\n\r\ntext\r\n"], sender="")
    (octets,) = mail.filed("ann", "Archive", 1)
    assert octets.startswith(b"Return-Path: <>\r\nDelivered-To: ann+archive@example.org\r\n")
    for user in ("ann", "bob"):
        (octets,) = mail.filed(user, "Junk", 1)
        assert octets.startswith(b"Return-Path: <>\r\nDelivered-To: sales+Junk@example.org\r\n")


def test_who_is_not_there_is_refused_at_once(mail: Mail) -> None:
    with smtplib.SMTP("127.0.0.1", mail.postfix.port, timeout=60) as client:
        client.ehlo()
        assert client.mail("eve@example.net")[0] == 250
        code, text = client.rcpt("nobody@example.org")
        assert (code, text[:5]) == (550, b"5.1.1"), text
        assert b"There is no such user here" in text
        assert client.rcpt("ann@elsewhere.example")[0] == 454
        assert client.rcpt("bob@example.org")[0] == 250


def _passes(octets: bytes) -> bool:
    """Whether a server of SMTP brings this message as it is: lines that end in CRLF and are not too long, a header."""
    header, _, _ = octets.partition(b"\r\n\r\n")
    return (
        octets.endswith(b"\r\n")
        and b"\0" not in octets
        and not re.search(rb"\r(?!\n)|(?<!\r)\n|[^\n]{900}", octets)
        and all(re.match(rb"[!-9;-~]+:|[ \t]+\S", line) for line in header.split(b"\r\n"))
        and not re.search(rb"(?mi)^(return-path|bcc|content-length|resent-bcc):", header)
    )
