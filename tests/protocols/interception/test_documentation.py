"""The interceptors of docs/embedding.md do what is said of them."""

from __future__ import annotations

import imaplib
import re
import smtplib
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mailpost import api

MESSAGE = "From: ann@example.org\nSubject: x\n\nx\n"
PAGE = Path(__file__).parents[3] / "docs/embedding.md"


def examples() -> dict[str, Any]:
    section = PAGE.read_text().partition("## What clients and server say")[2].partition("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


class TestExamples(TestCase):
    def serve(self, *interceptors: api.Interceptor) -> api.MailServer:
        listen = dict.fromkeys(("imap", "submission"), "tcp:0:interface=127.0.0.1")
        server = api.mail_server(
            reactor,
            store=api.memory_store(),
            users={"ann": "secret"},
            listen=listen,
            domains=["example.org"],
            interceptors=interceptors,
        )
        server.startService()
        self.addCleanup(server.stopService)
        return server

    async def test_audit_and_rewriting(self) -> None:
        known = examples()
        said: list[str] = []
        port = self.serve(known["Audit"](said.append), known["Archive"]()).addresses["imap"].port  # type: ignore[attr-defined]

        def talk() -> None:
            client = imaplib.IMAP4("127.0.0.1", port, timeout=10)
            assert client.welcome.endswith(b"localhost ready")
            client.login("ann", "secret")
            client.create("Archive")
            assert client.select()[0] == "OK"
            with pytest.raises(imaplib.IMAP4.readonly):
                client.select("Archive")
            client.shutdown()

        await deferToThread(talk)
        assert said[:4] == ["imap 1 - CAPABILITY", "imap 1 - LOGIN", "imap 1 ann CREATE", "imap 1 ann SELECT"]

    async def test_rate_limit(self) -> None:
        limit = examples()["RateLimit"](messages=2, seconds=3600)
        port = self.serve(limit).addresses["submission"].port  # type: ignore[attr-defined]

        def talk() -> None:
            with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
                client.login("ann", "secret")
                for _ in range(2):
                    client.sendmail("ann@example.org", ["ann@example.org"], MESSAGE)
                with pytest.raises(smtplib.SMTPSenderRefused, match="Too many messages"):
                    client.sendmail("ann@example.org", ["ann@example.org"], MESSAGE)

        await deferToThread(talk)
