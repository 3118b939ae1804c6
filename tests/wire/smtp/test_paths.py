from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mailpost.wire.smtp.paths import quoted_if_needed, take_path


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("<>", ""),
        ("<ann@example.org>", "ann@example.org"),
        ("<ann>", "ann"),
        ("<Postmaster>", "Postmaster"),
        ("<@a.example,@b.example:ann@example.org>", "ann@example.org"),
        ('<"ann lee"@example.org>', '"ann lee"@example.org'),
        ('<"ann"@example.org>', "ann@example.org"),
        (r'<"a\@b"@example.org>', '"a@b"@example.org'),
        (r'<"a\\b\"c"@example.org>', r'"a\\b\"c"@example.org'),
        ('<"a>b"@example.org>', '"a>b"@example.org'),
        ('<""@example.org>', '""@example.org'),
        ("<ann+list=x@example.org>", "ann+list=x@example.org"),
        ("<a..b.@docomo.example>", "a..b.@docomo.example"),
        ("<ann@[127.0.0.1]>", "ann@[127.0.0.1]"),
        ("<ann@[IPv6:2001:db8::1]>", "ann@[IPv6:2001:db8::1]"),
        ("<ann@my_host>", "ann@my_host"),
        ("<jörg@exämple.org>", "jörg@exämple.org"),
        ("<用户@例子.测试>", "用户@例子.测试"),
    ],
)
def test_addresses(text: str, address: str) -> None:
    """RFC: 5321 §4.1.2, §4.1.3"""
    assert take_path(text) == (address, "")
    assert take_path(text + " SIZE=3") == (address, " SIZE=3")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<",
        "ann@example.org",
        "<ann@example.org",
        "<@example.org>",
        "<ann@>",
        "<ann@example..org>",
        "<ann@.org>",
        "<ann@[300.1.1.1]>",
        "<ann@[IPv6:zz]>",
        "<ann@[IPv6:1.2.3.4]>",
        "<ann@[127.0.0.1>",
        "<ann bob@example.org>",
        '<"ann@example.org>',
        '<"a"b@example.org>',
        "<ann@exam ple.org>",
        "<ann@@example.org>",
        "<<ann@example.org>>",
        "<a\u0085b@example.org>",
        "<" + "a" * 1000 + "@example.org>",
        "<" + "@a.example," * 20_000 + ":a@b>",
    ],
)
def test_no_addresses(text: str) -> None:
    assert take_path(text) is None


@given(some.text(some.characters(min_codepoint=32, max_codepoint=126), max_size=20))
def test_a_local_part_comes_back_from_its_quotes(local: str) -> None:
    written = quoted_if_needed(local)
    assert take_path(f"<{written}@example.org>") == (f"{written}@example.org", "")
