"""INPROGRESS. RFC: 9585"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.protocols.imap.harness import Client, Server

AT_WORK = b'* OK [INPROGRESS ("%b" %b)] Still at work\r\n'


class Slow:
    """The store's search takes as long as the test likes."""

    def __init__(self, client: Client) -> None:
        selected: Any = client.protocol.session.selected
        self.asked: list[Deferred[list[int]]] = []
        selected.mailbox.search = self.search

    def search(self, *_: Any, **__: Any) -> Deferred[list[int]]:
        self.asked.append(Deferred())
        return self.asked[-1]


def ticks(client: Client, seconds: int) -> list[bytes]:
    """What comes in each second."""
    heard = []
    for _ in range(seconds):
        client.server.clock.advance(1)
        heard.append(client.heard())
    return heard


def test_a_long_command_is_told_of_every_ten_seconds() -> None:
    client = Server().selected(3)
    slow = Slow(client)
    assert client.says(b"a1 SEARCH TEXT x") == b""
    heard = ticks(client, 41)
    told = [second for second, line in enumerate(heard, 1) if line]
    assert told == [20, 30, 40]
    assert {line for line in heard if line} == {AT_WORK % (b"a1", b"NIL NIL")}
    slow.asked[0].callback([2])
    assert client.heard() == b"* SEARCH 2\r\na1 OK SEARCH completed\r\n"
    assert not any(ticks(client, 60))


def test_what_another_session_expunges_meanwhile_is_told_when_numbers_may_shift() -> None:
    server = Server()
    client, other = server.selected(3), server.selected()
    slow = Slow(client)
    client.says(b"a SEARCH TEXT x")
    other.says(b"b STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.says(b"c EXPUNGE")
    assert {line for line in ticks(client, 30) if line} == {AT_WORK % (b"a", b"NIL NIL")}
    slow.asked[0].callback([2, 3])
    assert client.heard() == b"* SEARCH 3\r\na OK SEARCH completed\r\n"
    client.server.clock.advance(0)
    assert client.says(b"d NOOP") == b"* 2 EXPUNGE\r\nd OK NOOP completed\r\n"


def test_many_quick_commands_are_not_told_of() -> None:
    client = Server().selected(3)
    slow = Slow(client)
    heard = b""
    for n in range(10):
        client.sends(b"a SEARCH TEXT x\r\n")
        heard += b"".join(ticks(client, 9))
        slow.asked[n].callback([])
        client.server.clock.advance(0)
    assert b"INPROGRESS" not in heard


def test_each_command_has_a_time_of_its_own() -> None:
    client = Server().selected(3)
    slow = Slow(client)
    client.sends(b"a SEARCH TEXT x\r\na SEARCH TEXT y\r\n")
    assert not any(ticks(client, 19))
    slow.asked[0].callback([])
    assert client.server.clock.advance(0) is None
    client.heard()
    heard = ticks(client, 30)
    assert not any(heard[:10])
    assert AT_WORK % (b"a", b"NIL NIL") in heard


def test_who_waits_for_the_client_says_nothing() -> None:
    client = Server().selected()
    client.says(b"a IDLE")
    assert not any(ticks(client, 100))
    client.says(b"DONE")
    other = Server().connect()
    other.says(b"a AUTHENTICATE PLAIN")
    assert not any(ticks(other, 50))


def test_a_client_that_does_not_read_is_not_told() -> None:
    client = Server().selected(3)
    client.protocol._link.outflow.pauseProducing()
    client.says(b"a FETCH 1:3 BODY.PEEK[]")
    assert not any(ticks(client, 60))


def test_how_many_messages_are_fetched() -> None:
    client = Server().selected(3)
    session: Any = client.protocol.session
    waiting: list[Deferred[None]] = []
    mailbox = session.selected.mailbox

    async def fetch(uids: list[int], _: Any) -> Any:
        for uid in uids:
            waiting.append(Deferred())
            await waiting[-1]
            yield [(uid, b"octets")]

    mailbox.fetch = fetch
    client.sends(b"a FETCH 1:3 BODY.PEEK[]\r\n")
    waiting[0].callback(None)
    client.heard()
    assert [line for line in ticks(client, 20) if line] == [AT_WORK % (b"a", b"1 3")]
    waiting[1].callback(None)
    client.heard()
    assert [line for line in ticks(client, 10) if line] == [AT_WORK % (b"a", b"2 3")]
    waiting[2].callback(None)
    client.server.clock.advance(0)
    assert client.heard().endswith(b"a OK FETCH completed\r\n")


def test_nothing_is_left_behind() -> None:
    client = Server().selected(3)
    Slow(client)
    client.sends(b"a SEARCH TEXT x\r\n")
    assert client.server.clock.getDelayedCalls()
    client.leaves()
    assert not client.server.clock.getDelayedCalls()
