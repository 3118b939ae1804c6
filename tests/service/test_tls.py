from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from mailpost.service.tls import Certificate, CertificateError

from .certificates import write_certificate


def served(certificate: Certificate, method: int = SSL.TLS_CLIENT_METHOD, most: int | None = None) -> str:
    """Shake hands in memory; the common name that the client was shown."""
    context = SSL.Context(method)
    if most is not None:
        context.set_max_proto_version(most)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
    client = SSL.Connection(context, None)
    client.set_connect_state()
    server = certificate.serverConnectionForTLS(None)  # type: ignore[arg-type]
    server.set_accept_state()
    for _ in range(6):
        for end, other in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                end.do_handshake()
            with suppress(SSL.WantReadError):
                other.bio_write(end.bio_read(1 << 16))
    shown = client.get_peer_certificate(as_cryptography=True)
    assert shown is not None
    return shown.subject.rfc4514_string().removeprefix("CN=")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    files = (tmp_path / "cert.pem", tmp_path / "key.pem")
    write_certificate(*files)
    return files


def test_it_is_read_again_when_it_changes(files: tuple[Path, Path]) -> None:
    clock = Clock()
    certificate = Certificate(*files, clock.seconds)
    verifyObject(IOpenSSLServerConnectionCreator, certificate)
    assert served(certificate) == "localhost"
    write_certificate(*files, name="new.example.org")
    assert served(certificate) == "localhost", "looked at once a second"
    clock.advance(1)
    assert served(certificate) == "new.example.org"
    write_certificate(*files, name="hup.example.org")
    certificate.reload()
    assert served(certificate) == "hup.example.org"


def test_a_broken_one_keeps_the_old_one_and_is_logged(files: tuple[Path, Path], tmp_path: Path) -> None:
    certificate = Certificate(*files, Clock().seconds)
    events: list[str] = []

    def note(event: dict[str, object]) -> None:
        events.append(str(event.get("reason")))

    globalLogPublisher.addObserver(note)
    try:
        files[0].write_text("rubbish")
        certificate.reload()
        assert served(certificate) == "localhost"
        write_certificate(files[0], tmp_path / "other.pem")
        certificate.reload()
        assert served(certificate) == "localhost"
        files[0].unlink()
        certificate.reload()
        assert served(certificate) == "localhost"
        certificate.reload()
    finally:
        globalLogPublisher.removeObserver(note)
    assert [event.partition(": ")[2] for event in events] == [
        "has no certificate in PEM form",
        f"is not the key of {files[0]}",
        "cannot be read: No such file or directory",
    ]
    write_certificate(*files, name="back")
    certificate.reload()
    assert served(certificate) == "back"


def test_old_versions_are_refused(files: tuple[Path, Path]) -> None:
    certificate = Certificate(*files, Clock().seconds)
    assert served(certificate, most=SSL.TLS1_2_VERSION) == "localhost"
    with pytest.raises(SSL.Error):
        served(certificate, most=SSL.TLS1_1_VERSION)


def test_a_key_behind_a_password_is_an_error_and_no_question(files: tuple[Path, Path]) -> None:
    files[1].write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n")
    with pytest.raises(CertificateError, match="without a password"):
        Certificate(*files, Clock().seconds)
