"""The tree of parts: what is in it, and that nothing breaks it. RFC: 2045, 2046 §5.1, §5.2.1"""

from __future__ import annotations

import email
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.mime import DEEPEST, MOST_PARTS, Part, parse
from tests.corpus import messages, nested

MIXED = (
    b'Content-Type: Multipart/Mixed; boundary="x y"\r\n\r\npreamble\r\n--x y\r\n\r\none\r\n--x y  \r\n'
    b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n.\r\n--x y\r\nContent-Type: text/html\r\n"
    b"Content-Transfer-Encoding: BASE64\r\nContent-ID: <1@2>\r\nContent-Description: some\r\n thing\r\n"
    b"Content-MD5: abc\r\nContent-Disposition: attachment; filename=f\r\nContent-Language: en, de\r\n"
    b"Content-Location: here\r\n\r\nPGI+\r\n\r\n--x y--\r\nepilogue\r\n--x y\r\n\r\nnot a part\r\n"
)


def bodies(octets: bytes, part: Part) -> list[bytes]:
    return [octets[child.body : child.end] for child in part.children]


def walk(part: Part) -> list[Part]:
    below = [*part.children, *([part.message] if part.message else [])]
    return [part, *(each for child in below for each in walk(child))]


def check(octets: bytes, root: Part) -> None:
    """Everything lies inside what it is part of, in order."""
    assert (root.start, root.end) == (0, len(octets))
    for part in walk(root):
        assert 0 <= part.start <= part.body <= part.end <= len(octets)
        assert (part.media_type == "multipart") == bool(part.children)
        at = part.body
        for child in part.children:
            assert at <= child.start <= child.end <= part.end
            at = child.end
        if part.message:
            assert (part.message.start, part.message.end) == (part.body, part.end)


def test_a_plain_message() -> None:
    part = parse(b"Subject: x\r\n\r\none\r\ntwo\r\n")
    assert (part.media_type, part.subtype, part.parameters) == ("text", "plain", ((b"charset", b"us-ascii"),))
    assert (part.encoding, part.lines, part.body, part.end) == ("7bit", 2, 14, 24)


def test_a_multipart() -> None:
    root = parse(MIXED)
    assert (root.media_type, root.subtype, root.parameters) == ("multipart", "mixed", ((b"boundary", b"x y"),))
    assert bodies(MIXED, root) == [b"one", b"Subject: in\r\n\r\nbody\r\n.", b"PGI+\r\n"]
    check(MIXED, root)


def test_an_attached_message() -> None:
    attached = parse(MIXED).children[1]
    assert attached.message is not None
    assert MIXED[attached.message.body : attached.message.end] == b"body\r\n."
    assert (attached.lines, attached.message.lines) == (3, 1)


def test_the_lines_of_a_message_are_those_of_its_header_too() -> None:
    for octets in (MIXED, *messages()[:100]):
        for part in walk(parse(octets)):
            if part.media_type in ("text", "message"):
                assert part.lines == octets.count(b"\n", part.body, part.end)


def test_descriptions_of_a_part() -> None:
    part = parse(MIXED).children[2]
    assert (part.media_type, part.subtype, part.encoding, part.lines) == ("text", "html", "base64", 1)
    assert part.parameter(b"charset") == b"us-ascii"
    assert (part.content_id, part.description, part.md5) == (b"<1@2>", b"some thing", b"abc")
    assert part.disposition == (b"attachment", ((b"filename", b"f"),))
    assert (part.language, part.location) == ((b"en", b"de"), b"here")


def test_in_a_digest_parts_are_messages() -> None:
    octets = (
        b"Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: s\n\nbody\n--d\nContent-Type: a/b\n\n.\n--d--"
    )
    first, second = parse(octets).children
    assert (first.media_type, first.subtype, second.media_type) == ("message", "rfc822", "a")
    assert first.message is not None and octets[first.message.body : first.message.end] == b"body"


def test_the_longer_of_two_boundaries_counts() -> None:
    octets = (
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=ab\r\n\r\n"
        b"--ab\r\n\r\n1\r\n--ab\r\n\r\n2\r\n--ab--\r\n--a\r\n\r\n3\r\n--a--\r\n"
    )
    inner, last = parse(octets).children
    assert bodies(octets, inner) == [b"1", b"2"]
    assert octets[last.body : last.end] == b"3"


def test_an_inner_multipart_that_is_never_closed_ends_at_the_outer_boundary() -> None:
    octets = (
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
        b"--i\r\n\r\n1\r\n--a\r\n\r\n2\r\n--a--\r\n"
    )
    inner, last = parse(octets).children
    assert bodies(octets, inner) == [b"1"]
    assert octets[last.body : last.end] == b"2"


