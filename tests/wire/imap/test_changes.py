"""RFC: 3501 §6.4.6, §6.4.7, 4315, 6851, 7162 §3.1.3"""

import pytest

from mailpost.mail.flags import FlagChange
from mailpost.mail.uidset import STAR, SequenceSet
from mailpost.wire.imap.changes import Copy, Expunge, Move, Store
from mailpost.wire.imap.commands import Command, ParseError
from tests.wire.imap.wireside import parsed

ONE = SequenceSet(((1, 1),))
ALL = SequenceSet(((1, STAR),))
SEEN = frozenset({"\\Seen"})


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b"STORE 1 FLAGS (\\Seen)", Store(ONE, FlagChange.REPLACE, SEEN, silent=False)),
        (b"STORE 1 flags ()", Store(ONE, FlagChange.REPLACE, frozenset(), silent=False)),
        (b"STORE 1:* +FLAGS.SILENT \\Seen", Store(ALL, FlagChange.ADD, SEEN, silent=True)),
        (b"UID STORE 1 -flags \\Seen x ", Store(ONE, FlagChange.REMOVE, SEEN | {"x"}, silent=False, uid=True)),
        (b"STORE 1 (UNCHANGEDSINCE 7) -FLAGS.SILENT x", Store(ONE, FlagChange.REMOVE, frozenset({"x"}), True, 7)),
        (b"STORE 1 (unchangedsince 0) FLAGS x", Store(ONE, FlagChange.REPLACE, frozenset({"x"}), False, 0)),
        (b"COPY 1 inbox", Copy(ONE, "INBOX")),
        (b"UID COPY 1:* &-", Copy(ALL, "&", uid=True)),
        (b"MOVE 1 {1+}\r\nx", Move(ONE, "x")),
        (b"UID MOVE 1 x", Move(ONE, "x", uid=True)),
        (b"EXPUNGE", Expunge()),
        (b"UID EXPUNGE 1:*", Expunge(ALL)),
    ],
)
def test_values(octets: bytes, value: Command) -> None:
    assert parsed(octets) == value


@pytest.mark.parametrize(
    "octets",
    [
        b"STORE 1 FLAGS",
        b"STORE 1 FLAGS ",
        b"STORE 1 FOO (x)",
        b"STORE 1 FLAGS (\\Recent)",
        b"STORE 1 FLAGS (x) y",
        b"STORE 1 (UNCHANGEDSINCE) FLAGS x",
        b"STORE 1 (CHANGEDSINCE 1) FLAGS x",
        b"STORE 1 (UNCHANGEDSINCE 1 2) FLAGS x",
        b"STORE 1 FLAGS " + b" ".join([b"x"] * 1001),
        b"COPY 1",
        b"COPY x y",
        b"COPY 1 y z",
        b"MOVE 1",
        b"EXPUNGE 1",
        b"UID EXPUNGE",
        b"UID EXPUNGE 1 2",
    ],
)
def test_errors(octets: bytes) -> None:
    with pytest.raises(ParseError):
        parsed(octets)
