"""SCRAM exchanges by the RFCs' numbers, and what is not one.

RFC: 5802 §5, 7677 §3
"""

from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from mailpost.accounts.interfaces import IScramCredentials, Refused
from mailpost.accounts.scram import Exchange, ScramCredentials, ScramError
from mailpost.accounts.verifiers import Verifier
from mailpost.wire.sasl import parse_gs2
from tests.scramclient import ScramClient, verifier

SHA_1 = (
    "SCRAM-SHA-1",
    "3rfcNHYJY1ZVvWVs7j",
    b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
)
SHA_256 = (
    "SCRAM-SHA-256",
    "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
)
PENCIL = verifier("pencil")


@pytest.mark.parametrize("example", [SHA_1, SHA_256], ids=["RFC 5802", "RFC 7677"])
def test_the_examples_of_the_rfcs(example: tuple[str, str, bytes, bytes, bytes, bytes]) -> None:
    mechanism, nonce, client_first, server_first, client_final, server_final = example
    salt = b64decode(server_first.split(b",s=")[1].split(b",")[0])
    exchange = Exchange(mechanism, nonce=nonce)
    assert exchange.begin(*parse_gs2(client_first)) == "user"
    kept = Verifier.of(mechanism, b"pencil", salt)
    assert exchange.server_first(kept) == server_first
    credentials = exchange.finish(client_final)
    verifyObject(IScramCredentials, credentials)
    assert (credentials.username, credentials.mechanism, credentials.server_final) == (b"user", mechanism, b"")
    with pytest.raises(Refused, match="changed meanwhile"):
        credentials.check_verifier(Verifier.of(mechanism, b"pencil"))
    with pytest.raises(Refused, match="wrong password"):
        credentials.check_verifier(Verifier.of(mechanism, b"pen", salt))
    assert credentials.server_final == b""
    credentials.check_verifier(kept)
    assert credentials.server_final == server_final


def exchanged(client: ScramClient, binding: bytes = b"", kept: Verifier = PENCIL) -> ScramCredentials:
    exchange = Exchange("SCRAM-SHA-256", binding)
    exchange.begin(*parse_gs2(client.first()))
    return exchange.finish(client.final(exchange.server_first(kept)))


def test_both_sides_are_proven() -> None:
    for client, binding in (
        (ScramClient("SCRAM-SHA-256", "user", "pencil"), b""),
        (ScramClient("SCRAM-SHA-256", "user", "pencil"), b"not asked for"),
        (ScramClient("SCRAM-SHA-256", "user", "pencil", binding=b"channel"), b"channel"),
        (ScramClient("SCRAM-SHA-256", "user", "pencil", header="y,a=user,"), b""),
        (ScramClient("SCRAM-SHA-256", "a=b,c", "pencil", extension=",x=ignored"), b""),
    ):
        credentials = exchanged(client, binding)
        credentials.check_verifier(PENCIL)
        assert client.trusts(credentials.server_final)


def test_each_exchange_has_a_nonce_of_its_own() -> None:
    clients = [ScramClient("SCRAM-SHA-256", "user", "pencil", nonce="same") for _ in range(2)]
    first = exchanged(clients[0])
    exchanged(clients[1])
    assert clients[0].server_nonce != clients[1].server_nonce
    first.check_verifier(PENCIL)


@pytest.mark.parametrize(
    ("client", "binding"),
    [
        (ScramClient("SCRAM-SHA-256", "user", "pencil", binding=b"channel"), b"another"),
        (ScramClient("SCRAM-SHA-256", "user", "pencil", binding=b"channel"), b""),
        (ScramClient("SCRAM-SHA-256", "user", "pencil", header="p=tls-exporter,,"), b"channel"),
        (ScramClient("SCRAM-SHA-256", "user", "pencil", binding=b"channel", header="n,,"), b"channel"),
    ],
)
def test_another_channel_is_noticed(client: ScramClient, binding: bytes) -> None:
    with pytest.raises(Refused, match="somebody may be between"):
        exchanged(client, binding).check_verifier(PENCIL)


