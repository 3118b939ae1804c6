"""What is kept of a password for SCRAM. RFC: 5802 §3, 7677"""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.accounts.passwords import HashError, hashed, plain_of, verifiers_of, verify
from mailpost.accounts.verifiers import SCRAM_MECHANISMS, Verifier, beside, find, read_beside

HASH = "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$c2FsdA$aGFzaA"


@pytest.mark.parametrize("mechanism", SCRAM_MECHANISMS)
def test_a_verifier_is_of_one_password(mechanism: str) -> None:
    made = Verifier.of(mechanism, b"pencil")
    assert made.made_from(b"pencil")
    assert not made.made_from(b"pen")
    assert not made.made_from(b"")
    assert Verifier.parse(mechanism, str(made)) == made
    assert made.usable()
    assert Verifier.of(mechanism, b"pencil") != made, "a salt of its own"
    assert Verifier.of(mechanism, b"pencil", made.salt) == made
    assert "stored_key" not in repr(made)
    assert "server_key" not in repr(made)


def test_passwords_are_prepared() -> None:
    """RFC: 4013 §2"""
    made = Verifier.of("SCRAM-SHA-256", "I\u00adX \u2168".encode())
    assert made.made_from(b"IX IX")
    assert Verifier.of("SCRAM-SHA-256", b"\xff\xfe").made_from(b"\xff\xfe"), "what cannot be prepared is taken as it is"


@pytest.mark.parametrize("scheme", SCRAM_MECHANISMS)
def test_as_scheme_of_a_stored_password(scheme: str) -> None:
    stored = hashed(b"pencil", scheme)
    assert stored.startswith(f"{{{scheme}}}4096,")
    assert verify(stored, b"pencil")
    assert not verify(stored, b"pen")
    (made,) = verifiers_of(stored)
    assert (made.mechanism, made.made_from(b"pencil")) == (scheme, True)
    assert plain_of(stored) is None


def test_a_stored_password_that_is_one() -> None:
    assert plain_of("{PLAIN}pencil") == plain_of("{CLEAR}pencil") == plain_of("{PLAIN.b64}cGVuY2ls") == b"pencil"
    assert plain_of(HASH) is None
    assert verifiers_of("{PLAIN}pencil") == verifiers_of(HASH) == ()
    with pytest.raises(HashError):
        verifiers_of("{SCRAM-SHA-256}rubbish")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4096",
        "x,c2FsdA==,a,b",
        "0,c2FsdA==,{k},{k}",
        "4096,,{k},{k}",
        "4096,c2FsdA==,{k}",
        "4096,c2FsdA==,{k},{k},",
        "4096,c2FsdA==,{k},AAAA",
        "99999999,c2FsdA==,{k},{k}",
        "-4096,c2FsdA==,{k},{k}",
        "4096,*,{k},{k}",
    ],
)
def test_what_is_no_verifier(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Verifier.parse("SCRAM-SHA-256", text.replace("{k}", b64encode(bytes(32)).decode()))


def test_too_few_iterations_or_too_short_a_salt_serve_plain_only() -> None:
    assert not Verifier.of("SCRAM-SHA-256", b"x", b"sixteen octets!!", 4095).usable()
    assert not Verifier.of("SCRAM-SHA-256", b"x", b"short").usable()
    assert Verifier.of("SCRAM-SHA-256", b"x", b"short").made_from(b"x")


def test_beside_a_hash_they_count_for_that_hash_only() -> None:
    text = beside(HASH, b"pencil")
    assert not set(text) & set(" \t\r\n:#")
    verifiers, key = read_beside(HASH, text)
    assert [each.mechanism for each in verifiers] == list(SCRAM_MECHANISMS)
    assert all(each.made_from(b"pencil") for each in verifiers)
    assert find(verifiers, "SCRAM-SHA-1") == verifiers[1]
    assert find((), "SCRAM-SHA-1") is None
    assert len(key) == 16
    assert read_beside(HASH + "x", text) == ((), key)
    assert read_beside(HASH, beside(HASH, b"pencil"))[1] != key


@given(st.text())
def test_what_is_not_beside_is_an_error(text: str) -> None:
    try:
        verifiers, key = read_beside(HASH, text)
    except ValueError:
        return
    assert verifiers == ()
    assert len(key) == 16


def test_a_seal_cannot_be_moved_to_another_key() -> None:
    text = beside(HASH, b"pencil")
    seal, _, rest = text.partition(";")
    octets = b64decode(seal)
    for place in (0, 15, 16, len(octets) - 1):
        other = octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]
        assert read_beside(HASH, f"{b64encode(other).decode()};{rest}")[0] == ()


def test_another_salt_for_a_decoy() -> None:
    made = Verifier.of("SCRAM-SHA-256", b"pencil")
    decoy = made.with_salt_of(b"seed")
    assert decoy == made.with_salt_of(b"seed")
    assert len(decoy.salt) == len(made.salt)
    assert decoy.salt not in (made.salt, made.with_salt_of(b"another").salt)
    assert not decoy.made_from(b"pencil")
