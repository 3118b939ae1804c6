"""UNAUTHENTICATE. RFC: 8437"""

from __future__ import annotations

import zlib
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mailpost.protocols.imap.settings import ImapSettings
from tests.protocols.imap.commands.test_compress import Compressed
from tests.protocols.imap.harness import Server, dialogue

ANN = b64encode(b"\0ann\0secret")


def test_back_and_in_again() -> None:
    server = Server()
    server.deliver(2)
    dialogue(
        server,
        """
        C: a UNAUTHENTICATE
        S: a BAD UNAUTHENTICATE is not possible now
        C: b LOGIN joe secret
        S: b OK [CAPABILITY ...UNAUTHENTICATE...] ...
        C: c UNAUTHENTICATE now
        S: c BAD ...
        C: d UNAUTHENTICATE
        S: d OK UNAUTHENTICATE completed
        C: e SELECT INBOX
        S: e BAD ...
        C: f LOGIN ann secret
        S: f OK ...
        C: g STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 0)
        S: g OK ...
        """,
    )


def test_nothing_of_the_user_stays() -> None:
    server = Server()
    client = server.selected(3)
    session = client.protocol.session
    client.says(b"a STORE 1 +FLAGS.SILENT (\\Deleted)")
    client.says(b"b ENABLE QRESYNC UTF8=ACCEPT IMAP4rev2 UIDONLY")
    assert session.enabled
    selected = session.selected
    assert client.says(b"c UNAUTHENTICATE") == b"c OK UNAUTHENTICATE completed\r\n"
    assert (session.selected, session.account, session.enabled) == (None, None, set())
    assert (client.protocol.mbox, client.protocol.account, client.protocol.state) == (None, None, "unauth")
    assert selected is not None
    assert server.realm.inside == 0
    assert not server.factory.connections._users
    assert b" AUTH=" in client.says(b"d CAPABILITY")
    client.says(b"e LOGIN joe secret")
    assert b"* 3 EXISTS\r\n" in client.says(b"f SELECT INBOX")
    assert (server.realm.inside, server.realm.logins) == (1, 2)
    client.leaves()
    assert server.realm.inside == 0


