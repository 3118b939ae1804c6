"""RFC: 4616 (PLAIN)"""

import pytest

from mailpost.wire.sasl import Plain, parse_plain


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
