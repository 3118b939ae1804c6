"""Whatever a client sends, and in whatever pieces: no bug shows, and each command is answered once."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.logger import globalLogPublisher

from mailpost.protocols.imap.settings import ImapSettings
from tests.protocols.imap.harness import Server

COMMANDS = (
    b"NOOP",
    b"CAPABILITY",
    b"LOGIN joe secret",
    b"LOGIN {3+}\r\njoe {6}\r\nsecret",
    b"AUTHENTICATE PLAIN\r\n*",
    b"AUTHENTICATE LOGIN am9l\r\nc2VjcmV0",
    b"SELECT INBOX",
    b"EXAMINE INBOX",
    b"FETCH 1:* (UID FLAGS BODY[])",
    b"UID FETCH 1:* ENVELOPE",
    b"STORE 1:2 +FLAGS (\\Deleted)",
    b"EXPUNGE",
    b"SEARCH TEXT {4}\r\nBody",
    b"APPEND INBOX {20+}\r\nSubject: x\r\n\r\nbody\r\n",
    b"APPEND INBOX (\\Seen) {5000}",
    b"APPEND {5+}\r\nINBOX {20}\r\nSubject: x\r\n\r\nbody\r\n",
    b"COPY 1 INBOX",
    b"IDLE\r\nDONE",
    b"CLOSE",
    b'LIST "" *',
    b"XYZZY",
    b"STARTTLS",
    b"LOGIN {99999}",
)

lines = some.one_of(some.sampled_from(COMMANDS), some.binary(max_size=30))


@settings(max_examples=60, deadline=None)
@given(some.lists(lines, max_size=12), some.integers(1, 200), some.booleans())
def test_no_octets_show_a_bug(commands: list[bytes], step: int, logged_in: bool) -> None:
    server = Server(ImapSettings(bad_commands=1000, message_size=4000))
    server.deliver(2)
    client = server.logged_in() if logged_in else server.connect()
    events: list[dict[str, Any]] = []
    globalLogPublisher.addObserver(events.append)
    try:
        octets = b"".join(b"t%d %b\r\n" % (n, command) for n, command in zip(count(), commands, strict=False))
        for at in range(0, len(octets), step):
            client.sends(octets[at : at + step])
        server.clock.advance(1)
        heard = client.heard()
        client.leaves()
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert not [event for event in events if "log_failure" in event]
    for n in range(len(commands)):
        answers = [line for line in heard.split(b"\r\n") if line.startswith(b"t%d " % n)]
        assert len(answers) <= 1, answers
    assert server.realm.inside == 0
