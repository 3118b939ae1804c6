"""Accounts and mailboxes made for Twisted's server, served by ours."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import succeed
from twisted.mail.imap4 import MailboxCollision, MailboxException, MemoryAccount, MessageSet
from twisted.mail.interfaces import (
    IAccountIMAP,
    ICloseableMailboxIMAP,
    IMailboxIMAP,
    IMessageIMAP,
    IMessageIMAPCopier,
    IMessageIMAPFile,
)
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailpost.protocols.imap.compat import StockAccount, StockMailbox, mailbox, stock_of
from mailpost.storage.interfaces import IMailAccount, IMailpostMailbox
from tests.protocols.imap.harness import Client, Server, dialogue

DATE = "17-Jul-1996 02:44:25 -0700"


@implementer(IMessageIMAP)
class Message:
    """A message with what a stock server asks for: headers and a body, no octets."""

    def __init__(self, uid: int, subject: str, body: bytes = b"Hello\n", parts: list[Message] | None = None) -> None:
        self.uid = uid
        self.flags: set[str] = set()
        self.headers = {"subject": subject, "from": "Ann <ann@example.org>"}
        self.body = body
        self.parts = parts

    def getUID(self) -> int:
        return self.uid

    def getFlags(self) -> list[str]:
        return sorted(self.flags)

    def getInternalDate(self) -> str:
        return DATE

    def getHeaders(self, negate: bool, *names: str) -> dict[str, str]:
        return dict(self.headers)

    def getBodyFile(self) -> BytesIO:
        return BytesIO(self.body)

    def getSize(self) -> int:
        return len(self.body)

    def isMultipart(self) -> bool:
        return self.parts is not None

    def getSubPart(self, part: int) -> Message:
        return (self.parts or [])[part]


@implementer(IMessageIMAPFile)
class FileMessage(Message):
    """One that has its octets."""

    def open(self) -> BytesIO:
        return BytesIO(b"Subject: from a file\n\n" + self.body)


@implementer(IMailboxIMAP, ICloseableMailboxIMAP)
class Mailbox:
    """A mailbox as an embedder has it, some of it asynchronous."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages = messages
        self.listeners: list[Any] = []
        self.closed = 0
        self.writeable = True
        self.added: list[tuple[bytes, Any, Any]] = []
        self.fetches = 0

    def addListener(self, listener: Any) -> None:
        self.listeners.append(listener)

    def removeListener(self, listener: Any) -> None:
        self.listeners.remove(listener)

    def close(self) -> None:
        self.closed += 1

    def getFlags(self) -> list[str]:
        return []

    def getHierarchicalDelimiter(self) -> str:
        return "/"

    def getUIDValidity(self) -> int:
        return 77

    def getUIDNext(self) -> int:
        return self.messages[-1].uid + 1 if self.messages else 1

    def getUID(self, message: int) -> int:
        return self.messages[message - 1].uid

    def getMessageCount(self) -> int:
        return len(self.messages)

    def getRecentCount(self) -> int:
        return 1 if self.messages else 0

    def getUnseenCount(self) -> int:
        return sum("\\Seen" not in message.flags for message in self.messages)

    def isWriteable(self) -> bool:
        return self.writeable

    def destroy(self) -> None:
        self.messages.clear()

    def requestStatus(self, names: list[str]) -> Any:
        counts = {"MESSAGES": self.getMessageCount(), "RECENT": 1, "UIDNEXT": self.getUIDNext(), "UNSEEN": 2}
        return succeed({name: counts[name] for name in names})

    def addMessage(self, message: Any, flags: Any = (), date: Any = None) -> Any:
        self.added.append((message.read(), flags, date))
        return succeed(None)

    def expunge(self) -> Any:
        gone = [at for at, message in enumerate(self.messages, 1) if "\\Deleted" in message.flags]
        self.messages[:] = [message for message in self.messages if "\\Deleted" not in message.flags]
        return succeed(gone)

    def _found(self, messages: MessageSet, uid: bool) -> list[tuple[int, Message]]:
        numbered = list(enumerate(self.messages, 1))
        messages.last = max((message.uid if uid else n for n, message in numbered), default=0)
        return [(n, message) for n, message in numbered if (message.uid if uid else n) in messages]

    def fetch(self, messages: MessageSet, uid: bool) -> Any:
        self.fetches += 1
        return succeed(iter(self._found(messages, uid)))

    def store(self, messages: MessageSet, flags: list[str], mode: int, uid: bool) -> Any:
        found = self._found(messages, uid)
        for _, message in found:
            if mode == 0:
                message.flags = set(flags)
            elif mode == 1:
                message.flags |= set(flags)
            else:
                message.flags -= set(flags)
        return succeed({n: message.getFlags() for n, message in found})


