"""SCRAM by real clients: GNU SASL, imaplib and IMAPClient (both with scramp as their SCRAM), and Dovecot's users file.

RFC: 5802, 7677, 9266
"""

from __future__ import annotations

import imaplib
import shutil
import ssl
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from imapclient import IMAPClient
from scramp import ScramClient

from tests.acceptance.dovecot import Dovecot, missing
from tests.acceptance.server import Twistd, configured, free_port
from tests.service.certificates import write_certificate

MECHANISMS = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN")
needs_gsasl = pytest.mark.skipif(shutil.which("gsasl") is None, reason="gsasl is not installed")


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twistd]:
    """A server with a certificate for localhost; ann has the password "pass"."""
    folder = tmp_path_factory.mktemp("secure")
    write_certificate(folder / "cert.pem", folder / "key.pem")
    extra = f'imaps = ["tcp:{free_port()}:interface=127.0.0.1"]\n[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n'
    with configured(folder, extra=extra) as running:
        yield running


def gsasl(server: Twistd, *options: str, password: str = "pass") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            "gsasl",
            "--imap",
            "--connect",
            f"localhost:{server.port}",
            "--starttls",
            "--x509-ca-file",
            str(server.folder / "cert.pem"),
            "-a",
            "ann",
            "-p",
            password,
            *options,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@needs_gsasl
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_gnu_sasl_logs_in(secure: Twistd, mechanism: str) -> None:
    options = [] if "PLUS" in mechanism else ["--no-cb"]
    done = gsasl(secure, "-m", mechanism, *options)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert f"AUTHENTICATE {mechanism}" in said
    assert "Client authentication finished (server trusted)" in said


@needs_gsasl
def test_gnu_sasl_chooses_the_strongest(secure: Twistd) -> None:
    done = gsasl(secure)
    assert "AUTHENTICATE SCRAM-SHA-256-PLUS" in done.stdout + done.stderr
    assert done.returncode == 0


@needs_gsasl
def test_gnu_sasl_is_refused(secure: Twistd) -> None:
    for options in (("-m", "SCRAM-SHA-256-PLUS"), ("-m", "SCRAM-SHA-256", "--no-cb")):
        done = gsasl(secure, *options, password="wrong")
        assert done.returncode != 0
        assert "NO [AUTHENTICATIONFAILED]" in done.stdout + done.stderr


def answering(client: ScramClient) -> Callable[[bytes], bytes]:
    """What imaplib and IMAPClient call with each challenge."""

    def first(_: str) -> str:
        return str(client.get_client_first())

    def final(challenge: str) -> str:
        client.set_server_first(challenge)
        return str(client.get_client_final())

    def trusted(challenge: str) -> str:
        client.set_server_final(challenge)
        return ""

    steps = iter((first, final, trusted))
    return lambda challenge: next(steps)(challenge.decode()).encode()


def trusting(server: Twistd) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.folder / "cert.pem"))


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
def test_imaplib_logs_in(secure: Twistd, mechanism: str) -> None:
    with imaplib.IMAP4("localhost", secure.port) as client:
        client.starttls(trusting(secure))
        status, _ = client.authenticate(mechanism, answering(ScramClient([mechanism], "ann", "pass")))
        assert status == "OK"
        assert client.select()[0] == "OK"


def test_imapclient_logs_in_and_is_refused(secure: Twistd) -> None:
    for password, right in (("pass", True), ("wrong", False)):
        with IMAPClient("localhost", port=secure.port, ssl=False) as client:
            client.starttls(trusting(secure))
            answer = answering(ScramClient(["SCRAM-SHA-256"], "ann", password))
            if right:
                client.sasl_login("SCRAM-SHA-256", answer)
                assert client.select_folder("INBOX")[b"EXISTS"] == 0
            else:
                with pytest.raises(client.Error, match="AUTHENTICATIONFAILED"):
                    client.sasl_login("SCRAM-SHA-256", answer)


MBSYNC = """\
IMAPStore far
Host localhost
Port {port}
User ann
Pass pass
AuthMechs {mechanism}
SSLType STARTTLS
CertificateFile {certificate}

MaildirStore near
Path {folder}/
Inbox {folder}/INBOX

Channel all
Far :far:
Near :near:
SyncState *
"""
CYRUS_SCRAM = [*Path("/usr/lib").glob("*/sasl2/libscram.so"), *Path("/usr/lib").glob("sasl2/libscram.so")]


@pytest.mark.skipif(shutil.which("mbsync") is None, reason="mbsync is not installed")
@pytest.mark.skipif(not CYRUS_SCRAM, reason="Cyrus SASL has no SCRAM installed")
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
def test_cyrus_sasl_names_whom_it_acts_for_and_logs_in(secure: Twistd, tmp_path: Path, mechanism: str) -> None:
    (tmp_path / "near").mkdir()
    (tmp_path / "rc").write_text(
        MBSYNC.format(
            port=secure.port, mechanism=mechanism, certificate=secure.folder / "cert.pem", folder=tmp_path / "near"
        )
    )
    done = subprocess.run(
        ["mbsync", "-Dn", "-c", str(tmp_path / "rc"), "all"], capture_output=True, text=True, timeout=60, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert f"AUTHENTICATE {mechanism} {b64encode(b'n,a=ann,n=ann,r=')[:20].decode()}" in said


def test_imaplib_with_cram_md5(tmp_path: Path) -> None:
    server = configured(tmp_path, users=())
    (tmp_path / "users").write_text("ann:{PLAIN}pass\n")
    with server, imaplib.IMAP4("127.0.0.1", server.port) as client:
        assert "AUTH=CRAM-MD5" in client.capabilities
        assert client.login_cram_md5("ann", "pass")[0] == "OK"
        (tmp_path / "users").write_text("ann:{PLAIN}pass\nbob:!\njoe:{SCRAM-SHA-1}4096,c2FsdA==,AAAA,AAAA\n")
        until, announced = time.monotonic() + 20, ["not asked yet"]
        while announced != ["AUTH=PLAIN", "AUTH=LOGIN"]:
            assert time.monotonic() < until, announced
            time.sleep(0.2)
            with imaplib.IMAP4("127.0.0.1", server.port) as other:
                announced = [name for name in other.capabilities if name.startswith("AUTH=")]


@pytest.mark.skipif(bool(missing()), reason=missing() or "it is there")
def test_dovecot_reads_the_users_file_and_hands_no_verifier_on(
    secure: Twistd, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("d")  # short, for its sockets
    users = secure.folder / "users"
    (line,) = [line for line in users.read_text().splitlines() if line.startswith("#mailpost_scram:ann:")]
    with Dovecot(folder / "run", folder, users=users) as dovecot:
        right, wrong = dovecot.try_login("ann", "pass"), dovecot.try_login("ann", "wrong")
        with imaplib.IMAP4("127.0.0.1", dovecot.port) as client:
            assert client.login("ann", "pass")[0] == "OK"
    assert "auth succeeded" in right
    assert "auth failed" in wrong
    told = right + wrong + dovecot.log
    assert "user=ann" in told, "the log has the details"
    assert "mailpost_scram" not in told
    assert line.rpartition(":")[2][:20] not in told
