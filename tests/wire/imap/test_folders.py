"""RFC: 3501 §6.3, 6154 §3, 7162 §3.1.8, §3.2.5"""

import pytest

from mailpost.mail.uidset import SequenceSet
from mailpost.wire.imap.commands import Command, ParseError
from mailpost.wire.imap.folders import Create, Delete, QuickResync, Rename, Select, Subscribe, Unsubscribe
from tests.wire.imap.wireside import parsed

KNOWN = SequenceSet(((41, 41), (43, 211)))
MATCHED = (SequenceSet(((1, 1), (3, 3))), SequenceSet(((4, 5),)))


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b"SELECT inbox", Select("INBOX")),
        (b"EXAMINE &U,BTFw-", Select("台北", read_only=True)),
        (b"SELECT x (CONDSTORE)", Select("x", condstore=True)),
        (b"SELECT x (QRESYNC (7 20))", Select("x", condstore=True, qresync=QuickResync(7, 20))),
        (b"SELECT x (QRESYNC (7 20 41,43:211))", Select("x", condstore=True, qresync=QuickResync(7, 20, KNOWN))),
        (
            b"EXAMINE x (CONDSTORE QRESYNC (7 20 41,43:211 (1,3 4:5)))",
            Select("x", True, condstore=True, qresync=QuickResync(7, 20, KNOWN, MATCHED)),
        ),
        (
            b"SELECT x (QRESYNC (7 20 (1,3 4:5)))",
            Select("x", condstore=True, qresync=QuickResync(7, 20, sequence_match=MATCHED)),
        ),
        (b"CREATE a/b/", Create("a/b/")),
        (b"CREATE x (USE (\\sent \\Junk \\Foo \\SENT))", Create("x", ("\\Sent", "\\Junk", "\\Foo"))),
        (b"CREATE x (USE ())", Create("x")),
        (b'DELETE "a b"', Delete("a b")),
        (b"RENAME a {1}\r\nb", Rename("a", "b")),
        (b"SUBSCRIBE a", Subscribe("a")),
        (b"UNSUBSCRIBE a", Unsubscribe("a")),
    ],
)
def test_values(octets: bytes, value: Command) -> None:
    assert parsed(octets) == value


@pytest.mark.parametrize(
    "octets",
    [
        b"SELECT",
        b"SELECT ",
        b"SELECT x y",
        b"SELECT x ()",
        b"SELECT x (FOO)",
        b"SELECT x (CONDSTORE",
        b"SELECT x (QRESYNC)",
        b"SELECT x (QRESYNC (0 1))",
        b"SELECT x (QRESYNC (1))",
        b"SELECT x (QRESYNC (1 0))",
        b"SELECT x (QRESYNC (1 2 1:*))",
        b"SELECT x (QRESYNC (1 2 3 (4)))",
        b"SELECT x (QRESYNC (1 2 3 (4 5,6)))",
        b"SELECT x (QRESYNC (1 2 (4:6 5:6)))",
        b"SELECT x (QRESYNC (1 2 3 4))",
        b"SELECT x (QRESYNC (1 2 3 ))",
        b"SELECT x (QRESYNC (1 2 ))",
        b"CREATE",
        b"CREATE x (FOO)",
        b"CREATE x (USE \\Sent)",
        b"CREATE x (USE (Sent))",
        b"DELETE",
        b"DELETE x y",
        b"RENAME x",
        b"RENAME x y z",
        b"SUBSCRIBE",
        b"UNSUBSCRIBE (x)",
        b"DELETE %",
    ],
)
def test_errors(octets: bytes) -> None:
    with pytest.raises(ParseError):
        parsed(octets)