def test_a_boundary_ends_a_header() -> None:
    octets = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: text/html\r\n--a\r\n--a\r\n\r\n3"
    root = parse(octets)
    assert bodies(octets, root) == [b"", b"", b"3"]
    assert root.children[0].subtype == "html"
    for kind in (b"multipart/mixed; boundary=b", b"message/rfc822"):
        cut = octets.replace(b"text/html", kind)
        check(cut, parse(cut))


@pytest.mark.parametrize("kind", [b"multipart/mixed", b"multipart/mixed; boundary=none", b'multipart/x; boundary=""'])
def test_a_multipart_without_parts_has_its_body_as_one(kind: bytes) -> None:
    octets = b"Content-Type: " + kind + b"\r\n\r\nsome\r\ntext\r\n"
    root = parse(octets)
    assert bodies(octets, root) == [b"some\r\ntext\r\n"]
    assert (root.children[0].media_type, root.children[0].lines) == ("text", 2)


def test_nesting_is_bounded() -> None:
    for octets in (nested(1_000), b"Content-Type: message/rfc822\r\n\r\n" * 1_000):
        root = parse(octets)
        assert DEEPEST <= len(walk(root)) <= DEEPEST + 3
        check(octets, root)


def test_the_number_of_parts_is_bounded() -> None:
    octets = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n\r\nx\r\n" * (MOST_PARTS + 50)
    root = parse(octets)
    assert len(walk(root)) == MOST_PARTS
    check(octets, root)


OPEN = b"Content-Type: multipart/mixed; boundary=aaaaaaaaaa\r\n\r\n--aaaaaaaaaa\r\n"
NASTY = {
    "a megabyte line": b"Subject: x\r\n\r\n" + b"x" * 1_000_000,
    "a megabyte field": b"Content-Type: text/plain; x=" + b"x" * 1_000_000 + b"\r\n\r\n",
    "a megabyte of folds": b"Subject: x\r\n" + b" \r\n" * 300_000,
    "a megabyte of semicolons": b"Content-Type: text/plain" + b";" * 1_000_000 + b"\r\n\r\n",
    "a megabyte of brackets": b"Content-Type: text/plain" + b"(" * 1_000_000 + b"\r\n\r\n",
    "a megabyte of quotes": b"Content-Disposition: x" + b';a="' * 300_000 + b"\r\n\r\n",
    "a megabyte of pieces": b"Content-Disposition: x" + b"".join(b";a*%d=b" % n for n in range(90_000)) + b"\r\n\r\n",
    "a thousand multiparts deep": nested(1_000) + b"x" * 100_000,
    "look-alikes": OPEN + b"--aaaaaaaaa\r\n" * 100_000,
    "look-alikes in deep nests": nested(1_000) + b"--b\r\n" * 100_000,
    "long boundaries, short lines": nested(80, b"b" * 300) + b"--b\r\n" * 100_000,
    "parts without header end": OPEN + b"--aaaaaaaaaa\r\nx: y\r\n" * 30_000,
    "parts that open one more": OPEN
    + b"--aaaaaaaaaa\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n" * 20_000
    + b"x" * 1_000_000,
    "bare line feeds": b"\n" * 1_000_000,
    "bare carriage returns": b"\r" * 1_000_000,
    "nul": b"\0" * 1_000_000,
}


@pytest.mark.parametrize("octets", NASTY.values(), ids=NASTY.keys())
def test_nasty_messages_take_no_time(octets: bytes) -> None:
    started = time.perf_counter()
    root = parse(octets)
    assert time.perf_counter() - started < 1
    check(octets, root)


FRAGMENTS = [
    b"Content-Type: multipart/mixed; boundary=a\r\n",
    b"Content-Type: multipart/digest; boundary=ab\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: text/html\r\n",
    b"\r\n",
    b"\n",
    b"--a",
    b"--ab",
    b"--a\r\n",
    b"--ab\r\n",
    b"--a--\r\n",
    b"--ab--\n",
    b"x",
    b"\0",
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(b"".join) | st.binary())
def test_any_octets_give_a_tree(octets: bytes) -> None:
    check(octets, parse(octets))


def test_the_corpus_gives_the_parts_that_the_email_package_finds() -> None:
    for octets in messages():
        root = parse(octets)
        check(octets, root)
        theirs = email.message_from_bytes(octets)
        if not theirs.defects and not any(part.defects for part in theirs.walk()) and root.media_type == "multipart":
            ours = [f"{part.media_type}/{part.subtype}" for part in root.children]
            assert ours == [part.get_content_type() for part in theirs.get_payload()]  # type: ignore[union-attr]
