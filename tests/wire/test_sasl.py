"""RFC: 4616 (PLAIN), 2195 (CRAM-MD5), 5802 (SCRAM)"""

import pytest

from mailpost.wire.sasl import Gs2Header, Plain, parse_cram_md5, parse_gs2, parse_plain


def test_plain_has_three_fields() -> None:
    assert parse_plain(b"\0tim\0tanstaaftanstaaf") == Plain(b"", b"tim", b"tanstaaftanstaaf")
    assert parse_plain(b"Ursel\0Kurt\0xipj3plmq") == Plain(b"Ursel", b"Kurt", b"xipj3plmq")


@pytest.mark.parametrize(
    "message",
    [b"", b"tim\0x", b"\0tim\0", b"\0\0x", b"\0tim\0x\0", b"\0t\xff\0x", b"\0tim\0" + b"x" * 2000],
    ids=["empty", "two", "no password", "no user", "four", "not UTF-8", "over-long"],
)
def test_anything_else_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_plain(message)


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(Plain(b"", b"tim", b"secret"))


def test_cram_md5_names_a_user_and_a_digest() -> None:
    """RFC: 2195 §2"""
    message = b"tim b913a602c7eda7a495b4e6e7334d3890"
    assert parse_cram_md5(message) == (b"tim", b"b913a602c7eda7a495b4e6e7334d3890")
    assert parse_cram_md5(b"two words " + b"0" * 32) == (b"two words", b"0" * 32)


@pytest.mark.parametrize(
    "message", [b"", b"tim", b" " + b"0" * 32, b"tim " + b"0" * 31, b"tim " + b"G" * 32, b"x" * 2000 + b" " + b"0" * 32]
)
def test_no_cram_md5(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_cram_md5(message)


@pytest.mark.parametrize(
    ("message", "header"),
    [
        (b"n,,n=joe,r=x", Gs2Header(b"n,,", "n", "", "")),
        (b"y,,n=joe,r=x", Gs2Header(b"y,,", "y", "", "")),
        (b"p=tls-exporter,,n=joe,r=x", Gs2Header(b"p=tls-exporter,,", "p", "tls-exporter", "")),
        (b"n,a=a=2Cb=3D2C,n=joe,r=x", Gs2Header(b"n,a=a=2Cb=3D2C,", "n", "", "a,b=2C")),
        (b"n,a=,n=joe,r=x", Gs2Header(b"n,a=,", "n", "", "")),
        ("n,a=jörg,n=joe,r=x".encode(), Gs2Header("n,a=jörg,".encode(), "n", "", "jörg")),
    ],
)
def test_scram_begins_with_a_header(message: bytes, header: Gs2Header) -> None:
    """RFC: 5802 §7"""
    assert parse_gs2(message) == (header, "n=joe,r=x")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n",
        b"n,",
        b"n,,",
        b"x,,n=joe",
        b"p,,n=joe",
        b"p=,,n=joe",
        b"p=a_b,,n=joe",
        b"F,n,,n=joe",
        b"n,b=x,n=joe",
        b"n,a=x=,n=joe",
        b"n,a=x=2c,n=joe",
        b"n,a=\x00,n=joe",
        b"n,a=\xff,n=joe",
        b"N,,n=joe",
        b",,n=joe",
        b"nn,,n=joe",
    ],
)
def test_no_header_of_scram(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_gs2(message)
