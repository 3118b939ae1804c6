"""COMPRESS=DEFLATE. RFC: 4978"""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailpost.protocols.imap.compression import PIECE
from mailpost.protocols.imap.settings import ImapSettings
from tests.protocols.imap.harness import Client, Server, dialogue

FLUSHES = (zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH)


class Compressed:
    """A client that has begun compression."""

    def __init__(self, server: Server, client: Client | None = None) -> None:
        self.server = server
        self.client = client or server.selected(3)
        assert self.client.says(b"z COMPRESS DEFLATE") == b"z OK DEFLATE active\r\n"
        self.deflating = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.inflating = zlib.decompressobj(-15)

    def packed(self, octets: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
        return self.deflating.compress(octets) + self.deflating.flush(flush)

    def heard(self) -> bytes:
        return self.inflating.decompress(self.client.heard())

    def says(self, line: bytes) -> bytes:
        self.client.sends(self.packed(line + b"\r\n"))
        return self.heard()


def test_the_command() -> None:
    server = Server()
    dialogue(
        server,
        """
        C: a COMPRESS DEFLATE
        S: a BAD COMPRESS is not possible now
        C: b LOGIN joe secret
        S: b OK [CAPABILITY ...COMPRESS=DEFLATE...] ...
        C: c COMPRESS
        S: c BAD ...
        C: d COMPRESS LZW
        S: d BAD There is no compression but DEFLATE...
        C: e COMPRESS deflate
        S: e OK DEFLATE active
        """,
    )


def test_all_that_follows_is_compressed() -> None:
    client = Compressed(Server())
    assert client.says(b"a NOOP") == b"a OK NOOP completed\r\n"
    assert client.says(b"b COMPRESS DEFLATE") == b"b BAD DEFLATE is active already\r\n"
    answer = client.says(b"c FETCH 1:3 BODY.PEEK[]")
    assert answer.count(b"Subject: Number") == 3
    assert answer.endswith(b"c OK FETCH completed\r\n")


def test_what_another_session_expunges_is_told_as_ever() -> None:
    server = Server()
    client, other = Compressed(server), server.selected()
    other.says(b"a STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    other.says(b"b EXPUNGE")
    answer = client.says(b"c FETCH 1:3 BODY.PEEK[TEXT]")
    assert answer.startswith(b"* 3 FETCH (BODY[TEXT] ")
    assert answer.endswith(b"c OK [EXPUNGEISSUED] Some of these messages no longer exist\r\n")
    assert client.says(b"d NOOP") == b"* 2 EXPUNGE\r\n* 1 EXPUNGE\r\nd OK NOOP completed\r\n"


def test_nothing_may_be_sent_ahead() -> None:
    client = Server().logged_in()
    client.sends(b"a COMPRESS DEFLATE\r\nb NOOP\r\n")
    assert client.heard() == b"a BAD Nothing may be sent behind COMPRESS until it is answered\r\n"
    assert client.transport.disconnecting


def test_idle_and_literals() -> None:
    client = Compressed(Server())
    assert client.says(b"a IDLE") == b"+ idling\r\n"
    client.server.deliver(1)
    client.server.clock.advance(0)
    assert client.heard().startswith(b"* 4 EXISTS\r\n")
    client.client.sends(client.packed(b"DO"))
    assert client.says(b"NE") == b""
    client.server.clock.advance(0)
    assert client.heard() == b"a OK IDLE completed\r\n"
    assert client.says(b"b APPEND INBOX {20}") == b"+ OK\r\n"
    assert b"b OK [APPENDUID" in client.says(b"Subject: 5\r\n\r\nfive\r\n")
    message = b"Subject: 6\r\n\r\n" + b"six" * 100_000
    client.client.sends(client.packed(b"c APPEND INBOX {%d+}\r\n" % len(message)))
    client.client.sends(client.packed(message + b"\r\n"))
    for _ in range(5):
        client.server.clock.advance(0)
    assert b"c OK [APPENDUID" in client.heard()


def test_what_is_counted_went_over_the_wire() -> None:
    server = Server()
    client = Compressed(server)
    record = client.client.protocol.record
    before = record.octets_in, record.octets_out
    sent = client.packed(b"a FETCH 1:* BODY.PEEK[]\r\n")
    client.client.sends(sent)
    came = client.client.heard()
    assert (record.octets_in, record.octets_out) == (before[0] + len(sent), before[1] + len(came))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_in_pieces_of_any_size(data: Any) -> None:
    client = Compressed(Server())
    lines = [b"%d FETCH 1:3 (UID FLAGS)\r\n" % n for n in range(5)]
    flushes = data.draw(st.lists(st.sampled_from(FLUSHES), min_size=5, max_size=5))
    sent = b"".join(client.packed(line, flush) for line, flush in zip(lines, flushes, strict=True))
    heard = b""
    while sent:
        size = data.draw(st.integers(1, 20))
        client.client.sends(sent[:size])
        sent = sent[size:]
        heard += client.heard()
    client.server.clock.advance(0)
    heard += client.heard()
    assert [heard.count(b"\r\n%d OK FETCH completed\r\n" % n) for n in range(5)] == [1] * 5


@pytest.mark.parametrize(
    "inflated", [b"a NOOP\r\n" * 100_000, b"x" * 20_000_000, b"a APPEND INBOX {3+}\r\n" * 100_000, b"\r\n" * 8_000_000]
)
def test_a_few_octets_never_become_many(inflated: bytes) -> None:
    bounds = ImapSettings()
    client = Compressed(Server())
    protocol, clock, transport = client.client.protocol, client.server.clock, client.client.transport
    packed = client.packed(inflated)
    most = 0
    for start in range(0, len(packed), 65_536):
        if transport.disconnecting:
            break
        client.client.sends(packed[start : start + 65_536])
        turns = 0
        while not transport.reading and turns < 5_000 and not transport.disconnecting:
            most = max(most, protocol.session._decoder.buffered)
            clock.advance(0)
            client.client.heard()
            turns += 1
    assert most <= bounds.pipelined_octets
    assert most <= PIECE + bounds.line_length


def test_a_session_that_works_leaves_the_rest_compressed() -> None:
    server = Server()
    client = Compressed(server)
    protocol = client.client.protocol
    protocol._link.outflow.pauseProducing()
    client.client.sends(client.packed(b"a FETCH 1:3 BODY.PEEK[]\r\n"))
    for n in range(100):
        client.client.sends(client.packed(b"b%d NOOP\r\n" % n))
    assert not client.client.transport.reading
    assert protocol.session._decoder.buffered < 100
    protocol._link.outflow.resumeProducing()
    server.clock.advance(0)
    heard = client.heard()
    assert client.client.transport.reading
    assert heard.count(b"OK NOOP completed") == 100


@pytest.mark.parametrize("sent", [b"a NOOP\r\n", b"\xff" * 40])
def test_a_broken_stream_ends_the_connection(sent: bytes) -> None:
    client = Compressed(Server())
    client.client.sends(sent)
    assert client.client.transport.disconnecting
    assert client.client.protocol.record.reason == "what came is not compressed"
    client.client.sends(sent)


def test_octets_behind_the_end_of_the_stream_end_the_connection() -> None:
    client = Compressed(Server())
    client.client.sends(client.packed(b"a NOOP\r\n", zlib.Z_FINISH))
    assert client.heard() == b"a OK NOOP completed\r\n"
    client.client.sends(b"b NOOP\r\n")
    assert client.client.transport.disconnecting


def test_the_goodbye_is_compressed() -> None:
    client = Compressed(Server())
    assert client.says(b"a LOGOUT").startswith(b"* BYE Logging out\r\na OK")
    client = Compressed(Server())
    client.client.protocol.say_goodbye(b"Bye")
    assert client.heard() == b"* BYE Bye\r\n"


def test_what_the_base_class_writes_is_compressed() -> None:
    client = Compressed(Server())
    before = client.client.protocol.record.octets_out
    client.client.protocol.sendUntaggedResponse(b"OK Hello")
    came = client.client.heard()
    assert client.inflating.decompress(came) == b"* OK Hello\r\n"
    assert client.client.protocol.record.octets_out == before + len(came)
