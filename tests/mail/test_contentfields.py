"""Content-* fields. RFC: 2045 §5.1, 2183 §2, 2231 §3"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.mail import contentfields
from mailpost.mail.contentfields import Parameters

PLAIN = ("text", "plain", ())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"TEXT/Html; CharSet=UTF-8", ("text", "html", ((b"charset", b"UTF-8"),))),
        (b"text/plain;charset=us-ascii (Plain (nested) text)", ("text", "plain", ((b"charset", b"us-ascii"),))),
        (b'a/b; x="quoted; \\"with\\" (this)"; y=2', ("a", "b", ((b"x", b'quoted; "with" (this)'), (b"y", b"2")))),
        (b"a/b; name=my file.txt ; z=1", ("a", "b", ((b"name", b"my file.txt"), (b"z", b"1")))),
        (b'a/b; name="never closed', ("a", "b", ((b"name", b"never closed"),))),
        (b"text/plain; charset", PLAIN),
        (b"text/plain;", PLAIN),
        (b"text / plain ;; format = flowed", ("text", "plain", ((b"format", b"flowed"),))),
        (b"a/b; x=1; X=2", ("a", "b", ((b"x", b"1"),))),
        (b"a/b; name=\xe4", ("a", "b", ((b"name", b"\xe4"),))),
        (b"text", PLAIN),
        (b"", PLAIN),
        (b"(((", PLAIN),
        (b'"/"', PLAIN),
    ],
)
def test_media_types(value: bytes, expected: contentfields.MediaType) -> None:
    assert contentfields.media_type(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b";name*1=ture.png;name*0=pic", ((b"name", b"picture.png"),)),
        (b";name*0*=utf-8''%C3%BC;name*1=\" b%\"", ((b"name*", b"utf-8''%C3%BC%20b%25"),)),
        (b";filename*=utf-8''%C3%BC;filename=u", ((b"filename*", b"utf-8''%C3%BC"), (b"filename", b"u"))),
    ],
)
def test_values_in_pieces_are_put_together(value: bytes, expected: Parameters) -> None:
    assert contentfields.parameters(value) == expected


def test_dispositions() -> None:
    assert contentfields.disposition(b"Attachment; filename=a.b") == (b"attachment", ((b"filename", b"a.b"),))
    assert contentfields.disposition(b"attachment;filename=x") == (b"attachment", ((b"filename", b"x"),))
    assert contentfields.disposition(b"") is None


def test_transfer_encodings() -> None:
    assert contentfields.transfer_encoding(b"BASE64 (yes)") == "base64"
    assert contentfields.transfer_encoding(b"\xff") == "7bit"


def test_languages() -> None:
    assert contentfields.languages(b"en, de-CH (Swiss), x") == (b"en", b"de-CH", b"x")
    assert contentfields.languages(b"") == ()


@given(st.binary() | st.lists(st.sampled_from([b"a", b"/", b";", b"=", b'"', b"(", b")", b"\\", b"*0"])).map(b"".join))
def test_nothing_fails(value: bytes) -> None:
    kind, subtype, _ = contentfields.media_type(value)
    assert kind and subtype
    assert contentfields.transfer_encoding(value)
    assert isinstance(contentfields.languages(value), tuple)
    disposition = contentfields.disposition(value)
    assert disposition is None or disposition[0]
