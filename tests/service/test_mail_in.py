"""LMTP and submission in an assembled server, over real sockets of TCP and of the file system."""

from __future__ import annotations

import shutil
import smtplib
import socket
import ssl
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions
from twisted.internet.threads import deferToThread
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from mailpost.service.assembly import build, survey
from mailpost.service.config import ConfigError
from mailpost.service.configfile import parse
from mailpost.service.server import CannotStartError, MailServer

from ..scramclient import ScramClient
from .certificates import write_certificate
from .test_server import Lines

TEXT = """
[server]
hostname = "mail.example.org"
[storage]
maildir = "mail/{user}"
[users]
file = "users"
[recipients]
domains = ["example.org"]
[listen]
lmtp = ["tcp:0:interface=127.0.0.1", "unix:FOLDER/lmtp:mode=660"]
submission = ["tcp:0:interface=127.0.0.1"]
submissions = ["tcp:0:interface=127.0.0.1"]
[tls]
certificate = "cert.pem"
key = "key.pem"
[limits]
message = "1M"
recipients = 3
"""
MESSAGE = b"From: ann@example.org\r\nSubject: x\r\n\r\n.dot\r\n"


class Tests(TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())  # a short path: sockets have no long ones
        (self.folder / "users").write_text("ann:{PLAIN}secret\nbob:{PLAIN}secret\n")
        write_certificate(self.folder / "cert.pem", self.folder / "key.pem")
        self.text = TEXT.replace("FOLDER", str(self.folder))
        self.server: MailServer | None = None

    async def tearDown(self) -> None:
        if self.server is not None and self.server.running:
            await self.server.stopService()
        shutil.rmtree(self.folder)

    def start(self) -> MailServer:
        self.server = build(parse(self.text, self.folder / "mailpost.toml"), reactor)
        self.server.startService()
        return self.server

    def port(self, number: int) -> int:
        assert self.server is not None
        return int(self.server.ports[number].getHost().port)

    def filed(self, user: str) -> list[bytes]:
        return [each.read_bytes() for each in (self.folder / "mail" / user).glob("[cn]*/*")]

    def play(self, client: Callable[[], Any]) -> Deferred[Any]:
        return deferToThread(client)

    async def test_lmtp_by_tcp_and_by_a_socket_of_the_file_system(self) -> None:
        self.start()
        self.assertEqual((self.folder / "lmtp").stat().st_mode & 0o777, 0o660)

        def deliver(host: str, port: int) -> Any:
            with smtplib.LMTP(host, port) as client:  # which reads one answer behind a message, whoever it is for
                client.sendmail("eve@example.net", ["ann@example.org"], MESSAGE)
                return client.sendmail("eve@example.net", ["bob", "nobody@example.org"], MESSAGE)

        for host, port in (("127.0.0.1", self.port(0)), (str(self.folder / "lmtp"), 0)):
            refused = await self.play(lambda host=host, port=port: deliver(host, port))
            self.assertEqual(refused, {"nobody@example.org": (550, b"5.1.1 There is no such user here")})
        for user in ("ann", "bob"):
            filed = self.filed(user)
            self.assertEqual(len(filed), 2)
            self.assertTrue(all(b"Subject: x" in each and b"\n.dot" in each for each in filed))
            self.assertEqual(sum(b"by mail.example.org with LMTP" in each for each in filed), 2, filed)

    async def test_submission_with_starttls_and_inside_tls(self) -> None:
        self.start()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

        def send(client: smtplib.SMTP) -> Any:
            with client:
                client.login("ann", "secret")
                return client.sendmail("ann@example.org", ["bob@example.org"], MESSAGE)

        def starttls() -> Any:
            client = smtplib.SMTP("127.0.0.1", self.port(2))
            client.starttls(context=context)
            return send(client)

        self.assertEqual(await self.play(starttls), {})
        self.assertEqual(
            await self.play(lambda: send(smtplib.SMTP_SSL("127.0.0.1", self.port(3), context=context))), {}
        )
        self.assertEqual(len(self.filed("bob")), 2)
        self.assertTrue(all(b"ESMTPSA" in each for each in self.filed("bob")))

    async def test_scram_bound_to_the_tls_connection(self) -> None:
        """RFC: 5802 §6, 9266 §2, 4954 §4"""
        self.start()
        factory: Any = TLSMemoryBIOFactory(CertificateOptions(), True, Factory.forProtocol(Lines))
        found: Any = await TCP4ClientEndpoint(reactor, "127.0.0.1", self.port(3)).connect(factory)
        client: Lines = found.wrappedProtocol
        await client.until(b"220 ")

        async def says(line: bytes, until: bytes) -> bytes:
            client.transport.write(line + b"\r\n")  # type: ignore[union-attr]
            return await client.until(until)

        self.assertIn(b"AUTH SCRAM-SHA-256-PLUS", await says(b"EHLO x", b"250 "))
        handle = client.transport.getHandle()  # type: ignore[union-attr]
        binding = bytes(handle.export_keying_material(b"EXPORTER-Channel-Binding", 32))
        scram = ScramClient("SCRAM-SHA-256-PLUS", "ann", "secret", binding=binding)
        challenge = await says(b"AUTH SCRAM-SHA-256-PLUS " + b64encode(scram.first()), b"\r\n")
        final = await says(b64encode(scram.final(b64decode(challenge[4:]))), b"\r\n")
        self.assertTrue(scram.trusts(b64decode(final[4:])), final)
        self.assertIn(b"235 2.7.0", await says(b"", b"\r\n"))
        self.assertIn(b"250 2.1.0", await says(b"MAIL FROM:<ann@example.org>", b"\r\n"))
        client.transport.loseConnection()  # type: ignore[union-attr]
        await client.lost

    async def test_nobody_relays(self) -> None:
        self.start()

        def outsider() -> Any:
            with smtplib.SMTP("127.0.0.1", self.port(2)) as client:
                client.ehlo()
                return client.docmd("MAIL", "FROM:<ann@example.org>")[0]

        def user() -> Any:
            with smtplib.SMTP("127.0.0.1", self.port(2)) as client:
                client.login("ann", "secret")
                client.docmd("MAIL", "FROM:<ann@example.org>")
                return client.docmd("RCPT", "TO:<eve@example.net>")[0]

        self.assertEqual(await self.play(outsider), 530)
        self.assertEqual(await self.play(user), 550)

    async def test_limits_reach_the_connections(self) -> None:
        self.start()

        def too_much() -> Any:
            with smtplib.LMTP("127.0.0.1", self.port(0)) as client:
                client.ehlo()
                codes = [client.docmd("MAIL", "FROM:<a@b> SIZE=2000000")[0], client.docmd("MAIL", "FROM:<a@b>")[0]]
                return codes + [client.docmd("RCPT", "TO:<ann>")[0] for _ in range(4)]

        self.assertEqual(await self.play(too_much), [552, 250, 250, 250, 250, 452])

    async def test_octets_behind_starttls_do_not_get_in(self) -> None:
        """CVE-2011-0411 and its like. RFC: 3207 §5"""
        self.start()

        def inject() -> bytes:
            with socket.create_connection(("127.0.0.1", self.port(2)), timeout=10) as client:
                client.sendall(b"EHLO x\r\n")
                heard = b""
                while b"250 " not in heard:
                    heard += client.recv(4096)
                client.sendall(b"STARTTLS\r\nEHLO y\r\nMAIL FROM:<evil@x>\r\n")
                while piece := client.recv(4096):
                    heard += piece
                return heard

        heard = await self.play(inject)
        self.assertIn(b"503 5.5.1 Nothing may be sent behind STARTTLS", heard)
        self.assertNotIn(b"220 2.0.0", heard)

    async def test_a_socket_that_a_killed_server_left_is_replaced(self) -> None:
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(self.folder / "lmtp"))
        left.close()
        (self.folder / "lmtp.lock").symlink_to("1")
        self.start()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.folder / "lmtp"))

    async def test_a_socket_that_has_gone_does_not_hold_up_the_end(self) -> None:
        server = self.start()
        (self.folder / "lmtp").unlink()
        await server.stopService()
        self.assertEqual(server.ports, [])

    async def test_a_socket_in_use_is_not(self) -> None:
        self.start()
        second = build(parse(self.text, self.folder / "mailpost.toml"), reactor)
        with pytest.raises(CannotStartError, match="on unix:"):
            second.privilegedStartService()
        await second.stopService()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.folder / "lmtp"))

    def test_a_folder_for_the_socket_that_is_missing(self) -> None:
        text = self.text.replace(f"{self.folder}/lmtp", f"{self.folder}/away/lmtp")
        with pytest.raises(ConfigError, match=r"listen.lmtp: .*there is no folder .*/away for the socket"):
            survey(parse(text, self.folder / "mailpost.toml"), reactor)

    def test_a_survey_names_the_listeners(self) -> None:
        lines = survey(parse(self.text, self.folder / "mailpost.toml"), reactor)
        self.assertEqual([line.partition(":")[0] for line in lines[:4]], ["lmtp", "lmtp", "submission", "submissions"])

    def test_mail_for_nobody_and_whom_to_trust(self) -> None:
        with pytest.raises(ConfigError, match=r"lmtp.trusted: must be addresses, networks or \"unix\": 'somewhere'"):
            parse(self.text + '[lmtp]\ntrusted = ["somewhere"]\n', self.folder / "mailpost.toml")
        without = self.text.replace('[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n', "")
        with pytest.raises(ConfigError, match=r"listen.submissions: needs a tls.certificate"):
            parse(without, self.folder / "mailpost.toml")
