from __future__ import annotations

import shutil
import subprocess

import pytest

from mailpost.accounts.passwords import HashError, hashed, scheme_of, verify

FROM_DOVECOT = [  # made by `doveadm pw -s SCHEME -p secret`, Dovecot 2.3.19
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$xVG1CivAVOxIBJ6/pRv4ww$F6r8iNKUiDgRMBWLMCtA4TVKie/yi2zCiRai9wrNTqs",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$JJ7ce0DWcR9wxutDwoyeAA$ocNAGybu0WgRui0bSlC15LlcvAn+SWxfUIru4OE0y6s",
    "{BLF-CRYPT}$2y$05$xz788skCOAjWRRLCOMq2z.XMTcJHbQ7cKyNWzWJm7.vtS8794sJse",
    "{SHA512-CRYPT}$6$x5Mmqk/R1/w6Qj3M$fN3qAOcUbRCsvbh1O1Q0DQOEqvD744n.44EC91.1/OWVDwYEeVdSJa9izD4rbys3dZvXDltOclCFR1"
    "yL8D.gs.",
    "{SHA256-CRYPT}$5$.LCKzYu.YMSHN0.n$vg4sJ/hjAJeOoKjhMQ/EkDXPgVne84CZ5M7XfuvKvO2",
    "{PBKDF2}$1$gi8eFmYs3.sifPub$5000$4886b644d659caadeba4d05130482bc937e5401e",
    "{SCRAM-SHA-256}4096,YwoKPPyIEEEMY3riGCTWQQ==,y8NvMvggazWxzn+CoMgp0TSS9gQIOORhNiidbzNEpqs=,"
    "HHva0ugzz8oyrr6r4BNHOd1MIiZoXwKbwHVXGyv4iBI=",
    "{PLAIN}secret",
    "{CRYPT}$2y$05$YnyeX.6SbcinGh9C6B04FOzbL0lIfPE8tkG5r57MGACftSu0mi/vS",
    "$2y$05$YnyeX.6SbcinGh9C6B04FOzbL0lIfPE8tkG5r57MGACftSu0mi/vS",
    "{SHA512-CRYPT.B64}JDYkcWFldXA4dVFUaG5NY1guayRYRzlFNndvZzZETVFFdERmL3hxeFNHc0hyOVhzMnRZU3I2NkM0VmxGUkhJY2kuek9KSFV"
    "XNWtrblpzdzZpb2lleC9QRXVJTUJ0WXQ4YUhUcmxScnlFLg==",
    "{SHA256-CRYPT.HEX}24352445654741544479692f727a746341664f2455784d74487a6f732f683732472e356d6c2e333449414f427164734"
    "36a62454a2e66704d796e4f356b6542",
    "{plain.b64}c2VjcmV0",
    "{PBKDF2.B64}JDEkaWliMWN5S1pIMnlUOFNyaSQ1MDAwJDRkOGFlOGYwMWRhYmFjY2ZmMjE4NmYyMWZmYjM1MDJjMjFmNjA2OTc=",
]
NEW = ["ARGON2ID", "BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "PBKDF2", "SCRAM-SHA-256", "PLAIN"]


@pytest.mark.parametrize("stored", FROM_DOVECOT, ids=lambda stored: stored[:14])
def test_hashes_made_by_dovecot(stored: str) -> None:
    assert verify(stored, b"secret")
    assert not verify(stored, b"Secret")
    assert not verify(stored, b"")


@pytest.mark.parametrize("scheme", NEW)
def test_new_hashes(scheme: str) -> None:
    password = "pässwörd".encode()
    stored = hashed(password, scheme)
    assert scheme_of(stored) == scheme
    assert verify(stored, password)
    assert not verify(stored, b"password")
    if scheme != "PLAIN":
        assert stored != hashed(password, scheme), "salted"


@pytest.mark.skipif(shutil.which("doveadm") is None, reason="asks Dovecot, which is not installed")
@pytest.mark.parametrize("scheme", NEW)
def test_dovecot_takes_new_hashes(scheme: str) -> None:
    command = ["doveadm", "pw", "-t", hashed(b"a secret", scheme), "-p", "a secret"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "stored",
    [
        "secret", "{MD5}abc", "{NO", "{}x", "{PLAIN.rot13}x", "{PLAIN.b64}!", "{PLAIN.hex}xy", "{CRYPT}ab01FAX.bQRSU",
    ],
)  # fmt: skip
def test_what_is_no_hash_is_known_without_a_password(stored: str) -> None:
    with pytest.raises(HashError):
        scheme_of(stored)
    with pytest.raises(HashError):
        verify(stored, b"secret")


@pytest.mark.parametrize(
    "stored",
    [
        "{ARGON2ID}rubbish", "{BLF-CRYPT}rubbish", "{SHA512-CRYPT}$6$", "{SHA256-CRYPT}rubbish", "{PBKDF2}$1$x",
        "{PBKDF2}$2$a$1$00", "{PBKDF2}$1$a$b$00", "{SCRAM-SHA-256}4096,a,b", "{SCRAM-SHA-256}4096,?,b,c",
    ],
)  # fmt: skip
def test_a_broken_hash_is_told_apart_from_a_wrong_password(stored: str) -> None:
    with pytest.raises(HashError):
        verify(stored, b"secret")


def test_long_passwords_and_nul() -> None:
    short = "{BLF-CRYPT}$2b$04$" + "C" * 21 + "." + "x" * 31
    assert not verify(short, b"x" * 100), "bcrypt's limit is no error"
    assert not verify("{PLAIN}" + "x" * 2000, b"x" * 2000)
    assert not verify("{PLAIN}a", b"a\0")
    for password in (b"", b"a\0b", b"a\nb", b"a\rb", b"x" * 1025):
        with pytest.raises(HashError):
            hashed(password)
    with pytest.raises(HashError):
        hashed(b"x" * 73, "BLF-CRYPT")
    with pytest.raises(HashError):
        hashed(b"a:b", "PLAIN")
    with pytest.raises(HashError):
        hashed(b"\xff", "PLAIN")
    with pytest.raises(HashError, match="known are ARGON2ID"):
        hashed(b"x", "ROT13")


def test_a_scram_password_is_prepared() -> None:
    stored = hashed("I\u00adX".encode(), "SCRAM-SHA-256")
    assert verify(stored, b"IX")
    odd = hashed(b"\xff\xfe", "SCRAM-SHA-256")
    assert verify(odd, b"\xff\xfe")
