"""The server on real sockets of this machine, in the clear and under TLS."""

from __future__ import annotations

import io
import os
import socket
import ssl
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, TestCase

from mailpost.protocols.imap.connection import IMAPFactory
from mailpost.protocols.imap.settings import ImapSettings
from mailpost.service.tls import Certificate
from mailpost.storage.memory import MemoryStore
from mailpost.storage.records import NewMessage
from mailpost.wire.imap.structures import summarise
from tests.protocols.imap.harness import Checker, Realm
from tests.service.certificates import write_certificate

SIZE, COUNT = 1_000_000, 30


class Blocking:
    """A client in a thread of its own."""

    def __init__(self, port: int) -> None:
        self.socket: Any = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.lines = self.socket.makefile("rb")
        self.greeting = self.lines.readline()

    def says(self, line: bytes) -> list[bytes]:
        self.socket.sendall(line + b"\r\n")
        return self.until(line.split(b" ")[0])

    def until(self, tag: bytes) -> list[bytes]:
        heard = [self.lines.readline()]
        while heard[-1] and not heard[-1].startswith(tag + b" "):
            heard.append(self.lines.readline())
        return heard

    def begins_tls(self) -> None:
        assert self.says(b"t STARTTLS")[-1].startswith(b"t OK")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.lines.close()
        self.socket = context.wrap_socket(self.socket)
        self.lines = self.socket.makefile("rb")

    def begins_compression(self) -> None:
        assert self.says(b"z COMPRESS DEFLATE")[-1].startswith(b"z OK")
        self.lines.close()
        self.socket = Deflating(self.socket)
        self.lines = io.BufferedReader(self.socket)

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


class Deflating(io.RawIOBase):
    """A socket with compression over it."""

    def __init__(self, over: Any) -> None:
        self.over = over
        self.received = 0
        self._deflating = zlib.compressobj(wbits=-15)
        self._inflating = zlib.decompressobj(-15)

    def sendall(self, octets: bytes) -> None:
        self.over.sendall(self._deflating.compress(octets) + self._deflating.flush(zlib.Z_SYNC_FLUSH))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece, room = b"", len(buffer)
        while not piece:
            octets = self._inflating.unconsumed_tail
            if not octets:
                octets = self.over.recv(65_536)
                self.received += len(octets)
                if not octets:
                    return 0
            piece = self._inflating.decompress(octets, room)
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self.over.close()
        super().close()


