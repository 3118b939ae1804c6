"""RFC: 4959 (SASL-IR), 2971 (ID), 5161 (ENABLE), 2177 (IDLE), 3691 (UNSELECT)"""

import pytest

from mailpost.wire.imap.anytime import Authenticate, Enable, Id, Login
from mailpost.wire.imap.commands import Command, ParseError
from tests.wire.imap.wireside import parsed


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b"AUTHENTICATE plain", Authenticate("PLAIN")),
        (b"AUTHENTICATE PLAIN =", Authenticate("PLAIN", b"")),
        (b"AUTHENTICATE PLAIN AHRpbQB4", Authenticate("PLAIN", b"\0tim\0x")),
        (b"AUTHENTICATE SCRAM-SHA-256", Authenticate("SCRAM-SHA-256")),
        (b'LOGIN "a b" x]', Login(b"a b", b"x]")),
        (b'LOGIN "\\"\\\\" ""', Login(b'"\\', b"")),
        (b"ENABLE condstore X-Y", Enable(("CONDSTORE", "X-Y"))),
        (b"ID NIL", Id(None)),
        (b"ID ()", Id(())),
        (b'ID ("name" "x" "version" NIL)', Id(((b"name", b"x"), (b"version", None)))),
    ],
)
def test_values(octets: bytes, value: Command) -> None:
    assert parsed(octets) == value


@pytest.mark.parametrize(
    "octets",
    [
        b"AUTHENTICATE",
        b"AUTHENTICATE PLAIN A",
        b"AUTHENTICATE PLAIN AA=A",
        b"AUTHENTICATE PLAIN A A",
        b"AUTHENTICATE PLAIN -_==",
        b"LOGIN x",
        b"LOGIN x y z",
        b"LOGIN (x) y",
        b"ENABLE",
        b"ENABLE (x)",
        b"ID",
        b"ID x",
        b'ID ("a")',
        b"ID (" + b" ".join([b'"a" "b"'] * 31) + b")",
    ],
)
def test_errors(octets: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        parsed(octets)
    assert caught.value.tag == b"a"


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(Login(b"x", b"secret"))
    assert "secret" not in repr(Authenticate("PLAIN", b"secret"))
    assert repr(Authenticate("PLAIN")) == "Authenticate(mechanism='PLAIN', initial=None)"
