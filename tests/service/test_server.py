"""The assembled server over real sockets, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from mailpost.service.assembly import build, survey
from mailpost.service.config import Config, ConfigError
from mailpost.service.configfile import parse
from mailpost.service.server import CannotStartError, MailServer

from .certificates import write_certificate

TEXT = """
[server]
hostname = "mail.example.org"
[storage]
maildir = "mail/{user}"
index = "index/{user}"
[users]
file = "users"
[listen]
imap = ["tcp:0:interface=127.0.0.1"]
imaps = ["tcp:0:interface=127.0.0.1"]
[tls]
certificate = "cert.pem"
key = "key.pem"
[folders]
junk = ""
sent = "Gesendet"
[limits]
connections_per_address = 3
"""


class Lines(Protocol):
    """A client: sends lines, waits for one that begins as wished."""

    def __init__(self) -> None:
        self.seen = b""
        self.waiting: tuple[bytes, Deferred[bytes]] | None = None
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.seen += data
        if self.waiting and self.waiting[0] in self.seen:
            (_, waiting), self.waiting = self.waiting, None
            waiting.callback(self.seen)

    def connectionLost(self, reason: object = None) -> None:
        self.lost.callback(None)

    async def until(self, part: bytes) -> bytes:
        """Everything since the last call, when this part of it is there."""
        if part not in self.seen:
            waiting: Deferred[bytes] = Deferred()
            self.waiting = (part, waiting)
            waiting.addTimeout(5, reactor)  # type: ignore[arg-type]
            await waiting
        seen, self.seen = self.seen, b""
        return seen


class Site(TestCase):
    """A folder for a server, and connections to it."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        (self.folder / "users").write_text("ann:{PLAIN}secret\n")
        write_certificate(self.folder / "cert.pem", self.folder / "key.pem")
        self.server: MailServer | None = None

    async def tearDown(self) -> None:
        if self.server is not None and self.server.running:
            await self.server.stopService()

    def config(self, text: str = TEXT) -> Config:
        return parse(text, self.folder / "mailpost.toml")

    def start(self, config: Config, **more: Any) -> MailServer:
        self.server = build(config, reactor, **more)
        self.server.startService()
        return self.server

    async def connect(self, number: int = 0, tls: bool = False) -> Lines:
        assert self.server is not None
        port = self.server.ports[number].getHost().port
        factory: Any = Factory.forProtocol(Lines)
        if tls:
            factory = TLSMemoryBIOFactory(CertificateOptions(), True, factory)
        found: Any = await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)
        client: Lines = found.wrappedProtocol if tls else found
        return client


