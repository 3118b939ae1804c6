"""Programs that people send and hand over mail with, at LMTP and submission listeners.

RFC: 2033 §4, 6409 §4
"""

from __future__ import annotations

import shutil
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.acceptance.server import Twistd, configured, free_port
from tests.corpus import messages, without_return_path
from tests.service.certificates import write_certificate

MOST = 150
"""Messages of the corpus that are handed over."""
_CONFIG = """\
lmtp = ["tcp:{lmtp}:interface=127.0.0.1", "unix:{folder}/lmtp"]
submission = ["tcp:{submission}:interface=127.0.0.1"]
submissions = ["tcp:{submissions}:interface=127.0.0.1"]
[recipients]
domains = ["example.org"]
[tls]
certificate = "cert.pem"
key = "key.pem"
"""
_TEXT = "From: Ann <ann@example.org>\nTo: bob@example.org\nSubject: by {program}\n\n.a line\n..two dots\n"


@dataclass
class Mail:
    """A server and its ports."""

    server: Twistd
    lmtp: int
    submission: int
    submissions: int

    def filed(self, user: str, subject: str = "") -> list[bytes]:
        """The messages in somebody's INBOX that have this in their subject."""
        client = IMAPClient("127.0.0.1", self.server.port, ssl=False, use_uid=True, timeout=30)
        client.login(user, "pass")
        client.select_folder("INBOX", readonly=True)
        uids = client.search(["SUBJECT", subject] if subject else "ALL")
        found = [row[b"BODY[]"] for _, row in sorted(client.fetch(uids, ["BODY.PEEK[]"]).items())]
        client.logout()
        return found


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mail]:
    folder = tmp_path_factory.mktemp("in")
    ports = {name: free_port() for name in ("lmtp", "submission", "submissions")}
    write_certificate(folder / "cert.pem", folder / "key.pem")
    with configured(folder, users=("ann", "bob"), extra=_CONFIG.format(folder=folder, **ports)) as server:
        yield Mail(server, **ports)


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def run(*command: str, text: str = "") -> tuple[int, str]:
    """Run a program: its exit code and what it said."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@needs("swaks")
@pytest.mark.parametrize("pipeline", [(), ("--pipeline",)], ids=["one by one", "pipelined"])
@pytest.mark.parametrize("place", ["tcp", "unix"])
def test_swaks_hands_over_by_lmtp(mail: Mail, place: str, pipeline: tuple[str, ...]) -> None:
    subject = f"swaks {place} {len(pipeline)}"
    at = ("-s", "127.0.0.1", "-p", str(mail.lmtp)) if place == "tcp" else ("--socket", str(mail.server.folder / "lmtp"))
    to = "ann@example.org,nobody@example.org,BOB@Example.org"
    code, said = run(
        *("swaks", "--protocol", "LMTP", *at, *pipeline, "--from", "<>", "--to", to),
        *("--header", f"Subject: {subject}"),
    )
    assert "<** 550 5.1.1 There is no such user here" in said
    assert "<-  250 2.0.0 <ann@example.org> Message taken" in said
    assert "<-  250 2.0.0 <BOB@Example.org> Message taken" in said
    assert code == 0, said
    for user in ("ann", "bob"):
        (octets,) = mail.filed(user, subject)
        assert octets.startswith(b"Return-Path: <>\r\n")


@needs("swaks")
def test_swaks_speaks_for_another(mail: Mail) -> None:
    code, said = run(
        *("swaks", "--protocol", "LMTP", "-s", "127.0.0.1", "-p", str(mail.lmtp), "--to", "ann", "--from", "e@x.net"),
        *("--xclient-addr", "192.0.2.33", "--xclient-helo", "out.example.net", "--header", "Subject: xclient"),
    )
    assert code == 0, said
    (octets,) = mail.filed("ann", "xclient")
    assert b"Received: from out.example.net ([192.0.2.33])" in octets


@needs("swaks")
@pytest.mark.parametrize("how", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("tls", ["-tls", "-tlsc", "--hide-informational"], ids=["starttls", "implicit", "clear"])
def test_swaks_submits(mail: Mail, how: str, tls: str) -> None:
    subject = f"submitted {how} {tls}"
    port = mail.submissions if tls == "-tlsc" else mail.submission
    common = ("swaks", "-s", "127.0.0.1", "-p", str(port), tls, "--from", "ann@example.org", "--to", "bob@example.org")
    code, said = run(*common, "-a", how, "-au", "ann", "-ap", "pass", "--header", f"Subject: {subject}")
    assert code == 0, said
    (octets,) = mail.filed("bob", subject)
    assert (b"ESMTPA" if "hide" in tls else b"ESMTPSA") in octets
    code, said = run(*common)
    assert code == 23, "MAIL was refused"
    assert "<** 530 5.7.0 Log in first" in said or "<~* 530 5.7.0 Log in first" in said


@needs("curl")
def test_curl_sends(mail: Mail, tmp_path: Path) -> None:
    letter = tmp_path / "letter"
    letter.write_bytes(_TEXT.format(program="curl").replace("\n", "\r\n").encode())
    common = ("curl", "-sS", "--insecure", "--mail-from", "ann@example.org", "--mail-rcpt", "bob@example.org")
    code, said = run(
        *(*common, "--url", f"smtp://127.0.0.1:{mail.submission}/here.example", "--ssl-reqd", "-u", "ann:pass"),
        *("-T", str(letter)),
    )
    assert code == 0, said
    (octets,) = mail.filed("bob", "by curl")
    assert octets.endswith(letter.read_bytes())
    code, said = run(*common, "--url", f"smtps://127.0.0.1:{mail.submissions}", "-u", "ann:wrong", "-T", str(letter))
    assert code == 67, said  # CURLE_LOGIN_DENIED


@needs("msmtp")
def test_msmtp_sends(mail: Mail) -> None:
    text = _TEXT.format(program="msmtp")
    code, said = run(
        *("msmtp", "-C", "/dev/null", "--host=127.0.0.1", f"--port={mail.submission}", "--tls=on"),
        *("--tls-certcheck=off", "--auth=plain", "--user=ann", "--passwordeval=echo pass", "--from=ann@example.org"),
        *("bob@example.org",),
        text=text,
    )
    assert code == 0, said
    (octets,) = mail.filed("bob", "by msmtp")
    assert octets.endswith(text.replace("\n", "\r\n").encode())


def test_smtplib_sends(mail: Mail) -> None:
    context = ssl.create_default_context(cafile=str(mail.server.folder / "cert.pem"))
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    text = _TEXT.format(program="smtplib")
    with smtplib.SMTP("127.0.0.1", mail.submission, timeout=30) as client:
        client.starttls(context=context)
        client.login("ann", "pass")
        assert client.sendmail("ann@example.org", ["bob"], text, ["BODY=8BITMIME", "RET=HDRS"], ["NOTIFY=NEVER"]) == {}
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            client.sendmail("ann@example.org", ["eve@example.net"], text)
        assert caught.value.recipients["eve@example.net"][0] == 550
    (octets,) = mail.filed("bob", "by smtplib")
    assert octets.endswith(text.replace("\n", "\r\n").encode())


def test_real_messages_in_chunks_of_every_size_for_two(mail: Mail) -> None:
    """DATA and BDAT in turns, cut into pieces anywhere: every octet arrives. RFC: 3030 §2, 5321 §4.5.2"""
    sent = [without_return_path(each) for each in messages() if not lone(each) and each.endswith(b"\r\n")][:MOST]
    assert len(sent) > 50
    before = {user: len(mail.filed(user)) for user in ("ann", "bob")}
    with socket.create_connection(("127.0.0.1", mail.lmtp), timeout=60) as client, client.makefile("rb") as answers:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"LHLO x\r\n")
        for number, octets in enumerate(sent):
            head = b"MAIL FROM:<eve@example.net>\r\nRCPT TO:<ann>\r\nRCPT TO:<bob>\r\n"
            if number % 2:
                half = len(octets) // 2
                stream = head + b"BDAT %d\r\n%bBDAT %d LAST\r\n%b" % (
                    *(half, octets[:half]),
                    *(len(octets) - half, octets[half:]),
                )
            else:
                stuffed = (b"\r\n" + octets).replace(b"\r\n.", b"\r\n..")[2:]
                stream = head + b"DATA\r\n" + stuffed + b".\r\n"
            step = 1 + number * 37
            for at in range(0, min(len(stream), step * 60), step):
                client.sendall(stream[at : at + step])
            client.sendall(stream[step * 60 :])
        client.sendall(b"QUIT\r\n")
        codes = [line[:4] for line in answers if line[3:4] == b" "]
    assert codes[:2] == [b"220 ", b"250 "]
    assert set(codes[2:]) <= {b"250 ", b"354 ", b"221 "}, codes
    for user in ("ann", "bob"):
        filed = mail.filed(user)[before[user] :]
        assert len(filed) == len(sent)
        for octets, found in zip(sent, filed, strict=True):
            assert found.endswith(octets)
            added = found[: -len(octets)]
            assert added.startswith(b"Return-Path: <eve@example.net>\r\nDelivered-To: ")


def lone(octets: bytes) -> bool:
    """Whether a CR or LF stands alone."""
    rest = octets.replace(b"\r\n", b"")
    return b"\r" in rest or b"\n" in rest