@implementer(IMessageIMAPCopier)
class Archive(Mailbox):
    """A mailbox that knows how to copy."""

    def copy(self, message: Any) -> Any:
        self.added.append((b"copied", message.getFlags(), None))
        return succeed(1)


@implementer(IAccountIMAP)
class Account(MemoryAccount):
    """Twisted's account in memory with such mailboxes."""

    def _emptyMailbox(self, name: str, number: int) -> Mailbox:
        return Mailbox([])


@implementer(IRealm)
class StockRealm:
    def __init__(self, account: Any) -> None:
        self.account = account

    def requestAvatar(self, avatar_id: bytes, mind: Any, *interfaces: Any) -> Any:
        assert IMailAccount in interfaces
        return IAccountIMAP, self.account, lambda: None


class Setting:
    def __init__(self) -> None:
        self.inbox = Mailbox([Message(3, "one"), FileMessage(5, "two"), Message(9, "three")])
        self.account = Account("joe")
        self.account.addMailbox("INBOX", self.inbox)
        self.account.addMailbox("BOX/BELOW")
        self.server = Server()
        self.server.factory.portal = Portal(StockRealm(self.account), [self.server.checker])

    def selected(self) -> Client:
        client = self.server.logged_in()
        assert b"s OK [READ-WRITE]" in client.says(b"s SELECT INBOX")
        return client


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_the_adapters_provide_their_interfaces(setting: Setting) -> None:
    account = IMailAccount(setting.account)
    assert isinstance(account, StockAccount)
    assert verifyObject(IMailAccount, account)
    adapter = IMailpostMailbox(setting.inbox)
    assert isinstance(adapter, StockMailbox)
    assert verifyObject(IMailpostMailbox, adapter)
    assert stock_of(adapter) is setting.inbox


def test_what_it_cannot_do_is_not_announced(setting: Setting) -> None:
    answer = setting.server.connect().says(b"a LOGIN joe secret")
    assert b" IDLE " in answer
    for capability in (b"UIDPLUS", b"MOVE", b"CONDSTORE", b"SPECIAL-USE", b"STATUS=SIZE"):
        assert capability not in answer


