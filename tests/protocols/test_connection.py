"""What all protocols' connections share."""

from __future__ import annotations

import errno
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection as TCPConnection
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.protocols.connection import (
    Connections,
    acknowledge_at_once,
    address_of,
    is_local,
    keep_alive,
    network_of,
    note_trouble,
    why_lost,
)
from mailpost.protocols.outflow import Outflow


@pytest.mark.parametrize(
    ("peer", "address", "local"),
    [
        (IPv4Address("TCP", "192.0.2.1", 1), "192.0.2.1", False),
        (IPv4Address("TCP", "127.8.0.1", 1), "127.8.0.1", True),
        (IPv6Address("TCP", "::1", 1), "::1", True),
        (IPv6Address("TCP", "::ffff:192.0.2.1", 1), "192.0.2.1", False),
        (IPv6Address("TCP", "::ffff:127.0.0.1", 1), "127.0.0.1", True),
        (IPv6Address("TCP", "fe80::1%eth0", 1), "fe80::1", False),
        (UNIXAddress(b"/run/imap"), "unix", True),
        (object(), "", True),
    ],
)
def test_addresses(peer: Any, address: str, local: bool) -> None:
    found = address_of(StringTransport(peerAddress=peer))
    assert (found, is_local(found)) == (address, local)


def test_what_counts_as_one_client() -> None:
    assert network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2::") == "2001:db8:1:2::/64"
    assert network_of("2001:db8:1:3::") != network_of("2001:db8:1:2::")


@pytest.mark.parametrize(
    ("kind", "cause", "lines"),
    [
        (
            ErrorKind.NO_PERMISSION,
            OSError(errno.EACCES, "Permission denied", b"1.x:2,"),
            ["TEST command of ann failed: 1.x:2,: Permission denied"],
        ),
        (ErrorKind.DISK_FULL, OSError(errno.ENOSPC, "No space"), ["TEST command of ann failed: a file: No space"]),
        (ErrorKind.BAD_FOLDER_NAME, OSError(errno.ENAMETOOLONG, "File name too long", "x"), []),
        (ErrorKind.NO_SUCH_FOLDER, None, []),
    ],
)
def test_the_log_names_what_the_system_refuses(kind: ErrorKind, cause: OSError | None, lines: list[str]) -> None:
    error = MailError(kind, "No")
    error.__cause__ = cause
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        note_trouble("TEST", SimpleNamespace(user="ann"), error)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [formatEvent(event) for event in events] == lines


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (SSL.Error([("SSL routines", "", "tlsv1 alert unknown ca")]), "TLS: tlsv1 alert unknown ca"),
        (SSL.Error([]), "TLS: failed"),
        (ConnectionLost("reset"), "Connection to the other side was lost in a non-clean fashion: reset."),
    ],
)
def test_why_a_connection_was_lost(problem: Exception, text: str) -> None:
    assert why_lost(Failure(problem)) == text


class Connection:
    def __init__(self) -> None:
        self.heard = b""
        self.was_cut = False

    def say_goodbye(self, text: bytes) -> None:
        self.heard = text

    def cut(self) -> None:
        self.was_cut = True


def test_connections_of_an_address_are_counted() -> None:
    connections = Connections(2, 0)
    first, second, third = Connection(), Connection(), Connection()
    assert [connections.enter(each, "192.0.2.1") for each in (first, second, third)] == [True, True, False]
    assert connections.enter(third, "192.0.2.2")
    connections.leave(first, "192.0.2.1")
    assert connections.enter(first, "192.0.2.1")
    assert len(connections) == 3


def test_local_connections_without_an_address_are_not_bounded() -> None:
    connections = Connections(1, 0)
    assert connections.enter(Connection(), "")
    assert connections.enter(Connection(), "")


def test_closing_waits_for_all_and_cuts_the_slow() -> None:
    clock, connections = Clock(), Connections(0, 0)
    quick, slow = Connection(), Connection()
    connections.enter(quick, "192.0.2.1")
    connections.enter(slow, "192.0.2.1")
    closing = Deferred.fromCoroutine(connections.close(b"enough", clock, patience=2.0))
    assert (quick.heard, slow.heard) == (b"enough", b"enough")
    connections.leave(quick, "192.0.2.1")
    clock.advance(2)
    assert (quick.was_cut, slow.was_cut, closing.called) == (False, True, False)
    connections.leave(slow, "192.0.2.1")
    assert closing.called


class Flow:
    def __init__(self) -> None:
        self.clock = Clock()
        self.transport = StringTransport()
        self.given_up = False
        self.outflow = Outflow(self.transport, self.clock, 10.0, self.give_up)
        self.outflow.register()

    def give_up(self) -> None:
        self.given_up = True


def test_output_waits_while_the_buffer_is_full() -> None:
    flow = Flow()
    assert flow.outflow.resumed().called
    flow.transport.producer.pauseProducing()
    waiting = flow.outflow.resumed()
    assert not waiting.called
    flow.transport.producer.resumeProducing()
    assert waiting.called
    assert flow.outflow.resumed().called


def test_a_client_that_reads_nothing_is_given_up() -> None:
    flow = Flow()
    for _ in range(4):
        flow.outflow.pauseProducing()
        flow.clock.advance(6)
        assert not flow.given_up, "it has read something since"
        flow.outflow.resumeProducing()
    flow.outflow.pauseProducing()
    flow.clock.advance(10)
    flow.clock.advance(10)
    assert flow.given_up


def test_an_outflow_lets_go() -> None:
    flow = Flow()
    flow.outflow.pauseProducing()
    waiting = flow.outflow.resumed()
    flow.outflow.unregister()
    assert waiting.called
    assert flow.transport.producer is None
    flow.outflow.stop()
    assert not flow.clock.getDelayedCalls()


def test_a_waiter_may_be_cancelled() -> None:
    flow = Flow()
    flow.outflow.pauseProducing()
    waiting = flow.outflow.resumed()
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    flow.outflow.resumeProducing()
    assert not flow.outflow.paused


def test_keepalive_is_for_transports_that_have_it() -> None:
    switched: list[bool] = []

    class Tcp(StringTransport):
        def setTcpKeepAlive(self, on: bool) -> None:
            switched.append(on)

    keep_alive(Tcp())
    keep_alive(StringTransport())
    assert switched == [True]


def test_what_cannot_be_acknowledged_is_left_alone() -> None:
    """A socket that is no TCP, one that is gone, and no socket at all; on real ones see `imap.test_sockets`."""
    here, there = socket.socketpair()
    connection = TCPConnection(here, Protocol())
    acknowledge_at_once(connection)
    connection.disconnected = True
    del connection.socket
    acknowledge_at_once(connection)
    acknowledge_at_once(StringTransport())
    there.sendall(b"x")
    assert here.recv(1) == b"x"
    here.close()
    there.close()
