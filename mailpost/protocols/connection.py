"""What every protocol's connections share: who it is, how many there are, one line of log.

RFC: 9293 §3.8.4 (keepalive)
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol, TypeVar

from OpenSSL import SSL
from twisted.internet.address import IPv4Address as TCP4Address
from twisted.internet.address import IPv6Address as TCP6Address
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IReactorTime,
    ISSLTransport,
    ITransport,
)
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from mailpost.mail.errors import ErrorKind, MailError

log = Logger()

K = TypeVar("K")


def address_of(transport: ITransport) -> str:
    """The peer's address as text: "192.0.2.1", "2001:db8::1", "unix", "" for a peer in this process."""
    peer: IAddress = transport.getPeer()
    if isinstance(peer, TCP4Address | TCP6Address):
        address = ip_address(str(peer.host).partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(address)
    return "unix" if isinstance(peer, UNIXAddress) else ""


def is_local(address: str) -> bool:
    """Whether what is sent to this address (of `address_of`) stays on this machine."""
    return address in {"", "unix"} or ip_address(address).is_loopback


def is_encrypted(transport: ITransport) -> bool:
    """Whether the transport speaks TLS."""
    return ISSLTransport(transport, None) is not None


def tls_exporter(transport: ITransport) -> bytes | None:
    """What ties an authentication to this TLS connection; None if there is none, or not yet, or none that is safe.

    In TLS 1.2 it is safe only with the extended master secret, of which pyOpenSSL does not tell.

    RFC: 9266 §2, §4, 8446 §7.5
    """
    handle = _tls(transport)
    if handle is None or handle.get_cipher_name() is None:
        return None
    if handle.get_protocol_version_name() != "TLSv1.3":
        return None
    return bytes(handle.export_keying_material(b"EXPORTER-Channel-Binding", 32, b""))


def awaits_handshake(transport: ITransport, protocol: IProtocol) -> bool:
    """Whether TLS is still being agreed on, and will tell the protocol (an `IHandshakeListener`) when it is."""
    handle = _tls(transport)
    told = isinstance(transport, TLSMemoryBIOProtocol) and transport.wrappedProtocol is protocol
    return told and handle is not None and handle.get_cipher_name() is None


def _tls(transport: ITransport) -> SSL.Connection | None:
    handle = transport.getHandle() if is_encrypted(transport) and hasattr(transport, "getHandle") else None
    return handle if isinstance(handle, SSL.Connection) else None


def keep_alive(transport: ITransport) -> None:
    """Let the kernel find dead peers, and send small answers at once."""
    for option in ("setTcpKeepAlive", "setTcpNoDelay"):
        switch: Callable[[bool], None] | None = getattr(transport, option, None)
        if switch is not None:
            switch(True)


def send_now(transport: Any) -> None:
    """Let a TCP transport send what it was given, without waiting for the reactor to find that it can.

    A failure is met again, and dealt with, by the reactor. Other transports (TLS, tests) send when they like.
    """
    if isinstance(transport, Connection) and not transport.disconnecting and not transport.disconnected:
        transport.doWrite()


_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Linux has it."""


def acknowledge_at_once(transport: Any) -> None:
    """Let a TCP client know at once that what it has sent has come, not only with the answer to the whole.

    Many clients send the end of a command apart from its literal, and their kernel holds it back until the literal has
    been acknowledged, which ours puts off for 40 ms while there is nothing to answer. The kernel forgets this soon.
    """
    tcp = transport.transport if isinstance(transport, TLSMemoryBIOProtocol) else transport
    if _QUICKACK is not None and isinstance(tcp, Connection) and not tcp.disconnected:
        with suppress(OSError):  # it is no TCP, or gone
            tcp.socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


def network_of(address: str) -> str:
    """What counts as one client when clients are counted: an IPv4 address, or the /64 of an IPv6 one.

    RFC: 6177 §2 (an end site has at least a /64)
    """
    if ":" not in address:
        return address
    return f"{IPv6Address(int(IPv6Address(address)) >> 64 << 64)}/64"


class Closable(Protocol):
    """A connection, as its registry sees it."""

    def say_goodbye(self, text: bytes) -> None:
        """Tell the client why and close."""

    def cut(self) -> None:
        """Close without another word."""


class Connections:
    """The open connections of some listeners, counted per client and per user at a client."""

    def __init__(self, per_address: int, per_user: int) -> None:
        """Bound connections per address, and logged-in ones per user and address; 0 means without bound."""
        self._per_address = per_address
        self._per_user = per_user
        self._open: set[Closable] = set()
        self._addresses: Counter[str] = Counter()
        self._users: Counter[tuple[str, str]] = Counter()
        self._emptied: Deferred[None] | None = None

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, connection: Closable, address: str) -> bool:
        """Count a new connection; False, and not counted, when its address has too many already."""
        network = network_of(address)
        if self._per_address and network and self._addresses[network] >= self._per_address:
            return False
        self._open.add(connection)
        self._addresses[network] += 1
        return True

    def leave(self, connection: Closable, address: str) -> None:
        """A connection that `enter` counted is gone."""
        self._open.discard(connection)
        _uncount(self._addresses, network_of(address))
        if not self._open and self._emptied is not None:
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)

    def log_in(self, user: str, address: str) -> bool:
        """Count a login; False, and not counted, when this user has too many from there."""
        key = (user, network_of(address))
        if self._per_user and self._users[key] >= self._per_user:
            return False
        self._users[key] += 1
        return True

    def log_out(self, user: str, address: str) -> None:
        """A login that `log_in` counted has ended."""
        _uncount(self._users, (user, network_of(address)))

    async def close(self, text: bytes, clock: IReactorTime, patience: float = 3.0) -> None:
        """Say goodbye to all; cut those that are still here after `patience` seconds."""
        for connection in list(self._open):
            connection.say_goodbye(text)
        if not self._open:
            return
        self._emptied = Deferred()
        late = clock.callLater(patience, self._cut_all)
        await self._emptied
        if late.active():
            late.cancel()

    def _cut_all(self) -> None:
        for connection in list(self._open):
            connection.cut()


def _uncount(counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]


def why_lost(reason: Failure) -> str:
    """Why a connection was lost, for the log; TLS gives a list of (library, function, reason)."""
    about = next(iter(getattr(reason.value, "args", ())), None)
    if isinstance(about, list):
        return f"TLS: {', '.join(str(each[-1]) for each in about) or 'failed'}"
    return reason.getErrorMessage()


def note_trouble(protocol: str, account: object, error: MailError) -> None:
    """Tell the log what the system has refused, which the client is told without a path; nothing else is noted."""
    cause = error.__cause__
    if not error.noted and isinstance(cause, OSError) and error.kind is not ErrorKind.BAD_FOLDER_NAME:
        log.warn(
            "{protocol} command of {user} failed: {path}: {reason}",
            protocol=protocol,
            user=getattr(account, "user", "nobody"),
            path=os.fsdecode(cause.filename) if isinstance(cause.filename, str | bytes) else "a file",
            reason=cause.strerror,
        )


class ConnectionRecord:
    """What is logged of one connection, in one line when it ends. Never a password, never a message."""

    def __init__(self, protocol: str, address: str, clock: IReactorTime) -> None:
        self._protocol = protocol
        self._clock = clock
        self._began = clock.seconds()
        self.address = address
        self.user = ""
        self.encrypted = False
        self.octets_in = 0
        self.octets_out = 0
        self.reason = "connection lost"

    def close(self) -> None:
        """Write the line."""
        log.info(
            "{protocol} connection of {user} from {address} ended after {seconds:.1f} s: {reason}"
            " (in {octets_in}, out {octets_out}, tls {encrypted})",
            protocol=self._protocol,
            user=self.user or "nobody",
            address=self.address or "this process",
            seconds=self._clock.seconds() - self._began,
            reason=self.reason,
            octets_in=self.octets_in,
            octets_out=self.octets_out,
            encrypted=self.encrypted,
        )