def test_selecting_and_fetching(setting: Setting) -> None:
    dialogue(
        setting.server,
        r"""
        C: b SELECT inbox
        S: * FLAGS (...)
        S: * OK [PERMANENTFLAGS (...)] ...
        S: * 3 EXISTS
        S: * 1 RECENT
        S: * OK [UNSEEN 1] ...
        S: * OK [UIDVALIDITY 77] ...
        S: * OK [UIDNEXT 10] ...
        S: * OK [NOMODSEQ] ...
        S: b OK [READ-WRITE] SELECT completed
        C: c FETCH 1:* (UID FLAGS INTERNALDATE)
        S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE "17-Jul-1996 09:44:25 +0000")
        S: * 2 FETCH (UID 5 FLAGS () INTERNALDATE "17-Jul-1996 09:44:25 +0000")
        S: * 3 FETCH (UID 9 FLAGS (\Recent) INTERNALDATE "17-Jul-1996 09:44:25 +0000")
        S: c OK FETCH completed
        C: d UID FETCH 5 (BODY[TEXT]<1.3>)
        S: * 2 FETCH (UID 5 BODY[TEXT]<1> {3}
        S: ell FLAGS (\Seen))
        S: d OK FETCH completed
        C: e SEARCH SUBJECT thr
        S: * SEARCH 3
        S: e OK SEARCH completed
        C: f FETCH 1 (ENVELOPE RFC822.SIZE)
        S: * 1 FETCH (ENVELOPE (NIL "one" (("Ann" NIL "ann" "example.org")) ...) RFC822.SIZE 52)
        S: f OK FETCH completed
        """,
        client=setting.server.logged_in(),
    )
    assert setting.inbox.messages[1].flags == {"\\Seen"}


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (b"LARGER 40", b" 1 3"),
        (b"SMALLER 40", b" 2"),
        (b"SINCE 17-Jul-1996", b" 1 2 3"),
        (b"BEFORE 17-Jul-1996", b""),
        (b"SENTSINCE 1-Jan-2000", b""),
        (b"BODY Hello", b" 1 2 3"),
        (b'SUBJECT "from a file"', b" 2"),
        (b"UNSEEN 2:3", b" 2 3"),
        (b"RECENT", b" 3"),
    ],
)
def test_searching(setting: Setting, keys: bytes, found: bytes) -> None:
    assert setting.selected().says(b"a SEARCH " + keys).startswith(b"* SEARCH" + found + b"\r\n")


