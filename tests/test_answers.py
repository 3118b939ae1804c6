"""Every method of every part may answer with a value, a Deferred or a coroutine: a session with each, over sockets."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
from collections.abc import Callable
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from zope.interface import alsoProvides, implementer, providedBy

from mailpost import api

LOOPBACK = "tcp:0:interface=127.0.0.1"
HELLO = b"From: bob@example.org\r\nTo: ann@example.org\r\nSubject: hello\r\n\r\nHello!\r\n"
LATER = frozenset(
    {"account", "close", "subscribe", "create", "delete", "rename", "open", "status", "usage", "append", "maildrop"}
    | {"refresh", "search", "store", "expunge", "vanished", "copy", "list", "remove", "add", "flag"}
    | {"find", "resolve", "decide", "heard", "requestAvatarId"}
)
INSIDE = frozenset({"account", "open", "maildrop"})
"""Methods whose answers have methods of their own."""

Wrap = Callable[[Any], Any]


def later(value: Any) -> Any:
    return deferLater(reactor, 0, lambda: value)


async def coroutine(value: Any) -> Any:
    return value


class Answering:
    """A part as it is, but for how it answers."""

    def __init__(self, part: Any, wrap: Wrap, methods: frozenset[str] = LATER) -> None:
        self._part = part
        self._wrap = wrap
        self._methods = methods
        alsoProvides(self, providedBy(part))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if name not in self._methods:
            return found

        def method(*arguments: Any, **named: Any) -> Any:
            answer = found(*arguments, **named)
            return self._wrap(Answering(answer, self._wrap) if name in INSIDE else answer)

        return method


class Tickets(api.VirtualFolder):
    def __init__(self) -> None:
        self.texts = {1: b"Subject: first\r\n\r\n1\r\n", 2: b"Subject: second\r\n\r\n2\r\n"}
        self.flags: list[Any] = []

    def list(self) -> Any:
        return list(self.texts)

    def fetch(self, item: Any) -> Any:
        return self.texts[item]

    def remove(self, item: Any) -> Any:
        del self.texts[item]

    def add(self, message: api.NewMessage) -> Any:
        assert isinstance(message.octets, bytes)
        self.texts[len(self.texts) + 10] = message.octets
        return len(self.texts) + 9

    def flag(self, item: Any, flags: Any) -> Any:
        self.flags.append((item, flags))


@implementer(ICredentialsChecker)
class OnlyCleo:
    credentialInterfaces = (IUsernamePassword,)

    def requestAvatarId(self, credentials: Any) -> Any:
        if (credentials.username, credentials.password) != (b"cleo", b"pyramid"):
            raise UnauthorizedLogin
        return b"cleo"


@implementer(api.IDeliveryFilter)
class IntoWork:
    def decide(self, arrival: api.Arrival) -> Any:
        return api.Verdict(copies=(api.FileInto("Work", create=True),), flags=frozenset({"$Filtered"}))


@implementer(api.IMailListener)
class Notes:
    def __init__(self) -> None:
        self.events: list[Any] = []

    def heard(self, event: Any) -> Any:
        self.events.append(event)


@implementer(api.IRecipients)
class Everybody:
    def resolve(self, address: str) -> Any:
        return [api.LocalUser(address.partition("@")[0])]


class TestAnswers(TestCase):
    async def session(self, wrap: Wrap) -> None:
        tickets, notes = Tickets(), Notes()
        folder = Answering(tickets, wrap, LATER | {"fetch"})
        store = api.virtual_store(
            reactor, lambda user: wrap({"Tickets": folder}), beside=Answering(api.memory_store(), wrap)
        )
        server = api.mail_server(
            reactor,
            store=store,
            users=Answering(api.memory_users({"ann": "secret"}), wrap),
            checkers=[Answering(OnlyCleo(), wrap)],
            recipients=Answering(Everybody(), wrap),
            filters=[Answering(IntoWork(), wrap)],
            listeners=[Answering(notes, wrap)],
            listen=dict.fromkeys(("imap", "lmtp", "pop3"), LOOPBACK),
        )
        server.startService()
        self.addCleanup(server.stopService)
        port = {name: address.port for name, address in server.addresses.items()}
        await deferToThread(self.talk, port)
        assert tickets.texts.keys() == {2, 12}
        assert (2, frozenset({"\\Seen"})) in tickets.flags
        kinds = {type(event) for event in notes.events}
        wanted = {api.LoggedIn, api.LoginFailed, api.MessageArrived, api.FlagsChanged, api.MessagesExpunged}
        assert wanted <= kinds

    def talk(self, port: dict[str, int]) -> None:
        with smtplib.LMTP("127.0.0.1", port["lmtp"], timeout=10) as lmtp:
            assert lmtp.sendmail("bob@example.org", ["ann@example.org"], HELLO) == {}
        pop3 = poplib.POP3("127.0.0.1", port["pop3"], timeout=10)
        pop3.user("cleo")
        pop3.pass_("pyramid")
        assert pop3.stat() == (0, 0)
        pop3.quit()
        with imaplib.IMAP4("127.0.0.1", port["imap"], timeout=10) as refused:
            try:
                refused.login("ann", "wrong")
            except imaplib.IMAP4.error as error:
                assert "AUTHENTICATIONFAILED" in str(error)
            else:
                raise AssertionError("anybody gets in")
        with imaplib.IMAP4("127.0.0.1", port["imap"], timeout=10) as imap:
            imap.login("ann", "secret")
            assert imap.status("Work", "(MESSAGES SIZE)")[0] == "OK"
            assert imap.select("Tickets") == ("OK", [b"2"])
            assert imap.fetch("1:2", "(BODY[TEXT])")[0] == "OK"
            assert imap.search(None, "TEXT", "second") == ("OK", [b"2"])
            assert imap.copy("1", "Work")[0] == "OK"
            assert imap.append("Tickets", None, None, HELLO)[0] == "OK"  # type: ignore[arg-type]
            assert imap.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
            assert imap.expunge() == ("OK", [b"1"])
            assert imap.select("Work") == ("OK", [b"2"])
            assert imap.search(None, "SUBJECT", "first") == ("OK", [b"2"])
            assert imap.copy("1", "INBOX")[0] == "OK"
            assert imap.create("New")[0] == imap.subscribe("New")[0] == imap.rename("New", "Old")[0] == "OK"
            assert imap.delete("Old")[0] == "OK"
            assert imap.select("INBOX") == ("OK", [b"2"])
            assert imap.search(None, "KEYWORD", "$Filtered") == ("OK", [b"1"])

    async def test_values(self) -> None:
        await self.session(lambda value: value)

    async def test_deferreds(self) -> None:
        await self.session(later)

    async def test_coroutines(self) -> None:
        await self.session(coroutine)
