"""SCRAM bound to a TLS connection, over real sockets. RFC: 5802 §6, 9266 §2"""

from __future__ import annotations

from base64 import b64decode, b64encode

from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOFactory

from tests.scramclient import ScramClient
from tests.service.test_server import Lines, Site

PLUS = b"AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-1-PLUS"


class Tests(Site):
    async def secure(self, how: str, most: TLSVersion | None = None) -> tuple[Lines, bytes]:
        """A client behind TLS, and the capabilities it was told of."""
        assert self.server is not None
        options = CertificateOptions(lowerMaximumSecurityTo=most) if most else CertificateOptions()
        if how == "imaps":
            factory = TLSMemoryBIOFactory(options, True, Factory.forProtocol(Lines))
            port = self.server.ports[1].getHost().port
            client: Lines = (await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)).wrappedProtocol
            return client, await client.until(b"\r\n")
        client = await self.connect()
        self.assertNotIn(b"-PLUS", await client.until(b"\r\n"))
        self.assertIn(b"s OK", await self.says(client, b"s STARTTLS", b"s OK"))
        client.transport.startTLS(options)  # type: ignore[union-attr]
        return client, await self.says(client, b"c CAPABILITY", b"c OK")

    async def says(self, client: Lines, line: bytes, until: bytes) -> bytes:
        client.transport.write(line + b"\r\n")  # type: ignore[union-attr]
        return await client.until(until)

    def channel(self, client: Lines) -> bytes:
        handle: SSL.Connection = client.transport.getHandle()  # type: ignore[union-attr]
        return bytes(handle.export_keying_material(b"EXPORTER-Channel-Binding", 32))

    async def exchanged(self, client: Lines, scram: ScramClient, mechanism: bytes) -> bytes:
        """The answer to the client's proof."""
        first = await self.says(client, b"a AUTHENTICATE " + mechanism + b" " + b64encode(scram.first()), b"\r\n")
        if not first.startswith(b"+ "):
            return first
        return await self.says(client, b64encode(scram.final(b64decode(first[2:]))), b"\r\n")

    async def test_both_ways_to_tls(self) -> None:
        self.start(self.config())
        for how in ("imaps", "starttls"):
            for mechanism in ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"):
                client, capabilities = await self.secure(how)
                self.assertIn(PLUS, capabilities)
                scram = ScramClient(mechanism, "ann", "secret", binding=self.channel(client))
                answer = await self.exchanged(client, scram, mechanism.encode())
                self.assertTrue(scram.trusts(b64decode(answer[2:])), answer)
                self.assertIn(b"a OK", await self.says(client, b"", b"\r\n"))
                client.transport.loseConnection()  # type: ignore[union-attr]
                await client.lost

    async def test_a_proof_of_another_connection_is_worth_nothing(self) -> None:
        self.start(self.config())
        one, _ = await self.secure("imaps")
        other, _ = await self.secure("imaps")
        self.assertNotEqual(self.channel(one), self.channel(other))
        scram = ScramClient("SCRAM-SHA-256", "ann", "secret", binding=self.channel(one))
        answer = await self.exchanged(other, scram, b"SCRAM-SHA-256-PLUS")
        self.assertTrue(answer.startswith(b"a NO [AUTHENTICATIONFAILED]"), answer)
        for client in (one, other):
            client.transport.loseConnection()  # type: ignore[union-attr]
            await client.lost

    async def test_who_was_shown_no_binding_is_turned_away(self) -> None:
        self.start(self.config())
        client, _ = await self.secure("starttls")
        scram = ScramClient("SCRAM-SHA-256", "ann", "secret", header="y,,")
        answer = await self.exchanged(client, scram, b"SCRAM-SHA-256")
        self.assertTrue(answer.startswith(b"a NO [AUTHENTICATIONFAILED]"), answer)
        scram = ScramClient("SCRAM-SHA-256", "ann", "secret")
        self.assertTrue((await self.exchanged(client, scram, b"SCRAM-SHA-256")).startswith(b"+ "))
        client.transport.loseConnection()  # type: ignore[union-attr]
        await client.lost

    async def test_tls_1_2_has_no_binding_that_is_known_to_be_safe(self) -> None:
        self.start(self.config())
        client, capabilities = await self.secure("imaps", TLSVersion.TLSv1_2)
        self.assertNotIn(b"-PLUS", capabilities)
        self.assertIn(b"AUTH=SCRAM-SHA-256 ", capabilities)
        scram = ScramClient("SCRAM-SHA-256", "ann", "secret", header="y,,")
        answer = await self.exchanged(client, scram, b"SCRAM-SHA-256")
        self.assertTrue(scram.trusts(b64decode(answer[2:])), answer)
        client.transport.loseConnection()  # type: ignore[union-attr]
        await client.lost
