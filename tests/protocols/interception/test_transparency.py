"""An interceptor that wants nothing changes nothing, whatever a client sends, in whatever pieces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as some

from mailpost.protocols.imap.settings import ImapSettings
from mailpost.protocols.interception.conversation import Conversation
from mailpost.protocols.interception.factory import Intercepted
from mailpost.protocols.interception.interceptor import Interceptor
from mailpost.protocols.lmtp.settings import LmtpSettings
from mailpost.protocols.pop3.settings import Pop3Settings
from mailpost.protocols.submission.settings import SubmissionSettings
from mailpost.wire.dialogue import Command, Response
from tests.protocols.imap import harness as imap
from tests.protocols.imap.test_any_octets import COMMANDS
from tests.protocols.pop3 import harness as pop3
from tests.protocols.pop3.test_any_octets import LINES
from tests.protocols.smtp import harness as smtp
from tests.protocols.smtp.dialogues import PARTS


class Late(Interceptor):
    """Passes everything on, a little later."""

    async def command(self, conversation: Conversation, command: Command) -> None:
        await conversation.sleep(0.01)

    async def response(self, conversation: Conversation, response: Response) -> None:
        await conversation.sleep(0.01)


def play(server: Any, protocol: str, interceptor: Interceptor | None, stream: Sequence[bytes]) -> tuple[bytes, bool]:
    """All that comes back for a stream, and whether the server has closed."""
    if interceptor is not None:
        server.factory = Intercepted(interceptor).around(protocol, server.factory)
    client = server.connect()
    heard = client.greeting + client.heard()
    for piece in stream:
        if client.transport.lost:
            break
        client.sends(piece)
        server.clock.pump([0.1] * 3)
        heard += client.heard()
    server.clock.pump([0.01] * 400)
    heard += client.heard()
    heard = heard.replace(b" COMPRESS=DEFLATE", b"")  # nobody can stand before what is compressed
    heard = re.sub(rb"MAILBOXID \(\w+\)", b"", heard)  # made up for each store
    lost = client.transport.lost
    client.transport.end()
    server.clock.pump([1] * 30)
    assert not server.clock.getDelayedCalls(), server.clock.getDelayedCalls()
    return heard, lost


def cut(octets: bytes, sizes: Sequence[int]) -> list[bytes]:
    pieces, at, turn = [], 0, 0
    while at < len(octets):
        size = sizes[turn % len(sizes)] if sizes else len(octets)
        pieces.append(octets[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


def imap_server() -> imap.Server:
    server = imap.Server(ImapSettings(bad_commands=1000, message_size=4000, login_timeout=10_000))
    server.deliver(2)
    return server


def pop3_server() -> pop3.Server:
    server = pop3.Server(Pop3Settings(bad_commands=1000, failed_logins=1000, login_timeout=10_000))
    server.holds(b"Subject: 1\r\n\r\n.\r\nx", b".\r\n", b"", b"Subject: 4\r\n\r\n" + b"y\r\n" * 400)
    return server


def submission_server() -> smtp.Server:
    return smtp.submission(SubmissionSettings(line_length=200, message_size=200, bad_commands=50, login_timeout=10_000))


def lmtp_server() -> smtp.Server:
    return smtp.lmtp(LmtpSettings(line_length=200, message_size=200, bad_commands=50, idle_timeout=10_000))


SIZES = some.lists(some.integers(1, 200), max_size=8)
IMAP_LINES = some.lists(some.one_of(some.sampled_from(COMMANDS), some.binary(max_size=30)), max_size=12)


@settings(max_examples=100, deadline=None)
@given(IMAP_LINES, SIZES, some.booleans(), some.booleans())
@example([b"IDLE {5+}", b"x", b"DONE"], [], True, False)
@example([b"IDLE", b"x", b"DONE", b"NOOP"], [], True, False)
@example([b"AUTHENTICATE PLAIN", b"=" * 20000, b"x {5+}"], [], False, False)
def test_imap(commands: list[bytes], sizes: list[int], logged_in: bool, late: bool) -> None:
    lines = [b"l LOGIN joe secret", b"s SELECT INBOX"] if logged_in else []
    lines += [b"t%d %b" % (n, command) if n % 5 else command for n, command in enumerate(commands, 1)]
    stream = cut(b"".join(line + b"\r\n" for line in lines), sizes)
    plain = play(imap_server(), "imap", None, stream)
    assert play(imap_server(), "imap", Late() if late else Interceptor(), stream) == plain


@settings(max_examples=100, deadline=None)
@given(some.lists(LINES, max_size=12), SIZES, some.booleans(), some.booleans())
def test_pop3(lines: list[bytes], sizes: list[int], logged_in: bool, late: bool) -> None:
    lines = [*([b"USER joe", b"PASS secret"] if logged_in else []), *lines]
    stream = cut(b"".join(line + b"\r\n" for line in lines), sizes)
    plain = play(pop3_server(), "pop3", None, stream)
    assert play(pop3_server(), "pop3", Late() if late else Interceptor(), stream) == plain


STREAMS = some.lists(some.one_of(some.sampled_from(PARTS), some.binary(max_size=20)), max_size=25).map(b"".join)
GREETED = some.sampled_from([b"", b"LHLO x\r\n", b"EHLO x\r\nAUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"])


@settings(max_examples=100, deadline=None)
@given(GREETED, STREAMS, SIZES, some.booleans(), some.booleans())
@example(
    b"LHLO x\r\n", b"MAIL FROM:<a@b>\r\nRCPT TO:<a>\r\nRCPT TO:<b>\r\nDATA\r\nx\r\n.\r\nRSET\r\n", [], False, False
)
def test_smtp(greeting: bytes, stream: bytes, sizes: list[int], users: bool, late: bool) -> None:
    # A line that is too long is told of when it ends, not before.
    pieces = cut(greeting + stream + b"\r\n", sizes)
    protocol, server = ("submission", submission_server) if users else ("lmtp", lmtp_server)
    plain = play(server(), protocol, None, pieces)
    assert play(server(), protocol, Late() if late else Interceptor(), pieces) == plain