def test_a_header_that_was_changed_on_the_way_is_noticed() -> None:
    client = ScramClient("SCRAM-SHA-256", "user", "pencil", header="y,,")
    exchange = Exchange("SCRAM-SHA-256")
    exchange.begin(*parse_gs2(client.first().replace(b"y,,", b"n,,")))
    with pytest.raises(Refused, match="somebody may be between"):
        exchange.finish(client.final(exchange.server_first(PENCIL))).check_verifier(PENCIL)


@pytest.mark.parametrize("proof", [b"", b"x", bytes(31), bytes(32), bytes(33), bytes(20)])
def test_wrong_proofs(proof: bytes) -> None:
    client = ScramClient("SCRAM-SHA-256", "user", "pencil", proof=proof)
    try:
        credentials = exchanged(client)
    except ScramError:
        assert proof == b""
        return
    with pytest.raises(Refused):
        credentials.check_verifier(PENCIL)
    assert credentials.server_final == b""


def test_a_replayed_final_message_is_refused() -> None:
    client = ScramClient("SCRAM-SHA-256", "user", "pencil", nonce="same")
    exchange = Exchange("SCRAM-SHA-256")
    exchange.begin(*parse_gs2(client.first()))
    final = client.final(exchange.server_first(PENCIL))
    again = Exchange("SCRAM-SHA-256")
    again.begin(*parse_gs2(client.first()))
    again.server_first(PENCIL)
    with pytest.raises(Refused):
        again.finish(final).check_verifier(PENCIL)


def test_a_verifier_of_the_other_mechanism_proves_nothing() -> None:
    credentials = exchanged(ScramClient("SCRAM-SHA-256", "user", "pencil"))
    with pytest.raises(Refused):
        credentials.check_verifier(verifier("pencil", "SCRAM-SHA-1"))


def test_names_are_prepared() -> None:
    """RFC: 5802 §5.1 (n)"""
    client = ScramClient("SCRAM-SHA-256", "I\u00adX\u2168", "pencil")
    assert Exchange("SCRAM-SHA-256").begin(*parse_gs2(client.first())) == "IXIX"


@pytest.mark.parametrize(
    "bare",
    [
        "",
        "n=user",
        "r=x",
        "n=,r=x",
        "n=user,r=",
        "r=x,n=user",
        "n=us=er,r=x",
        "n=us=2cer,r=x",
        "m=x,n=user,r=x",
        "n=user,r=x,n=user",
        "n=user,r=\x7f",
        "n=user,r=ü",
        "n=اa,r=x",
        "n=\ue000,r=x",
        "n=user,r=" + "x" * 3000,
    ],
)
def test_first_messages_that_cannot_be_read(bare: str) -> None:
    header, _ = parse_gs2(b"n,,x")
    with pytest.raises(ScramError):
        Exchange("SCRAM-SHA-256").begin(header, bare)


@pytest.mark.parametrize(
    "final",
    [b"", b"c=biws", b"c=biws,r=x", b"c=biws,r=x,p=*", b"c=biws,p=AAAA,r=x", b"\xff", b"c=biws,r=x,p=" + b"A" * 4000],
)
def test_final_messages_that_cannot_be_read(final: bytes) -> None:
    exchange = Exchange("SCRAM-SHA-256")
    exchange.begin(*parse_gs2(b"n,,n=user,r=x"))
    exchange.server_first(PENCIL)
    with pytest.raises(ScramError):
        exchange.finish(final)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode), st.binary(max_size=200))
def test_any_octets(first: bytes, final: bytes) -> None:
    exchange = Exchange("SCRAM-SHA-256")
    for message in (first, b"n,,n=" + first, b"n,,n=a,r=" + first):
        try:
            exchange.begin(*parse_gs2(message))
        except ValueError:
            exchange.begin(*parse_gs2(b"n,,n=user,r=x"))
        exchange.server_first(PENCIL)
        for last in (final, b"c=biws,r=" + final, b"c=" + final + b",r=x,p=AAAA"):
            try:
                credentials = exchange.finish(last)
            except ScramError:
                continue
            with pytest.raises(Refused):
                credentials.check_verifier(PENCIL)
