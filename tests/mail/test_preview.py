"""The first words of a message. RFC: 8970 §3.2, §3.3"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.mime import parse
from mailpost.mail.preview import LONGEST, preview


def of(octets: bytes) -> str:
    return preview(octets, parse(octets))


def text(body: bytes, kind: bytes = b"text/plain; charset=utf-8", encoding: bytes = b"8bit") -> bytes:
    return b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (kind, encoding, body)


def multipart(subtype: bytes, *parts: bytes) -> bytes:
    inside = b"".join(b"--b\r\n%b\r\n" % part for part in parts)
    return b"Content-Type: multipart/%b; boundary=b\r\n\r\n%b--b--\r\n" % (subtype, inside)


PLAIN, HTML = text(b"plain words"), text(b"<p>marked up words", b"text/html")
IMAGE = b"Content-Type: image/png\r\n\r\nnot words"


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        (b"", ""),
        (b"Subject: x\r\n\r\n", ""),
        (b"Subject: x\r\n\r\n \r\n\t\r\n", ""),
        (IMAGE, ""),
        (b"Subject: x\r\n\r\nOne  two\r\n\r\n\tthree\r\n", "One two three"),
        (text(b"=C3=9Cber=\r\nall", encoding=b"quoted-printable"), "Überall"),
        (text(b"w5xiZXI=", encoding=b"base64"), "Über"),
        (text(b"words", encoding=b"x-unknown"), ""),
        (text(b"\xdcber", b"text/plain; charset=iso-8859-1"), "Über"),
        (multipart(b"alternative", HTML, PLAIN), "plain words"),
        (multipart(b"alternative", text(b" \r\n"), HTML), "marked up words"),
        (multipart(b"alternative", multipart(b"related", HTML, IMAGE)), "marked up words"),
        (multipart(b"mixed", HTML, PLAIN), "marked up words"),
        (multipart(b"mixed", IMAGE, PLAIN), "plain words"),
        (multipart(b"mixed", b"Content-Disposition: attachment\r\n\r\nfile", PLAIN), "plain words"),
        (multipart(b"encrypted", IMAGE, IMAGE), ""),
        (b"Content-Type: message/rfc822\r\n\r\n" + PLAIN, "plain words"),
    ],
)
def test_which_text_is_shown(octets: bytes, shown: str) -> None:
    assert of(octets) == shown


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"> you said\r\n> so\r\nI say\r\n", "I say"),
        (b"On Monday Ann wrote:\r\n> you said\r\n\r\nI say\r\n", "I say"),
        (b"I say\r\n\r\nAnn wrote:\r\n\r\n> you said\r\n", "I say"),
        (b"Shopping:\r\nbread\r\n", "Shopping: bread"),
        (b"> only this\r\n", "> only this"),
        (b"words\r\n-- \r\nAnn, Director\r\n", "words"),
        (b"words\r\n--\r\nAnn, Director\r\n", "words"),
        (b"-- \r\nAnn, Director\r\n", "-- Ann, Director"),
        (b"a\0b\x07c", "a b c"),
        ("\ufeffwords\u200b \u200c \u034f \u200c".encode(), "words"),
        ("👩\u200d💻 works".encode(), "👩\u200d💻 works"),
        (b"> a very long quote\r\n" * 1_000 + b"At last\r\n", "At last"),
    ],
)
def test_what_is_not_worth_showing(body: bytes, shown: str) -> None:
    assert of(text(body)) == shown


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<html><head><title>t</title><style>p{}</style></head><body><p>One<p>two</body></html>", "One two"),
        ("<script>if (a < b) c()</script>x<!-- not this -->y", "xy"),
        ("<p>f<b>at</b> &amp; thi<i>n</i>&nbsp;&#8364;</p>", "fat & thin €"),
        ("<div>one</div><div>two<br>three</div>", "one two three"),
        ("<head><meta charset=utf-8><p>no end of head<body>seen", "seen"),
        ("<td>a</td><td>b</td>", "a b"),
        ("&lt;b&gt;", "<b>"),
        ("<style>" + "x" * 10_000 + "</style>behind", "behind"),
        ("<![if !mso]>odd<![endif]>", "odd"),
        ("no markup", "no markup"),
        ("<p", ""),
    ],
)
def test_html_is_read(html: str, shown: str) -> None:
    assert of(text(html.encode(), b"text/html; charset=utf-8")) == shown


def test_it_is_short() -> None:
    assert of(text(b"word " * 10_000)) == ("word " * 40).strip()
    assert of(text("ü".encode() * 10_000)) == "ü" * LONGEST
    assert of(text(b"<p>" + b"word " * 10_000, b"text/html")) == ("word " * 40).strip()


@pytest.mark.parametrize("cut", range(4))
def test_the_end_of_what_is_looked_at_cuts_no_character(cut: int) -> None:
    body = b"x " * 20 + b" " * (2_048 - 42 - cut) + "€".encode() * 20 + b" " * 100_000
    assert of(text(body)) == "x " * 20 + "€" * 20
    body = b" " * ((64 << 10) - 10 - cut) + b"end" + b" " * 6 + "€".encode() * 20
    assert "Â" not in of(text(body))
    assert of(text(body)).startswith("end")


@pytest.mark.parametrize("piece", ["<a ", "<!--", "<![CDATA[", "</", "<a href='", "<a>", "&#", " ", "\n>", "a:\n"])
@pytest.mark.parametrize("kind", [b"text/html", b"text/plain"])
def test_the_work_is_bounded(piece: str, kind: bytes) -> None:
    message = text((piece * 1_000_000)[:1_000_000].encode(), kind)
    tree = parse(message)
    began = time.process_time()
    preview(message, tree)
    assert time.process_time() - began < 1


@given(st.binary(max_size=2_000), st.sampled_from([b"text/html", b"text/plain", b"text/plain; charset=utf-7"]))
def test_any_octets(octets: bytes, kind: bytes) -> None:
    shown = of(text(octets, kind))
    assert len(shown) <= LONGEST
    assert shown == shown.strip()
    assert not {"\r", "\n", "\0"} & set(shown)


@given(st.text(alphabet="<>!-/&;'\"= abp[]?", max_size=300))
def test_any_markup(html: str) -> None:
    assert len(of(text(html.encode(), b"text/html"))) <= LONGEST
