"""Sections. RFC: 3501 §6.4.5, 9051 §6.4.5"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail.mime import Part, parse
from mailpost.mail.sections import Section, SectionKind, extract, locate, section
from tests.corpus import messages

HEADER, TEXT, MIME = SectionKind.HEADER, SectionKind.TEXT, SectionKind.MIME
FIELDS, NOT = SectionKind.HEADER_FIELDS, SectionKind.HEADER_FIELDS_NOT
SUBJECT = frozenset([b"subject"])

# The parts of the example in RFC 3501: 3 is a message, 4 a multipart whose second part is a message.
INNER = (
    b"Subject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
    b"--i\r\n\r\n3.1\r\n--i\r\nX: y\r\n\r\n3.2\r\n--i--"
)
DEEP = b"Subject: deep\r\n\r\n4.2.1\r\n"
EXAMPLE = (
    b"Subject: outer\r\nFrom: a@b\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\n1\r\n--o\r\n"
    b"Content-Type: a/b\r\n\r\n2\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"\r\n--o\r\n"
    b"Content-Type: multipart/mixed; boundary=p\r\n\r\n--p\r\nContent-Type: image/gif\r\n\r\n4.1\r\n--p\r\n"
    b"Content-Type: message/rfc822\r\n\r\n" + DEEP + b"\r\n--p--\r\n--o--\r\n"
)
PLAIN = b"Subject: x\r\nTo: y\r\n\r\nbody\r\n"
ALONE = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext\r\n"


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ((), None, EXAMPLE),
        ((), FIELDS, b"Subject: outer\r\n\r\n"),
        ((), NOT, b"From: a@b\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"),
        ((), MIME, None),
        ((1,), None, b"1"),
        ((1,), MIME, b"\r\n"),
        ((1,), TEXT, None),
        ((2,), None, b"2"),
        ((2,), MIME, b"Content-Type: a/b\r\n\r\n"),
        ((2, 1), None, None),
        ((3,), None, INNER),
        ((3,), MIME, b"Content-Type: message/rfc822\r\n\r\n"),
        ((3,), HEADER, INNER[: INNER.index(b"--i")]),
        ((3,), TEXT, INNER[INNER.index(b"--i") :]),
        ((3,), FIELDS, b"Subject: inner\r\n\r\n"),
        ((3, 1), None, b"3.1"),
        ((3, 2), None, b"3.2"),
        ((3, 2), MIME, b"X: y\r\n\r\n"),
        ((3, 3), None, None),
        ((4, 1), None, b"4.1"),
        ((4,), HEADER, None),
        ((4, 2), HEADER, b"Subject: deep\r\n\r\n"),
        ((4, 2), TEXT, b"4.2.1\r\n"),
        ((4, 2, 1), None, b"4.2.1\r\n"),
        ((4, 2, 2), None, None),
        ((4, 2, 1, 1), None, None),
        ((0,), None, None),
        ((5,), None, None),
    ],
)
def test_the_example_of_the_rfc(path: tuple[int, ...], kind: SectionKind | None, expected: bytes | None) -> None:
    assert section(EXAMPLE, parse(EXAMPLE), path, kind, SUBJECT) == expected
    assert extract(EXAMPLE, Section(path, kind, SUBJECT)) == expected


def test_a_plain_message_has_its_body_as_part_1() -> None:
    assert extract(PLAIN, Section((1,))) == b"body\r\n"
    assert extract(PLAIN, Section((1,), MIME)) == b"Subject: x\r\nTo: y\r\n\r\n"
    assert extract(PLAIN, Section((), TEXT)) == b"body\r\n"
    for path in ((2,), (1, 1)):
        assert extract(PLAIN, Section(path)) is None
    assert extract(PLAIN, Section((1,), HEADER)) is None


def test_a_message_that_is_another_message() -> None:
    assert extract(ALONE, Section((1,))) == b"Subject: in\r\n\r\ntext\r\n"
    assert extract(ALONE, Section((1,), HEADER)) == b"Subject: in\r\n\r\n"
    assert extract(ALONE, Section((1, 1))) == b"text\r\n"
    assert extract(ALONE, Section((1, 1, 1))) is None


def test_no_field_leaves_the_blank_line() -> None:
    assert extract(PLAIN, Section((), FIELDS, frozenset([b"x-none"]))) == b"\r\n"


def check(octets: bytes, part: Part, path: tuple[int, ...], root: Part) -> None:
    """A part's sections are its octets, and those of the message in it rebuild it."""
    for number, child in enumerate(part.children, 1):
        below = (*path, number)
        assert locate(root, below) is child
        whole = (section(octets, root, below, MIME) or b"") + (section(octets, root, below) or b"")
        assert whole == octets[child.start : child.end]
        if child.message:
            header, text = section(octets, root, below, HEADER), section(octets, root, below, TEXT)
            assert header is not None and text is not None
            assert header + text == section(octets, root, below)
            check(octets, child.message, below, root)
        else:
            check(octets, child, below, root)


def test_sections_rebuild_every_message() -> None:
    for octets in messages():
        root = parse(octets)
        assert (extract(octets, Section((), HEADER)) or b"") + (extract(octets, Section((), TEXT)) or b"") == octets
        check(octets, root, (), root)


@given(st.lists(st.integers(0, 4), max_size=5).map(tuple), st.sampled_from([None, *SectionKind]))
def test_any_path_has_an_answer(path: tuple[int, ...], kind: SectionKind | None) -> None:
    for octets in (EXAMPLE, PLAIN, ALONE, b""):
        found = section(octets, parse(octets), path, kind, SUBJECT)
        assert found is None or found == b"\r\n" or found.removesuffix(b"\r\n") in octets