class SocketTests(TestCase):
    """With a client that blocks, in a thread."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        certificate, key = Path(folder.name) / "cert.pem", Path(folder.name) / "key.pem"
        write_certificate(certificate, key)
        store = MemoryStore(summarise, default_folders={})
        self.realm = Realm(store)
        account = store.account("joe")
        account.append("INBOX", [NewMessage(b"Subject: big\r\n\r\n" + b"x" * SIZE)] * COUNT)
        self.factory = IMAPFactory(
            Portal(self.realm, [Checker()]), ImapSettings(), tls=Certificate(certificate, key, time.monotonic)
        )
        self.listener = reactor.listenTCP(0, self.factory, interface="127.0.0.1")  # type: ignore[attr-defined]

    async def tearDown(self) -> None:
        await self.listener.stopListening()
        await self.factory.close()

    def plays(self, play: Callable[[Blocking], Any]) -> Deferred[Any]:
        def run() -> Any:
            client = Blocking(self.listener.getHost().port)
            try:
                return play(client)
            finally:
                client.close()

        return deferToThread(run)

    async def _appends(self, tls: bool) -> float:
        """Seconds of the quickest of some appends by a client that sends the end of each apart, as imaplib does."""

        def play(client: Blocking) -> float:
            if tls:
                client.begins_tls()
            client.says(b"l LOGIN joe secret")
            took = []
            for _ in range(20):
                client.socket.sendall(b"a APPEND INBOX {4000}\r\n")
                assert client.lines.readline() == b"+ OK\r\n"
                begun = time.monotonic()
                client.socket.sendall(b"x" * 4_000)
                client.socket.sendall(b"\r\n")
                assert client.until(b"a")[-1].startswith(b"a OK")
                took.append(time.monotonic() - begun)
            return min(took)

        return float(await self.plays(play))

    async def test_the_end_of_an_append_is_not_waited_for(self) -> None:
        if not hasattr(socket, "TCP_QUICKACK"):
            raise SkipTest("no other kernel can be told")
        assert await self._appends(tls=False) < 0.03
        assert await self._appends(tls=True) < 0.03

    async def test_a_session_under_tls(self) -> None:
        def play(client: Blocking) -> list[bytes]:
            client.begins_tls()
            heard = client.says(b"a LOGIN joe secret") + client.says(b"b SELECT INBOX")
            return heard + client.says(b"c UID FETCH 1:2 BODY.PEEK[]") + client.says(b"d LOGOUT")

        heard = await self.plays(play)
        self.assertIn(b"%d EXISTS" % COUNT, b"".join(heard))
        self.assertGreater(len(b"".join(heard)), 2 * SIZE)
        self.assertTrue(heard[-1].startswith(b"d OK"))

    async def test_octets_behind_starttls_do_not_get_in(self) -> None:
        def play(client: Blocking) -> bytes:
            client.socket.sendall(b"a STARTTLS\r\nb LOGIN joe secret\r\n")
            answer: bytes = client.lines.read()
            return answer

        answer = await self.plays(play)
        self.assertTrue(answer.startswith(b"a BAD "), answer)
        self.assertEqual(self.realm.logins, 0)

    async def _reads_late(self, tls: bool, compressed: bool = False) -> None:
        written: list[int] = []

        def play(client: Blocking) -> int:
            if tls:
                client.begins_tls()
            client.says(b"a LOGIN joe secret")
            client.says(b"b SELECT INBOX")
            if compressed:
                client.begins_compression()
            client.socket.sendall(b"c FETCH 1:* BODY.PEEK[]\r\n")
            time.sleep(0.5)
            (connection,) = self.factory.connections._open
            written.append(connection.record.octets_out)  # type: ignore[attr-defined]
            return sum(map(len, client.until(b"c")))

        received = await self.plays(play)
        self.assertGreater(received, COUNT * SIZE)
        self.assertLess(written[0], COUNT * SIZE // 2)

    async def test_who_reads_late_is_waited_for(self) -> None:
        await self._reads_late(tls=False)

    async def test_who_reads_late_under_tls_is_waited_for(self) -> None:
        await self._reads_late(tls=True)

    async def test_who_reads_late_under_compression_is_waited_for(self) -> None:
        self._incompressible()
        await self._reads_late(tls=False, compressed=True)

    async def test_who_reads_late_under_compression_and_tls_is_waited_for(self) -> None:
        self._incompressible()
        await self._reads_late(tls=True, compressed=True)

    def _incompressible(self) -> None:
        account = self.realm.store.account("joe")
        account.append("INBOX", [NewMessage(b"Subject: noise\r\n\r\n" + os.urandom(SIZE)) for _ in range(COUNT)])

    async def _compressed_session(self, tls: bool) -> None:
        def play(client: Blocking) -> tuple[int, int, list[bytes]]:
            if tls:
                client.begins_tls()
            client.says(b"a LOGIN joe secret")
            client.says(b"b SELECT INBOX")
            client.begins_compression()
            whole = sum(map(len, client.says(b"c FETCH 1:* BODY.PEEK[]")))
            message = b"Subject: new\r\n\r\n" + b"y" * 3_000_000
            client.socket.sendall(b"d APPEND INBOX {%d+}\r\n" % len(message) + message + b"\r\n")
            heard = client.until(b"d")
            client.socket.sendall(b"e IDLE\r\n")
            heard.append(client.lines.readline())
            client.socket.sendall(b"DONE\r\n")
            return whole, client.socket.received, heard + client.until(b"e") + client.says(b"f LOGOUT")

        whole, received, heard = await self.plays(play)
        self.assertGreater(whole, COUNT * SIZE)
        self.assertLess(received, whole // 20)
        self.assertIn(b"+ idling\r\n", heard)
        self.assertIn(b"* %d EXISTS\r\n" % (COUNT + 1), heard)
        self.assertEqual([line[:4] for line in heard if line[1:4] == b" OK"], [b"d OK", b"e OK", b"f OK"])

    async def test_a_compressed_session(self) -> None:
        await self._compressed_session(tls=False)

    async def test_a_compressed_session_under_tls(self) -> None:
        await self._compressed_session(tls=True)

    async def test_a_message_comes_in_pieces(self) -> None:
        def play(client: Blocking) -> list[bytes]:
            client.says(b"a LOGIN joe secret")
            message = b"Subject: new\r\n\r\n" + b"y" * 3_000_000
            client.socket.sendall(b"b APPEND INBOX {%d+}\r\n" % len(message) + message + b"\r\n")
            return client.until(b"b") + client.says(b"c STATUS INBOX (MESSAGES)")

        heard = await self.plays(play)
        self.assertTrue(heard[0].startswith(b"b OK [APPENDUID "), heard)
        self.assertIn(b"MESSAGES %d" % (COUNT + 1), heard[1])
