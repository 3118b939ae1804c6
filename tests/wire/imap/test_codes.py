"""RFC: 5530 §3"""

import pytest

from mailpost.mail.errors import BadUrlError, ErrorKind, MailError
from mailpost.wire.imap.codes import code_of


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_has_a_code(kind: ErrorKind) -> None:
    code = code_of(MailError(kind, "for a person"))
    assert code.isascii()
    assert b"]" not in code


def test_some_codes() -> None:
    assert code_of(MailError(ErrorKind.NO_TARGET, "")) == b"TRYCREATE"
    assert code_of(MailError(ErrorKind.BAD_CHARSET, "")) == b"BADCHARSET (US-ASCII UTF-8)"


def test_a_bad_url_is_named_and_can_do_no_harm() -> None:
    assert code_of(BadUrlError("", b"/INBOX/;UID=1")) == b"BADURL /INBOX/;UID=1"
    assert code_of(BadUrlError("", b"]\r\na OK \xff")) == b"BADURL ???a?OK??"
