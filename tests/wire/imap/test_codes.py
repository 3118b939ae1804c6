"""RFC: 5530 §3"""

import pytest

from mailpost.mail.errors import ErrorKind
from mailpost.wire.imap.codes import code_of


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_has_a_code(kind: ErrorKind) -> None:
    assert code_of(kind).isascii()
    assert b"]" not in code_of(kind)


def test_some_codes() -> None:
    assert code_of(ErrorKind.NO_TARGET) == b"TRYCREATE"
    assert code_of(ErrorKind.BAD_CHARSET) == b"BADCHARSET (US-ASCII UTF-8)"
