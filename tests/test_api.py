"""Programs build servers from plain values, several of them in one process."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from mailpost import api

HELLO = b"From: bob@example.org\r\nTo: ann@example.org\r\nSubject: hello\r\n\r\nHello!\r\n"
LOOPBACK = "tcp:0:interface=127.0.0.1"


@implementer(api.IDeliveryFilter)
class IntoWork:
    """Files everything into one folder, made if need be."""

    def decide(self, arrival: api.Arrival) -> api.Verdict:
        return api.Verdict(copies=(api.FileInto("Work", create=True),), keep=False)


@implementer(api.IUserDirectory)
class Own:
    """Users of a program's own; answers with coroutines."""

    async def find(self, name: str) -> api.User | None:
        return api.User("ann", "{PLAIN}hers") if name == "ann" else None

    def decoy(self, name: str) -> api.User:
        return api.User(name, "{PLAIN}nobody knows")

    def mechanisms(self) -> frozenset[str]:
        return frozenset({"PLAIN"})


def subjects(port: int, user: str, password: str, folder: str = "INBOX") -> list[bytes]:
    with imaplib.IMAP4("127.0.0.1", port, timeout=10) as client:
        client.login(user, password)
        client.select(folder, readonly=True)
        _, rows = client.fetch("1:*", "(BODY[HEADER.FIELDS (SUBJECT)])")
        return [row[1].strip() for row in rows if isinstance(row, tuple)]


class TestServers(TestCase):
    def serve(self, **parts: Any) -> api.MailServer:
        server = api.mail_server(reactor, **parts)
        server.startService()
        self.addCleanup(server.stopService)
        return server

    def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return deferToThread(function, *arguments)

    async def test_two_servers_know_nothing_of_each_other(self) -> None:
        ports = []
        for number in range(2):
            store = api.memory_store()
            store.account("ann").append("INBOX", [api.NewMessage(HELLO.replace(b"hello", b"hello %d" % number))])
            server = self.serve(store=store, users={"ann": f"secret{number}"}, listen={"imap": LOOPBACK})
            ports.append(server.addresses["imap"].port)
        assert await self.in_thread(subjects, ports[0], "ann", "secret0") == [b"Subject: hello 0"]
        assert await self.in_thread(subjects, ports[1], "ANN", "secret1") == [b"Subject: hello 1"]
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            await self.in_thread(subjects, ports[0], "ann", "secret1")

    async def test_mail_comes_in_through_a_filter(self) -> None:
        server = self.serve(
            store=api.memory_store(),
            users={"ann": "secret"},
            listen={"lmtp": LOOPBACK, "imap": [LOOPBACK, LOOPBACK], "pop3": LOOPBACK},
            domains=["example.org"],
            filters=[IntoWork()],
        )
        ports = {name: address.port for name, address in server.addresses.items()}

        def deliver() -> None:
            with smtplib.LMTP("127.0.0.1", ports["lmtp"], timeout=10) as client:
                assert client.sendmail("bob@example.org", ["ann@example.org"], HELLO) == {}
            mailbox = poplib.POP3("127.0.0.1", ports["pop3"], timeout=10)
            mailbox.user("ann")
            mailbox.pass_("secret")
            assert mailbox.stat() == (0, 0)
            mailbox.quit()

        await self.in_thread(deliver)
        assert await self.in_thread(subjects, ports["imap"], "ann", "secret", "Work") == [b"Subject: hello"]

    async def test_users_of_a_program(self) -> None:
        store = api.maildir_store(reactor, lambda user: Path(self.mktemp()) / user)
        server = self.serve(store=store, users=Own(), listen={"submission": LOOPBACK})

        def log_in() -> Any:
            with smtplib.SMTP("127.0.0.1", server.addresses["submission"].port, timeout=10) as client:
                return client.login("ann", "hers")

        assert (await self.in_thread(log_in))[0] == 235


def test_what_cannot_be_served_is_refused() -> None:
    store = api.memory_store()
    with pytest.raises(ValueError, match="did you mean 'imaps'"):
        api.mail_server(reactor, store=store, users={"ann": "secret"}, listen={"imapss": LOOPBACK})
    with pytest.raises(api.ConfigError, match="nobody can log in"):
        api.mail_server(reactor, store=store, listen={"imap": LOOPBACK})
    with pytest.raises(api.UserNameError):
        api.mail_server(reactor, store=store, users={"../ann": "secret"}, listen={"imap": LOOPBACK})


def test_open_smtp_is_for_loopback_only() -> None:
    for description in ("tcp:0", "tcp:0:interface=0.0.0.0", "tcp:0:interface=127.example.org"):
        parts = api.Parts(store=api.memory_store(), directory=Own(), open_smtp=(description,))
        config = api.Config(api.Storage(api.Pattern("/nonexistent")))
        with pytest.raises(api.ConfigError, match="from anybody"):
            api.build(config, reactor, parts=parts)


def test_every_stable_name_is_there() -> None:
    assert [name for name in api.__all__ if not hasattr(api, name)] == []
    assert api.__all__ == sorted(api.__all__, key=lambda name: (not name[0].isupper(), name))
