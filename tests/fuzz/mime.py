"""Messages of any octets: structure, envelope, texts, sections, what is stored of them."""

from __future__ import annotations

from mailpost.mail import dates, headers, lineends
from mailpost.mail.completing import authors, completed
from mailpost.mail.encodings import casemapped, decode_header, decode_parameters
from mailpost.mail.envelope import envelope
from mailpost.mail.mime import DEEPEST, Part, parse
from mailpost.mail.preview import LONGEST, preview
from mailpost.mail.searching import body_holds, body_text, header_text, text_holds
from mailpost.mail.sections import Section, SectionKind, UnknownEncodingError, decoded, extract, locate, section
from mailpost.wire.imap.structures import bodystructure_octets, envelope_octets, summarise
from tests.corpus import messages
from tests.fuzz.target import Target
from tests.mail.test_mime import check, walk
from tests.wire.imap.test_structures import value

NAMES = frozenset((b"to", b"subject", b"content-type"))
WORDS = (
    *(b"\r\n", b"\r\n\r\n", b"\n\n", b"--b", b"--b--\r\n", b"--bb\r\n", b"boundary=b\r\n", b'boundary="bb"\r\n'),
    *(b"Content-Type: multipart/mixed; ", b"Content-Type: multipart/digest; ", b"Content-Type: message/rfc822\r\n"),
    *(b"Content-Type: text/html; charset=", b"Content-Type: message/global\r\n", b"utf-8", b"utf-7", b"iso-2022-jp"),
    *(b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n", b"=3D", b"=\r\n"),
    *(b"Content-Disposition: attachment; filename*0*=utf-8''%C3", b"; x*1=", b"Content-Language: en, de\r\n"),
    *(b"Content-ID: <x>\r\n", b"Content-MD5: x\r\n", b"Content-Location: x\r\n", b"Subject: ", b"=?utf-8?q?=C3=A4?="),
    *(b"=?x?b?", b"?=", b"From: ", b"To: a:b@c,<@d:e@f>;", b"Cc: (", b'"x" <', b"Date: Fri, 1 Feb 2002 10:00:00 +0100"),
    *(
        b"References: <x@y>\r\n",
        b"<style>",
        b"</style>",
        b"<!--",
        b"<![",
        b"&amp;",
        b"\n> ",
        b"\n-- \n",
        b" wrote:\r\n",
    ),
)


def mime(octets: bytes) -> None:
    """The first octet says what of the message is repeated, and what is searched for in it."""
    if not octets:
        return
    how, octets = octets[0], octets[1:]
    if how == 255 and octets:  # what is in its later half again and again: what is not linear is seen
        half = len(octets) // 2
        octets = octets[:half] + octets[half:] * (10_000 // (len(octets) - half))
    root = parse(octets)
    check(octets, root)
    structures(octets, root, short=bool(how & 1))
    sections(octets, root, how)
    texts(octets, root, how)
    stored = lineends.normalised(octets)
    assert lineends.to_crlf(lineends.to_stored(stored)) == stored
    header = octets[: root.body]
    authors(header)
    again = completed(header, date="x", message_id="<x@y>")
    assert headers.value(again, b"date") is not None
    assert headers.value(again, b"bcc") is None


def structures(octets: bytes, root: Part, short: bool) -> None:
    """What goes over the wire of them can be read, and so can what is kept of the message."""
    found = envelope(octets)
    first = value(envelope_octets(found))
    assert isinstance(first, list)
    assert len(first) == 10
    whole = bodystructure_octets(root, octets)
    if len(whole) < 10_000:  # the reader of tests is slow
        assert isinstance(value(bodystructure_octets(root, octets, extensions=False) if short else whole), list)
    kept = summarise(octets)
    assert (kept.size, kept.bodystructure) == (len(octets), whole)
    assert headers.select(kept.header, frozenset(), negate=True) == kept.header
    if found.date is not None:
        dates.parse_date(found.date)


KINDS = (None, *SectionKind)
PATHS: list[tuple[int, ...]] = [(), (1,), (2,), (1, 1), (3, 2, 1), (1,) * DEEPEST]


def sections(octets: bytes, root: Part, how: int) -> None:
    """Some parts by their numbers: inside the message, and one of them the same with and without the tree."""
    path, kind = PATHS[how % len(PATHS)], KINDS[how % len(KINDS)]
    assert section(octets, root, path, kind, NAMES) == extract(octets, Section(path, kind, NAMES))
    for path in PATHS:
        for kind in KINDS:
            got = section(octets, root, path, kind, NAMES)
            if got is not None and kind is not SectionKind.HEADER_FIELDS and kind is not SectionKind.HEADER_FIELDS_NOT:
                assert got in octets
        try:
            plain = decoded(octets, root, path)
        except UnknownEncodingError:
            assert locate(root, path) is not None
        else:
            assert (plain is None) == (locate(root, path) is None)


def texts(octets: bytes, root: Part, how: int) -> None:
    """What people read of it, and what a search finds in it."""
    shown = preview(octets, root)
    assert len(shown) <= LONGEST
    assert not any(ord(character) < 32 or ord(character) == 127 for character in shown)
    for part in walk(root)[:20]:
        decode_parameters(part.parameters)
        if part.disposition:
            decode_parameters(part.disposition[1])
    for _, raw in headers.values(octets, 0, root.body)[:20]:
        decode_header(headers.unfolded(raw))
    body, header = body_text(octets), header_text(octets)
    at = how * len(octets) // 256
    for needle in (casemapped(octets[at : at + 5].decode("latin-1")), (body if how & 2 else header)[at : at + 4]):
        if "\n" not in needle and "\r" not in needle:
            assert body_holds(octets, needle) == (needle in body), needle
            assert text_holds(octets, needle) == (needle in body or needle in header), needle


MESSAGES = [octets for octets in messages() if len(octets) < 1_800]
MIME = Target(
    mime,
    [bytes((how,)) + octets for octets in MESSAGES[::4] for how in (0, 1)]
    + [b"\xff" + octets for octets in MESSAGES[:5]],
    WORDS,
)