class Tests(Site):
    async def test_log_in_and_stop(self) -> None:
        server = self.start(self.config())
        client = await self.connect()
        greeting = await client.until(b"\r\n")
        self.assertTrue(greeting.startswith(b"* OK "), greeting)
        self.assertIn(b"mail.example.org", greeting)
        self.assertIn(b"STARTTLS", greeting)
        client.transport.write(b"t LOGIN ann wrong\r\n")  # type: ignore[union-attr]
        self.assertIn(b"t NO [AUTHENTICATIONFAILED]", await client.until(b"\r\n"))
        client.transport.write(b't LOGIN ann secret\r\nu LIST "" *\r\n')  # type: ignore[union-attr]
        listed = await client.until(b"u OK")
        self.assertIn(b'\\Sent) "/" Gesendet\r\n', listed)
        self.assertNotIn(b"Junk", listed)
        self.assertTrue((self.folder / "mail" / "ann" / "cur").is_dir())
        self.assertTrue((self.folder / "index" / "ann").is_dir())
        await server.stopService()
        self.assertIn(b"* BYE", client.seen)
        await client.lost
        self.assertEqual(server.ports, [])

    async def test_implicit_tls(self) -> None:
        self.start(self.config())
        client = await self.connect(1, tls=True)
        self.assertNotIn(b"STARTTLS", await client.until(b"\r\n"))
        client.transport.write(b"t LOGIN ann secret\r\n")  # type: ignore[union-attr]
        self.assertIn(b"t OK", await client.until(b"\r\n"))
        client.transport.loseConnection()  # type: ignore[union-attr]
        await client.lost

    async def test_connections_wait_while_it_pauses(self) -> None:
        server = self.start(self.config())
        server.pause()
        client = await self.connect()
        self.assertEqual(client.seen, b"")
        server.resume()
        self.assertTrue((await client.until(b"\r\n")).startswith(b"* OK "))

    async def test_limits_reach_the_connections(self) -> None:
        self.start(self.config())
        clients = [await self.connect() for _ in range(4)]
        for client in clients[:3]:
            self.assertIn(b"* OK", await client.until(b"\r\n"))
        self.assertIn(b"* BYE", await clients[3].until(b"\r\n"))

    async def test_a_further_checker(self) -> None:
        text = TEXT.replace('[users]\nfile = "users"\n', "")
        with pytest.raises(ConfigError, match=r"users\.file: is missing"):
            build(self.config(text), reactor)
        self.start(self.config(text), checkers=[InMemoryUsernamePasswordDatabaseDontUse(bob=b"word")])
        client = await self.connect()
        await client.until(b"\r\n")
        client.transport.write(b"t LOGIN bob word\r\n")  # type: ignore[union-attr]
        self.assertIn(b"t OK", await client.until(b"\r\n"))

    async def test_a_user_whose_mail_has_no_place(self) -> None:
        self.start(self.config(TEXT.replace("mail/{user}", "mail/{domain}/{local}")))
        client = await self.connect()
        await client.until(b"\r\n")
        client.transport.write(b"t LOGIN ann secret\r\n")  # type: ignore[union-attr]
        self.assertIn(b"t NO", await client.until(b"\r\n"))
        self.assertFalse((self.folder / "mail").exists())

    async def test_a_port_that_is_taken(self) -> None:
        taken = self.start(self.config()).ports[0].getHost().port
        text = TEXT.replace('imaps = ["tcp:0:', f'imaps = ["tcp:{taken}:')
        second = build(self.config(text), reactor)
        with pytest.raises(CannotStartError, match=rf"cannot listen \(Address already in use\) on tcp:{taken}:"):
            second.privilegedStartService()
        self.assertEqual(second.ports, [], "all ports or none")
        await second.stopService()

    def test_a_survey_starts_nothing(self) -> None:
        lines = survey(self.config(), reactor)
        self.assertEqual(
            lines,
            [
                "imap: tcp:0:interface=127.0.0.1",
                "imaps: tcp:0:interface=127.0.0.1",
                f"mail: {self.folder}/mail/{{user}}",
                f"users: 1 in {self.folder}/users",
            ],
        )
        self.assertFalse((self.folder / "mail").exists())

    def test_a_survey_finds_ports_that_cannot_be_had(self) -> None:
        ports = '"tcp:1143", "tcp:1143:interface=127.0.0.1", "tcp:70000", "tcp6:port=65536", "tcp:1143", "tcp:65535"'
        with pytest.raises(ConfigError) as caught:
            survey(self.config(TEXT.replace('"tcp:0:interface=127.0.0.1"', ports, 1)), reactor)
        self.assertEqual(
            [problem.partition(": ")[2] for problem in caught.value.problems],
            [
                'listen.imap: "tcp:70000": the highest port is 65535',
                'listen.imap: "tcp6:port=65536": the highest port is 65535',
                'listen.imap: "tcp:1143": is there twice',
            ],
        )

    def test_a_survey_finds_all_that_cannot_be_used(self) -> None:
        (self.folder / "users").unlink()
        (self.folder / "cert.pem").write_text("rubbish")
        text = TEXT.replace('"tcp:0:interface=127.0.0.1"', '"tpc:0", "tcp:x", "ssl:0"', 1)
        with pytest.raises(ConfigError) as caught:
            survey(self.config(text), reactor)
        self.flushWarnings()  # to look for an endpoint that it does not know Twisted loads all plugins, old ones too
        place = f"{self.folder}/mailpost.toml"
        problems = caught.value.problems
        self.assertEqual(
            [problem.partition(": ")[0] for problem in problems],
            [f"{place}:10", f"{place}:10", f"{place}:10", f"{place}:12", f"{place}:8"],
        )
        self.assertIn('listen.imap: "tpc:0": ', problems[0])
        self.assertIn("has no certificate in PEM form", problems[3])
        self.assertIn("`mailpost user add` makes it", problems[4])
