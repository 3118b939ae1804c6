"""The page of a server with users: each logs in, and sees their own mail."""

from __future__ import annotations

import http.client
import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mailpost.api import mail_server, memory_store
from mailpost.service.assembly import endpoints_of
from mailpost.service.config import Config, ConfigError, Listen, Pattern, Storage, Tls
from mailpost.service.testcertificates import authority
from mailpost.storage.records import NewMessage

OWN = {"X-Mailpost": "1"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


class LoginTests(TestCase):
    def setUp(self) -> None:
        self.store = memory_store()
        for user in ("ann", "bob"):
            octets = f"Subject: for {user}\r\n\r\nHello!\r\n".encode()
            self.store.account(user).append("INBOX", [NewMessage(octets)])
        self.trusted = authority()
        self.server = mail_server(
            reactor,
            store=self.store,
            users={"ann": "säcret", "bob": "word"},
            listen={"web": "tcp:0:interface=127.0.0.1", "webs": "tcp:0:interface=127.0.0.1"},
            certificate=self.trusted.certificate(),
        )
        self.server.startService()
        self.addCleanup(self.server.stopService)

    async def ask(
        self, path: str, headers: dict[str, str] | None = None, method: str = "GET", tls: bool = False, **query: Any
    ) -> tuple[int, Any, Any]:
        port = self.server.addresses["webs" if tls else "web"].port
        context = self.trusted.client_context()

        def go() -> tuple[int, Any, Any]:
            connect: Callable[..., http.client.HTTPConnection] = (
                (lambda: http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=20))
                if tls
                else (lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=20))
            )
            connection = connect()
            try:
                connection.request(method, f"{path}?{urlencode(query)}", headers=headers or {})
                response = connection.getresponse()
                body = response.read()
                is_json = response.headers["Content-Type"] == "application/json"
                return response.status, json.loads(body) if is_json else body, response.headers
            finally:
                connection.close()

        return await deferToThread(go)

    async def test_a_password_is_asked_for(self) -> None:
        for path in ("/", "/static/app.js", "/api/about", "/api/messages"):
            for headers in (
                {},
                {"Authorization": "Basic"},
                {"Authorization": "Basic !!!"},
                {"Authorization": "Bearer x"},
            ):
                status, _, fields = await self.ask(path, headers)
                self.assertEqual(status, 401)
                self.assertEqual(fields["WWW-Authenticate"], 'Basic realm="mailpost", charset="UTF-8"')

    async def test_users_see_their_own_mail(self) -> None:
        for tls in (False, True):
            status, told, _ = await self.ask("/api/messages", basic("ann", "säcret"), tls=tls, user="ann", count=1)
            self.assertEqual((status, told["rows"][0]["subject"]), (200, "for ann"))
            status, told, _ = await self.ask("/api/messages", basic("ann", "säcret"), tls=tls, user="bob", count=1)
            self.assertEqual(status, 404)
        status, told, _ = await self.ask("/api/about", basic("ann", "säcret"))
        self.assertEqual((told["login"], told["transcripts"]), (True, False))
        status, told, _ = await self.ask("/api/transcripts", basic("ann", "säcret"))
        self.assertEqual(told, [])
        headers = basic("bob", "word") | OWN
        status, _, _ = await self.ask("/api/clear", headers, "POST", user="ann", folder="INBOX")
        self.assertEqual(status, 404)
        self.assertEqual(len(self.store.account("ann").open("INBOX").live.uids), 1)

    async def test_a_name_that_the_browser_was_told_is_of_no_account_here(self) -> None:
        status, _, _ = await self.ask("/", basic("ann", "säcret") | {"Host": "mail.example.org"})
        self.assertEqual(status, 200)

    async def test_guesses_take_longer_and_longer(self) -> None:
        began = reactor.seconds()  # type: ignore[attr-defined]
        for _ in range(2):
            status, told, _ = await self.ask("/api/about", basic("ann", "guess"))
            self.assertEqual((status, told["error"]), (401, "Authentication failed"))
        self.assertGreater(reactor.seconds() - began, 1.0)  # type: ignore[attr-defined]

    async def test_events_are_of_the_user_alone(self) -> None:
        port = self.server.addresses["web"].port

        def listen() -> bytes:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/api/events?user=bob", headers=basic("ann", "säcret"))
            response = connection.getresponse()
            lines = b""
            while b"event: folders" not in lines:
                lines += response.readline()
            lines += response.readline()
            connection.close()
            return lines

        told = await deferToThread(listen)
        self.assertIn(b'data: [{"name":"ann","unseen":1}]', told)
        self.assertNotIn(b"bob", told)
        self.assertIn(b"data: []", told)


def config(*web: str, **more: Any) -> Config:
    return Config(storage=Storage(Pattern("/nonexistent/{user}")), listen=Listen(web=web), **more)


def test_without_tls_it_is_for_this_machine() -> None:
    for description in ("tcp:0", "tcp:0:interface=0.0.0.0", "tcp:0:interface=192.0.2.1", "tcp6:0"):
        with pytest.raises(ConfigError, match=r"listen\.web: .*passwords would come without TLS.*127\.0\.0\.1"):
            endpoints_of(config(description), reactor)
    for description in ("tcp:0:interface=127.0.0.1", r"tcp6:0:interface=\:\:1"):
        assert len(endpoints_of(config(description), reactor)) == 1
    assert len(endpoints_of(config("tcp:0", tls=Tls(allow_plaintext_auth=True)), reactor)) == 1


def test_without_a_login_it_is_for_this_machine() -> None:
    for description in ("tcp:0", "tcp:0:interface=0.0.0.0"):
        with pytest.raises(ConfigError, match="it shows everybody's mail without a login"):
            endpoints_of(config(tls=Tls(allow_plaintext_auth=True)), reactor, open_web=[description])
    here = "tcp:0:interface=127.0.0.1"
    assert [each.name for each in endpoints_of(config(), reactor, open_web=[here])] == ["web"]
    with pytest.raises(ConfigError, match="there is one without a login"):
        endpoints_of(config(here), reactor, open_web=[here])
