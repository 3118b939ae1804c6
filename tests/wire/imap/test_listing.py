"""RFC: 3501 §6.3.8, 5258, 6154 §5, 5819, 2342 (NAMESPACE), 3348 (CHILDREN), 8438 (STATUS=SIZE)"""

import pytest

from mailpost.wire.imap.commands import Command, ParseError
from mailpost.wire.imap.listing import List, ListReturn, ListSelection, Lsub, Namespace, Status, StatusItem
from tests.wire.imap.wireside import parsed

USES = frozenset({ListSelection.SPECIAL_USE})
CHOSEN = frozenset({ListSelection.SUBSCRIBED, ListSelection.RECURSIVEMATCH})
COUNTS = (StatusItem.MESSAGES, StatusItem.SIZE)


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b'LIST "" ""', List("", ("",))),
        (b'LIST "" *', List("", ("*",))),
        (b"LIST ~/Mail/ %", List("~/Mail/", ("%",))),
        (b'LIST "" &AOk-*', List("", ("é*",))),
        (b'LIST () "" *', List("", ("*",), extended=True)),
        (b'LIST (SPECIAL-USE) "" "*"', List("", ("*",), USES, extended=True)),
        (b'LIST (subscribed RecursiveMatch) "" (a* "b %")', List("", ("a*", "b %"), CHOSEN, extended=True)),
        (
            b'LIST "" % RETURN (SUBSCRIBED CHILDREN SPECIAL-USE)',
            List("", ("%",), returns=frozenset(ListReturn), extended=True),
        ),
        (
            b'list "" % return (status (messages SIZE messages) children)',
            List("", ("%",), returns=frozenset({ListReturn.CHILDREN}), status=COUNTS, extended=True),
        ),
        (b'LIST "" % RETURN ()', List("", ("%",), extended=True)),
        (b'LSUB "" "%"', Lsub("", "%")),
        (b"STATUS inbox (MESSAGES size)", Status("INBOX", COUNTS)),
        (b"STATUS x (HIGHESTMODSEQ)", Status("x", (StatusItem.HIGHESTMODSEQ,))),
        (b"STATUS x (" + b" ".join(item.value for item in StatusItem) + b")", Status("x", tuple(StatusItem))),
        (b"NAMESPACE", Namespace()),
    ],
)
def test_values(octets: bytes, value: Command) -> None:
    assert parsed(octets) == value


@pytest.mark.parametrize(
    "octets",
    [
        b"LIST",
        b'LIST ""',
        b"LIST * *",
        b'LIST "" * *',
        b'LIST "" ()',
        b'LIST (FOO) "" *',
        b'LIST (RECURSIVEMATCH) "" *',
        b'LIST (RECURSIVEMATCH REMOTE) "" *',
        b'LIST "" * RETURN',
        b'LIST "" * RETURN (FOO)',
        b'LIST "" * RETURN (STATUS)',
        b'LIST "" * RETURN (STATUS ())',
        b'LIST "" * RETURN () x',
        b'LSUB ""',
        b'LSUB "" * x',
        b"STATUS x",
        b"STATUS x ()",
        b"STATUS x (FOO)",
        b"STATUS x MESSAGES",
        b"STATUS (MESSAGES)",
    ],
)
def test_errors(octets: bytes) -> None:
    with pytest.raises(ParseError):
        parsed(octets)