def test_what_went_meanwhile_is_not_told_and_not_counted_afterwards() -> None:
    server = Server()
    client, other = server.selected(3), server.selected()
    other.says(b"a STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.says(b"b EXPUNGE")
    assert client.says(b"c UNAUTHENTICATE") == b"c OK UNAUTHENTICATE completed\r\n"
    client.says(b"d LOGIN joe secret")
    assert b"* 2 EXISTS\r\n" in client.says(b"e SELECT INBOX")


def test_limits_and_times_are_those_of_before_login() -> None:
    server = Server(ImapSettings(login_timeout=10, idle_timeout=1_000))
    client = server.logged_in()
    client.says(b"a UNAUTHENTICATE")
    client.sends(b"b LOGIN {5000+}\r\n" + b"x" * 5_000 + b"\r\n")
    assert client.heard() == b"b BAD Literal of 5000 octets is too big\r\n"
    server.clock.advance(11)
    assert client.heard().startswith(b"* BYE Autologout")


def test_failures_are_counted_on() -> None:
    server = Server(ImapSettings(failed_logins=2))
    client = server.connect()
    for line in (b"a LOGIN joe wrong", b"b LOGIN joe secret", b"c UNAUTHENTICATE", b"d LOGIN joe wrong"):
        client.sends(line + b"\r\n")
        server.clock.pump([1] * 10)
    heard = client.heard()
    assert b"a NO" in heard
    assert b"c OK" in heard
    assert heard.endswith(b"* BYE Too many failed logins\r\n")


def test_the_next_login_may_be_sent_with_it() -> None:
    server = Server()
    client = server.selected(1)
    client.sends(b"a NOOP\r\nb UNAUTHENTICATE\r\nc AUTHENTICATE PLAIN " + ANN + b"\r\nd SELECT INBOX\r\n")
    heard = client.heard()
    assert b"a OK NOOP completed\r\nb OK UNAUTHENTICATE completed\r\nc OK [CAPABILITY " in heard
    assert b"* 0 EXISTS\r\n" in heard
    assert client.protocol.record.user == "ann"


def test_it_can_be_turned_off() -> None:
    client = Server(ImapSettings(unauthenticate=False)).logged_in()
    assert b"UNAUTHENTICATE" not in client.says(b"a CAPABILITY")
    assert client.says(b"b UNAUTHENTICATE").startswith(b"b BAD ")
    assert client.says(b"c NOOP") == b"c OK NOOP completed\r\n"


# -- and compression. RFC: 8437 §4.1


def _answer(client: Compressed) -> tuple[bytes, bytes]:
    """What came compressed, and what came behind it as it is."""
    octets = client.client.heard()
    end = octets.rindex(b"\0\0\xff\xff") + 4
    return client.inflating.decompress(octets[:end]), octets[end:]


@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_FINISH])
def test_compression_ends_behind_the_answer(flush: int) -> None:
    client = Compressed(Server())
    client.client.sends(client.packed(b"a UNAUTHENTICATE\r\n", flush))
    assert _answer(client) == (b"a OK UNAUTHENTICATE completed\r\n", b"")
    assert not client.client.protocol.compressed
    assert client.client.says(b"b NOOP") == b"b OK NOOP completed\r\n"
    assert b"c OK" in client.client.says(b"c LOGIN joe secret")
    again = Compressed(client.server, client.client)
    assert again.says(b"d NOOP") == b"d OK NOOP completed\r\n"


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.data())
def test_compression_ends_wherever_the_octets_are_cut(data: Any) -> None:
    client = Compressed(Server())
    flush = data.draw(st.sampled_from([zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_FINISH]))
    lines = b"".join(b"a%d FETCH 1:3 FLAGS\r\n" % n for n in range(data.draw(st.integers(0, 3))))
    sent = client.packed(lines) if lines else b""
    sent += client.packed(b"b UNAUTHENTICATE\r\n", flush)
    sent += b"c AUTHENTICATE PLAIN " + ANN + b"\r\nd NOOP\r\n"
    heard = b""
    while sent:
        size = data.draw(st.integers(1, 40))
        client.client.sends(sent[:size])
        sent = sent[size:]
        heard += client.client.heard()
    client.server.clock.advance(0)
    heard += client.client.heard()
    end = heard.index(b"c OK [CAPABILITY")
    assert client.inflating.decompress(heard[:end]).endswith(b"b OK UNAUTHENTICATE completed\r\n")
    assert not client.inflating.unused_data
    assert heard.endswith(b"d OK NOOP completed\r\n")
    assert client.client.transport.reading


def test_behind_a_command_that_takes_long() -> None:
    client = Compressed(Server())
    protocol = client.client.protocol
    protocol._link.outflow.pauseProducing()
    client.client.sends(client.packed(b"a FETCH 1:3 BODY.PEEK[]\r\n"))
    client.client.sends(client.packed(b"b UNAUTHENTICATE\r\n") + b"c AUTHENTICATE PLAIN " + ANN + b"\r\n")
    client.client.sends(b"d NOOP\r\n")
    assert not client.client.transport.reading
    protocol._link.outflow.resumeProducing()
    client.server.clock.advance(0)
    compressed, plain = _answer(client)
    assert compressed.endswith(b"b OK UNAUTHENTICATE completed\r\n")
    assert plain.startswith(b"c OK [CAPABILITY ")
    assert plain.endswith(b"d OK NOOP completed\r\n")
    assert client.client.transport.reading


def test_a_compressed_command_behind_it_ends_the_connection() -> None:
    client = Compressed(Server())
    client.client.sends(client.packed(b"a UNAUTHENTICATE\r\n", zlib.Z_BLOCK))
    client.client.sends(client.packed(b"b NOOP\r\n"))
    assert client.client.transport.disconnecting
    assert client.client.protocol.record.reason == "what came is not compressed"
