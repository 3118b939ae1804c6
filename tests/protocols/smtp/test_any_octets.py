"""Whatever a client sends: no bug shows, every message is taken or given up, and pieces make no difference."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as some

from tests.protocols.smtp.dialogues import PARTS, play

STREAMS = some.lists(some.one_of(some.sampled_from(PARTS), some.binary(max_size=20)), max_size=25).map(b"".join)
GREETED = some.sampled_from([b"", b"LHLO x\r\n", b"EHLO x\r\nAUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"])
MAIL = b"MAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n"


@settings(max_examples=300, deadline=None)
@given(GREETED, STREAMS, some.lists(some.integers(1, 60), max_size=8), some.booleans(), some.booleans())
@example(b"LHLO x\r\n", MAIL + b"a\n.\r\nQUIT\r\n.\r\n", [1], False, False)
@example(b"LHLO x\r\n", MAIL + b".\r\n" + MAIL + b"..\r\n.\r\n", [3], False, True)
def test_any_session(greeting: bytes, stream: bytes, pieces: list[int], users: bool, slow: bool) -> None:
    octets = greeting + stream
    taken = play(octets, pieces, users=users, slow=slow)
    if b"STARTTLS" not in octets.upper():  # what is there when its turn comes depends on the pieces
        assert play(octets, [], users=users, slow=False) == taken