def test_dates_in_other_ways(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    dates = iter(["Wed, 17 Jul 1996 02:44:25 -0700", "yesterday"])
    monkeypatch.setattr(Message, "getInternalDate", lambda message: next(dates))
    answer = setting.selected().says(b"a FETCH 1:2 INTERNALDATE")
    assert b'"17-Jul-1996 09:44:25 +0000"' in answer
    assert b'"01-Jan-1970 00:00:00 +0000"' in answer


def test_flags_in_octets(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Message, "getFlags", lambda message: [b"\\seen", "Work", "\\Recent"])
    assert b"* 1 FETCH (FLAGS (\\Seen Work))\r\n" in setting.selected().says(b"a FETCH 1 FLAGS")


def test_a_message_of_parts_is_put_together(setting: Setting) -> None:
    setting.inbox.messages[0] = Message(3, "parts", parts=[Message(0, "a", b"first"), Message(0, "b", b"second")])
    client = setting.selected()
    assert b"BODY[2.TEXT]" not in client.says(b"a FETCH 1 BODYSTRUCTURE")
    assert b"BODY[2] {6}\r\nsecond)" in client.says(b"b FETCH 1 BODY.PEEK[2]")


def test_flags_and_expunge(setting: Setting) -> None:
    dialogue(
        setting.server,
        r"""
        C: a STORE 1,3 +FLAGS (\Deleted)
        S: * 1 FETCH (FLAGS (\Deleted))
        S: * 3 FETCH (FLAGS (\Deleted \Recent))
        S: a OK STORE completed
        C: b STORE 3 FLAGS (\Seen)
        S: * 3 FETCH (FLAGS (\Seen \Recent))
        S: b OK STORE completed
        C: c EXPUNGE
        S: * 1 EXPUNGE
        S: c OK EXPUNGE completed
        C: d UID MOVE 5 BOX/BELOW
        S: d NO [CANNOT] ...
        C: e STORE 1 (UNCHANGEDSINCE 5) FLAGS (\Seen)
        S: e BAD ...
        """,
        client=setting.selected(),
    )
    assert [message.uid for message in setting.inbox.messages] == [5, 9]


def test_uid_expunge_of_some_would_take_too_much(setting: Setting) -> None:
    client = setting.selected()
    client.says(rb"a STORE 1:2 +FLAGS (\Deleted)")
    assert client.says(b"b UID EXPUNGE 3").startswith(b"b NO [CANNOT]")
    assert len(setting.inbox.messages) == 3
    assert client.says(b"c UID EXPUNGE 1:9").count(b"EXPUNGE\r\n") == 2


def test_changes_by_others_are_heard(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "READ_AGAIN", 0.0)
    client = setting.selected()
    setting.inbox.messages[1].flags.add("\\Flagged")
    assert b"* 2 FETCH (UID 5 FLAGS (\\Flagged))\r\n" in client.says(b"a NOOP")
    del setting.inbox.messages[0]
    setting.inbox.messages.append(Message(12, "four"))
    answer = client.says(b"b NOOP")
    assert answer.startswith(b"* 1 EXPUNGE\r\n* 3 EXISTS\r\n")
    setting.inbox.messages.append(Message(4, "out of order"))
    assert b"* BYE" in client.says(b"c NOOP")
    assert client.transport.disconnecting
    assert setting.server.logged_in().says(b"a SELECT INBOX").startswith(b"a NO [UNAVAILABLE]")


def test_a_mailbox_that_nothing_is_said_of_is_not_read_for_each_command(setting: Setting) -> None:
    client = setting.selected()
    before = setting.inbox.fetches
    client.says(b"a NOOP")
    client.says(b"b NOOP")
    assert setting.inbox.fetches == before


def test_what_a_listener_is_told_reaches_who_idles(setting: Setting) -> None:
    client = setting.selected()
    client.says(b"a IDLE")
    setting.inbox.messages.append(Message(12, "four"))
    setting.inbox.messages[0].flags.add("\\Answered")
    for listener in setting.inbox.listeners:
        listener.newMessages(4, 1)
        listener.flagsChanged({1: ["\\Answered"]})
    setting.server.clock.advance(0)
    answer = client.heard()
    assert b"* 4 EXISTS\r\n" in answer
    assert b"* 1 FETCH (UID 3 FLAGS (\\Answered))\r\n" in answer


def test_a_mailbox_that_becomes_read_only(setting: Setting) -> None:
    client = setting.selected()
    setting.inbox.listeners[0].modeChanged(False)
    assert client.says(rb"a STORE 1 +FLAGS (\Seen)").startswith(b"a NO [NOPERM]")
    setting.inbox.writeable = False
    assert b"b OK [READ-ONLY]" in client.says(b"b SELECT INBOX")


def test_it_is_closed_and_left_alone_afterwards(setting: Setting) -> None:
    client = setting.selected()
    assert client.protocol.mbox is setting.inbox
    assert client.protocol.account is setting.account
    client.says(b"a UNSELECT")
    assert (setting.inbox.closed, setting.inbox.listeners) == (1, [])
    client.says(b"b SELECT INBOX")
    client.leaves()
    assert (setting.inbox.closed, setting.inbox.listeners) == (2, [])


def test_folders(setting: Setting) -> None:
    dialogue(
        setting.server,
        r"""
        C: a LIST "" *
        S: * LIST (\HasNoChildren) "/" INBOX
        S: * LIST (\HasNoChildren) "/" BOX/BELOW
        S: a OK LIST completed
        C: b CREATE NEW
        S: b OK CREATE completed
        C: c CREATE NEW
        S: c NO [ALREADYEXISTS] ...
        C: d SUBSCRIBE NEW
        S: d OK SUBSCRIBE completed
        C: e LSUB "" *
        S: * LSUB () "/" NEW
        S: e OK LSUB completed
        C: f UNSUBSCRIBE NEW
        S: f OK UNSUBSCRIBE completed
        C: g LSUB "" *
        S: g OK LSUB completed
        C: h RENAME NEW OLD
        S: h OK RENAME completed
        C: i RENAME NEW OTHER
        S: i NO [NONEXISTENT] ...
        C: j DELETE OLD
        S: j OK DELETE completed
        C: k DELETE OLD
        S: k NO [CANNOT] No such mailbox
        C: l DELETE INBOX
        S: l NO [CANNOT] ...
        C: m RENAME INBOX X
        S: m NO [CANNOT] ...
        C: n STATUS INBOX (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)
        S: * STATUS INBOX (MESSAGES 3 UNSEEN 2 UIDNEXT 10 UIDVALIDITY 77)
        S: n OK STATUS completed
        C: o SELECT NOWHERE
        S: o NO [NONEXISTENT] ...
        C: p CREATE SENT (USE (\Sent))
        S: p NO [CANNOT] ...
        """,
        client=setting.server.logged_in(),
    )


def test_an_account_that_takes_its_time(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    listed, subscribed = setting.account.listMailboxes, setting.account.isSubscribed
    monkeypatch.setattr(setting.account, "listMailboxes", lambda *names: succeed(listed(*names)))
    monkeypatch.setattr(setting.account, "isSubscribed", lambda name: succeed(subscribed(name)))
    setting.account.subscribe("BOX/BELOW")
    client = setting.server.logged_in()
    assert b'"/" BOX/BELOW\r\n' in client.says(b'a LIST "" *')
    assert b'"/" BOX/BELOW\r\n' in client.says(b'b LSUB "" *')


def test_messages_go_in(setting: Setting) -> None:
    client = setting.server.logged_in()
    sent = b'a APPEND INBOX (\\Seen) "17-Jul-1996 02:44:25 -0700" {14+}\r\nSubject: x\r\n\r\n'
    assert client.says(sent) == b"a OK APPEND completed\r\n"
    assert setting.inbox.added == [(b"Subject: x\r\n\r\n", ["\\Seen"], b"17-Jul-1996 09:44:25 +0000")]
    assert client.says(b"b APPEND NOWHERE {14}").startswith(b"b NO [TRYCREATE]")


def test_messages_are_copied(setting: Setting) -> None:
    archive = Archive([])
    setting.account.addMailbox("ARCHIVE", archive)
    client = setting.selected()
    assert client.says(b"a COPY 1:2 ARCHIVE") == b"a OK COPY completed\r\n"
    assert len(archive.added) == 2
    assert client.says(b"b COPY 2 BOX/BELOW") == b"b OK COPY completed\r\n"
    below = setting.account.mailboxes["BOX/BELOW"]
    assert below.added == [(b"Subject: from a file\r\n\r\nHello\r\n", [], DATE)]
    assert client.says(b"c COPY 1 NOWHERE").startswith(b"c NO [TRYCREATE]")


def test_a_realm_that_gives_something_else(setting: Setting) -> None:
    setting.server.factory.portal = Portal(StockRealm(object()), [setting.server.checker])
    client = setting.server.connect()
    assert client.says(b"a LOGIN joe secret").startswith(b"a NO [UNAVAILABLE]")
    assert client.says(b"b SELECT INBOX").startswith(b"b BAD ")


@pytest.mark.parametrize(
    ("error", "answer"),
    [(MailboxCollision("x"), b"a NO [ALREADYEXISTS]"), (MailboxException("Not here"), b"a NO [CANNOT] Not here")],
)
def test_refusals(setting: Setting, monkeypatch: pytest.MonkeyPatch, error: Exception, answer: bytes) -> None:
    def refuse(old: str, new: str) -> None:
        raise error

    monkeypatch.setattr(setting.account, "rename", refuse)
    assert setting.server.logged_in().says(b"a RENAME BOX/BELOW Y").startswith(answer)


def test_a_folder_without_messages_of_its_own(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    below = setting.account.mailboxes["BOX/BELOW"]
    monkeypatch.setattr(below, "getFlags", lambda: ["\\Noselect", "\\Archive"])
    client = setting.server.logged_in()
    assert b'* LIST (\\Noselect \\HasNoChildren \\Archive) "/" BOX/BELOW\r\n' in client.says(b'a LIST "" *')
    assert client.says(b"b SELECT BOX/BELOW").startswith(b"b NO [NONEXISTENT]")
